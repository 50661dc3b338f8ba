"""The audit: read inputs and aligned rows from the log again and check every row against its own join."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from app.audit.aligned import AlignedRows
from app.audit.auditable import require_auditable
from app.audit.cut import Cut
from app.audit.findings import PLACE, Findings, Violation
from app.audit.join import INDEX, OFFSET, Rules
from app.audit.late import PLACES, LateJudge, NotAccepted, read_not_accepted
from app.audit.node_topics import NodeTopics
from app.audit.ordered import OrderedStream
from app.audit.report import AuditReport, Reach
from app.audit.retained import Disorder, Lows, Retained
from app.audit.rules import Layout
from app.audit.runs import MEMORY_SIZE_MIN, Runs
from app.audit.walk import frame_of, walk
from app.config import Settings
from app.process.threads import each
from app.reading.models import topic_records
from app.reading.partition import at_once, read_partition
from app.wiring.models import put_records
from app.wiring.pipeline import Pipeline
from operators.sealed import ALIGNED
from schemas.batch import Batch, Bools
from schemas.clocks import BEGINNING_NS, END_NS, clock_column
from schemas.stream import Stream, message_keys, plain_keys
from topics.avro.schema import column_name
from topics.block import TopicPartition
from topics.partitioner import partition_of

MEMORY_SIZE_MAX: Final = 1 << 30  # bytes of rows at once, beyond what the program itself takes


def audit(
    pipeline: Pipeline, cuts: Mapping[int, Cut] | None = None, *, memory_size_max: int = MEMORY_SIZE_MAX
) -> AuditReport:
    """Check every partition: up to its cut (`read_cuts`), or without any of a pipeline that has come to rest.

    With cuts the pipeline may run on meanwhile, and of a partition without one nothing is checked.  Without
    them, as None, its settings are taken to have been the same all the time; an empty mapping says neither.
    Several are checked at once.  Their rows go to sorted files in temporary folders and are read a tile of
    time at a time, so what is held of all together stays within about `memory_size_max` however long the day;
    the places of late rows, 12 bytes each, come on top.
    Raises UsageError where the settings leave no record of late rows.
    """
    require_auditable(pipeline.settings)
    if pipeline.models:
        put_records(pipeline.models, topic_records(pipeline.bus, pipeline.settings))
    count = pipeline.settings.bus.partitions
    threads = min(at_once(pipeline.bus), count)
    share_size = max(MEMORY_SIZE_MIN, memory_size_max // threads)

    def check(partition: int) -> AuditReport:
        report = AuditReport()
        cut = cuts[partition] if cuts else None
        with TemporaryDirectory(prefix="tidemark-audit-") as folder:
            part = _Partition(pipeline, partition, cut, Path(folder), share_size, held=cuts is None)
            report.violations += [(partition, violation) for violation in part.check(report)]
        return report

    report = AuditReport(reach=Reach(dict(cuts or {})))
    report.reach.uncommitted = [number for number in range(count) if cuts and number not in cuts]
    for part in each(check, [n for n in range(count) if n not in report.reach.uncommitted], threads=threads):
        report.add(part)
    return report


def rules_of(settings: Settings, streams: dict[str, Stream]) -> Rules:
    """What the aligned rows of these settings over these streams promise."""
    on, left = clock_column(settings.pipeline.clock), settings.pipeline.left
    columns = {}
    for name in settings.pipeline.right:
        own = settings.stream(name)
        names = streams[name].schema.names
        chosen = names if own.columns is None else [*map(column_name, own.columns)]
        columns[name] = [column for column in names if column in chosen and column not in {*own.key, on}]
    return Rules(
        pipeline=settings.pipeline,
        keys={name: settings.stream(name).key for name in settings.stream_names},
        sequences={name: settings.stream(name).sequence for name in settings.stream_names},
        columns=columns,
        left_key=pa.schema([streams[left].schema.field(name) for name in settings.stream(left).key]),
    )


class _Partition:
    """One partition on its way from the log to disk and through the walk."""

    def __init__(
        self,
        pipeline: Pipeline,
        partition: int,
        cut: Cut | None,
        folder: Path,
        memory_size_max: int,
        *,
        held: bool,
    ) -> None:
        self._pipeline = pipeline
        self._partition = partition
        self._cut = cut
        self._folder = folder
        self._memory_size_max = memory_size_max
        self._held = held
        self._group = f"{pipeline.settings.pipeline.prefix}-audit"
        self._rules = rules_of(pipeline.settings, pipeline.streams)
        self._findings = Findings()
        self._nodes = NodeTopics(pipeline, partition, cut, self._rules, self._findings)
        self._waiting = [pl.DataFrame(schema=PLACES)]  # of accepted left rows that wait at the cut
        self._repeats = pipeline.settings.worker.guarantee == "at_least_once"

    def check(self, report: AuditReport) -> Iterator[Violation]:
        """Read all, check all, and add to the report what was read."""
        settings = self._pipeline.settings
        left = settings.pipeline.left
        order = self._rules.order(left, *PLACE)
        aligned = AlignedRows(
            self._pipeline,
            self._partition,
            self._rules,
            self._cut,
            self._runs("aligned", order),
            self._findings,
        )
        aligned.read()
        found = read_not_accepted(
            self._pipeline,
            self._partition,
            group=self._group,
            next_offsets=None if self._cut is None else self._cut.next_offsets,
        )
        judges = self._judges(found)
        retained = {name: judge.retained for name, judge in judges.items()}
        for name in self._nodes.streams:
            runs = self._runs(f"{name}-in-order", self._rules.order(name))
            self._nodes.ordered[name] = OrderedStream(
                runs, self._rules.on, retained[name], self._cut, self._memory_size_max
            )
        accepted = {name: self._inputs(name, found, judge, aligned, report) for name, judge in judges.items()}
        _end_inputs(judges)
        for name in judges:
            report.rows_late[name] += found.late[name].height
        report.rows_dead += found.dead_letters
        waiting = pl.concat(self._waiting)
        report.reach.rows_waiting += waiting.height
        if aligned.edges.rows_beyond:
            aligned.admit(waiting, self._end(left))
        layout = Layout(
            partitions=settings.bus.partitions,
            late=found.late[left],
            repeats=self._repeats,
            lacks=aligned.layouts.lacks,
            left=retained[left],
            rights=retained,
        )
        rights = {name: accepted[name] for name in settings.pipeline.right}
        rules = aligned.book.rules
        walk(rules, layout, accepted[left], rights, aligned.runs, self._findings, self._memory_size_max)
        self._count(aligned, retained, report)
        report.reach.passed_over.letters += found.letters_unjudged
        self._nodes.check(aligned.book.ahead_ns, report)
        yield from found.violations()
        yield from self._findings.violations()

    def _count(self, aligned: AlignedRows, retained: Mapping[str, Retained], report: AuditReport) -> None:
        """Add to the report what is known of the aligned rows."""
        report.rows_repeated += self._findings.rows_repeated
        report.rows_aligned += aligned.rows - self._findings.rows_repeated
        report.reach.rows_since += aligned.edges.rows_beyond
        report.rows_unjudged[ALIGNED] += aligned.unjudged
        report.rule_changes += aligned.book.changes
        report.parity[self._partition] = aligned.parity
        from_ns = _from_ns(self._rules, aligned.edges.from_ns, retained)
        if from_ns > BEGINNING_NS:
            report.reach.passed_over.from_ns[self._partition] = from_ns
        report.reach.passed_over.rows += self._findings.passed_over
        report.reach.passed_over.columns += aligned.layouts.strange

    def _judges(self, found: NotAccepted) -> dict[str, LateJudge]:
        settings = self._pipeline.settings
        return {
            name: LateJudge(found, name, settings, self._retained(name, found.lows[name]), held=self._held)
            for name in settings.stream_names
        }

    def _inputs(
        self, name: str, found: NotAccepted, judge: LateJudge, aligned: AlignedRows, report: AuditReport
    ) -> Runs:
        """Accepted rows of an input up to the cut; of the left one those that had to be sealed by then.

        Left rows whose aligned rows are gone are left out.
        """
        stream = self._pipeline.streams[name]
        source = TopicPartition(self._pipeline.settings.topic(name), self._partition)
        decoder = self._pipeline.decoder(name)  # a row that breaks a rule is no accepted row
        order = self._rules.order(name)
        runs = self._runs(name, order)
        empty = _placed(stream.schema.empty_table(), [], [])
        runs.add(empty)
        ordered = self._nodes.ordered.get(name)
        if ordered is not None:
            ordered.add(empty)
        is_left = name == self._rules.pipeline.left
        due = None if self._cut is None or not is_left else self._cut.due(order, aligned.book.ahead_ns)
        blocks = read_partition(
            self._pipeline.bus,
            source,
            group=self._group,
            wait=self._cut is None,
            begun=judge.retained.begin,
        )
        for block in blocks:
            count = block.messages
            if self._cut is not None:
                count = int(np.searchsorted(block.offset, self._cut.next_offsets[name]))
            if count:
                decoded = decoder.decode(block, np.arange(count, dtype=np.int64))
                judge.see(block, decoded.batch, decoded.progress)
                if decoded.batch is None:
                    judge.retained.see(empty, decoded.progress)
                if decoded.batch is not None:
                    self._check_places(name, decoded.batch)
                    rows = _batch_frame(decoded.batch)
                    report.rows_in[name] += rows.height
                    rows = found.without(name, rows)
                    judge.retained.see(rows, decoded.progress)
                    if ordered is not None:
                        ordered.add(rows)
                    if due is not None:
                        self._waiting.append(rows.filter(~due).select(OFFSET, INDEX))
                        rows = rows.filter(due)
                    if is_left and aligned.edges.low:
                        gone = rows.select(aligned.edges.is_gone(order).alias("gone"))["gone"]
                        self._findings.passed_over[name] += int(gone.sum())
                        rows = rows.filter(~gone)
                    runs.add(rows)
                del decoded
            unread = int(block.offset[count]) if count < block.messages else None
            del block
            if unread is not None:
                report.reach.unread[name] += self._end(name) - unread
                break
        report.rows_in[name] += 0
        return runs

    def _end(self, name: str) -> int:
        """Where the committed messages of an input end now."""
        source = TopicPartition(self._pipeline.settings.topic(name), self._partition)
        return self._pipeline.bus.admin().ranges([source])[source].stable

    def _check_places(self, name: str, batch: Batch) -> None:
        """Rows whose key belongs to another partition never meet those of the other inputs."""
        key = self._pipeline.streams[name].key
        stray_rows = self._strays(batch.keys, keyed=bool(key))[batch.key_code]
        if len(key) > 1:  # where a message key can be read in two ways, rows are grouped by their columns
            rows = np.flatnonzero(~plain_keys(batch.keys, len(key))[batch.key_code])
            own = message_keys(batch.columns.take(pa.array(rows)), key).fill_null(b"")
            stray_rows[rows] |= self._strays(own, keyed=False)
        if not stray_rows.any():
            return
        strays = batch.where(stray_rows)
        self._findings.add(
            "input row in a wrong partition",
            pl.DataFrame({"stream": [name] * strays.rows, "offset": strays.offset, "index": strays.index}),
        )

    def _strays(self, keys: pa.BinaryArray, *, keyed: bool) -> Bools:
        """Which keys belong to another partition; without key columns an empty one stands for none."""
        partitions = self._pipeline.settings.bus.partitions
        strays = [
            (keyed or key != b"") and partition_of(key, partitions) != self._partition
            for key in keys.to_pylist()
        ]
        return np.array(strays, np.bool_)

    def _retained(self, name: str, lows: Lows) -> Retained:
        settings = self._pipeline.settings
        disorder = Disorder(
            grace_ns=settings.grace_ns(name),
            may_be_idle=settings.idle_after_ms(name) is not None,
            max_ahead_ns=settings.pipeline.max_ahead_ns,
        )
        topic = settings.topic(name)
        spec = self._pipeline.bus.admin().describe([topic])[topic]
        policy = "" if spec is None else spec.configs.get("cleanup.policy", "")
        return Retained(self._rules.on, disorder, lows, compacted="compact" in policy)

    def _runs(self, name: str, order: list[str]) -> Runs:
        return Runs(self._folder, name, order, self._memory_size_max)


def _end_inputs(judges: Mapping[str, LateJudge]) -> None:
    """All inputs, by stream, were read: judge what hangs on more than one of them."""
    for name, judge in judges.items():
        judge.retained.has_progress = any(other.retained.saw_progress for other in judges.values())
        judge.end({other: told for other, told in judges.items() if other != name})


def _from_ns(rules: Rules, aligned_ns: int, retained: Mapping[str, Retained]) -> int:
    """From when on all is judged; END_NS where there is no such time."""
    uppers = [aligned_ns]
    for name, rows in retained.items():
        reach_ns = 0 if name == rules.pipeline.left else rules.pipeline.tolerance_ns or 0
        uppers.append(rows.upper_ns + (reach_ns if BEGINNING_NS < rows.upper_ns < END_NS else 0))
    return min(max(uppers), END_NS)


def _batch_frame(batch: Batch) -> pl.DataFrame:
    return _placed(pa.Table.from_batches([batch.columns]), batch.offset, batch.index)


def _placed(rows: pa.Table, offset: object, index: object) -> pl.DataFrame:
    rows = rows.append_column(OFFSET, pa.array(offset, pa.int64()))
    return frame_of(rows.append_column(INDEX, pa.array(index, pa.int32())))
