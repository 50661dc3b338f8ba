"""The average over time of a price that stands until the next row of a later time: M2.

A standing price is the last one that was there.  A window of (rows, ns, reset, rows_max) ends with the row at
hand, and begins with the row whose price stands as [t - ns, t) begins: `rows_max` is one more than the rows
of that time that count.  Words of a state: the ordinal of that row, the ns between rows behind it with a
standing price, one that is free, and the exact sum of price * ns (`digit_kernel`).
"""

from typing import Final

import numpy as np
from numba import njit

from operators.nodes import digit_kernel as digit
from operators.nodes import double_kernel as double
from operators.nodes import exact_kernel as exact
from operators.nodes import places as at
from operators.nodes.digit_kernel import PRODUCT_UNIT
from operators.nodes.exact_kernel import DIGIT, DIGITS, HIGHEST, LOWEST, Float64s, pair, two_words
from operators.nodes.recursion_kernel import emit, outside
from operators.nodes.row_kernel import OK, Grid
from schemas.batch import Int64s

BEGINS: Final = 0
COVERED_NS: Final = 1
SPARE: Final = 2
SUM: Final = 3

ALL: Final = -(2**63)  # the bound of a row that stands from its own time on


@njit(nogil=True, cache=True)
def twap(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    kept: Grid,
    kept_status: Grid,
    kept_time: Int64s,
    words: Int64s,
    word_floats: Float64s,
    rows: int,
) -> None:
    """M2: (price, standing price, window) -> the mean of the prices, weighted by how long each stood.

    Where rows of [t - ns, t) are too many, those before the newest ones do not count, nor what stands from
    them.
    """
    out, own, standing = line[at.OUT], line[at.KEPT], line[at.KEPT + 1]
    ns, reset = ints[line[at.OPERANDS + 3], 0], ints[line[at.OPERANDS + 4], 0]
    most = ints[line[at.OPERANDS + 5], 0]
    base, stride = line[at.BASE], line[at.STRIDE]
    for i in range(rows):
        if outside(floats, status, places, out, i, reset):
            continue
        o, n = base + places[at.GROUP, i] * stride, places[at.ORDINAL, i]
        first = places[at.FIRST, i] if reset != 0 else 0
        start, mask, begin = places[at.RING, i], places[at.ROOM, i], words[o + BEGINS]
        if first > begin:
            exact.clear(words, o + SUM)
            words[o + COVERED_NS] = 0
            begin = first
        bound = places[at.TIME_NS, i] - ns
        after = begins(n, begin, most, bound, start, mask, kept_time)
        prices, known = kept[standing], kept_status[standing]
        for gone in range(begin + 1, min(after, n - 2) + 1):
            stand(words, word_floats, o, gone, ALL, start, mask, prices, known, kept_time, -1)
        if n - 1 > after:
            stand(words, word_floats, o, n - 1, ALL, start, mask, prices, known, kept_time, 1)
        words[o + BEGINS] = head = after
        if after > first and kept_time[start + (after & mask)] > bound:
            # Rows were cut off: a price from before them does not stand.
            while head < n and kept_status[own, start + (head & mask)] != OK:
                head += 1
        for sign in (1, -1):
            for skipped in range(after + 1, min(head, n - 1) + 1):
                stand(words, word_floats, o, skipped, ALL, start, mask, prices, known, kept_time, -sign)
            if head < n:
                stand(words, word_floats, o, head, bound, start, mask, prices, known, kept_time, sign)
            if sign > 0:
                mean(words, floats, status, o, out, i)


@njit(nogil=True, cache=True)
def begins(n: int, begin: int, most: int, bound: int, start: int, mask: int, kept_time: Int64s) -> int:
    """The row that stands as the window of row n begins; its oldest one where none stands or it is cut."""
    while begin < n and kept_time[start + (begin + 1 & mask)] <= bound:
        begin += 1
    oldest = n + 2 - most
    if begin < oldest - 1 or (begin < oldest and kept_time[start + (begin & mask)] > bound):
        return oldest
    return begin


@njit(nogil=True, cache=True)
def stand(
    words: Int64s,
    word_floats: Float64s,
    o: int,
    n: int,
    bound: int,
    start: int,
    mask: int,
    prices: Int64s,
    known: Grid,
    kept_time: Int64s,
    sign: int,
) -> None:
    """Let the standing price of row n stand until the next row, from `bound` on; or take that away."""
    slot = start + (n & mask)
    if known[slot] != OK:
        return
    length_ns = kept_time[start + ((n + 1) & mask)] - max(bound, kept_time[slot])
    word_floats[o + SPARE] = float(length_ns)
    digit.add_product(words, o + SUM, prices[slot], words[o + SPARE], sign)
    words[o + COVERED_NS] += sign * length_ns


@njit(nogil=True, cache=True)
def mean(words: Int64s, floats: Grid, status: Grid, o: int, out: int, i: int) -> None:
    """Write the mean over the time that is covered; null where none is."""
    value, covered_ns = 0.0, words[o + COVERED_NS]
    if covered_ns > 0:
        total, rest, power = _leading(words, o + SUM, PRODUCT_UNIT)
        total, rest = double.divided(total, rest, float(covered_ns), 0.0)
        value = double.scaled(total, power)
    emit(floats, status, out, i, value, covered_ns > 0)


@njit(nogil=True, cache=True)
def _leading(words: Int64s, o: int, unit: int) -> tuple[float, float, int]:
    """The four highest digits of a sum as a pair of floats, in units of a power of 2.

    Digit k counts units of 2**(32 * k - unit).
    """
    low, high = words[np.uint64(o + LOWEST)], words[np.uint64(o + HIGHEST)]
    if high == 0:
        return 0.0, 0.0, 0
    d = o + DIGITS
    while high > low and words[np.uint64(d + high)] == 0:
        high -= 1
    while high > low and words[np.uint64(d + low)] == 0:
        low += 1
    words[np.uint64(o + LOWEST)], words[np.uint64(o + HIGHEST)] = low, max(high, 1)
    t3 = t2 = t1 = t0 = carry = 0
    for k in range(low, high + 1):
        column = words[np.uint64(d + k)] + carry
        t3, t2, t1, t0 = column & DIGIT, t3, t2, t1
        carry = column >> 32
    while carry != -(t3 >> 31):  # until the highest digit says the sign
        t3, t2, t1, t0 = carry & DIGIT, t3, t2, t1
        carry >>= 32
        high += 1
    upper, lower, power = two_words(t3 + (carry << 32), t2, t1, t0, 32 * (high - 3) - unit)
    value, rest = pair(upper, lower, False)
    return value, rest, power
