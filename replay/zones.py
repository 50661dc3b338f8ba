"""A session is one day where its exchange stands, even when it crosses midnight UTC.

The zone rules come with Polars, so they need no time zone files of the machine.
"""

from datetime import date, datetime, time
from typing import Final

import numpy as np
import polars as pl

from replay.errors import HistoryError
from schemas.batch import Int32s, Int64s
from schemas.clocks import NS_PER_DAY

NEW_YORK: Final = "America/New_York"


def local_days(time_ns: Int64s, zone: str) -> Int32s:
    """Return, per time (int64 UTC ns), the calendar day in `zone` as int32 days since 1970-01-01."""
    times = pl.Series(time_ns).cast(pl.Datetime("ns", "UTC"))
    try:
        days = times.dt.convert_time_zone(zone).dt.date()
    except pl.exceptions.ComputeError:
        raise _unknown(zone) from None
    return days.to_physical().to_numpy().astype(np.int32, copy=False)


def local_instant_ns(day: date, hour: int, minute: int, zone: str) -> int:
    """Return the UTC ns of a wall-clock time of `day` in `zone`; the earlier one where it comes twice."""
    wall = pl.Series([datetime.combine(day, time(hour, minute))], dtype=pl.Datetime("ns"))
    try:
        instant = wall.dt.replace_time_zone(zone, ambiguous="earliest")
    except pl.exceptions.ComputeError:
        raise _unknown(zone) from None
    return int(instant.to_physical()[0])


def day_start_ns(day: date) -> int:
    """Return midnight UTC at which `day` begins, in ns."""
    return (day - date(1970, 1, 1)).days * NS_PER_DAY


def parse_date(text: str) -> date:
    """Return the date of `YYYY-MM-DD`; raises HistoryError for anything else."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise HistoryError(f"{text!r} is not a date: write YYYY-MM-DD, such as 2024-01-15")
    return day


def _unknown(zone: str) -> HistoryError:
    return HistoryError(f"{zone!r} is not a time zone: write a name such as {NEW_YORK} or UTC")
