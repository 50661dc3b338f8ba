"""Which parts and row groups can hold the rows that are wanted: by day, bucket, time and key.

Nothing is left out that could hold one: what is read and filtered equals the whole table filtered.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from replay.errors import HistoryError
from replay.order import as_array
from replay.store.places import keys_buckets
from replay.store.snapshot import PartEntry, Snapshot, entries
from replay.zones import local_days
from schemas.batch import Bools
from schemas.clocks import EVENT_NS, KNOWN_NS, Clock, clock_column
from schemas.stream import message_keys

_EPOCH: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Rows that are wanted: of these keys and days, and of times from `from_ns` to before `to_ns`.

    None asks nothing.  `clock` is whose times count, the table's order clock where it is None; with a bound,
    rows without such a time are not wanted.  `keys` are message keys.
    """

    from_ns: int | None = None
    to_ns: int | None = None
    keys: frozenset[bytes] | None = None
    dates: frozenset[str] | None = None
    clock: Clock | None = None

    @property
    def texts(self) -> list[str]:
        """The wanted keys that are texts, sorted: a column of texts has no other."""
        texts = []
        for key in sorted(self.keys or ()):
            with suppress(UnicodeDecodeError):
                texts.append(key.decode())
        return texts

    @property
    def bounded(self) -> bool:
        """Whether times count."""
        return self.from_ns is not None or self.to_ns is not None

    def column(self, order: Clock) -> str:
        """The column whose times count."""
        return clock_column(self.clock or order)


def key_of(symbol: str) -> bytes:
    """The message key of a symbol; bytes that are no text, as a shell may give some, stay those bytes."""
    return symbol.encode(errors="surrogateescape")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsLeft:
    """How many parts a table has, and how many were left by each level."""

    total: int
    by_date: int
    by_bucket: int
    by_time: int
    by_key: int


@dataclass(slots=True, kw_only=True)
class PruneReport:
    """What a query left unread: parts by level, row groups, columns, bytes and rows.

    `bytes_read` counts the compressed columns of the row groups read, `bytes_total` all of the table.
    """

    parts: PartsLeft
    row_groups_total: int = 0
    row_groups_read: int = 0
    columns_total: int = 0
    columns_read: int = 0
    bytes_total: int = 0
    bytes_read: int = 0
    rows_read: int = 0
    rows_returned: int = 0
    rows_of_tail: int = 0

    def lines(self) -> list[str]:
        """What to print."""
        return [
            f"parts: {self.parts.total:,}; left by day {self.parts.by_date:,}",
            f"left by bucket {self.parts.by_bucket:,}, by time {self.parts.by_time:,}",
            f"left by key {self.parts.by_key:,}; wanted rows of the tail {self.rows_of_tail:,}",
            f"row groups: {self.row_groups_read:,} of {self.row_groups_total:,} read",
            f"columns: {self.columns_read:,} of {self.columns_total:,}",
            f"bytes: {self.bytes_read:,} of {self.bytes_total:,}",
            f"rows: {self.rows_read:,} read, {self.rows_returned:,} returned",
        ]


@dataclass(frozen=True, slots=True)
class Pruned:
    """The parts that can hold wanted rows, and the account of those that cannot."""

    parts: list[PartEntry]
    report: PruneReport


def prune(snapshot: Snapshot, wanted: Wanted) -> Pruned:
    """Return the parts that can hold wanted rows; raises HistoryError where the table lacks the clock."""
    _require_clock(snapshot, wanted)
    catalogue = snapshot.catalogue
    of_days = _by_date(snapshot, wanted)
    of_buckets = of_days & _by_bucket(catalogue, wanted)
    of_times = of_buckets & _by_time(catalogue, wanted, wanted.column(snapshot.rules.order))
    parts = list(entries(catalogue, of_times))
    if wanted.keys is not None:
        footers = zip(parts, snapshot.footers(parts), strict=True)
        parts = [part for part, footer in footers if not wanted.keys.isdisjoint(footer.keys)]
    left = PartsLeft(
        total=catalogue.num_rows,
        by_date=int(np.count_nonzero(of_days)),
        by_bucket=int(np.count_nonzero(of_buckets)),
        by_time=int(np.count_nonzero(of_times)),
        by_key=len(parts),
    )
    bytes_total = pc.sum(catalogue.column("size"), min_count=0).as_py()
    return Pruned(parts, PruneReport(parts=left, columns_total=len(snapshot.schema), bytes_total=bytes_total))


def row_groups(file: pq.ParquetFile, wanted: Wanted, column: str) -> list[int]:
    """Return the row groups of a part that can hold a wanted time; `column` is whose times count."""
    numbers = range(file.num_row_groups)
    if not wanted.bounded:
        return list(numbers)
    place = file.schema_arrow.get_field_index(column)
    if place < 0:
        return []
    spans = [file.metadata.row_group(number).column(_leaf(file, column)).statistics for number in numbers]
    return [
        number
        for number, span in zip(numbers, spans, strict=True)
        if span is None or not span.has_min_max or _overlaps(span.min, span.max, wanted)
    ]


def _leaf(file: pq.ParquetFile, column: str) -> int:
    paths = [file.schema.column(number).path for number in range(len(file.schema))]
    return paths.index(column)


def _overlaps(first_ns: int, last_ns: int, wanted: Wanted) -> bool:
    above = wanted.from_ns is None or last_ns >= wanted.from_ns
    return above and (wanted.to_ns is None or first_ns < wanted.to_ns)


def _require_clock(snapshot: Snapshot, wanted: Wanted) -> None:
    column = wanted.column(snapshot.rules.order)
    if wanted.bounded and column not in snapshot.schema.names:
        there = [name for name in (EVENT_NS, KNOWN_NS) if name in snapshot.schema.names]
        raise HistoryError(
            f"{snapshot.rules.stream} has no {column}: name a clock that it has, {', '.join(there)}"
        )


def _by_date(snapshot: Snapshot, wanted: Wanted) -> Bools:
    """Which parts are of a day that is wanted."""
    dates = snapshot.catalogue.column("date")
    keeps = np.ones(len(dates), np.bool_)
    if wanted.dates is not None:
        keeps &= as_array(pc.is_in(dates, pa.array(sorted(wanted.dates), pa.string())))
    if not wanted.bounded or wanted.column(snapshot.rules.order) != clock_column(snapshot.rules.order):
        return keeps  # days are those of the order clock
    bounds = ((wanted.from_ns, pc.greater_equal), (wanted.to_ns, pc.less_equal))
    edges = [(bound_ns, compare) for bound_ns, compare in bounds if bound_ns is not None]
    days = local_days(np.array([bound_ns for bound_ns, _ in edges]), snapshot.rules.zone)
    for day, (_, compare) in zip(days.tolist(), edges, strict=True):
        keeps &= as_array(compare(dates, (_EPOCH + timedelta(days=day)).isoformat()))
    return keeps


def _by_bucket(catalogue: pa.Table, wanted: Wanted) -> Bools:
    """Which parts are of a bucket that a wanted key has, among the buckets that the part's own is one of."""
    if wanted.keys is None:
        return np.ones(catalogue.num_rows, np.bool_)
    own, among = (as_array(catalogue.column(name)) for name in ("bucket", "buckets"))
    keeps = np.zeros(catalogue.num_rows, np.bool_)
    for count in np.unique(among).tolist():
        keeps |= (among == count) & np.isin(own, keys_buckets(wanted.keys, count))
    return keeps


def _by_time(catalogue: pa.Table, wanted: Wanted, column: str) -> Bools:
    """Which parts have a time in the range; one whose times are not known stays."""
    keeps = np.ones(catalogue.num_rows, np.bool_)
    for bound_ns, edge, compare in (
        (wanted.from_ns, f"last_{column}", pc.greater_equal),
        (wanted.to_ns, f"first_{column}", pc.less),
    ):
        if bound_ns is not None:
            keeps &= as_array(pc.fill_null(compare(catalogue.column(edge), bound_ns), True))
    return keeps


def tail_rows(snapshot: Snapshot, wanted: Wanted) -> pa.Table | None:
    """Return the wanted rows of a snapshot's tail with the stored columns, None where it has no tail."""
    if snapshot.tail is None:
        return None
    assert wanted.dates is None, "a day is read from parts"
    column = wanted.column(snapshot.rules.order)
    batches = []
    for rows in snapshot.tail.to_batches():
        keys = message_keys(rows, snapshot.rules.key) if wanted.keys is not None else None
        batches.append(wanted_rows(rows, wanted, column, keys))
    return pa.Table.from_batches(batches, schema=snapshot.tail.schema)


def wanted_rows(rows: pa.RecordBatch, wanted: Wanted, column: str, keys: pa.Array | None) -> pa.RecordBatch:
    """Return the rows that are wanted, in their order; `keys` are their message keys, where keys count."""
    masks = []
    if wanted.from_ns is not None:
        masks.append(pc.greater_equal(rows.column(column), wanted.from_ns))
    if wanted.to_ns is not None:
        masks.append(pc.less(rows.column(column), wanted.to_ns))
    if wanted.keys is not None:
        masks.append(pc.is_in(keys, pa.array(sorted(wanted.keys), pa.binary())))
    for mask in masks[1:]:
        masks[0] = pc.and_(masks[0], mask)
    return rows.filter(masks[0]) if masks else rows
