"""Dates and moments as text, and the zone in which most days of this history begin and end.

They stand apart from the rules of zones, which come with Polars: few need those, and wait for them.
"""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

from replay.errors import HistoryError
from schemas.clocks import NS_PER_S

NEW_YORK: Final = "America/New_York"
_NANOSECONDS: Final = re.compile(r"\d{12,19}")  # fewer digits are a date
_MOMENT: Final = re.compile(r"(.+?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?")
_LAST_NS: Final = 2**63 - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse_date(text: str) -> date:
    """Return the date of `YYYY-MM-DD`; raises HistoryError for anything else."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise HistoryError(f"{text!r} is not a date: write YYYY-MM-DD, such as 2024-01-15")
    return day


def parse_moment(text: str) -> int:
    """Return a moment as int64 ns UTC: whole nanoseconds, or ISO 8601, UTC where it names no zone.

    Raises HistoryError for anything else.
    """
    text = text.strip()
    parts = _MOMENT.fullmatch(text)
    try:
        if _NANOSECONDS.fullmatch(text):
            return _within(text, int(text))
        assert parts is not None, "any text with a character matches"
        # Apart from its zone, which behind a day alone would be read as an hour.
        moment = datetime.fromisoformat(parts[1])
        zone = datetime.fromisoformat(f"2000-01-01T00:00{parts[3] or 'Z'}").tzinfo
        assert (moment.tzinfo, moment.microsecond) == (None, 0), "both are parts of their own"
    except (AssertionError, ValueError):
        raise HistoryError(
            f"{text!r} is no time; write it as 2024-01-15T14:30, UTC, or in nanoseconds"
        ) from None
    whole = moment.replace(tzinfo=zone) - _EPOCH
    ns = (whole.days * 86_400 + whole.seconds) * NS_PER_S + int((parts[2] or "").ljust(9, "0"))
    return _within(text, ns)


def moment_text(time_ns: int) -> str:
    """Return a moment as ISO 8601 to the millisecond, UTC."""
    moment = _EPOCH + timedelta(microseconds=time_ns // 1_000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _within(text: str, ns: int) -> int:
    if abs(ns) > _LAST_NS:
        raise HistoryError(f"{text!r} lies beyond the times that 64 bits hold: 1677 to 2262")
    return ns
