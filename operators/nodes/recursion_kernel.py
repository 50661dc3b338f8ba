"""Recursions: values that hang on all rows of the symbol since they began, in order: R50 to R54.

Where one starts are its last two constants (0.7 of the handbook): with `session` 1 at the session's first
row; with `shift` >= 0 at an anchor, which is where a block of 2**shift rows or ns begins; else at the
symbol's first row.

Words of a state: the ordinal behind the last row taken (0 for none), the block of that row, and the state of
the recursion.  Where it is anchored another one follows that began a block earlier, and is the one that is
emitted: each row enters both.  A state of zeros is the one before the first row.
"""

import math
from typing import Final

from numba import njit

from operators.nodes import places as at
from operators.nodes.exact_kernel import FLOAT_MAX, Float64s
from operators.nodes.row_kernel import DOMAIN, NULL_IN, OK, WARMING, Grid
from schemas.batch import Int64s

TAKEN: Final = 0
BLOCK: Final = 1
STATES: Final = 2

# Words of one state: of R50 and R52, of R51, of R53, and of R54.
NUM: Final = 0
DEN: Final = 1
VALUES: Final = 2  # how many there were
LAST: Final = 3  # when the last one came
EWMA_WORDS: Final = 3
EWMA_TIME_WORDS: Final = 4
AVERAGE_Y: Final = 0
AVERAGE_VALUES: Final = 1
AVERAGE_WORDS: Final = 2
ACCUM_S: Final = 0
ACCUM_VALUES: Final = 1
ACCUM_LAST: Final = 2
ACCUM_WORDS: Final = 3
AFTER: Final = 0  # what R53 shows
BEFORE: Final = 1
QUERY: Final = 2
STD_W: Final = 0
STD_V: Final = 1
STD_S: Final = 2
STD_M: Final = 3
STD_VALUES: Final = 4
STD_WORDS: Final = 5


@njit(nogil=True, cache=True, forceinline=True)
def begins_anew(words: Int64s, o: int, reset: int, first: int) -> bool:
    """Whether a state starts empty: with `reset`, where the session began after the last row it took."""
    return words[o + TAKEN] == 0 or (reset != 0 and words[o + TAKEN] <= first)


@njit(nogil=True, cache=True, forceinline=True)
def turn(words: Int64s, o: int, size: int, session: int, shift: int, place: int, first: int, n: int) -> None:
    """Make the states ready for row n: clear them where they begin anew, shift them at an anchor.

    `place` is what anchors count: the ordinal of the row, or its time.
    """
    if begins_anew(words, o, session, first):
        for k in range(o + STATES, o + size):
            words[k] = 0
        if shift >= 0:
            words[o + BLOCK] = place >> shift
    elif shift >= 0:
        block = place >> shift
        if block != words[o + BLOCK]:
            half = (size - STATES) // 2
            following = block == words[o + BLOCK] + 1  # else the block before has no row
            for k in range(o + STATES, o + STATES + half):
                words[k + half] = words[k] if following else 0
                words[k] = 0
            words[o + BLOCK] = block
    words[o + TAKEN] = n + 1


@njit(nogil=True, cache=True)
def faded(c: float, last_ns: int, now_ns: int) -> float:
    """The weight that is left after this time."""
    return math.exp(-(float(now_ns - last_ns) * c))


@njit(nogil=True, cache=True, forceinline=True)
def emit(floats: Grid, status: Grid, out: int, i: int, value: float, enough: bool) -> None:
    """Write a value, or null where there are too few values yet or it is not finite."""
    finite = abs(value) <= FLOAT_MAX
    floats[out, i] = value if enough and finite else 0.0
    status[out, i] = WARMING if not enough else OK if finite else DOMAIN


@njit(nogil=True, cache=True, forceinline=True)
def outside(floats: Grid, status: Grid, places: Grid, out: int, i: int, session: int) -> bool:
    """Whether a row has no symbol, or no session where the recursion is of one: then it is null."""
    g = places[at.GROUP, i]
    if g >= 0 and (session == 0 or places[at.SESSION, i] >= 0):
        return False
    floats[out, i] = 0.0
    status[out, i] = NULL_IN if g < 0 else WARMING
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def ewma(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    words: Int64s,
    word_floats: Float64s,
    rows: int,
) -> None:
    """R50: (x, k, min_count, session, shift) -> the mean of all values, weighted by k ** age in rows."""
    out, x, k = line[at.OUT], line[at.OPERANDS], floats[line[at.OPERANDS + 1], 0]
    least, session = ints[line[at.OPERANDS + 2], 0], ints[line[at.OPERANDS + 3], 0]
    shift = ints[line[at.OPERANDS + 4], 0]
    base, stride, size = line[at.BASE], line[at.STRIDE], line[at.SIZE]
    for i in range(rows):
        if outside(floats, status, places, out, i, session):
            continue
        o, n, s = base + places[at.GROUP, i] * stride, places[at.ORDINAL, i], 0
        turn(words, o, size, session, shift, n, places[at.FIRST, i], n)
        for s in range(o + STATES, o + size, EWMA_WORDS):
            num, den = k * word_floats[s + NUM], k * word_floats[s + DEN]
            if status[x, i] == OK:
                num += floats[x, i]
                den += 1.0
                words[s + VALUES] += 1
            word_floats[s + NUM], word_floats[s + DEN] = num, den
        value = word_floats[s + NUM] / word_floats[s + DEN]
        emit(floats, status, out, i, value, words[s + VALUES] >= least)


@njit(nogil=True, cache=True)
def average(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    words: Int64s,
    word_floats: Float64s,
    rows: int,
) -> None:
    """R51: (x, k, alpha, min_count, session, shift) -> x at the first value, then k * y + alpha * x.

    With k = 0 and alpha = 1 it is the last value that is there.
    """
    out, x = line[at.OUT], line[at.OPERANDS]
    k, alpha = floats[line[at.OPERANDS + 1], 0], floats[line[at.OPERANDS + 2], 0]
    least, session = ints[line[at.OPERANDS + 3], 0], ints[line[at.OPERANDS + 4], 0]
    shift = ints[line[at.OPERANDS + 5], 0]
    base, stride, size = line[at.BASE], line[at.STRIDE], line[at.SIZE]
    for i in range(rows):
        if outside(floats, status, places, out, i, session):
            continue
        o, n, s = base + places[at.GROUP, i] * stride, places[at.ORDINAL, i], 0
        turn(words, o, size, session, shift, n, places[at.FIRST, i], n)
        for s in range(o + STATES, o + size, AVERAGE_WORDS):
            if status[x, i] == OK:
                value = floats[x, i]
                if words[s + AVERAGE_VALUES] > 0:
                    value = k * word_floats[s + AVERAGE_Y] + alpha * value
                word_floats[s + AVERAGE_Y] = value
                words[s + AVERAGE_VALUES] += 1
        emit(floats, status, out, i, word_floats[s + AVERAGE_Y], words[s + AVERAGE_VALUES] >= least)


@njit(nogil=True, cache=True, error_model="numpy")
def ewma_time(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    words: Int64s,
    word_floats: Float64s,
    rows: int,
) -> None:
    """R52: (x, c, min_count, session, shift) -> the mean of all values, weighted by exp(-(age in ns * c))."""
    out, x, c = line[at.OUT], line[at.OPERANDS], floats[line[at.OPERANDS + 1], 0]
    least, session = ints[line[at.OPERANDS + 2], 0], ints[line[at.OPERANDS + 3], 0]
    shift = ints[line[at.OPERANDS + 4], 0]
    base, stride, size = line[at.BASE], line[at.STRIDE], line[at.SIZE]
    for i in range(rows):
        if outside(floats, status, places, out, i, session):
            continue
        o, now_ns, s = base + places[at.GROUP, i] * stride, places[at.TIME_NS, i], 0
        turn(words, o, size, session, shift, now_ns, places[at.FIRST, i], places[at.ORDINAL, i])
        for s in range(o + STATES, o + size, EWMA_TIME_WORDS):
            if status[x, i] == OK:
                f = faded(c, words[s + LAST], now_ns) if words[s + VALUES] > 0 else 1.0
                word_floats[s + NUM] = f * word_floats[s + NUM] + floats[x, i]
                word_floats[s + DEN] = f * word_floats[s + DEN] + 1.0
                words[s + VALUES] += 1
                words[s + LAST] = now_ns
        value = word_floats[s + NUM] / word_floats[s + DEN]
        emit(floats, status, out, i, value, words[s + VALUES] >= least)


@njit(nogil=True, cache=True)
def decay_accum(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    words: Int64s,
    word_floats: Float64s,
    rows: int,
) -> None:
    """R53: (x, c, shown, min_count, session, shift) -> the sum of all values, each times exp(-(age * c)).

    Shown is the sum as the last value left it; `BEFORE`, in a row with a value, what it was until then;
    `QUERY`, in a row without one, what is left of it by the row's time, which changes no state.
    """
    out, x, c = line[at.OUT], line[at.OPERANDS], floats[line[at.OPERANDS + 1], 0]
    shown, least = ints[line[at.OPERANDS + 2], 0], ints[line[at.OPERANDS + 3], 0]
    session, shift = ints[line[at.OPERANDS + 4], 0], ints[line[at.OPERANDS + 5], 0]
    base, stride, size = line[at.BASE], line[at.STRIDE], line[at.SIZE]
    for i in range(rows):
        if outside(floats, status, places, out, i, session):
            continue
        o, now_ns, s = base + places[at.GROUP, i] * stride, places[at.TIME_NS, i], 0
        turn(words, o, size, session, shift, now_ns, places[at.FIRST, i], places[at.ORDINAL, i])
        value = 0.0
        for s in range(o + STATES, o + size, ACCUM_WORDS):
            value = word_floats[s + ACCUM_S]
            if status[x, i] == OK:
                f = faded(c, words[s + ACCUM_LAST], now_ns) if words[s + ACCUM_VALUES] > 0 else 1.0
                value = f * word_floats[s + ACCUM_S]
                word_floats[s + ACCUM_S] = value + floats[x, i]
                words[s + ACCUM_VALUES] += 1
                words[s + ACCUM_LAST] = now_ns
                if shown != BEFORE:
                    value = word_floats[s + ACCUM_S]
            elif shown == QUERY and words[s + ACCUM_VALUES] > 0:
                value *= faded(c, words[s + ACCUM_LAST], now_ns)
        emit(floats, status, out, i, value, words[s + ACCUM_VALUES] >= least)


@njit(nogil=True, cache=True, error_model="numpy")
def ewm_std(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    words: Int64s,
    word_floats: Float64s,
    rows: int,
) -> None:
    """R54: (x, k, bias, min_count, session, shift) -> the standard deviation under the weights of R50.

    Not defined for a variance below 0, which rounding can make of a sum of squares that is next to nothing.
    """
    out, x, k = line[at.OUT], line[at.OPERANDS], floats[line[at.OPERANDS + 1], 0]
    bias, least = ints[line[at.OPERANDS + 2], 0], max(2, ints[line[at.OPERANDS + 3], 0])
    session, shift = ints[line[at.OPERANDS + 4], 0], ints[line[at.OPERANDS + 5], 0]
    base, stride, size = line[at.BASE], line[at.STRIDE], line[at.SIZE]
    for i in range(rows):
        if outside(floats, status, places, out, i, session):
            continue
        o, n, s = base + places[at.GROUP, i] * stride, places[at.ORDINAL, i], 0
        turn(words, o, size, session, shift, n, places[at.FIRST, i], n)
        for s in range(o + STATES, o + size, STD_WORDS):
            w, v = k * word_floats[s + STD_W], (k * k) * word_floats[s + STD_V]
            squares = k * word_floats[s + STD_S]
            if status[x, i] == OK:
                w += 1.0
                v += 1.0
                d = floats[x, i] - word_floats[s + STD_M]
                m = word_floats[s + STD_M] + d / w
                squares += d * (floats[x, i] - m)
                word_floats[s + STD_M] = m
                words[s + STD_VALUES] += 1
            word_floats[s + STD_W], word_floats[s + STD_V], word_floats[s + STD_S] = w, v, squares
        w = word_floats[s + STD_W]
        unbiased = w - word_floats[s + STD_V] / w
        variance = word_floats[s + STD_S] / (w if bias != 0 else unbiased)
        defined = unbiased > 0.0 and variance >= 0.0
        value = math.sqrt(variance) if defined else math.inf
        emit(floats, status, out, i, value, words[s + STD_VALUES] >= least)
