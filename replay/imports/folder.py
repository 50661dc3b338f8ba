"""Import a folder of Parquet into the history: values never changed, bad rows named, files only once."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from replay.errors import SourceError
from replay.imports.source_file import BadRows, SourceFile
from replay.order import order_clock, order_times
from replay.store.day import BATCH_ROWS
from replay.store.days import HistoryStore
from replay.zones import NEW_YORK
from schemas.stream import Stream

STREAMS: Final = ("trade", "quote")  # read from `trades*.parquet` and `quotes*.parquet`
EXAMPLES_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class ImportedDay:
    """A day the folder has rows of; `written` is False where the history had it from these files before."""

    stream: str
    date: str
    rows: int
    written: bool


@dataclass(slots=True)
class ImportReport:
    """The result of an import.

    `refused` counts rows that were not imported by stream and reason; `examples` names the first of them by
    file and row (the file's first row is 1).  `notes` are decisions that the import made for the user.
    """

    folder: Path
    days: list[ImportedDay] = field(default_factory=list)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """What to print, a line each."""
        days = [
            f"{day.stream} {day.date}: {day.rows:,} rows imported{'' if day.written else ' before'}"
            for day in self.days
        ]
        refused = [
            f"{stream}: {count:,} rows not imported: {reason}"
            for (stream, reason), count in sorted(self.refused.items())
        ]
        return [*self.notes, *days, *refused, *(f"  {example}" for example in self.examples)]

    def refuse(self, stream: str, bad: BadRows) -> None:
        """Count rows that are not imported."""
        self.refused[stream, bad.reason] += int(bad.rows.size)
        room = max(EXAMPLES_MAX - len(self.examples), 0)
        self.examples += [f"{bad.file} row {row}: {bad.reason}" for row in bad.rows[:room].tolist()]


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a folder is read: the key columns, the zone that says which day a row is of, and both as text."""

    key: tuple[str, ...]
    zone: str
    made: dict[str, str]


def import_folder(
    store: HistoryStore,
    folder: Path,
    *,
    timezone: str | None = None,
    symbol: str | None = None,
    event: str | None = None,
    known: str | None = None,
) -> ImportReport:
    """Import `trades*.parquet` and `quotes*.parquet` of `folder` as the streams `trade` and `quote`.

    A row's day is the calendar day of its `event_ns` (`known_ns` where that is null) in `timezone`, by
    default New York.  `symbol` names the key columns, separated by commas; by default `market` and `symbol`
    where every file has both as strings, else `symbol`.  `event` and `known` name the time columns (see
    `replay.imports.time_columns` for the names found by themselves).  A day's columns are those of all files
    with rows of that day, null where a file has no such column.

    Everything is checked before the first day is written.  Raises SourceError for what is wrong with a
    file and HistoryError for what is wrong with the history.
    """
    files = _open_files(folder, event, known)
    report = ImportReport(folder)
    plan = _plan(files, timezone or NEW_YORK, symbol, event, known, report)
    work = [
        (stream, day, groups)
        for stream, sources in files.items()
        for day, groups in sorted(_groups_by_day(stream, sources, plan, report).items())
    ]
    schemas = [_union(stream, day, [file for file, _ in groups]) for stream, day, groups in work]
    if not work:
        raise SourceError(f"{folder}: no row can be imported; {_first(report)}")
    for (stream, day, groups), schema in zip(work, schemas, strict=True):
        report.days.append(_import_day(store, stream, day, groups, schema, plan))
    return report


def _open_files(folder: Path, event: str | None, known: str | None) -> dict[str, list[SourceFile]]:
    if not folder.is_dir():
        raise SourceError(
            f"{folder} is not a folder: name one that holds trades*.parquet and quotes*.parquet"
        )
    files = {
        stream: [
            SourceFile(path, event=event, known=known) for path in sorted(folder.glob(f"{stream}s*.parquet"))
        ]
        for stream in STREAMS
    }
    if not any(files.values()):
        raise SourceError(f"{folder} holds neither trades*.parquet nor quotes*.parquet")
    return files


def _plan(
    files: dict[str, list[SourceFile]],
    zone: str,
    symbol: str | None,
    event: str | None,
    known: str | None,
    report: ImportReport,
) -> _Plan:
    every = [file for sources in files.values() for file in sources]
    if symbol is not None:
        key = tuple(name.strip() for name in symbol.split(",") if name.strip())
        if not key or len(set(key)) < len(key):
            raise SourceError(
                f"--symbol {symbol!r} must name one or more different columns, separated by commas"
            )
    elif all(file.has_text("market") and file.has_text("symbol") for file in every):
        key = ("market", "symbol")
        report.notes.append(
            "every file has market beside symbol: the instrument is market:symbol "
            "(--symbol symbol for symbol alone)"
        )
    else:
        key = ("symbol",)
    for file in every:
        file.require_key(key)
        if set(key) & set(file.clocks):
            raise SourceError(f"{file.path}: a column cannot be both the instrument and a clock")
        for name, clock in file.clocks.items():
            if name != clock:
                report.notes.append(f"{file.path.name}: {name} is {clock}")
    made = {
        "by": "import",
        "timezone": zone,
        "key": ",".join(key),
        "event": event or "",
        "known": known or "",
    }
    return _Plan(key, zone, made)


# Per file: the row groups that have rows of the day.
_Groups = list[tuple[SourceFile, list[int]]]


def _groups_by_day(
    stream: str, files: Sequence[SourceFile], plan: _Plan, report: ImportReport
) -> dict[int, _Groups]:
    """Read clocks and keys alone: which days there are, where their rows lie, and which rows are bad."""
    groups_by_day: dict[int, _Groups] = {}
    for file in files:
        for group, part in enumerate(file.clock_parts(plan.key, plan.zone)):
            for bad in part.bad:
                report.refuse(stream, bad)
            for day in np.unique(part.days).tolist():
                groups = groups_by_day.setdefault(day, [])
                if not groups or groups[-1][0] is not file:
                    groups.append((file, []))
                groups[-1][1].append(group)
    return groups_by_day


def _union(stream: str, day: int, files: Sequence[SourceFile]) -> pa.Schema:
    """The columns of all these files, in the order they appear; one that some file lacks can be null."""
    fields: dict[str, tuple[pa.Field, SourceFile]] = {}
    for file in files:
        for column in file.schema:
            first, other = fields.setdefault(column.name, (column, file))
            if first.type != column.type:
                raise SourceError(
                    f"column {column.name!r} is {first.type} in {other.path} and {column.type} in "
                    f"{file.path}, and both have {stream} rows of {_date(day)}: give them one type"
                )
    everywhere = set.intersection(*({c.name for c in file.schema if not c.nullable} for file in files))
    return pa.schema([column.with_nullable(name not in everywhere) for name, (column, _) in fields.items()])


def _import_day(
    store: HistoryStore, stream: str, day: int, groups: _Groups, schema: pa.Schema, plan: _Plan
) -> ImportedDay:
    date_text, sources = _date(day), tuple(file.source for file, _ in groups)
    if store.has(stream, date_text):
        before = store.day(stream, date_text)
        if before.summary.sources == sources and before.summary.made == plan.made:
            return ImportedDay(stream, date_text, before.rows, written=False)
    rows = pa.concat_tables(_rows_of(groups, day, schema, plan))
    order = order_clock(rows)
    times = order_times(rows, order)
    if np.any(times[:-1] > times[1:]):
        rows = rows.take(pa.array(np.argsort(times, kind="stable")))
    sequence = (
        "sequence" if "sequence" in schema.names and schema.field("sequence").type == pa.int64() else None
    )
    written = store.write(
        Stream(name=stream, schema=schema, key=plan.key, sequence=sequence),
        date_text,
        rows.to_batches(max_chunksize=BATCH_ROWS),
        order=order,
        sources=sources,
        made=plan.made,
    )
    return ImportedDay(stream, date_text, written.rows, written=True)


def _rows_of(groups: _Groups, day: int, schema: pa.Schema, plan: _Plan) -> Iterator[pa.Table]:
    for file, numbers in groups:
        for part in file.parts(plan.key, plan.zone, groups=numbers):
            rows = part.rows.filter(pa.array(part.days == day))
            columns = [
                rows.column(column.name)
                if column.name in rows.schema.names
                else pa.chunked_array([pa.nulls(rows.num_rows, column.type)])
                for column in schema
            ]
            yield pa.Table.from_arrays(columns, schema=schema)


def _date(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def _first(report: ImportReport) -> str:
    return report.examples[0] if report.examples else "the files are empty"
