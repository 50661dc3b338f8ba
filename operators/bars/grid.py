"""Where the bar of each moment begins and ends: steps of time, sessions, and days of a zone."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from operators.bars.settings import BarSettings
from operators.bars.words import CUT_END, CUT_START, NEVER, Int8s
from operators.sessions.daily import DailySessions, midnight_ns, zone_of
from operators.sessions.sessions import OUTSIDE, Sessions
from schemas.batch import Bools, Int64s
from schemas.clocks import NS_PER_S

ROWS_OF_CELL: Final = 8  # at least, on average, for edges to be looked for
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Cells(NamedTuple):
    """The bar that a trade at each moment would open: int64 UTC ns, one value each.

    `begin`        when it begins: on the grid, or with the trade.
    `bound`        when it ends without a further trade, `NEVER` for never.
    `cut`          whether a session cuts it, at either end (`CUT_START`, `CUT_END`).
    `session_end`  of the session it is in; `NEVER` where sessions do not matter.
    `session`      what its bars are counted in, where that is no session; else None.
    `inside`       False for a moment that is in no bar.
    """

    begin: Int64s
    bound: Int64s
    cut: Int8s
    session_end: Int64s
    session: Int64s | None
    inside: Bools


def cells(bars: BarSettings, sessions: Sessions, time_ns: Int64s) -> Cells:
    """The bars of these moments; raises CalendarError where nobody knows of their sessions."""
    rows = time_ns.size
    never = np.full(rows, NEVER, np.int64)
    uncut = np.zeros(rows, np.int8)
    everywhere = np.ones(rows, np.bool_)
    if bars.is_of_calendar:
        zone = bars.timezone if bars.origin == "zone" or bars.every != "day" else "UTC"
        begin, end = _calendar(bars.every, zone, time_ns)
        return Cells(begin, end, uncut, end, begin, everywhere)
    if not bars.in_sessions:
        if bars.every != "time":
            return Cells(time_ns, never, uncut, never, None, everywhere)
        begin = grid_begins(time_ns, np.zeros_like(time_ns), bars.step_ns)
        return Cells(begin, begin + bars.step_ns, uncut, never, None, everywhere)
    start, end = sessions.ids(time_ns), sessions.ends(time_ns)
    inside = start != OUTSIDE
    if not bars.is_timed:
        return Cells(time_ns, end, uncut, end, None, inside)
    if bars.every == "day":
        return Cells(start, end, uncut, end, None, inside)
    origin = start if bars.origin == "session" else np.zeros_like(time_ns)
    begin = grid_begins(time_ns, origin, bars.step_ns)
    bound = begin + bars.step_ns
    cut = (CUT_START * (begin < start) + CUT_END * (bound > end)).astype(np.int8)
    return Cells(np.maximum(begin, start), np.minimum(bound, end), cut, end, None, inside)


def grid_begins(time_ns: Int64s, origin_ns: Int64s, step_ns: int) -> Int64s:
    """The last moment of a grid at or before each of these; `origin_ns` is a moment of its own grid.

    A division costs more than all else that is done with a row.  Rows mostly come in order, many in a cell of
    one grid: then the edges of the cells are looked for among the rows.
    """
    if time_ns.size and (origin_ns == origin_ns[0]).all() and (time_ns[1:] >= time_ns[:-1]).all():
        origin = int(origin_ns[0])
        first, last = ((int(time_ns[place]) - origin) // step_ns for place in (0, -1))
        if last - first < time_ns.size // ROWS_OF_CELL:
            begins = origin + step_ns * np.arange(first, last + 1)
            ends = np.append(np.searchsorted(time_ns, begins[1:]), time_ns.size)
            return np.repeat(begins, np.diff(ends, prepend=0))
    return time_ns - (time_ns - origin_ns) % step_ns


def _calendar(every: str, zone: str, time_ns: Int64s) -> tuple[Int64s, Int64s]:
    """The beginning and the end of the day, week, month or year of each moment, by the clocks of a zone."""
    if not time_ns.size:
        return time_ns.copy(), time_ns.copy()
    midnights = DailySessions(0, 0, zone)
    days = midnights.ids(time_ns)
    begins, ends = np.empty_like(days), np.empty_like(days)
    distinct, place = np.unique(days, return_inverse=True)
    for number, day_ns in enumerate(distinct.tolist()):
        of_day = place == number
        begins[of_day], ends[of_day] = _around(every, zone, day_ns)
    return begins, ends


@lru_cache(maxsize=4096)
def _around(every: str, zone: str, day_ns: int) -> tuple[int, int]:
    """The beginning and the end of what a day that begins at this moment is in."""
    day = _local_date(zone, day_ns)
    if every == "day":
        first, last = day, day + timedelta(days=1)
    elif every == "week":
        first = day - timedelta(days=day.weekday())
        last = first + timedelta(days=7)
    elif every == "month":
        first = day.replace(day=1)
        last = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    else:
        first, last = date(day.year, 1, 1), date(day.year + 1, 1, 1)
    return midnight_ns(first, zone), midnight_ns(last, zone)


def _local_date(zone: str, day_ns: int) -> date:
    return (_EPOCH + timedelta(seconds=day_ns // NS_PER_S)).astimezone(zone_of(zone)).date()
