"""L4 with edges that follow the market: quantiles of the labels of a symbol that had ended at each event.

Of each symbol there are the labels that count, as they came and in order; those that end later stand in a
line, and come to be counted as events of their symbol pass their end.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from schemas.batch import Int32s, Int64s

Whole = npt.NDArray[np.int64]  # two dimensions
Float64s = npt.NDArray[np.float64]
Classes = npt.NDArray[np.int8]

# Of `symbols`.
FIRST: Final = 0  # of its line, -1 for none
LAST: Final = 1
COUNT: Final = 2  # of the labels that count
NEXT: Final = 3  # where the next one goes among those as they came
SYMBOL_FIELDS: Final = 4

# Of `queue`.
END_NS: Final = 0
KNOWN_NS: Final = 1
BEHIND: Final = 2  # the next place of the line, or of those that are free; -1 for none
QUEUE_FIELDS: Final = 3

# Of `free`: the first free place of the queue, and how many are taken.
FREE: Final = 0
TAKEN: Final = 1

# Instead of a class.
NO_LABEL: Final = -1
TOO_FEW: Final = -2

PPM: Final = 1_000_000


class Tables(NamedTuple):
    """What is remembered.

    symbols  int64 (symbols, fields)     came     float64 (symbols, labels): what they came to, as they came
    known    int64 (symbols, labels)     ordered  float64 (symbols, labels): the same in order
    queue    int64 (places, fields)      waits    float64 (places)             free  int64 (2)
    """

    symbols: Whole
    came: npt.NDArray[np.float64]
    known: Whole
    ordered: npt.NDArray[np.float64]
    queue: Whole
    waits: Float64s
    free: Int64s


class Events(NamedTuple):
    """Events in order: their symbols and times, when each label ends and is known, and what it came to.

    `measured` is NaN for no label.  `known_ns` becomes that of the edges where these were known later.
    """

    group: Int32s
    time_ns: Int64s
    ends_ns: Int64s
    known_ns: Int64s
    measured: Float64s


@njit(nogil=True, cache=True)
def classify(events: Events, q_ppm: Int64s, least: int, tables: Tables, classes: Classes) -> None:
    """Find how many edges lie below what each event came to."""
    for i in range(events.group.size):
        g, x = events.group[i], events.measured[i]
        classes[i] = NO_LABEL
        if g < 0:
            continue
        _count_ended(g, events.time_ns[i], tables)
        if x != x:
            continue
        count, known_ns = tables.symbols[g, COUNT], events.known_ns[i]
        classes[i] = TOO_FEW
        if count >= least:
            below = 0
            for q in q_ppm:
                below += quantile(tables.ordered[g], count, q) < x
            classes[i] = below
            for k in range(count):
                events.known_ns[i] = max(events.known_ns[i], tables.known[g, k])
        if abs(x) < np.inf:
            _stand(g, events.ends_ns[i], known_ns, x, tables)


@njit(nogil=True, cache=True)
def quantile(ordered: Float64s, count: int, q_ppm: int) -> float:
    """R37 of the first `count` values, which are in order."""
    h = q_ppm * (count - 1)
    k, f = h // PPM, (h % PPM) / PPM
    if f == 0.0:
        return float(ordered[k])
    return float(ordered[k] + (ordered[k + 1] - ordered[k]) * f)


@njit(nogil=True, cache=True)
def _stand(g: int, end_ns: int, known_ns: int, x: float, tables: Tables) -> None:
    """Put a label at the end of its symbol's line."""
    symbols, queue, free = tables.symbols, tables.queue, tables.free
    place, last = free[FREE], symbols[g, LAST]
    free[FREE] = queue[place, BEHIND]
    free[TAKEN] += 1
    queue[place, END_NS], queue[place, KNOWN_NS], queue[place, BEHIND] = end_ns, known_ns, -1
    tables.waits[place] = x
    if symbols[g, FIRST] < 0:
        symbols[g, FIRST] = place
    else:
        queue[last, BEHIND] = place
    symbols[g, LAST] = place


@njit(nogil=True, cache=True)
def _count_ended(g: int, time_ns: int, tables: Tables) -> None:
    """Count the labels of a symbol that have ended by now: none ends before one of an earlier event."""
    queue, free = tables.queue, tables.free
    place = tables.symbols[g, FIRST]
    while place >= 0 and queue[place, END_NS] <= time_ns:
        _count(g, queue[place, KNOWN_NS], tables.waits[place], tables)
        behind = queue[place, BEHIND]
        queue[place, BEHIND] = free[FREE]
        free[FREE] = place
        free[TAKEN] -= 1
        place = behind
    tables.symbols[g, FIRST] = place


@njit(nogil=True, cache=True)
def _count(g: int, known_ns: int, x: float, tables: Tables) -> None:
    """Put a label in its place among those in order, and take the oldest one out where there is no room."""
    came, ordered = tables.came[g], tables.ordered[g]
    count, at_next = tables.symbols[g, COUNT], tables.symbols[g, NEXT]
    if count == came.size:
        count -= 1
        for k in range(np.searchsorted(ordered, came[at_next]), count):
            ordered[k] = ordered[k + 1]
    place = np.searchsorted(ordered[:count], x)
    for k in range(count, place, -1):
        ordered[k] = ordered[k - 1]
    ordered[place], came[at_next], tables.known[g, at_next] = x, x, known_ns
    tables.symbols[g, COUNT], tables.symbols[g, NEXT] = count + 1, (at_next + 1) % came.size
