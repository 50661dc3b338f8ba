"""Dates as text, and the zone in which most days of this history begin and end.

They stand apart from the rules of zones, which come with Polars: few need those, and wait for them.
"""

from datetime import date
from typing import Final

from replay.errors import HistoryError

NEW_YORK: Final = "America/New_York"


def parse_date(text: str) -> date:
    """Return the date of `YYYY-MM-DD`; raises HistoryError for anything else."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise HistoryError(f"{text!r} is not a date: write YYYY-MM-DD, such as 2024-01-15")
    return day
