"""Where the bar of each moment begins and ends: steps of time, sessions, and days of a zone."""

from collections.abc import Callable
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

ROWS_OF_STEP: Final = 8  # at least, on average, for beginnings to be looked for
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Cells(NamedTuple):
    """The bars that trades would open, for moments in order of time mostly: int64 UTC ns, one value a cell.

    `edges`        where the moments of each cell begin, and behind them how many moments there are.  Moments
                   next to one another may be in two cells with the same values.
    `begin`        when the bar begins; of bars that a trade opens it is the trade's own time, and not this.
    `bound`        when it ends without a further trade, `NEVER` for never.
    `cut`          whether a session cuts it, at either end (`CUT_START`, `CUT_END`).
    `session_end`  of the session it is in; `NEVER` where sessions do not matter.
    `session`      what its bars are counted in.
    `inside`       False for a cell that is no bar.
    """

    edges: Int64s
    begin: Int64s
    bound: Int64s
    cut: Int8s
    session_end: Int64s
    session: Int64s
    inside: Bools


def cells(bars: BarSettings, sessions: Sessions, time_ns: Int64s, last: Cells | None = None) -> Cells:
    """The bars of these moments; raises CalendarError where nobody knows of their sessions.

    `last` are those of the moments before: these mostly lie in the same bar, which is not looked for then.
    """
    if last is not None and last.begin.size == 1 and time_ns.size and last.inside[0]:
        first_ns, last_ns = int(time_ns.min()), int(time_ns.max())
        if last.begin[0] <= first_ns <= last_ns < last.bound[0]:
            return last._replace(edges=np.array([0, time_ns.size]))
    if bars.is_of_calendar:
        zone = bars.timezone if bars.origin == "zone" or bars.every != "day" else "UTC"
        days = DailySessions(0, 0, zone)
        edges, day_ns = _runs(time_ns, days.ids)
        begin, end = _calendar(bars.every, zone, day_ns)
        return _cells(edges, begin, end, end, begin)
    never = np.full(1, NEVER, np.int64)
    if not bars.in_sessions:
        whole = np.array([0, time_ns.size])
        if bars.every != "time":
            return _cells(whole, never, never, never, never)
        edges, begin = _grid(whole, never * 0, time_ns, bars.step_ns)
        forever = np.full(begin.size, NEVER, np.int64)
        return _cells(edges, begin, begin + bars.step_ns, forever, forever)
    edges, start = _runs(time_ns, sessions.ids)
    end = sessions.ends(time_ns[edges[:-1]])
    inside = start != OUTSIDE
    if not bars.is_timed or bars.every == "day":
        return _cells(edges, start, end, end, start, inside=inside)
    origin = start if bars.origin == "session" else np.zeros_like(start)
    fine, begin = _grid(edges, origin, time_ns, bars.step_ns)
    of_session = np.searchsorted(edges, fine[:-1], side="right") - 1
    start, end, inside = start[of_session], end[of_session], inside[of_session]
    bound = begin + bars.step_ns
    cut = (CUT_START * (begin < start) + CUT_END * (bound > end)).astype(np.int8)
    begin, bound = np.maximum(begin, start), np.minimum(bound, end)
    return _cells(fine, begin, bound, end, start, inside=inside, cut=cut)


def _cells(
    edges: Int64s,
    begin: Int64s,
    bound: Int64s,
    session_end: Int64s,
    session: Int64s,
    *,
    inside: Bools | None = None,
    cut: Int8s | None = None,
) -> Cells:
    uncut = np.zeros(begin.size, np.int8) if cut is None else cut
    everywhere = np.ones(begin.size, np.bool_) if inside is None else inside
    return Cells(edges, begin, bound, uncut, session_end, session, everywhere)


def _runs(time_ns: Int64s, ids: Callable[[Int64s], Int64s]) -> tuple[Int64s, Int64s]:
    """Where the moments of each session begin, with their number behind, and the id of each."""
    if not time_ns.size:
        return np.zeros(1, np.int64), time_ns
    ends = time_ns[[0, -1]]
    of_ends = ids(ends)
    if of_ends[0] == of_ends[1] != OUTSIDE and (time_ns[1:] >= time_ns[:-1]).all():
        return np.array([0, time_ns.size]), of_ends[:1]  # a batch mostly lies in one
    values = ids(time_ns)
    begins = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    return np.append(begins, time_ns.size), values[begins]


def _grid(edges: Int64s, origin_ns: Int64s, time_ns: Int64s, step_ns: int) -> tuple[Int64s, Int64s]:
    """Where the moments of each step of a grid begin, with their number behind, and when the step begins.

    Each run of moments has an origin of its own.
    """
    places, begins = [], []
    for number in range(edges.size - 1):
        lower, upper = int(edges[number]), int(edges[number + 1])
        first, begin = grid_steps(time_ns[lower:upper], int(origin_ns[number]), step_ns)
        places.append(first + lower)
        begins.append(begin)
    return np.concatenate([*places, edges[-1:]]), np.concatenate([*begins, edges[:0]])


def grid_steps(time_ns: Int64s, origin_ns: int, step_ns: int) -> tuple[Int64s, Int64s]:
    """Where the moments of each step of a grid begin, and when the step does; `origin_ns` is on the grid.

    A division costs more than all else that is done with a row.  Rows mostly come in order, many in a step:
    then the beginnings of the steps are looked for among the rows.
    """
    if time_ns.size and (time_ns[1:] >= time_ns[:-1]).all():
        first, last = ((int(time_ns[place]) - origin_ns) // step_ns for place in (0, -1))
        if last - first < time_ns.size // ROWS_OF_STEP:
            begins = origin_ns + step_ns * np.arange(first, last + 1)
            edges = np.append(np.searchsorted(time_ns, begins), time_ns.size)
            filled = edges[1:] > edges[:-1]
            return edges[:-1][filled], begins[filled]
    begins = time_ns - (time_ns - origin_ns) % step_ns
    places = np.flatnonzero(np.append(True, begins[1:] != begins[:-1]))[: time_ns.size]
    return places, begins[places]


def _calendar(every: str, zone: str, day_ns: Int64s) -> tuple[Int64s, Int64s]:
    """The beginning and the end of the day, week, month or year of each midnight, by the clocks of a zone."""
    spans = [_around(every, zone, day) for day in day_ns.tolist()]
    both = np.array(spans, np.int64).reshape(-1, 2)
    return both[:, 0].copy(), both[:, 1].copy()


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
