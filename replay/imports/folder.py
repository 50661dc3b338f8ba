"""Import a folder of files into the history: values never changed, bad rows named, files only once."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Unpack

import numpy as np
import pyarrow as pa

from replay.errors import SourceError
from replay.imports.columns import require_known
from replay.imports.files import NAMES_MAX, STREAMS, find_files
from replay.imports.flags import Flagging, count_bad, judged
from replay.imports.options import ImportOptions, OptionValues
from replay.imports.replacement import require_own
from replay.imports.report import ImportedDay, ImportReport
from replay.imports.source_file import MARKET_SYMBOL, SEQUENCE, BadRows, SourceFile
from replay.imports.union import union_schema
from replay.order import order_clock, order_times
from replay.quality.quotes_beside import require_quotes
from replay.store.day import BATCH_ROWS, Source
from replay.store.days import HistoryStore, StagedDay
from schemas.clocks import EVENT_NS, KNOWN_NS, Clock
from schemas.stream import Stream


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a folder is read: key columns, the zone of its days, all of it as text, and how rows are judged."""

    key: tuple[str, ...]
    zone: str
    made: dict[str, str]
    flagging: Flagging | None


@dataclass(slots=True)
class _DayRows:
    """Where the rows of one day lie: per file the groups that have some, and how many there are."""

    groups: list[tuple[SourceFile, list[int]]] = field(default_factory=list)
    rows: int = 0

    @property
    def files(self) -> list[SourceFile]:
        return [file for file, _ in self.groups]

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(file.source for file in self.files)

    def add(self, file: SourceFile, group: int, rows: int) -> None:
        if not self.groups or self.groups[-1][0] is not file:
            self.groups.append((file, []))
        self.groups[-1][1].append(group)
        self.rows += rows


@dataclass(frozen=True, slots=True)
class _Quotes:
    """The quotes of a day that trades are held against."""

    day_rows: _DayRows
    schema: pa.Schema

    @property
    def text(self) -> str:
        """Which files they come from, in short: trades are judged anew where these change."""
        files = [(one.name, one.size, one.modified_ns) for one in self.day_rows.sources]
        return hashlib.sha256(repr(files).encode()).hexdigest()[:16]

    def rows(self, day: int, plan: _Plan, order: Clock) -> pa.Table:
        """All of them; raises SourceError where trades cannot be held against them."""
        stream = STREAMS[1]
        require_quotes(self.schema, stream)
        table = pa.concat_tables(_rows_of(self.day_rows, day, self.schema, plan))
        if order_clock(table) != order:
            raise SourceError(
                f"{stream} of {_date(day)} is in the order of {order_clock(table)}_ns, and the trades in "
                f"that of {order}_ns: they are looked up by one clock"
            )
        return table


def import_folder(
    store: HistoryStore, folder: Path, *, dry_run: bool = False, **values: Unpack[OptionValues]
) -> ImportReport:
    """Import what is named `trades*` and `quotes*` in `folder` as the streams `trade` and `quote`.

    Files are Parquet, CSV or Arrow IPC; folders of parts count as one (see `replay.imports.files`).  `values`
    are the fields of `ImportOptions`.  A row's day is the calendar day of its `event_ns` (`known_ns` where
    that is null) in `timezone`.  The key is `market` and `symbol` where every file has both as strings, else
    `symbol`.  A day's columns are those of all files with rows of that day, null where a file has no such
    column.  A day of trades without quotes gets an empty day of quotes.

    All days are written beside those in the history, and only when the last is whole do they take their
    places; with `dry_run` every row is read and none is written.  Raises SourceError for what is wrong with a
    file, an option, or a day that would lose rows, and HistoryError for what is wrong with the history.
    """
    options = ImportOptions(**values)
    places, passed_over = find_files(folder)
    report = ImportReport(folder, dry_run)
    with TemporaryDirectory(prefix="tidemark-import-") as scratch:
        files = {
            stream: [SourceFile(place, options, Path(scratch)) for place in of_stream]
            for stream, of_stream in places.items()
        }
        full = {stream: [file for file in sources if file.rows] for stream, sources in files.items()}
        plan = _plan(files, full, options, report)
        report.notes += passed_over
        driving = STREAMS[0]
        if not places[driving]:
            report.notes.append(
                f"{driving}: no file is named {driving}s*, and no day can be replayed without"
            )
        days = {stream: _days(stream, sources, plan, report) for stream, sources in full.items()}
        if not any(days.values()):
            raise SourceError(f"{folder}: no row can be imported; {_first(report)}")
        schemas = {
            (stream, day): union_schema(f"{stream} rows of {_date(day)}", rows.files, full[stream])
            for stream, of_stream in days.items()
            for day, rows in of_stream.items()
        }
        if not options.replace:
            ours = [file.source for sources in files.values() for file in sources]
            for stream, day in schemas:
                require_own(store, stream, _date(day), folder, ours)
        with ExitStack() as staging:
            staged: list[StagedDay] = []
            for (stream, day), schema in schemas.items():
                rows = days[stream][day]
                quotes = _quotes(stream, day, days, schemas, plan)
                done, new = _stage_day(store, stream, day, rows, schema, plan, quotes, dry_run=dry_run)
                report.days.append(done)
                if new is not None:
                    staged.append(staging.enter_context(new))
            without = _stage_days_without_rows(store, days, full, plan, report)
            staged += map(staging.enter_context, without)
            for one in staged:
                one.keep()
    return report


def _plan(
    files: dict[str, list[SourceFile]],
    full: dict[str, list[SourceFile]],
    options: ImportOptions,
    report: ImportReport,
) -> _Plan:
    unknown = sorted((options.checks.streams if options.checks is not None else set()) - set(STREAMS))
    if unknown:
        raise SourceError(f"there is no stream {unknown[0]} to check: an import has {', '.join(STREAMS)}")
    named = [(stream, file) for stream, sources in files.items() for file in sources]
    every = [file for sources in full.values() for file in sources]
    require_known(options, frozenset(name for _, file in named for name in file.present))
    _require_one_wall(every, options)
    key = options.key
    if key is None and every and all(map(_has_market, every)):
        key = MARKET_SYMBOL
        report.notes.append(
            "every file has market beside symbol: the instrument is market:symbol "
            "(--symbol symbol for symbol alone)"
        )
    key = tuple(dict.fromkeys(every[0].find(name) if every else name for name in key or ("symbol",)))
    for file in every:
        file.require_key(key)
        if set(key) & set(file.clocks):
            raise SourceError(f"{file.path}: a column cannot be both the instrument and a clock")
    for stream, file in named:
        report.notes += file.notes if file.rows else [f"{file.name}: no rows"]
        if report.dry_run:
            report.describe(stream, file)
    return _Plan(key, options.zone, options.made(key), options.flagging)


def _quotes(
    stream: str,
    day: int,
    days: dict[str, dict[int, _DayRows]],
    schemas: dict[tuple[str, int], pa.Schema],
    plan: _Plan,
) -> _Quotes | None:
    """What the trades of a day are held against, None where nobody asked for it or there are none."""
    other = None if plan.flagging is None else plan.flagging.rules.quotes.get(stream)
    if other is None or day not in days.get(other, {}):
        return None
    return _Quotes(days[other][day], schemas[other, day])


def _has_market(file: SourceFile) -> bool:
    return all(file.has_text(name) for name in MARKET_SYMBOL)


def _require_one_wall(files: list[SourceFile], options: ImportOptions) -> None:
    """Raise SourceError for times without a zone, unless somebody states which they are in."""
    if options.naive_as is not None:
        return
    walls = [(file, name, wall) for file in files for name, wall in file.walls.items()]
    naive = next(((file, name) for file, name, wall in walls if wall == "naive"), None)
    if naive is None:
        return
    file, name = naive
    what = f"column {name!r} of {file.path} is {file.clock_type(name)} without a time zone"
    zoned = next(((other, name) for other, name, wall in walls if wall == "zoned"), None)
    if zoned is not None:
        other, name = zoned
        what += f", and column {name!r} of {other.path} is {other.clock_type(name)} with one"
    raise SourceError(
        f"{what}: say which zone its times are of with --naive-as, such as --naive-as UTC or "
        f"--naive-as {options.zone}"
    )


def _days(stream: str, files: list[SourceFile], plan: _Plan, report: ImportReport) -> dict[int, _DayRows]:
    """Read clocks and keys alone: which days there are, where their rows lie, and which rows are bad."""
    days: dict[int, _DayRows] = {}
    for file in files:
        wrong: list[BadRows] = []
        for group, part in enumerate(file.clock_parts(plan.key, plan.zone)):
            wrong += part.bad
            numbers, counts = np.unique(part.days, return_counts=True)
            for day, rows in zip(numbers.tolist(), counts.tolist(), strict=True):
                days.setdefault(day, _DayRows()).add(file, group, rows)
            report.count_marks(file.name, part.no_time)
        _require_some(file, wrong)
        for bad in wrong:
            report.refuse(stream, bad)
    return dict(sorted(days.items()))


def _require_some(file: SourceFile, wrong: list[BadRows]) -> None:
    """Raise SourceError where an option would read what is wrong with all rows of a file."""
    stated = [bad for bad in wrong if bad.stated]
    if stated and sum(bad.rows.size for bad in wrong) == file.rows:
        count = sum(bad.rows.size for bad in stated)
        first = stated[0]
        raise SourceError(
            f"{file.path}: {first.reason}; so are {count:,} of {file.rows:,} rows, and none can be imported; "
            f"row {first.rows[0]} holds {first.first}"
        )


def _stage_day(
    store: HistoryStore,
    stream: str,
    day: int,
    rows: _DayRows,
    schema: pa.Schema,
    plan: _Plan,
    quotes: _Quotes | None,
    *,
    dry_run: bool,
) -> tuple[ImportedDay, StagedDay | None]:
    """Return what becomes of a day, and the day where it is to be kept."""
    date_text = _date(day)
    made = plan.made if quotes is None else plan.made | {"quotes": quotes.text}
    if store.has(stream, date_text):
        before = store.day(stream, date_text)
        same = len(before.summary.sources) == len(rows.sources) and all(
            map(Source.same_file, before.summary.sources, rows.sources)
        )
        if same and before.summary.made == made:
            return ImportedDay(stream, date_text, before.rows, written=False), None
    kept = _stream(stream, schema, plan)
    if dry_run and (plan.flagging is None or not plan.flagging.left_out):
        # Read all the same: a value that cannot be taken is said.
        count = sum(part.num_rows for part in _rows_of(rows, day, schema, plan))
        return ImportedDay(stream, date_text, count, written=True), None
    table = pa.concat_tables(_rows_of(rows, day, schema, plan))
    order = order_clock(table)
    table, left_out = _in_order(table, order), 0
    if plan.flagging is not None:
        beside = None if quotes is None else _in_order(quotes.rows(day, plan, order), order)
        table, left_out = judged(table, _plain_stream(stream, schema, plan), plan.flagging, order, beside)
    done = ImportedDay(
        stream,
        date_text,
        table.num_rows,
        written=True,
        bad_ticks=0 if dry_run else count_bad(table),
        left_out=left_out,
    )
    if dry_run:
        return done, None
    batches = table.to_batches(max_chunksize=BATCH_ROWS)
    return done, store.stage(kept, date_text, batches, order=order, sources=rows.sources, made=made)


def _in_order(table: pa.Table, order: Clock) -> pa.Table:
    times = order_times(table, order)
    if np.any(times[:-1] > times[1:]):
        return table.take(pa.array(np.argsort(times, kind="stable")))
    return table


def _rows_of(rows: _DayRows, day: int, schema: pa.Schema, plan: _Plan) -> Iterator[pa.Table]:
    for file, numbers in rows.groups:
        for part in file.parts(plan.key, plan.zone, groups=numbers):
            table = part.rows.filter(pa.array(part.days == day))
            columns = [
                _column(table.column(column.name), column, file)
                if column.name in table.schema.names
                else pa.chunked_array([pa.nulls(table.num_rows, column.type)])
                for column in schema
            ]
            yield pa.Table.from_arrays(columns, schema=schema)


def _column(values: pa.ChunkedArray, column: pa.Field, file: SourceFile) -> pa.ChunkedArray:
    try:
        return values if values.type == column.type else values.cast(column.type)
    except pa.ArrowInvalid as overflow:
        raise SourceError(
            f"{file.path}: column {column.name!r} ({values.type}) does not fit into the {column.type} that "
            f"other files need: {overflow}; leave it out with --drop {column.name!r}"
        ) from None


def _stage_days_without_rows(
    store: HistoryStore,
    days: dict[str, dict[int, _DayRows]],
    full: dict[str, list[SourceFile]],
    plan: _Plan,
    report: ImportReport,
) -> Iterator[StagedDay]:
    """Stage a day without rows for each day of the first stream on which no file has any of another."""
    driving, *others = STREAMS
    for stream in others:
        missing = [_date(day) for day in days[driving] if day not in days[stream]]
        before = {day: store.day(stream, day) for day in missing if store.has(stream, day)}
        missing = [day for day in missing if day not in before or not before[day].rows]
        if not missing:
            continue
        report.notes.append(
            f"{stream}: no rows of {', '.join(missing[:NAMES_MAX])}"
            + (f" and {len(missing) - NAMES_MAX} more days" if len(missing) > NAMES_MAX else "")
            + f": no {driving} of such a day has a match in it"
        )
        if report.dry_run:
            continue
        schema = (
            union_schema(f"{stream} rows", full[stream], full[stream])
            if full[stream]
            else _least_schema(full[driving], plan)
        )
        for day in missing:
            if day not in before or before[day].summary.made != plan.made:
                yield store.stage(_stream(stream, schema, plan), day, (), order="event", made=plan.made)


def _least_schema(files: list[SourceFile], plan: _Plan) -> pa.Schema:
    """The columns that a stream cannot be without, with the clocks of another stream's files."""
    clocks = [name for name in (EVENT_NS, KNOWN_NS) if any(name in file.schema.names for file in files)]
    return pa.schema([*((name, pa.int64()) for name in clocks), *((name, pa.string()) for name in plan.key)])


def _stream(name: str, schema: pa.Schema, plan: _Plan) -> Stream:
    """The stream of a day as it is kept."""
    plain = _plain_stream(name, schema, plan)
    return plain if plan.flagging is None else replace(plain, schema=plan.flagging.schema(plain))


def _plain_stream(name: str, schema: pa.Schema, plan: _Plan) -> Stream:
    """The stream of a day without what is known of its rows."""
    ordered = SEQUENCE in schema.names and schema.field(SEQUENCE).type == pa.int64()
    return Stream(name=name, schema=schema, key=plan.key, sequence=SEQUENCE if ordered else None)


def _date(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def _first(report: ImportReport) -> str:
    return report.examples[0] if report.examples else "the files are empty"
