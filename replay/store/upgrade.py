"""A store of days becomes tables, in place: each day is committed whole, and then its old files are let go.

Rows keep the order in which they were published: their numbers in the day are their places.  A day that does
not fit its table stays as it is, and is read on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from replay.errors import HistoryError, NotWrittenError
from replay.order import order_times
from replay.store.content_hash import combined, content_hash
from replay.store.day import Day
from replay.store.days import HistoryStore
from replay.store.objects import Folder
from replay.store.part import Part, imported_name
from replay.store.part_writer import PartPlace, write_part
from replay.store.places import BUCKETS, TableRules, portions, with_places
from replay.store.scan import stored_rows
from replay.store.stored_types import to_stored
from replay.store.table import Change, HistoryTable, create_table, has_table

BY: Final = "python -m replay upgrade"


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What became of one day; `problem` says why it stays as it is, empty where it is in the table now."""

    stream: str
    date: str
    rows: int
    problem: str = ""

    def __str__(self) -> str:
        """What to print."""
        became = f"stays a folder: {self.problem}" if self.problem else "is in the table now"
        return f"{self.stream} {self.date}: {self.rows:,} rows, {became}"


def upgrade(store: HistoryStore, buckets: int = BUCKETS, to: Folder | None = None) -> list[Upgraded]:
    """Bring every day of a store into tables, of another store where one is named; stopped, it goes on.

    Days that were brought into another store stay in their folders too.
    """
    return [_upgraded(store, day, buckets, to or store.root) for day in store.folder_days()]


def _upgraded(store: HistoryStore, day: Day, buckets: int, to: Folder) -> Upgraded:
    name = day.summary.stream
    try:
        table = _table_of(to, day, buckets)
        _bring_in(table, day)
        _require_all(table, day)
    except NotWrittenError:
        raise
    except HistoryError as wrong:
        return Upgraded(name, day.date, day.rows, str(wrong))
    if to == store.root:
        store.forget_folder(name, day.date)
    return Upgraded(name, day.date, day.rows)


def _table_of(root: Folder, day: Day, buckets: int) -> HistoryTable:
    """The table of the day's stream, made where there is none; raises HistoryError where it does not fit."""
    summary = day.summary
    rules = TableRules(
        stream=summary.stream,
        key=summary.key,
        sequence=summary.sequence,
        order=summary.order,
        zone=day.zone,
        buckets=HistoryTable(root, summary.stream).rules.buckets
        if has_table(root, summary.stream)
        else buckets,
    )
    table = create_table(root, rules, day.stream.schema)
    table.grow(day.stream.schema)
    return table


def _bring_in(table: HistoryTable, day: Day) -> None:
    """Commit the day's rows where the table has none of that day; raises HistoryError where it has others."""
    application = f"import:{day.date}"
    before = table.transaction_version(application)
    if any(part.date == day.date for part in table.snapshot().parts):
        if before is not None:
            return  # by an upgrade that was stopped, which its rows will tell
        raise HistoryError(
            f"{table.root} has rows of that day already, which were captured or backfilled: name another "
            "store with --to"
        )
    if day.rows == 0:
        raise HistoryError("a table keeps no day without rows")
    table.commit(
        Change(
            adds=_parts(table, day),
            transactions={application: (before or 0) + 1},
            expected={application: before},
            facts={"by": BY, "command": "upgrade", "date": day.date, "rows": day.rows},
        )
    )


def _require_all(table: HistoryTable, day: Day) -> None:
    """Raise HistoryError where the rows of the day, read back from the table, are not those of its folder."""
    snapshot = table.snapshot()
    there = [part for part in snapshot.parts if part.date == day.date]
    back = combined(*(content_hash(rows) for rows in stored_rows(snapshot, there)))
    ours = combined(*(content_hash(to_stored(rows, table.stored)) for rows in _whole_times(day)))
    if back != ours:
        raise HistoryError(f"its rows read back are others: hash {back:016x}, and {ours:016x} in its folder")


def _parts(table: HistoryTable, day: Day) -> list[Part]:
    """The day's rows as parts, one for each bucket; the rows of a bucket are held until it is written."""
    held: dict[int, list[pa.RecordBatch]] = {}
    for rows in _whole_times(day):
        for portion in portions(to_stored(rows, table.stored), table.rules):
            if portion.date != day.date:
                raise HistoryError(f"it has rows of {portion.date} by the calendar of {table.rules.zone}")
            held.setdefault(portion.bucket, []).append(portion.rows)
    parts = []
    for bucket in sorted(held):
        place = PartPlace(
            name=imported_name(table.stream),
            date=day.date,
            bucket=bucket,
            source=", ".join(source.name for source in day.summary.sources) or str(day.summary.made),
        )
        parts.append(write_part(table.root, place, table.rules, table.stored, held.pop(bucket)))
    return parts


def _whole_times(day: Day) -> Iterator[pa.RecordBatch]:
    """The rows with their numbers, cut between two times: rows of one time are ordered by their sequence."""
    waiting, first = None, 0
    for batch in day.batches():
        numbers = np.arange(first, first + batch.num_rows, dtype=np.int64)
        first += batch.num_rows
        rows = with_places(batch, numbers, np.zeros(batch.num_rows, np.int32))
        rows = rows if waiting is None else pa.concat_batches([waiting, rows])
        times_ns = order_times(rows, day.summary.order)
        cut = int(np.searchsorted(times_ns, times_ns[-1]))
        yield rows.slice(0, cut)
        waiting = rows.slice(cut)
    if waiting is not None:
        yield waiting
