"""Sessions by their definition: watch a zone's clocks minute by minute, look at each session in turn."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

MINUTE_S = 60
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def session_of(spans: Sequence[tuple[int, int]], time_ns: int) -> int:
    """The start of the session that has this moment, -1 where none has it."""
    return next((start for start, end in spans if start <= time_ns < end), -1)


@cache
def wall(moment_s: int, timezone: str) -> datetime:
    """What the clocks show, as a time without a zone."""
    return (EPOCH + timedelta(seconds=moment_s)).astimezone(ZoneInfo(timezone)).replace(tzinfo=None)


@cache
def first_shown(day: date, minutes: int, timezone: str) -> int:
    """The first minute, in seconds since the epoch, whose clocks show this hour of the day or a later one."""
    hour = datetime.combine(day, time()) + timedelta(minutes=minutes)
    moment_s = int((hour.replace(tzinfo=UTC) - EPOCH).total_seconds()) - 16 * 3_600  # no zone is further east
    while wall(moment_s, timezone) < hour:
        moment_s += MINUTE_S
    return moment_s


def daily_session_of(opens: int, closes: int, timezone: str, days: frozenset[int], time_ns: int) -> int:
    """The start (ns) of the day's session that has this moment, -1 where none has it.

    For years in which all zones change on whole minutes: from 1972 on.
    """
    near = (EPOCH + timedelta(microseconds=time_ns // 1_000)).date()
    for number in range(-3, 4):
        day = near + timedelta(days=number)
        if day.weekday() not in days:
            continue
        start_s = first_shown(day, opens, timezone)
        end_s = first_shown(day + timedelta(days=closes <= opens), closes, timezone)
        if start_s * 10**9 <= time_ns < end_s * 10**9:
            return start_s * 10**9
    return -1
