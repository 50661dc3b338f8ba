"""The values of a window in order: quantiles and ranks, R36 to R38.

The keys (`extreme_kernel`) of the values lie in order in a column of `lists`, from the first place of the
symbol's ring on.  Where a value comes and one goes, only the keys between the two move.
"""

from typing import Final

from numba import njit

from operators.nodes import places as at
from operators.nodes.extreme_kernel import INT_MAX, key_of, value_of
from operators.nodes.row_kernel import DOMAIN, FLOAT_MAX, NULL_IN, OK, WARMING, Grid
from operators.nodes.sum_kernel import begins
from schemas.batch import Int64s

BEGINS: Final = 0
COUNT: Final = 1

PPM: Final = 1_000_000


@njit(nogil=True, cache=True)
def below(lists: Grid, own: int, start: int, count: int, key: int) -> int:
    """How many of the keys are less than this one."""
    low, size = start, count
    while size > 1:
        half = size >> 1
        low += half if lists[own, low + half - 1] < key else 0
        size -= half
    return int(low - start + (size > 0 and lists[own, low] < key))


@njit(nogil=True, cache=True)
def put(lists: Grid, own: int, start: int, count: int, key: int) -> None:
    """Put a key in its place among the others."""
    place = start + below(lists, own, start, count, key)
    shift_up(lists[own, place : start + count + 1], key)


@njit(nogil=True, cache=True)
def take(lists: Grid, own: int, start: int, count: int, key: int) -> None:
    """Take a key out: it comes to lie behind those that count."""
    hole = start + below(lists, own, start, count, key)
    shift_down(lists[own, hole : start + count], key)


@njit(nogil=True, cache=True)
def replace(lists: Grid, own: int, start: int, count: int, old: int, new: int) -> None:
    """Take a key out and put another one in."""
    hole = start + below(lists, own, start, count, old)
    place = start + below(lists, own, start, count, new)
    if new > old:
        shift_down(lists[own, hole:place], new)
    else:
        shift_up(lists[own, place : hole + 1], new)


@njit(nogil=True, cache=True)
def shift_up(keys: Int64s, key: int) -> None:
    """Move all keys one place up, the last one out, and put one in front.

    Loops from 0 on over a part of its own are those that become loads and stores of several keys: with 4,000
    of them a row takes a tenth of the time of a loop over places of the pool.
    """
    for k in range(keys.size):
        key, keys[k] = keys[k], key


@njit(nogil=True, cache=True)
def shift_down(keys: Int64s, key: int) -> None:
    """Move all keys one place down, the first one out, and put one behind."""
    last = keys.size - 1
    for k in range(last):
        keys[k] = keys[k + 1]
    keys[last] = key


@njit(nogil=True, cache=True)
def slide(
    i: int,
    line: Int64s,
    ints: Grid,
    places: Grid,
    kept: Grid,
    kept_status: Grid,
    kept_time: Int64s,
    lists: Grid,
    words: Int64s,
    o: int,
    of_floats: int,
) -> int:
    """Bring the keys of (x, window, ..) to the window of row i; returns how many there are."""
    n, first = places[at.ORDINAL, i], places[at.FIRST, i]
    rows, ns = ints[line[at.OPERANDS + 1], 0], ints[line[at.OPERANDS + 2], 0]
    reset, most = ints[line[at.OPERANDS + 3], 0], ints[line[at.OPERANDS + 4], 0]
    c, own = line[at.KEPT], line[at.OWN]
    start, mask = places[at.RING, i], places[at.ROOM, i]
    begin, count = words[o + BEGINS], words[o + COUNT]
    if reset != 0 and first > begin:
        begin, count = first, 0
    slot = start + (n & mask)
    comes = kept_status[c, slot] == OK
    new = key_of(kept[c, slot], of_floats)
    after = begins(i, begin, rows, ns, most, places, start, mask, kept_time)
    for gone in range(begin, after):
        slot = start + (gone & mask)
        if kept_status[c, slot] == OK:
            old = key_of(kept[c, slot], of_floats)
            if comes:
                if new != old:
                    replace(lists, own, start, count, old, new)
                comes = False
            else:
                take(lists, own, start, count, old)
                count -= 1
    if comes:
        put(lists, own, start, count, new)
        count += 1
    words[o + BEGINS], words[o + COUNT] = after, count
    return int(count)


@njit(nogil=True, cache=True)
def quantile(
    line: Int64s,
    floats: Grid,
    float_words: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    kept: Grid,
    kept_status: Grid,
    kept_time: Int64s,
    lists: Grid,
    words: Int64s,
    rows: int,
) -> None:
    """(x, window, q_ppm) -> R37, in a straight line between values; `float_words` are bits of `floats`."""
    out, own = line[at.OUT], line[at.OWN]
    reset, q_ppm = ints[line[at.OPERANDS + 3], 0], ints[line[at.OPERANDS + 5], 0]
    base, stride = line[at.BASE], line[at.STRIDE]
    for i in range(rows):
        g = places[at.GROUP, i]
        floats[out, i] = 0.0
        if g < 0 or (reset != 0 and places[at.SESSION, i] < 0):
            status[out, i] = NULL_IN if g < 0 else WARMING
            continue
        o = base + g * stride
        count = slide(i, line, ints, places, kept, kept_status, kept_time, lists, words, o, 1)
        if count == 0:
            status[out, i] = WARMING
            continue
        k, ppm = divmod(q_ppm * (count - 1), PPM)
        at_k = places[at.RING, i] + k
        float_words[out, i] = value_of(lists[own, at_k], 1)
        if ppm != 0:
            low = floats[out, i]
            float_words[out, i] = value_of(lists[own, at_k + 1], 1)
            floats[out, i] = low + (floats[out, i] - low) * (ppm / PPM)
        status[out, i] = OK if abs(floats[out, i]) <= FLOAT_MAX else DOMAIN


@njit(nogil=True, cache=True)
def rank(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    kept: Grid,
    kept_status: Grid,
    kept_time: Int64s,
    lists: Grid,
    words: Int64s,
    of_floats: int,
    rows: int,
) -> None:
    """(x, window) -> R38: the rank of the row's own value, the mean of their ranks for equals."""
    out, c, own = line[at.OUT], line[at.KEPT], line[at.OWN]
    reset = ints[line[at.OPERANDS + 3], 0]
    base, stride = line[at.BASE], line[at.STRIDE]
    for i in range(rows):
        g = places[at.GROUP, i]
        floats[out, i] = 0.0
        if g < 0 or (reset != 0 and places[at.SESSION, i] < 0):
            status[out, i] = NULL_IN if g < 0 else WARMING
            continue
        o, start, slot = base + g * stride, places[at.RING, i], places[at.SLOT, i]
        count = slide(i, line, ints, places, kept, kept_status, kept_time, lists, words, o, of_floats)
        status[out, i] = kept_status[c, slot]
        if kept_status[c, slot] == OK:
            key = key_of(kept[c, slot], of_floats)
            less = below(lists, own, start, count, key)
            up_to = count if key == INT_MAX else below(lists, own, start, count, key + 1)
            floats[out, i] = less + (up_to - less + 1) * 0.5
