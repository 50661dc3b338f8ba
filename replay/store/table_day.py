"""A day of a table as a day of the history: the same rows in the order of the store, from many parts."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from replay.errors import UnknownDateError
from replay.order import as_int64s, disorder
from replay.store.content_hash import combined
from replay.store.day import BATCH_ROWS, ClockSummary, Day, DaySummary
from replay.store.encodings import COMPRESSION
from replay.store.objects import Folder
from replay.store.places import PLACES
from replay.store.prune import Wanted
from replay.store.scan import Scan
from replay.store.snapshot import PartEntry, Snapshot
from replay.store.table import HistoryTable
from schemas.clocks import BEGINNING_NS, EVENT_NS, KNOWN_NS
from schemas.stream import Stream


class TableDay(Day):
    """A day of one version of a table; a compaction beside it changes nothing."""

    def __init__(self, snapshot: Snapshot, date: str) -> None:
        """Raise UnknownDateError, with the days there are, where the version has no rows of that day."""
        self._snapshot = snapshot
        self._date = date
        self._parts = [part for part in snapshot.parts if part.date == date]
        if not self._parts:
            raise UnknownDateError(
                f"stream {snapshot.rules.stream} has no day {date} in version {snapshot.version} of "
                f"{snapshot.root}; it has {', '.join(snapshot.dates())}"
            )
        super().__init__(snapshot.root, _summary(snapshot, date, self._parts))

    @cached_property
    def stream(self) -> Stream:
        """The stream with the table's columns, but for the places of rows."""
        rules = self._snapshot.rules
        schema = pa.schema([field for field in self._snapshot.schema if field.name not in PLACES])
        return Stream(name=rules.stream, schema=schema, key=rules.key, sequence=rules.sequence)

    @property
    def root(self) -> Folder:
        """The folder of the store it is in."""
        return self._snapshot.root.parent

    def files_in(self, scratch: Path) -> tuple[Path, ...]:
        """One Parquet file with its rows in their order and their own types, written below a folder."""
        path = scratch / f"{self.summary.stream}.parquet"
        with pq.ParquetWriter(path, self.stream.schema, compression=COMPRESSION, version="2.6") as writer:
            for batch in self.batches():
                writer.write_batch(batch)
        return (path,)

    def batches(
        self,
        columns: list[str] | None = None,
        rows: int = BATCH_ROWS,
        start: int = 0,
        *,
        words: bool = False,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows from `start` on in the order of the store; those before it are read and left out.

        Text comes as text, whether `words` are wanted or not.
        """
        del words
        chosen = self.stream.schema.names if columns is None else columns
        for batch in Scan(self._snapshot, Wanted(dates=frozenset({self._date})), chosen).batches(rows):
            skipped = min(start, batch.num_rows)
            start -= skipped
            if skipped < batch.num_rows:
                yield batch.slice(skipped)


def table_day(store: Folder, stream: str, date: str, version: int | None = None) -> TableDay:
    """Return a day of a table, of its newest version or an earlier one."""
    return TableDay(HistoryTable(store, stream, version).snapshot(), date)


def _summary(snapshot: Snapshot, date: str, parts: list[PartEntry]) -> DaySummary:
    """What the day holds: disorder is that of the merged rows, which no part alone knows."""
    footers = snapshot.footers(parts)
    rules = snapshot.rules
    clocks = {}
    for name in (EVENT_NS, KNOWN_NS):
        spans = [footer.clocks[name] for footer in footers if name in footer.clocks]
        if spans:
            rows_without = sum(footer.rows for footer in footers if name not in footer.clocks)
            clocks[name] = ClockSummary(
                first_ns=min(span.first_ns for span in spans),
                last_ns=max(span.last_ns for span in spans),
                nulls=rows_without + sum(span.nulls for span in spans),
                disorder_ns=_disorder_ns(snapshot, date, name),
            )
    digest = combined(*(footer.content_hash for footer in footers))
    return DaySummary(
        stream=rules.stream,
        date=date,
        rows=sum(footer.rows for footer in footers),
        keys=len(snapshot.key_rows(parts)),
        key=rules.key,
        sequence=rules.sequence,
        order=rules.order,
        clocks=clocks,
        sources=(),
        made={"by": "table", "timezone": rules.zone, "version": str(snapshot.version)},
        parts=tuple(part.path for part in parts),
        digest=f"{digest:016x}",
    )


def _disorder_ns(snapshot: Snapshot, date: str, column: str) -> int:
    """How far a row trails the newest before it, at most, on one clock."""
    newest_ns, farthest_ns = BEGINNING_NS, 0
    for batch in Scan(snapshot, Wanted(dates=frozenset({date})), [column]).batches():
        trailing, newest_ns = disorder(as_int64s(batch.column(column).drop_null()), newest_ns)
        farthest_ns = max(farthest_ns, trailing)
    return farthest_ns
