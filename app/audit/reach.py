"""Which rows a value hangs on, by the settings of its formula, and whether all of them are there.

Of an output whose first rows are gone, rows that hang on those that are gone are not judged.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from app.audit.past import Past, Stretches
from schemas.batch import Bools, Int64s
from schemas.clocks import BEGINNING_NS

Start = Literal["", "session", "genesis"]
STARTS: Final[tuple[Start, ...]] = ("", "session", "genesis")
BLOCK_MAX: Final = 1 << 62
EPS: Final = 1e-9
LN2: Final = math.log(2.0)


class Need(NamedTuple):
    """How far back a value reaches: `rows` of its symbol and `ns`, in any order, and then to a `start`."""

    rows: int = 0
    ns: int = 0
    start: Start = ""

    def behind(self, other: "Need") -> "Need":
        """That of a value made of values with another need."""
        return Need(self.rows + other.rows, self.ns + other.ns, _later(self.start, other.start))

    def beside(self, other: "Need") -> "Need":
        """That of two values."""
        return Need(max(self.rows, other.rows), max(self.ns, other.ns), _later(self.start, other.start))


Needs = Callable[[Mapping[str, Any]], Need]


def _later(one: Start, other: Start) -> Start:
    return max(one, other, key=STARTS.index)


def lagged(settings: Mapping[str, Any]) -> Need:
    """Of a lag; by time it is one row more."""
    return Need(rows=1, ns=settings["ns"]) if "ns" in settings else Need(rows=settings.get("rows", 1))


def of_window(
    reset: str = "none", *, more_rows: int = 0, rows: int = 0, until_start: bool = False, alone: bool = False
) -> Needs:
    """Of a window, of `rows` without one in the settings; else of all rows since the start.

    The start is that of the session where the setting `reset` says so, by default as `reset` here.  What
    reaches `until_start` does so even with a window; what is `alone` without one is the row's.
    """

    def needs(settings: Mapping[str, Any]) -> Need:
        start: Start = "session" if settings.get("reset", reset) == "session" else "genesis"
        if not until_start:
            if "ns" in settings:
                return Need(more_rows, settings["ns"])
            length = settings.get("rows", rows)
            if length or alone:
                return Need(more_rows + max(length - 1, 0))
        return Need(more_rows, settings.get("ns", 0), start)

    return needs


def of_fill(settings: Mapping[str, Any]) -> Need:
    """Of the last value there is."""
    if "limit_rows" in settings:
        return Need(rows=settings["limit_rows"])
    if "limit_ns" in settings:
        return Need(rows=1, ns=settings["limit_ns"])
    return Need(start="session" if settings.get("reset") == "session" else "genesis")


def of_memory(more_rows: int = 0, *, by_time: bool = False) -> Needs:
    """Of a recursion; anchors in rows are counted from the symbol's first row."""

    def needs(settings: Mapping[str, Any]) -> Need:
        memory = settings.get("memory", "session")
        if memory == "anchored" and by_time:
            half_life_ns = settings.get("half_life_ns") or LN2 * settings["tau_ns"]
            horizon_ns = half_life_ns * math.log2(1 / settings.get("eps", EPS))
            return Need(more_rows, min(2 << max(math.ceil(horizon_ns) - 1, 0).bit_length(), BLOCK_MAX))
        return Need(more_rows, 0, "session" if memory == "session" else "genesis")

    return needs


def complete(past: Past, need: Need, begin_ns: int) -> Bools:
    """Of each row whether all that its value needs is there, where rows at `begin_ns` and before may be gone.

    Rows without a symbol need nothing.
    """
    there = np.ones(past.group.size, np.bool_)
    if need == Need():
        return there
    stretches = past.stretches(by_session=False)
    if need.start == "genesis":
        there[stretches.order] = False
        return there
    place, enough = _back(stretches, stretches.here, need, begin_ns)
    if need.start == "session":
        session = past.session[stretches.order]
        new = np.ones(session.size, np.bool_)
        new[1:] = (np.diff(session) != 0) | (stretches.begin == stretches.here)[1:]
        first = np.maximum.accumulate(np.where(new, stretches.here, 0))[place]
        # What began with, or before, the first row of all may have begun earlier.
        enough &= session[first] != past.session[0]
        _, own = _back(stretches, first, need, begin_ns)
        enough &= own
    there[stretches.order] = enough
    return there


def reaches_sure(past: Past, need: Need, sure: Bools) -> Bools:
    """Of each row whether it, and every row that its value needs of those that are there, is `sure`.

    Rows without a symbol hang on themselves alone.
    """
    stretches = past.stretches(by_session=False)
    first, _ = _back(stretches, stretches.here, need, BEGINNING_NS)
    if need.start == "session":
        session = past.session[stretches.order]
        new = np.ones(session.size, np.bool_)
        new[1:] = (np.diff(session) != 0) | (stretches.begin == stretches.here)[1:]
        begun = np.maximum.accumulate(np.where(new, stretches.here, 0))[first]
        first, _ = _back(stretches, begun, need, BEGINNING_NS)
    elif need.start == "genesis":
        first = stretches.begin
    unsure = np.concatenate([[0], np.cumsum(~sure[stretches.order])])
    reached = sure.copy()
    reached[stretches.order] = unsure[stretches.here + 1] == unsure[first]
    return reached


def _back(stretches: Stretches, place: Int64s, need: Need, begin_ns: int) -> tuple[Int64s, Bools]:
    """From each of these places the farthest row it may need, and whether that is there."""
    begin = stretches.begin[place]
    back = place - need.rows
    enough = back >= begin
    back = np.maximum(back, begin)
    if need.ns:
        bounds = stretches.time_ns[back] - need.ns
        found = np.empty(place.size, np.int64)
        for lower, end in stretches.spans():
            own = (place >= lower) & (place < end)
            found[own] = lower + np.searchsorted(stretches.time_ns[lower:end], bounds[own], "right")
        enough &= (found > begin) | (bounds >= begin_ns)
        back = found - need.rows
        enough &= back >= begin
        back = np.maximum(back, begin)
    return back, enough
