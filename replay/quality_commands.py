"""The command that says how good the days of a history are."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import typer

from replay.capture.dead import dead_stream
from replay.errors import HistoryError
from replay.publish.options import STORE, StoreOption
from replay.quality.arbiter import HOLD_NS
from replay.quality.lines import arbitrate
from replay.quality.measure import DayFacts, QualityOptions, measure_day
from replay.quality.offsets import offset_faults
from replay.quality.tables import keep_quality
from replay.quality_options import (
    DEDUP_S,
    AgainstOption,
    ConditionsOption,
    ConditionTableOption,
    CorrectionsOption,
    DedupOption,
    DeviationOption,
    IdsOption,
    NumberOption,
    OddLotsOption,
    SpreadsOption,
    TickOption,
    TrimmedFlag,
    check_rules,
    parse_numbers,
)
from replay.store.catalog import list_days
from replay.store.day import Day
from replay.store.days import HistoryStore
from replay.store.objects import Folder, parse_store
from replay.store.table import HistoryTable, has_table
from replay.store.table_day import TableDay
from schemas.clocks import NS_PER_MS

quality = typer.Typer()

_DAY_MINUTES: Final = 24 * 60

HoursOption = Annotated[
    str | None,
    typer.Option(
        help="Hours of the session, such as 09:30-16:00, in the time zone of the days: silences outside do "
        "not count, and one of the whole stream makes a day degraded.  Default: none."
    ),
]


@quality.command("quality")
def quality_command(
    context: typer.Context,
    store: StoreOption = STORE,
    date: Annotated[str | None, typer.Option(help="Day to measure, YYYY-MM-DD.  Default: all days.")] = None,
    stream: Annotated[str | None, typer.Option(help="Stream to measure.  Default: all.")] = None,
    number: NumberOption = None,
    tick: TickOption = None,
    deviation_ticks: DeviationOption = 1.0,
    ids: IdsOption = None,
    dedup_seconds: DedupOption = DEDUP_S,
    corrections: CorrectionsOption = None,
    conditions: ConditionsOption = None,
    condition_table: ConditionTableOption = None,
    odd_lots: OddLotsOption = "all",
    against: AgainstOption = None,
    spreads: SpreadsOption = 1.0,
    trimmed_mean: TrimmedFlag = False,
    hours: HoursOption = None,
    table: Annotated[
        bool, typer.Option(help="Keep the results in the tables quality and quality_gap of the store.")
    ] = True,
) -> None:
    """Measure each stream's day: what is missing, what is there twice, silences, clocks, bad ticks.

    Each day gets a condition: available, degraded (with the reasons), pending (a capture may still add rows)
    or missing.  Checks look at earlier rows only; no row is changed.

    Example: python -m replay quality --date 2024-01-15 --number trade=trade_id

    Example: python -m replay quality --ids trade=trade_id/exchange --against trade=quote
    """
    options = QualityOptions(
        checks=check_rules(context.params),
        numbers=parse_numbers(number or ()),
        hours=None if hours is None else parse_hours(hours),
    )
    history = HistoryStore(parse_store(store))
    every = list_days(history, date)
    days = [day for day in every if stream in (None, day.summary.stream)]
    _require_streams(every, stream, [*options.numbers, *sorted(options.checks.streams)])
    newest = {day.summary.stream: day.date for day in days}
    if date is not None:
        newest = {day.summary.stream: _newest_date(history, day) for day in days}
    for day in days:
        facts = _facts(day, newest=newest[day.summary.stream] == day.date)
        measured = measure_day(day, facts, options, _quotes(history, day, options.checks.quotes))
        for line in measured.quality.lines():
            typer.echo(line)
        if table:
            keep_quality(history.root, [measured])


@quality.command("arbitrate")
def arbitrate_command(
    line_a: Annotated[str, typer.Argument(help="Store with the days recorded on line A.")],
    line_b: Annotated[str, typer.Argument(help="Store with those of line B.")],
    number: Annotated[
        str,
        typer.Option(
            help="Column that counts the feed's rows, STREAM=COLUMN for each symbol's, STREAM=COLUMN/CHANNEL "
            "for each channel's."
        ),
    ],
    date: Annotated[str, typer.Option(help="Day to join, YYYY-MM-DD.")],
    store: StoreOption = STORE,
    hold_ms: Annotated[
        float,
        typer.Option(min=0.0, help="Longest time, in milliseconds, that a row waits for others."),
    ] = HOLD_NS / NS_PER_MS,
) -> None:
    """Make one day of two that hold the same feed: the first copy of each row wins, in number order.

    What one line lost comes from the other; what both lost is a gap.  Time is that of known_ns alone, so
    the same lines give the same day; each row's known_ns becomes the moment from which its turn had come.

    Example: python -m replay arbitrate build/a build/b --number quote=sequence --date 2024-01-15
    """
    ((stream, column),) = parse_numbers([number]).items()
    first, second = (HistoryStore(parse_store(line)).day(stream, date) for line in (line_a, line_b))
    result = arbitrate(
        (first, second), column, HistoryStore(parse_store(store)), hold_ns=round(hold_ms * NS_PER_MS)
    )
    for line in result.lines():
        typer.echo(f"{stream} {date}: {line}")


def parse_hours(text: str) -> tuple[int, int]:
    """Read HH:MM-HH:MM as minutes after midnight; raises HistoryError for anything else."""
    match = re.fullmatch(r"(\d\d):(\d\d)-(\d\d):(\d\d)", text)
    if match is not None:
        hour, minute, end_hour, end_minute = map(int, match.groups())
        first, end = hour * 60 + minute, end_hour * 60 + end_minute
        if max(minute, end_minute) < 60 and first < end <= _DAY_MINUTES:
            return first, end
    raise HistoryError(f"--hours {text!r}: write the first hour and the last, such as 09:30-16:00")


def _require_streams(days: Sequence[Day], stream: str | None, others: Sequence[str]) -> None:
    there = sorted({day.summary.stream for day in days})
    for name in ([stream] if stream is not None else []) + list(others):
        if name not in there:
            raise HistoryError(f"no day of a stream {name} is here; there is {', '.join(there) or 'none'}")


def _quotes(history: HistoryStore, day: Day, quotes: Mapping[str, str]) -> Day | None:
    """The quotes of a day that its trades are held against, None where it has none."""
    name = quotes.get(day.summary.stream)
    if name is None or not history.has(name, day.date):
        return None
    return history.day(name, day.date)


def _newest_date(history: HistoryStore, day: Day) -> str:
    name = day.summary.stream
    return max(date for date in history.dates() if history.has(name, date))


def _facts(day: Day, *, newest: bool) -> DayFacts:
    """What a day's files say."""
    if not isinstance(day, TableDay):
        size = sum(path.stat().st_size for path in day.files)
        return DayFacts(size=size, newest=newest)
    name = day.summary.stream
    table = HistoryTable(day.root, name, int(day.summary.made["version"]))
    snapshot = table.snapshot()
    parts = [part for part in snapshot.parts if part.date == day.date]
    return DayFacts(
        version=table.version,
        size=sum(part.size for part in parts),
        layouts=len({footer.fingerprint for footer in snapshot.footers(parts)}),
        offsets=offset_faults(table, day.date),
        dead=_dead(day.root, name, day.date),
        newest=newest,
    )


def _dead(store: Folder, stream: str, date: str) -> int:
    """The dead letters of a day, which is that of their records."""
    name = dead_stream(stream)
    if not has_table(store, name):
        return 0
    return sum(part.rows for part in HistoryTable(store, name).snapshot().parts if part.date == date)
