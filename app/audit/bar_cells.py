"""From when to when the bar of a trade lasts: a grid of time, sessions, and days of a zone (B1, 4.3)."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from operators.bars.settings import BarSettings
from schemas.clocks import NS_PER_S

EVER: Final = 0  # the period of bars that go on over sessions
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Cell(NamedTuple):
    """What a trade says of the bar it would open.

    `period`      what bars are numbered in: a session, or a day, week, month or year; `EVER` for none.
    `begin_ns`    when the bar begins; None: with the trade.
    `end_ns`      when it ends without a further trade; None for never.
    `at_grid`     whether that is an edge of the grid.
    `partial`     whether a session cuts it, at either end.
    `period_end_ns`  of the session; None where sessions do not matter.
    """

    period: int
    begin_ns: int | None
    end_ns: int | None
    at_grid: bool
    partial: bool
    period_end_ns: int | None


def cell_of(bars: BarSettings, time_ns: int, start_ns: int, session_end_ns: int) -> Cell | None:
    """The cell of a moment in a session that begins and ends then; None where it is in no bar.

    A start of -1 is that of no session.
    """
    if bars.is_of_calendar:
        zone = bars.timezone if bars.origin == "zone" or bars.every != "day" else "UTC"
        begin_ns, end_ns = _calendar(bars.every, zone, time_ns // NS_PER_S)
        return Cell(begin_ns, begin_ns, end_ns, True, False, end_ns)
    if not bars.in_sessions:
        if bars.every != "time":
            return Cell(EVER, None, None, False, True, None)
        begin_ns = time_ns - time_ns % bars.step_ns
        return Cell(EVER, begin_ns, begin_ns + bars.step_ns, True, False, None)
    if start_ns == -1:
        return None
    if not bars.is_timed:
        return Cell(start_ns, None, session_end_ns, False, True, session_end_ns)
    if bars.every == "day":
        return Cell(start_ns, start_ns, session_end_ns, True, False, session_end_ns)
    origin_ns = start_ns if bars.origin == "session" else 0
    begin_ns = time_ns - (time_ns - origin_ns) % bars.step_ns
    return between(begin_ns, begin_ns + bars.step_ns, start_ns, session_end_ns)


def between(begin_ns: int, end_ns: int, start_ns: int, session_end_ns: int) -> Cell:
    """A step of the grid, as far as it lies in its session."""
    return Cell(
        start_ns,
        max(begin_ns, start_ns),
        min(end_ns, session_end_ns),
        end_ns <= session_end_ns,
        begin_ns < start_ns or end_ns > session_end_ns,
        session_end_ns,
    )


@lru_cache(maxsize=65_536)
def _calendar(every: str, zone: str, second: int) -> tuple[int, int]:
    """The beginning and the end of the day, week, month or year of a second, by the clocks of a zone."""
    day = (_EPOCH + timedelta(seconds=second)).astimezone(ZoneInfo(zone)).date()
    if every == "day":
        first, last = day, day + timedelta(days=1)
    elif every == "week":
        first = day - timedelta(days=day.weekday())
        last = first + timedelta(days=7)
    elif every == "month":
        first = day.replace(day=1)
        last = (first + timedelta(days=31)).replace(day=1)
    else:
        first, last = date(day.year, 1, 1), date(day.year + 1, 1, 1)
    return _midnight_ns(first, zone), _midnight_ns(last, zone)


def _midnight_ns(day: date, zone: str) -> int:
    moment = datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)
    return round((moment - _EPOCH).total_seconds()) * NS_PER_S
