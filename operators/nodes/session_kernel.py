"""Sums of all rows since the session or the symbol began, exact as those of windows: M1, M5 and M6.

Words of a state: the ordinal behind the last row that it has taken, how many rows have a value, how many of
these have a product that is too large to be exact, the exact sum (`exact_kernel`), and beside one of products
that of the weights.
"""

from typing import Final

import numpy as np
from numba import njit

from operators.nodes import exact_kernel as exact
from operators.nodes import places as at
from operators.nodes.exact_kernel import FLOAT_MAX, Float64s
from operators.nodes.recursion_kernel import begins_anew
from operators.nodes.row_kernel import DOMAIN, NULL_IN, OK, WARMING, Grid
from schemas.batch import Int64s

TAKEN: Final = 0
COUNT: Final = 1
TOO_LARGE: Final = 2
SUM: Final = 3
WEIGHTS: Final = SUM + exact.SIZE

# A digit holds 2**31 addends, and such a sum may never end: every so many values its digits are brought in
# order.
SETTLE_VALUES: Final = 1 << 20


@njit(nogil=True, cache=True)
def session_count(line: Int64s, ints: Grid, status: Grid, places: Grid, words: Int64s, rows: int) -> None:
    """(x, reset) -> how many of the rows so far have a value."""
    out, x, reset = line[at.OUT], line[at.OPERANDS], ints[line[at.OPERANDS + 1], 0]
    base, stride = line[at.BASE], line[at.STRIDE]
    for i in range(rows):
        g = places[at.GROUP, i]
        if g < 0 or (reset != 0 and places[at.SESSION, i] < 0):
            ints[out, i] = 0
            status[out, i] = NULL_IN if g < 0 else WARMING
            continue
        o = base + g * stride
        if begins_anew(words, o, reset, places[at.FIRST, i]):
            words[o + COUNT] = 0
        words[o + TAKEN] = places[at.ORDINAL, i] + 1
        words[o + COUNT] += status[x, i] == OK
        ints[out, i] = words[o + COUNT]
        status[out, i] = OK


@njit(nogil=True, cache=True)
def session_sum(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    words: Int64s,
    word_floats: Float64s,
    rows: int,
) -> None:
    """(x, reset) -> the exact sum of all values so far, rounded; parts: what is left, and the exact mean.

    Before the first value the sum is 0, and there is no mean.
    """
    x, reset, mean = line[at.OPERANDS], ints[line[at.OPERANDS + 1], 0], line[at.PARTS_AT + 1]
    for i in range(rows):
        o = _entered(line, reset, i, places, words)
        middle, of_mean = 0.0, WARMING
        if o >= 0:
            if words[o + COUNT] == 0:
                exact.clear(words, o + SUM)
            if status[x, i] == OK:
                _add(words, word_floats, o + SUM, floats[x, i])
                _count(words, o)
            if mean >= 0 and words[o + COUNT] > 0:
                middle = exact.mean(words, o + SUM, words[o + COUNT])
                of_mean = OK if abs(middle) <= FLOAT_MAX else DOMAIN
        _put(line, i, o, floats, status, places, words, middle, of_mean)


@njit(nogil=True, cache=True)
def session_products(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    words: Int64s,
    word_floats: Float64s,
    rows: int,
) -> None:
    """(x, y, reset) -> the exact sum of x * y over the rows so far that have both, rounded.

    Parts: what is left of it, and the mean of x weighted by y: the one sum by the other, each rounded.
    Null from a product on that is too large to be exact (`exact_kernel.add_product`).
    """
    x, y, reset = line[at.OPERANDS], line[at.OPERANDS + 1], ints[line[at.OPERANDS + 2], 0]
    mean = line[at.PARTS_AT + 1]
    for i in range(rows):
        o = _entered(line, reset, i, places, words)
        middle, of_mean = 0.0, WARMING
        if o >= 0:
            if words[o + COUNT] == 0:
                words[o + TOO_LARGE] = 0
                exact.clear(words, o + SUM)
                exact.clear(words, o + WEIGHTS)
            if (status[x, i] | status[y, i]) == OK:
                fits = exact.add_product(words, word_floats, o + SUM, floats[x, i], floats[y, i], 1)
                words[o + TOO_LARGE] += not fits
                _add(words, word_floats, o + WEIGHTS, floats[y, i])
                _count(words, o)
                if words[o + COUNT] % SETTLE_VALUES == 0:
                    _settle(words, o + WEIGHTS)
            if mean >= 0 and words[o + COUNT] > 0:
                weight = exact.nearest(words, o + WEIGHTS)
                if weight != 0.0:
                    middle = exact.nearest(words, o + SUM) / weight
                defined = weight != 0.0 and abs(weight) <= FLOAT_MAX and abs(middle) <= FLOAT_MAX
                of_mean = OK if defined and words[o + TOO_LARGE] == 0 else DOMAIN
        _put(line, i, o, floats, status, places, words, middle, of_mean)


@njit(nogil=True, cache=True)
def _entered(line: Int64s, reset: int, i: int, places: Grid, words: Int64s) -> int:
    """Where the state of row i lies, its count 0 where it begins anew; -1 for a row that no sum takes."""
    g = places[at.GROUP, i]
    if g < 0 or (reset != 0 and places[at.SESSION, i] < 0):
        return -1
    o = line[at.BASE] + g * line[at.STRIDE]
    if begins_anew(words, o, reset, places[at.FIRST, i]):
        words[o + COUNT] = 0
    words[o + TAKEN] = places[at.ORDINAL, i] + 1
    return int(o)


@njit(nogil=True, cache=True)
def _add(words: Int64s, word_floats: Float64s, o: int, value: float) -> None:
    word_floats[o + exact.SCRATCH] = value
    exact.add(words, o, words[o + exact.SCRATCH], 1)


@njit(nogil=True, cache=True)
def _count(words: Int64s, o: int) -> None:
    words[o + COUNT] += 1
    if words[o + COUNT] % SETTLE_VALUES == 0:
        _settle(words, o + SUM)


@njit(nogil=True, cache=True)
def _settle(words: Int64s, o: int) -> None:
    if words[o + exact.HIGHEST] != 0:
        exact.settle(words, o)


@njit(nogil=True, cache=True)
def _put(
    line: Int64s,
    i: int,
    o: int,
    floats: Grid,
    status: Grid,
    places: Grid,
    words: Int64s,
    middle: float,
    of_mean: np.uint8,
) -> None:
    """Write the sum of a state, and its parts as far as they are read; without a state they are null."""
    out, low, mean = line[at.OUT], line[at.PARTS_AT], line[at.PARTS_AT + 1]
    total, rest, null = 0.0, 0.0, WARMING
    if o < 0:
        null = of_mean = NULL_IN if places[at.GROUP, i] < 0 else WARMING
    else:
        if low >= 0:
            total, rest = exact.rounded(words, o + SUM)
        else:
            total = exact.nearest(words, o + SUM)
        null = OK if abs(total) <= FLOAT_MAX and words[o + TOO_LARGE] == 0 else DOMAIN
    floats[out, i], status[out, i] = total, null
    if low >= 0:
        floats[low, i], status[low, i] = rest, null
    if mean >= 0:
        floats[mean, i], status[mean, i] = middle, of_mean
