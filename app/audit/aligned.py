"""Aligned rows of one partition on their way into an audit; order and parity are checked as they go by."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from app.audit.cut import Cut
from app.audit.emitted import ParityCheck, Seal, Seals, beyond, gathered
from app.audit.join import INDEX, OFFSET, Rules
from app.audit.rule_book import RuleBook
from app.audit.rules import EARLIER, PARTITION, PLACE, RULE, UNJUDGED, Findings, check_order
from app.audit.runs import Runs
from app.audit.walk import frame_of
from app.reading.aligned import fitted, read_aligned
from app.wiring.pipeline import Pipeline
from operators.hashing.parity import Parity, sealed_hashes
from operators.hashing.row_hash_kernel import UInt64s
from schemas.batch import Bools
from schemas.frame import LEFT_INDEX, LEFT_OFFSET

PLACES: Final = {LEFT_OFFSET: pl.Int64, LEFT_INDEX: pl.Int32}


class AlignedRows:
    """Reads all rows; those up to the cut go to `runs`, and those beyond it wait for `admit`.

    `parity` is that of the rows up to the cut.  `rows` counts these, `since` those sealed since, `unjudged`
    rows whose values the settings do not explain; `lacks` says by EARLIER which columns rows lack.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        partition: int,
        rules: Rules,
        cut: Cut | None,
        runs: Runs,
        findings: Findings,
    ) -> None:
        self.rows = self.since = self.unjudged = 0
        self.lacks: list[tuple[str, ...]] = [()]
        self.parity = Parity()
        self.book = RuleBook(partition, rules, pipeline.asof.rule())
        self.runs = runs
        self._pipeline = pipeline
        self._partition = partition
        self._rules = rules
        self._cut = cut
        self._findings = findings
        self._order = rules.order(rules.pipeline.left, *PLACE)
        self._repeats = pipeline.settings.worker.guarantee == "at_least_once"
        self._told = ParityCheck(repeats=self._repeats)
        self._beyond: list[pl.DataFrame] = []  # rows beyond the cut of left rows that were read by then
        self._places: list[pl.DataFrame] = []  # of the other rows beyond it

    def read(self) -> None:
        """Read the topic to its end."""
        schema = self._pipeline.asof.aligned_schema()
        seals = Seals()
        self.runs.add(self._numbered(frame_of(schema.empty_table()), (), []))
        before: pl.DataFrame | None = None
        for batch in gathered(read_aligned(self._pipeline, self._partition, seals=seals)):
            whole, lacks = fitted(batch, schema)
            told = seals.take(batch.num_rows)
            rows = self._numbered(frame_of(pa.Table.from_batches([whole])), lacks, told)
            # A row that is repeated is judged like any other, but order and parity are those without it.
            fresh = np.ones(rows.height, np.bool_)
            if self._repeats:
                fresh = beyond(rows, before, self._order).to_numpy()
            sealed = self._take(rows, fresh)
            self._roll(sealed_hashes(batch), told, fresh, sealed)
            self._note_rules(told, rows, fresh)
            first = rows.filter(pl.Series(fresh)) if self._repeats else rows
            check_order(self._rules, first, before, self._findings)
            before = first.tail(1) if first.height else before
        self.book.end()
        # A row that comes again after columns were added has another hash than the one that counts.
        if not self._repeats or len(self.lacks) == 1:
            self._told.report(self._findings)

    def admit(self, waiting: pl.DataFrame, left_end: int) -> None:
        """Judge rows beyond the cut that no left row there explains.

        Such a left row is one of those `waiting`, as OFFSET and INDEX, or one that the task had not read yet;
        `left_end` is the end of the left topic after these rows were read.
        """
        asked = waiting.rename({OFFSET: LEFT_OFFSET, INDEX: LEFT_INDEX})
        for rows in self._beyond:
            strange = rows.join(asked, on=PLACE, how="anti", maintain_order="left")
            self.runs.add(strange)
            self.rows += strange.height
            self.since -= strange.height
        for rows in self._places:
            strange = rows.filter(pl.col(LEFT_OFFSET) >= left_end)
            self._findings.add_stray("unexpected", strange, by_place=True)

    def _take(self, rows: pl.DataFrame, fresh: Bools) -> Bools:
        """Hand rows on; returns which of them were sealed by the cut."""
        if self._cut is None:
            self.rows += rows.height
            self.runs.add(rows)
            return np.ones(rows.height, np.bool_)
        next_offset = self._cut.next_offsets[self._rules.pipeline.left]
        sealed = self._cut.among(rows, self._order)
        self.runs.add(rows.filter(sealed))
        self.rows += int(sealed.sum())
        if not sealed.all():
            since = rows.filter(~sealed)
            self.since += int((~sealed & pl.Series(fresh)).sum())
            read = pl.col(LEFT_OFFSET) < next_offset
            self._beyond.append(since.filter(read))
            self._places.append(since.filter(~read).select(PLACE))
        return sealed.to_numpy()

    def _roll(self, hashes: UInt64s, told: Sequence[Seal], fresh: Bools, sealed: Bools) -> None:
        lower = 0
        for seal in told:
            part = slice(lower, lower + seal.rows)
            self._told.roll(hashes[part][fresh[part]], seal.parity)
            lower += seal.rows
        self.parity = self.parity.roll(hashes[fresh & sealed])

    def _note_rules(self, told: Sequence[Seal], rows: pl.DataFrame, fresh: Bools) -> None:
        lower, on = 0, rows[self._rules.on]
        for seal in told:
            if fresh[lower : lower + seal.rows].any():
                self.book.note(seal.rule, int(on[lower]))
            if self.book.number(seal.rule) == UNJUDGED:
                self.unjudged += seal.rows
            lower += seal.rows

    def _numbered(self, rows: pl.DataFrame, lacks: tuple[str, ...], told: Sequence[Seal]) -> pl.DataFrame:
        """The rows with what the walk tells them apart by."""
        if lacks not in self.lacks:
            self.lacks.append(lacks)
        numbers = np.array([self.book.number(seal.rule) for seal in told], np.int16)
        counts = [seal.rows for seal in told]
        return rows.with_columns(
            pl.lit(self._partition, pl.Int32).alias(PARTITION),
            pl.lit(self.lacks.index(lacks), pl.Int16).alias(EARLIER),
            pl.Series(RULE, np.repeat(numbers, counts), pl.Int16),
        )
