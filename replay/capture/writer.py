"""Rows of one topic on their way into its table: held, written as parts, committed with their offsets.

The next offset of each partition is the version of a transaction in the table itself, so rows and position
are one commit: either both are there or neither is.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa

from replay.errors import FencedCommitError, UnknownCommitError
from replay.order import as_int64s
from replay.store.coverage import accept_gaps, application, next_offsets, require_coverage
from replay.store.objects import Folder
from replay.store.part import Covered, Part, captured_name
from replay.store.part_writer import PartPlace, write_part
from replay.store.places import OFFSET, portions
from replay.store.stored_types import to_stored
from replay.store.table import Change, HistoryTable

OpenTable: TypeAlias = Callable[[Folder, str], HistoryTable]


class TableWriter:
    """Writes the rows of one topic into one table; `begin` comes first, and again after every error."""

    def __init__(self, store: Folder, stream: str, topic: str, *, by: str, open_table: OpenTable) -> None:
        self._store, self._stream, self._topic, self._by = store, stream, topic, by
        self._open_table = open_table
        self._table: HistoryTable | None = None
        self._next: dict[int, int | None] = {}  # the next offset of each partition, as the table has it
        self._lower: dict[int, int] = {}  # where the range of the next part begins
        self._upper: dict[int, int] = {}  # the position behind the rows held
        self._held: dict[int, list[pa.RecordBatch]] = {}
        self._held_size = 0

    @property
    def held_size(self) -> int:
        """The bytes of the rows held."""
        return self._held_size

    @property
    def held_rows(self) -> int:
        """The rows held."""
        return sum(rows.num_rows for batches in self._held.values() for rows in batches)

    @property
    def key(self) -> tuple[str, ...]:
        """The key columns of the table."""
        assert self._table is not None, "begin first"
        return self._table.rules.key

    def begin(self, partitions: Sequence[int]) -> dict[int, int | None]:
        """Forget what is held, and return the next offset of each partition, None where none was captured.

        Raises HistoryError where the parts of the table do not hold all that it says was captured.
        """
        self._table = self._open_table(self._store, self._stream)
        self._next = dict(next_offsets(self._table, self._topic, partitions))
        self._lower = {number: offset for number, offset in self._next.items() if offset is not None}
        self._upper, self._held, self._held_size = {}, {}, 0
        for number, offset in self._next.items():
            if offset is not None:
                require_coverage(self._table, self._topic, number, offset)
        return dict(self._next)

    def start_at(self, partition: int, offset: int) -> None:
        """Say where a partition of which nothing was captured begins."""
        assert self._next[partition] is None
        self._lower[partition] = offset

    def accept_gap(self, partition: int, offset: int) -> None:
        """Note that rows up to an offset are lost, and go on there."""
        assert self._table is not None
        lower = self._lower[partition]
        accept_gaps(self._table, [Covered(self._topic, partition, lower, offset)])
        self._lower[partition] = offset

    def take(self, partition: int, rows: pa.RecordBatch, upper: int) -> None:
        """Hold rows with their places, in the order of the log; none beyond them lies below `upper`.

        Rows below the next offset are there already and are left out.
        """
        following = self._next[partition]
        if following is not None and rows.num_rows:
            offsets = as_int64s(rows.column(OFFSET))
            if offsets[0] < following:
                rows = rows.filter(pa.array(offsets >= following))
        if rows.num_rows:
            self._held.setdefault(partition, []).append(rows)
            self._held_size += rows.nbytes
        self._upper[partition] = upper

    def commit(self) -> int:
        """Write what is held and commit it; returns how many rows.

        Only partitions with rows move on, so parts alone say which offsets were captured.  Raises
        FencedCommitError where another captures the same partitions: begin again.
        """
        assert self._table is not None, "begin first"
        held = {number: batches for number, batches in self._held.items() if batches}
        if not held:
            return 0
        rows = self.held_rows
        parts = [part for number, batches in held.items() for part in self._parts(number, batches)]
        names = {number: application(self._topic, number) for number in held}
        change = Change(
            adds=parts,
            transactions={names[number]: self._upper[number] for number in held},
            expected={names[number]: self._next[number] for number in held},
            facts=self._facts(held),
        )
        try:
            self._table.commit(change)
        except UnknownCommitError as unknown:
            self._require_made(change, unknown)
        for number in held:
            self._next[number] = self._lower[number] = self._upper[number]
        self._held, self._held_size = {}, 0
        return rows

    def _parts(self, partition: int, batches: Sequence[pa.RecordBatch]) -> list[Part]:
        """Write the rows of one partition, a part for each day and bucket."""
        assert self._table is not None
        table = self._table
        covered = Covered(self._topic, partition, self._lower[partition], self._upper[partition])
        rows = to_stored(pa.concat_batches(batches), table.stored)
        return [
            write_part(
                table.root,
                PartPlace(
                    name=captured_name(self._stream, covered),
                    date=portion.date,
                    bucket=portion.bucket,
                    covered=(covered,),
                    source=f"{self._topic}[{partition}]",
                ),
                table.rules,
                table.stored,
                [portion.rows],
            )
            for portion in portions(rows, table.rules)
        ]

    def _facts(self, held: Mapping[int, Sequence[pa.RecordBatch]]) -> dict[str, Any]:
        ranges = [[number, self._lower[number], self._upper[number]] for number in sorted(held)]
        return {"by": self._by, "command": "capture", "topic": self._topic, "ranges": ranges}

    def _require_made(self, change: Change, unknown: UnknownCommitError) -> None:
        """Look whether a commit was made whose answer was lost; raises FencedCommitError where it was not."""
        self._table = self._open_table(self._store, self._stream)
        if any(self._table.transaction_version(name) != upper for name, upper in change.transactions.items()):
            raise FencedCommitError(f"{unknown}; it was not made: what was held is read again") from None
