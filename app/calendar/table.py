"""A calendar's table as a file: written anew it keeps its version, unless a session that has been changed."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from app.calendar.venue import VenueSessions
from app.errors import UsageError
from app.settings.sessions import CalendarTable
from app.wiring.sessions import read_calendar


class Version(NamedTuple):
    """The version of a table, and why it is another one than before, "" where it is not."""

    number: int
    why: str = ""


def table_text(venue: VenueSessions, version: int) -> str:
    """The table as TOML, a line for each session."""
    rows = "".join(f"  [{_text(begin)}, {_text(end)}],\n" for begin, end in venue.rows)
    return (
        f"# Sessions of {venue.name}, UTC, from {venue.source}.  The calendar means its name and version:\n"
        "# days can be added, and days to come corrected.  Who corrects a session that has been raises the\n"
        "# version, for what was computed with it means something else from then on.\n"
        f'name = "{venue.name}"\n'
        f"version = {version}\n"
        f"from = {_text(venue.from_)}\n"
        f"to = {_text(venue.to)}\n"
        f"sessions = [\n{rows}]\n"
    )


def write_table(path: Path, venue: VenueSessions, now: datetime) -> Version:
    """Write the table into a file, which may have an older one of the same calendar; raises UsageError.

    The version is that of the older one, or the next where a session that began before `now` is another.
    """
    version = Version(1)
    if path.exists():
        old = read_calendar(path, venue.name)
        if old.name != venue.name:
            raise UsageError(f"{path} has the calendar {old.name or 'of no name'}: choose another --out")
        version = next_version(old, venue, now)
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        unfinished.write_text(table_text(venue, version.number))
        unfinished.replace(path)
    except OSError as refused:
        raise UsageError(f"{path}: cannot be written: {refused.strerror}") from None
    return version


def next_version(old: CalendarTable, venue: VenueSessions, now: datetime) -> Version:
    """The version of the new sessions: that of the old, unless one that has been is another now.

    Days to come are forecasts, which are corrected before anything is computed with them; days that only one
    of the tables is about change nothing of what has been computed.
    """
    assert old.sessions, "a table that was read has sessions"
    lower = max(old.from_ or old.sessions[0][0], venue.from_)
    upper = min(old.to or old.sessions[-1][1], venue.to, now)
    before, after = (set(_between(rows, lower, upper)) for rows in (old.sessions, venue.rows))
    if before == after:
        return Version(old.version)
    begin, end = min(before ^ after)
    change = "was not there before" if (begin, end) in after else "is there no more"
    return Version(old.version + 1, f"the session from {_text(begin)} to {_text(end)} {change}")


def _between(
    rows: Iterable[tuple[datetime, datetime]], lower: datetime, upper: datetime
) -> Iterable[tuple[datetime, datetime]]:
    """The sessions that begin in this stretch of time, in UTC."""
    return ((b.astimezone(UTC), e.astimezone(UTC)) for b, e in rows if lower <= b < upper)


def _text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"
