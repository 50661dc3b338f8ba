"""What a row knows of those before it: sums since the session's start, the last event, the last value.

R16 to R19.  Words of a state begin with the ordinal behind the last row that it has taken, 0 for none.
"""

from typing import Final

from numba import njit

from operators.formula.history import NEAR_WORDS
from operators.nodes import near_kernel as near
from operators.nodes import places as at
from operators.nodes.recursion_kernel import TAKEN, begins_anew
from operators.nodes.row_kernel import DOMAIN, FLOAT_MAX, NULL_IN, OK, WARMING, Grid
from schemas.batch import Int64s

SUM: Final = 1  # of floats: the exact sum
HIGH: Final = 1  # of integers: their sum in units of 2**32, and the rest, in [0, 2**32)
LOW: Final = 2
AGE: Final = 1  # rows since the event or the value, and 1; 0 for none
SINCE: Final = 2  # its time
VALUE: Final = 3

DIGIT: Final = 0xFFFFFFFF
HALF: Final = 1 << 31
SETTLE: Final = (1 << 20) - 1  # an exact sum has room for so many values more: before that it is settled


@njit(nogil=True, cache=True)
def cumsum_floats(
    line: Int64s,
    floats: Grid,
    float_words: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    words: Int64s,
    rows: int,
) -> None:
    """R16 of floats: (x, reset) -> their exact sum so far, rounded; null where x is."""
    out, x, reset = line[at.OUT], line[at.OPERANDS], ints[line[at.OPERANDS + 1], 0]
    base, stride = line[at.BASE], line[at.STRIDE]
    for i in range(rows):
        g = places[at.GROUP, i]
        floats[out, i] = 0.0
        if g < 0 or (reset != 0 and places[at.SESSION, i] < 0):
            status[out, i] = NULL_IN if g < 0 else WARMING
            continue
        o, far, n = base + g * stride, line[at.FAR] + g * stride, places[at.ORDINAL, i]
        if begins_anew(words, o, reset, places[at.FIRST, i]):
            near.clear(words, o + SUM, far, NEAR_WORDS)
        words[o + TAKEN] = n + 1
        if n & SETTLE == SETTLE:
            near.settle(words, o + SUM, far)
        status[out, i] = status[x, i]
        if status[x, i] == OK:
            near.add(words, o + SUM, far, float_words[x, i], 1)
            near.count_one(words, o + SUM)
            floats[out, i] = near.nearest(words, o + SUM, far)
            if not abs(floats[out, i]) <= FLOAT_MAX:
                status[out, i] = DOMAIN


@njit(nogil=True, cache=True)
def cumsum_ints(line: Int64s, ints: Grid, status: Grid, places: Grid, words: Int64s, rows: int) -> None:
    """R16 of integers: (x, reset) -> their sum so far; null where x is, and where 64 bits do not hold it."""
    out, x, reset = line[at.OUT], line[at.OPERANDS], ints[line[at.OPERANDS + 1], 0]
    base, stride = line[at.BASE], line[at.STRIDE]
    for i in range(rows):
        g = places[at.GROUP, i]
        ints[out, i] = 0
        if g < 0 or (reset != 0 and places[at.SESSION, i] < 0):
            status[out, i] = NULL_IN if g < 0 else WARMING
            continue
        o = base + g * stride
        if begins_anew(words, o, reset, places[at.FIRST, i]):
            words[o + HIGH] = words[o + LOW] = 0
        words[o + TAKEN] = places[at.ORDINAL, i] + 1
        status[out, i] = status[x, i]
        if status[x, i] == OK:
            low = words[o + LOW] + (ints[x, i] & DIGIT)
            high = words[o + HIGH] + (ints[x, i] >> 32) + (low >> 32)
            words[o + HIGH], words[o + LOW] = high, low & DIGIT
            if -HALF <= high < HALF:
                ints[out, i] = (high << 32) | (low & DIGIT)
            else:
                status[out, i] = DOMAIN


@njit(nogil=True, cache=True)
def since_event(
    line: Int64s,
    ints: Grid,
    bools: Grid,
    status: Grid,
    places: Grid,
    words: Int64s,
    count: int,
    rows: int,
) -> None:
    """R17: (e, reset) -> ns since the last row where e is true; with `count` R18, rows since that row.

    A null e is false; null before the first one.
    """
    out, e, reset = line[at.OUT], line[at.OPERANDS], ints[line[at.OPERANDS + 1], 0]
    base, stride = line[at.BASE], line[at.STRIDE]
    for i in range(rows):
        g = places[at.GROUP, i]
        ints[out, i] = 0
        if g < 0 or (reset != 0 and places[at.SESSION, i] < 0):
            status[out, i] = NULL_IN if g < 0 else WARMING
            continue
        o, time_ns = base + g * stride, places[at.TIME_NS, i]
        if begins_anew(words, o, reset, places[at.FIRST, i]):
            words[o + AGE] = 0
        words[o + TAKEN] = places[at.ORDINAL, i] + 1
        if status[e, i] == OK and bools[e, i] != 0:
            words[o + AGE], words[o + SINCE] = 1, time_ns
        elif words[o + AGE] != 0:
            words[o + AGE] += 1
        status[out, i] = OK if words[o + AGE] != 0 else WARMING
        if words[o + AGE] != 0:
            ints[out, i] = words[o + AGE] - 1 if count != 0 else time_ns - words[o + SINCE]


@njit(nogil=True, cache=True)
def fill_forward(
    line: Int64s, values: Grid, ints: Grid, status: Grid, places: Grid, words: Int64s, rows: int
) -> None:
    """R19: (x, limit_rows, limit_ns, reset) -> the last value that is there, unless it is older than that.

    A limit of -1 is none.  `values` are the registers of one kind; floats as their bits.
    """
    out, x, reset = line[at.OUT], line[at.OPERANDS], ints[line[at.OPERANDS + 3], 0]
    limit_rows, limit_ns = ints[line[at.OPERANDS + 1], 0], ints[line[at.OPERANDS + 2], 0]
    base, stride = line[at.BASE], line[at.STRIDE]
    for i in range(rows):
        g = places[at.GROUP, i]
        if g < 0 or (reset != 0 and places[at.SESSION, i] < 0):
            status[out, i] = NULL_IN if g < 0 else WARMING
            continue
        o, time_ns, null = base + g * stride, places[at.TIME_NS, i], status[x, i]
        if begins_anew(words, o, reset, places[at.FIRST, i]):
            words[o + AGE] = 0
        words[o + TAKEN] = places[at.ORDINAL, i] + 1
        if null == OK:
            words[o + AGE], words[o + SINCE], words[o + VALUE] = 1, time_ns, values[x, i]
        elif words[o + AGE] != 0:
            words[o + AGE] += 1
            young = limit_rows < 0 or words[o + AGE] - 1 <= limit_rows
            if young and (limit_ns < 0 or time_ns - words[o + SINCE] <= limit_ns):
                null = OK
        else:
            null = WARMING
        if null == OK:
            values[out, i] = words[o + VALUE]
        status[out, i] = null
