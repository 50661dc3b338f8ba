"""What a history holds, a line per stream and day."""

from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.table import Table

from replay.day import Day, DaySummary
from replay.store import HistoryStore
from schemas.clocks import EVENT_NS, KNOWN_NS, NS_PER_MS, NS_PER_S

HEADINGS: Final = ("date", "stream", "rows", "symbols", "key", "first UTC", "last UTC", "disorder", "from")


def list_days(store: HistoryStore, date: str | None = None) -> list[Day]:
    """Return the days of the store, or those of one date; raises UnknownDateError where there is none."""
    dates = store.dates() if date is None else [date]
    return [store.day(stream, each) for each in dates for stream in store.streams(each)]


def print_catalog(days: list[Day], console: Console) -> None:
    """Print a table on a terminal, and lines of tab-separated fields anywhere else."""
    if not console.is_terminal:
        for cells in (HEADINGS, *(_cells(day.summary) for day in days)):
            console.file.write("\t".join(cells) + "\n")
        return
    table = Table(*HEADINGS)
    for day in days:
        table.add_row(*_cells(day.summary))
    console.print(table)


def _cells(day: DaySummary) -> tuple[str, ...]:
    clock = day.clocks[EVENT_NS] if EVENT_NS in day.clocks else day.clocks[KNOWN_NS]
    disorder = ", ".join(
        f"{name.removesuffix('_ns')} {measured.disorder_ns / NS_PER_MS:g} ms"
        for name, measured in day.clocks.items()
    )
    return (
        day.date,
        day.stream,
        f"{day.rows:,}",
        f"{day.keys:,}",
        ":".join(day.key),
        _moment(clock.first_ns),
        _moment(clock.last_ns),
        disorder,
        ", ".join(source.name for source in day.sources) or f"seed {day.made.get('seed', '-')}",
    )


def _moment(time_ns: int) -> str:
    seconds, rest_ns = divmod(time_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest_ns // NS_PER_MS:03d}"
