"""What a history holds, a line per stream and day."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from replay.dates import parse_date
from replay.errors import HistoryError, UnknownDateError
from replay.store.day import Day, DaySummary
from replay.store.days import HistoryStore
from schemas.clocks import EVENT_NS, KNOWN_NS, NS_PER_MS, NS_PER_S

HEADINGS: Final = (
    "date",
    "stream",
    "rows",
    "symbols",
    "first UTC",
    "last UTC",
    "disorder",  # ms by which rows are out of order, on the event clock and on the known clock
    "from",
)


def list_days(
    store: HistoryStore,
    date: str | None = None,
    versions: Mapping[str, int] | None = None,
    as_of_ns: int | None = None,
) -> list[Day]:
    """Return the days of the store, or those of one date; raises UnknownDateError for an unknown date.

    `versions` names earlier versions of the tables of some streams, `as_of_ns` takes every table as it was at
    that time.  A day in a folder of its own has no versions and is taken as it is.
    """
    dates = store.dates() if date is None else [date]
    if versions and as_of_ns is not None:
        raise HistoryError("versions and a time are given, and one of them says which rows")
    wanted = versions or {}
    if as_of_ns is not None:
        from replay.store.versions import versions_as_of

        wanted = versions_as_of(store.root, as_of_ns, needed=_tables_of(store, dates))
    return [
        store.day(stream, each, wanted.get(stream))
        for each in dates
        for stream in _streams(store, each, wanted)
    ]


def _tables_of(store: HistoryStore, dates: Sequence[str]) -> set[str]:
    """The streams whose tables have one of these days."""
    there = [each for each in dates if each in store.dates()]
    return {name for each in there for name in store.streams(each) if store.in_table(name, each)}


def _streams(store: HistoryStore, date: str, versions: Mapping[str, int]) -> list[str]:
    """The streams that have a day, or had it in the version that is named."""
    if not versions:
        return store.streams(date)
    from replay.store.table import HistoryTable

    had = {
        stream
        for stream, version in versions.items()
        if parse_date(date).isoformat() in HistoryTable(store.root, stream, version).snapshot().dates()
    }
    try:
        return sorted(had.union(store.streams(date)))
    except UnknownDateError:
        if not had:
            raise
        return sorted(had)


def print_catalog(days: list[Day], console: Console) -> None:
    """Print a table on a terminal, and lines of tab-separated fields, sources too, anywhere else."""
    if not console.is_terminal:
        for cells in (HEADINGS, *(_cells(day.summary) for day in days)):
            console.file.write("\t".join(cells) + "\n")
        return
    table = Table(*HEADINGS[:-1], box=SIMPLE)
    for day in days:
        table.add_row(*_cells(day.summary)[:-1])
    console.print(table)


def _cells(day: DaySummary) -> tuple[str, ...]:
    clock = day.clocks.get(EVENT_NS) or day.clocks.get(KNOWN_NS)  # none where the day has no rows
    disorder = "/".join(
        f"{day.clocks[name].disorder_ns / NS_PER_MS:.3g}" if name in day.clocks else "-"
        for name in (EVENT_NS, KNOWN_NS)
    )
    return (
        day.date,
        day.stream,
        f"{day.rows:,}",
        f"{day.keys:,}",
        "-" if clock is None else _moment(clock.first_ns, day.date),
        "-" if clock is None else _moment(clock.last_ns, day.date),
        disorder,
        _origin(day),
    )


def _origin(day: DaySummary) -> str:
    if day.rows == 0:
        return "no rows"
    if day.made.get("by") == "table":
        return f"version {day.made['version']} of its table"
    return ", ".join(source.name for source in day.sources) or f"seed {day.made.get('seed', '-')}"


def _moment(time_ns: int, date: str) -> str:
    """The time of day, and how many days after `date` where it is another one in UTC."""
    moment = datetime.fromtimestamp(time_ns // NS_PER_S, UTC)
    days = (moment.date() - parse_date(date)).days
    return f"{moment:%H:%M:%S}{f' {days:+d}d' if days else ''}"
