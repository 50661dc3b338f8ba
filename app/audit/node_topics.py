"""The audit of the nodes of one partition: their topics against the aligned topic and streams in order."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import polars as pl
import pyarrow as pa

from app.audit.cut import Cut
from app.audit.emitted import ParityCheck, Seals, gathered, parts_by
from app.audit.findings import PLACE, Findings
from app.audit.join import Rules
from app.audit.joined import Begun, root_rows
from app.audit.node_rules import NodeRules
from app.audit.nodes import Heads, check_rows, frames_of, unjudged
from app.audit.report import AuditReport
from app.audit.rule_book import formulas_of
from app.audit.walk import frame_of
from app.reading.aligned import read_aligned, read_output
from app.wiring.pipeline import Pipeline
from operators.hashing.parity import sealed_hashes
from operators.sealed import ALIGNED
from schemas.clocks import BEGINNING_NS
from schemas.rule import parse_rule

if TYPE_CHECKING:
    from app.audit.ordered import OrderedStream


class NodeTopics:
    """Checks every node with an output; `ordered` gets each of `streams`, which their rows hang on."""

    def __init__(
        self, pipeline: Pipeline, partition: int, cut: Cut | None, rules: Rules, findings: Findings
    ) -> None:
        self.ordered: Final[dict[str, OrderedStream]] = {}
        self._pipeline = pipeline
        self._partition = partition
        self._cut = cut
        self._rules = rules
        self._findings = findings
        self._nodes = [self._rules_of(name) for name in pipeline.settings.node_outputs]
        self._repeats = pipeline.settings.worker.guarantee == "at_least_once"
        self.streams: Final = set[str]().union(*(node.roots for node in self._nodes)) - {ALIGNED}

    def check(self, ahead_ns: int, report: AuditReport) -> None:
        """Check them all, and add to the report how many rows there were.

        Rows of the join of the pipeline may have waited for what lies `ahead_ns` of them.
        """
        for node in self._nodes:
            report.rows_out[node.name] += self._check(node, ahead_ns, report)

    def _rules_of(self, name: str) -> NodeRules:
        left = self._rules.pipeline.left
        keys = {**self._rules.keys, ALIGNED: self._rules.keys[left]}
        columns = {stream: one.schema.names for stream, one in self._pipeline.streams.items()}
        columns[ALIGNED] = self._pipeline.asof.aligned_schema().names
        return NodeRules.of(self._pipeline.declared, name, keys, self._rules.on, columns)

    def _check(self, rules: NodeRules, ahead_ns: int, report: AuditReport) -> int:
        name = rules.name
        passed_over = report.reach.passed_over
        parity, heads = ParityCheck(), Heads(self._rules.on)
        rows = self._rows(name, heads, parity, report)
        if rules.strange:
            passed_over.nodes[name] = rules.strange
            count = sum(int(part.num_rows) for part in rows)
        else:
            passed_over.features |= {f"{name}.{column}": why for column, why in rules.unjudged.items()}
            wanted, since = self._wanted(rules, ahead_ns, heads)
            count = check_rows(
                rules, wanted, rows, self._findings, repeats=self._repeats, since=since, heads=heads
            )
            if rules.hangs_on_made and heads.aligned:
                self._findings.without_past[name] += sum(int(part.num_rows) for part in rows)
            passed_over.without_past[name] += self._findings.without_past[name]
        if not self._repeats:
            parity.report(self._findings)
        return count

    def _rows(
        self, name: str, heads: Heads, parity: ParityCheck, report: AuditReport
    ) -> Iterator[pa.RecordBatch]:
        """The rows of an output; of those that were made by other formulas the places alone."""
        own = parse_rule(self._pipeline.sinks(self._partition)[name].rule).formulas
        seals, wait = Seals(), self._cut is None
        batches = read_output(
            self._pipeline, name, self._partition, seals=seals, wait=wait, begun=heads.begin_made
        )
        for batch in gathered(batches):
            hashes, lower = sealed_hashes(batch), 0
            told = seals.take(batch.num_rows)
            for seal in told:
                parity.roll(hashes[lower : lower + seal.rows], seal.parity)
                lower += seal.rows
            for upper, strange in parts_by(told, lambda seal: formulas_of(seal.rule) not in ("", own)):
                part, batch = batch.slice(0, upper), batch.slice(upper)
                if strange:
                    report.rows_unjudged[name] += part.num_rows
                    part = unjudged(part, self._rules.on)
                yield part

    def _wanted(
        self, rules: NodeRules, ahead_ns: int, heads: Heads
    ) -> tuple[Iterator[pl.DataFrame], pl.Expr | None]:
        """The rows that a node's are made of, up to the cut, and which of its rows may have come since."""
        if self._cut is None:
            return root_rows(rules, self._read_root, heads.begin_aligned), None
        on = pl.col(self._rules.on)
        hold_ns = 0 if self._cut.complete else ahead_ns
        upper_ns = max(self._cut.frontier_ns - hold_ns, BEGINNING_NS)
        frames = root_rows(rules, self._read_root, heads.begin_aligned, upper_ns)
        if rules.source is not None:
            # A row of a join, or one that is made, is out once all of its roots are complete beyond it.
            return (rows.filter(on < upper_ns) for rows in frames), on >= upper_ns
        ordered = self.ordered.get(rules.root)
        return frames, self._cut.since(self._rules.on) if ordered is None else ordered.since

    def _read_root(self, root: str, begun: Begun) -> Iterator[pl.DataFrame]:
        """The rows of a root, up to the cut."""
        ordered = self.ordered.get(root)
        batches = self._aligned(begun) if ordered is None else ordered.batches(begun)
        return frames_of(batches, self._rules.on, repeats=self._repeats)

    def _aligned(self, begun: Begun) -> Iterator[pa.RecordBatch]:
        """The aligned rows up to the cut."""
        order = self._rules.order(self._rules.pipeline.left, *PLACE)
        wait = self._cut is None
        for batch in gathered(read_aligned(self._pipeline, self._partition, wait=wait, begun=begun)):
            if self._cut is None:
                yield batch
            else:
                rows = frame_of(pa.Table.from_batches([batch]))
                yield batch.filter(self._cut.among(rows, order).to_arrow())
