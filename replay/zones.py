"""A session is one day where its exchange stands, even when it crosses midnight UTC.

The zone rules come with Polars, so they need no time zone files of the machine.
"""

from datetime import date, datetime, time
from typing import Final

import numpy as np
import polars as pl

from replay.dates import NEW_YORK
from replay.errors import HistoryError
from schemas.batch import Int32s, Int64s
from schemas.clocks import NS_PER_S

_DAY_S: Final = 86_400


def require_zone(zone: str) -> None:
    """Raise HistoryError where this is no time zone."""
    local_days(np.zeros(1, dtype=np.int64), zone)


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


def day_end_ns(day: date, zone: str) -> int:
    """Return the first moment (UTC ns) of a later calendar day than `day` in `zone`.

    Midnight may come twice or never where clocks are changed at it; the first moment that bears a later date
    counts.  Zones change on whole seconds.
    """
    number = (day - date(1970, 1, 1)).days
    before_s = number * _DAY_S - _DAY_S  # no zone is a day away from UTC
    for step in (60, 1):
        seconds = before_s + step * np.arange(4 * _DAY_S // 60, dtype=np.int64)
        later = local_days(seconds * NS_PER_S, zone) > number
        before_s = int(seconds[int(np.argmax(later)) - 1])
    return (before_s + 1) * NS_PER_S


def wall_instants_ns(wall_ns: Int64s, zone: str) -> tuple[Int64s, Int64s]:
    """Return the UTC ns of wall-clock times in `zone`, and the places of those that are no single moment.

    `wall_ns` counts nanoseconds since 1970-01-01 00:00 on that wall.  A time that comes twice, or never, as
    clocks are changed has 0 in the first array and its index in the second.
    """
    wall = pl.Series(wall_ns).cast(pl.Datetime("ns"))
    try:
        instants = wall.dt.replace_time_zone(zone, ambiguous="null", non_existent="null").to_physical()
    except pl.exceptions.ComputeError:
        raise _unknown(zone) from None
    none = np.flatnonzero(instants.is_null().to_numpy()).astype(np.int64)
    return instants.fill_null(0).to_numpy().astype(np.int64, copy=False), none


def _unknown(zone: str) -> HistoryError:
    return HistoryError(f"{zone!r} is not a time zone: write a name such as {NEW_YORK} or UTC")
