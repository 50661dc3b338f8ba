"""`calendar`: the sessions of a venue as a table, which a graph names as its anchor."""

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from app.calendar.table import table_text, write_table
from app.calendar.venue import venue_sessions
from app.cli import app
from app.errors import UsageError
from app.process.clock import now_ns
from replay.dates import parse_date
from replay.errors import HistoryError
from schemas.clocks import NS_PER_S


@app.command("calendar")
def calendar_command(
    name: Annotated[str, typer.Argument(help="Calendar of exchange_calendars, such as XNYS, CMES or XLON.")],
    first: Annotated[str, typer.Option("--from", help="First year, or day as YYYY-MM-DD.")],
    last: Annotated[str, typer.Option("--to", help="Last year, or day as YYYY-MM-DD; it is included.")],
    out: Annotated[
        Path | None,
        typer.Option(help="File to write, or to write anew with more days.  Default: standard output."),
    ] = None,
) -> None:
    """Write the sessions of a venue, holidays and shortened days in them, as a table that an anchor can name.

    The sessions come from exchange_calendars (`pip install exchange_calendars`), which this command needs
    and no other does: workers read the table.  Written anew into its file, a calendar keeps its version, and
    so what features mean, as long as no session that has been is another.

    Example: python -m app calendar XNYS --from 2010 --to 2027 --out xnys.toml
    """
    begin, end = _day("--from", first, (1, 1)), _day("--to", last, (12, 31))
    if begin > end:
        raise UsageError(f"--from {first} is after --to {last}: exchange them")
    venue = venue_sessions(name, begin, end)
    if out is None:
        typer.echo(table_text(venue, 1), nl=False)
        return
    version = write_table(out, venue, datetime.fromtimestamp(now_ns() // NS_PER_S, UTC))
    why = f": {version.why}" if version.why else ""
    typer.echo(
        f"{out}: {len(venue.rows):,} sessions from {venue.from_:%Y-%m-%dT%H:%M:%SZ} to "
        f"{venue.to:%Y-%m-%dT%H:%M:%SZ}, calendar {venue.name}@{version.number}{why}"
    )


def _day(option: str, text: str, of_year: tuple[int, int]) -> date:
    """A day, or the one of a year that is meant where the year alone is named; raises UsageError."""
    year = re.fullmatch("[0-9]{4}", text)
    try:
        day = parse_date(f"{text}-{of_year[0]:02}-{of_year[1]:02}" if year else text)
    except HistoryError as wrong:
        raise UsageError(f"{option} {text}: {wrong}") from None
    if not 1900 <= day.year <= 2100:
        raise UsageError(f"{option} {text}: expected a year from 1900 to 2100")
    return day
