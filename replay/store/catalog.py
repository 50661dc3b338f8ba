"""What a history holds, a line per stream and day."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from replay.dates import parse_date
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
    store: HistoryStore, date: str | None = None, versions: Mapping[str, int] | None = None
) -> list[Day]:
    """Return the days of the store, or those of one date; raises UnknownDateError for an unknown date.

    `versions` names earlier versions of the tables of some streams.
    """
    dates = store.dates() if date is None else [date]
    wanted = versions or {}
    if wanted:
        from replay.store.table import HistoryTable

        for stream, version in wanted.items():
            HistoryTable(store.root, stream, version)
    return [store.day(stream, each, wanted.get(stream)) for each in dates for stream in store.streams(each)]


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
