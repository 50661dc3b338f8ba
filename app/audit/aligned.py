"""Aligned rows of one partition on their way into an audit; order and parity are checked as they go by."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from app.audit.cut import Cut
from app.audit.emitted import ParityCheck, Seal, Seals, beyond, gathered
from app.audit.findings import PLACE, Findings
from app.audit.join import INDEX, OFFSET, Rules
from app.audit.retained import stands_before
from app.audit.rule_book import RuleBook
from app.audit.rules import EARLIER, PARTITION, RULE, UNJUDGED, check_order
from app.audit.runs import Runs
from app.audit.walk import frame_of
from app.reading.aligned import fitted, read_aligned
from app.wiring.pipeline import Pipeline
from operators.hashing.parity import Parity, sealed_hashes
from operators.hashing.row_hash_kernel import UInt64s
from schemas.batch import Bools
from schemas.clocks import BEGINNING_NS, END_NS
from schemas.frame import LEFT_INDEX, LEFT_OFFSET

PLACES: Final = {LEFT_OFFSET: pl.Int64, LEFT_INDEX: pl.Int32}


class Edges:
    """Where the judged rows begin and end: parts rows at the cut, and knows the first of a topic cut short.

    What lies beyond the cut, `rows_beyond`, is kept until it is known which left rows wait.
    """

    def __init__(self, cut: Cut | None, rules: Rules) -> None:
        self.rows_beyond = 0
        self.cut = cut
        self.low = 0  # the first offset left of the aligned topic
        self._first: tuple[int, ...] | None = None  # the place of the first row left
        self._order = rules.order(rules.pipeline.left, *PLACE)
        self._left = rules.pipeline.left
        self._read: list[pl.DataFrame] = []  # rows of left rows that had been read by the cut
        self._unread: list[pl.DataFrame] = []  # the places of the others

    def begin(self, low: int) -> None:
        """The reading begins, at the first message left."""
        self.low = low

    def see(self, rows: pl.DataFrame, *, repeats: bool) -> None:
        """Take rows as they were read; with `repeats` an earlier one may come later, with all behind it."""
        if self.low and rows.height and (self._first is None or repeats):
            first = rows.select(self._order).sort(self._order).row(0)
            self._first = first if self._first is None else min(first, self._first)

    @property
    def from_ns(self) -> int:
        """The time of the first row left, BEGINNING_NS where none is gone, END_NS where all are."""
        if not self.low:
            return BEGINNING_NS
        return END_NS if self._first is None else self._first[0]

    def is_gone(self, order: Sequence[str]) -> pl.Expr:
        """Whether the aligned row of a left row is gone; `order` are the columns of its place."""
        if not self.low or self._first is None:
            return pl.lit(bool(self.low))
        return stands_before(order, self._first, or_there=False).fill_null(value=False)

    def part(self, rows: pl.DataFrame, fresh: Bools) -> Bools:
        """Keep the rows beyond the cut, and count those that are `fresh`; returns which are not beyond it."""
        if self.cut is None:
            return np.ones(rows.height, np.bool_)
        sealed = self.cut.among(rows, self._order)
        if not sealed.all():
            since = rows.filter(~sealed)
            self.rows_beyond += int((~sealed & pl.Series(fresh)).sum())
            read = pl.col(LEFT_OFFSET) < self.cut.next_offsets[self._left]
            self._read.append(since.filter(read))
            self._unread.append(since.filter(~read).select(PLACE))
        return sealed.to_numpy()

    def strange(self, waiting: pl.DataFrame, left_end: int) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
        """The rows that no left row explains, and places of which there is no left row at all.

        A left row explains one if it is one of those `waiting`, as OFFSET and INDEX, or had not been read by
        the cut; `left_end` is the end of the left topic after the aligned rows were read.
        """
        asked = waiting.rename({OFFSET: LEFT_OFFSET, INDEX: LEFT_INDEX})
        return (
            [rows.join(asked, on=PLACE, how="anti", maintain_order="left") for rows in self._read],
            [rows.filter(pl.col(LEFT_OFFSET) >= left_end) for rows in self._unread],
        )


class Layouts:
    """The columns that rows came with; they are judged by those that the settings make, too.

    `lacks` says by EARLIER which columns rows lack; `strange` counts rows by columns passed over.
    """

    def __init__(self, schema: pa.Schema, needed: Sequence[str]) -> None:
        self.lacks: list[tuple[str, ...]] = [()]
        self.strange: Counter[str] = Counter()
        self._schema = schema
        self._needed = needed

    def fit(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, int]:
        """The rows under the schema of the settings, null in what they lack, and EARLIER of them.

        Raises UsageError where a column that says which row it is has another type.
        """
        wanted = {column.name: column.type for column in self._schema}
        strange = [column.name for column in batch.schema if wanted.get(column.name) != column.type]
        if not set(strange).intersection(self._needed):
            batch = batch.drop_columns(strange)
            self.strange.update(dict.fromkeys(strange, batch.num_rows))
        whole, lacks = fitted(batch, self._schema)
        if lacks not in self.lacks:
            self.lacks.append(lacks)
        return whole, self.lacks.index(lacks)


class AlignedRows:
    """Reads all rows; those up to the cut go to `runs`, and those beyond it wait in `edges` for `admit`.

    `parity` is that of the rows up to the cut.  `rows` counts these, and `unjudged` rows whose values the
    settings do not explain.
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
        self.rows = self.unjudged = 0
        needed = [*rules.order(rules.pipeline.left, *PLACE), *rules.keys[rules.pipeline.left]]
        self.layouts = Layouts(pipeline.asof.aligned_schema(), needed)
        self.parity = Parity()
        self.book = RuleBook(partition, rules, pipeline.asof.rule())
        self.runs = runs
        self.edges = Edges(cut, rules)
        self._pipeline = pipeline
        self._partition = partition
        self._rules = rules
        self._findings = findings
        self._check = ParityCheck(repeats=self._repeats)

    @property
    def _repeats(self) -> bool:
        return self._pipeline.settings.worker.guarantee == "at_least_once"

    def read(self) -> None:
        """Read the topic to its end."""
        schema = self._pipeline.asof.aligned_schema()
        order = self._rules.order(self._rules.pipeline.left, *PLACE)
        seals, wait = Seals(), self.edges.cut is None
        self.runs.add(self._numbered(frame_of(schema.empty_table()), 0, []))
        before: pl.DataFrame | None = None
        batches = read_aligned(
            self._pipeline, self._partition, seals=seals, wait=wait, begun=self.edges.begin
        )
        for batch in gathered(batches):
            whole, earlier = self.layouts.fit(batch)
            frames = seals.take(batch.num_rows)
            rows = self._numbered(frame_of(pa.Table.from_batches([whole])), earlier, frames)
            self.edges.see(rows, repeats=self._repeats)
            # A row that is repeated is judged like any other, but order and parity are those without it.
            fresh = np.ones(rows.height, np.bool_)
            if self._repeats:
                fresh = beyond(rows, before, order).to_numpy()
            sealed = self.edges.part(rows, fresh)
            self._add(rows.filter(pl.Series(sealed)))
            self._roll(sealed_hashes(batch), frames, fresh, sealed)
            self._note_rules(frames, rows, fresh)
            first = rows.filter(pl.Series(fresh)) if self._repeats else rows
            check_order(self._rules, first, before, self._findings)
            before = first.tail(1) if first.height else before
        self.book.end()
        # A row that comes again after columns were added has another hash than the one that counts.
        if not self._repeats or len(self.layouts.lacks) == 1:
            self._check.report(self._findings)

    def admit(self, waiting: pl.DataFrame, left_end: int) -> None:
        """Judge the rows beyond the cut that no left row explains (`Edges.strange`)."""
        unexplained, unfounded = self.edges.strange(waiting, left_end)
        for rows in unexplained:
            self._add(rows)
            self.edges.rows_beyond -= rows.height
        for rows in unfounded:
            self._findings.add_stray("unexpected", rows, by_place=True)

    def _add(self, rows: pl.DataFrame) -> None:
        self.rows += rows.height
        self.runs.add(rows)

    def _roll(self, hashes: UInt64s, frames: Sequence[Seal], fresh: Bools, sealed: Bools) -> None:
        lower = 0
        for seal in frames:
            part = slice(lower, lower + seal.rows)
            self._check.roll(hashes[part][fresh[part]], seal.parity)
            lower += seal.rows
        self.parity = self.parity.roll(hashes[fresh & sealed])

    def _note_rules(self, frames: Sequence[Seal], rows: pl.DataFrame, fresh: Bools) -> None:
        lower, on = 0, rows[self._rules.on]
        for seal in frames:
            if fresh[lower : lower + seal.rows].any():
                self.book.note(seal.rule, int(on[lower]))
            if self.book.number(seal.rule) == UNJUDGED:
                self.unjudged += seal.rows
            lower += seal.rows

    def _numbered(self, rows: pl.DataFrame, earlier: int, frames: Sequence[Seal]) -> pl.DataFrame:
        """The rows with what the walk tells them apart by."""
        numbers = np.array([self.book.number(seal.rule) for seal in frames], np.int16)
        counts = [seal.rows for seal in frames]
        return rows.with_columns(
            pl.lit(self._partition, pl.Int32).alias(PARTITION),
            pl.lit(earlier, pl.Int16).alias(EARLIER),
            pl.Series(RULE, np.repeat(numbers, counts), pl.Int16),
        )
