"""Sums of all rows since the session or the symbol began, exact as those of windows: M1, M5 and M6.

Words of a state: the ordinal behind the last row that it has taken, how many rows have a value, how many of
these have a product that is too large to be exact, and the exact sum (`exact_kernel`).
"""

from typing import Final

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
    x, reset = line[at.OPERANDS], ints[line[at.OPERANDS + 1], 0]
    for i in range(rows):
        o = _entered(line, reset, i, places, words)
        if o >= 0 and status[x, i] == OK:
            word_floats[o + SUM + exact.SCRATCH] = floats[x, i]
            exact.add(words, o + SUM, words[o + SUM + exact.SCRATCH], 1)
            _count(words, o)
        _put(line, i, o, floats, status, places, words, word_floats)


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
    """(x, y, reset) -> the exact sum of x * y over the rows so far that have both, with the parts of a sum.

    Null from a product on that is too large to be exact (`exact_kernel.add_product`).
    """
    x, y, reset = line[at.OPERANDS], line[at.OPERANDS + 1], ints[line[at.OPERANDS + 2], 0]
    for i in range(rows):
        o = _entered(line, reset, i, places, words)
        if o >= 0 and (status[x, i] | status[y, i]) == OK:
            fits = exact.add_product(words, word_floats, o + SUM, floats[x, i], floats[y, i], 1)
            words[o + TOO_LARGE] += not fits
            _count(words, o)
        _put(line, i, o, floats, status, places, words, word_floats)


@njit(nogil=True, cache=True)
def _entered(line: Int64s, reset: int, i: int, places: Grid, words: Int64s) -> int:
    """Where the state of row i lies, empty where it begins anew; -1 for a row that no sum takes."""
    g = places[at.GROUP, i]
    if g < 0 or (reset != 0 and places[at.SESSION, i] < 0):
        return -1
    o = line[at.BASE] + g * line[at.STRIDE]
    if begins_anew(words, o, reset, places[at.FIRST, i]):
        exact.clear(words, o + SUM)
        words[o + COUNT] = words[o + TOO_LARGE] = 0
    words[o + TAKEN] = places[at.ORDINAL, i] + 1
    return int(o)


@njit(nogil=True, cache=True)
def _count(words: Int64s, o: int) -> None:
    words[o + COUNT] += 1
    if words[o + COUNT] % SETTLE_VALUES == 0 and words[o + SUM + exact.HIGHEST] != 0:
        exact.settle(words, o + SUM)


@njit(nogil=True, cache=True)
def _put(
    line: Int64s,
    i: int,
    o: int,
    floats: Grid,
    status: Grid,
    places: Grid,
    words: Int64s,
    word_floats: Float64s,
) -> None:
    """Write the sum and its parts, as far as they are read."""
    out, low, mean = line[at.OUT], line[at.PARTS_AT], line[at.PARTS_AT + 1]
    null = NULL_IN if places[at.GROUP, i] < 0 else WARMING
    total, rest, middle = 0.0, 0.0, 0.0
    if o >= 0:
        if low >= 0:
            total, rest = exact.rounded(words, word_floats, o + SUM)
        else:
            total = exact.nearest(words, o + SUM)
        if mean >= 0 and words[o + COUNT] > 0:
            middle = exact.mean(words, word_floats, o + SUM, words[o + COUNT])
        null = OK if abs(total) <= FLOAT_MAX and words[o + TOO_LARGE] == 0 else DOMAIN
    floats[out, i] = total
    status[out, i] = null
    if low >= 0:
        floats[low, i] = rest
        status[low, i] = null
    if mean >= 0:
        floats[mean, i] = middle
        status[mean, i] = null
