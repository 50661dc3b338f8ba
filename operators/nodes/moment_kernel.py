"""Second moments of windows from exact sums, of which no digit is lost: R33, R34, R44, M1 and M22.

Words of a state: the ordinal at which the window begins and how many of its rows have their values.  Then, of
squares, what is near of the exact sums of the values and of their squares (`near_kernel`), of products one
that is free, the exact sum of the values, and that of their products (`digit_kernel`).
"""

from typing import Final

import numpy as np
from numba import njit

from operators.formula.history import EXACT_DIGITS, NEAR_SQUARES_WORDS
from operators.nodes import digit_kernel as digit
from operators.nodes import double_kernel as double
from operators.nodes import exact_kernel as exact
from operators.nodes import near_kernel as near
from operators.nodes import places as at
from operators.nodes import spread_kernel
from operators.nodes import wide_kernel as wide
from operators.nodes.digit_kernel import COLUMNS_MAX, PRODUCT_UNIT, ROOM
from operators.nodes.exact_kernel import FLOAT_MAX, UNIT, Float64s
from operators.nodes.history_kernel import NO_FLOAT
from operators.nodes.near_kernel import NUMBERS, WHOLE, WHOLE_SQUARES
from operators.nodes.row_kernel import DOMAIN, NULL_IN, OK, WARMING, Grid
from operators.nodes.sum_kernel import BEGINS, COUNT, begins
from operators.nodes.sum_kernel import SUM as NEAR
from schemas.batch import Int64s

# Numbers that are computed with.
FIRST: Final = NUMBERS
SECOND: Final = FIRST + ROOM
THIRD: Final = SECOND + ROOM

# Of products, where the sum of the values lies, and behind it that of the products.
SUM: Final = 3
PRODUCTS: Final = SUM + 3 + EXACT_DIGITS


@njit(nogil=True, cache=True)
def window_squares(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    kept: Grid,
    kept_time: Int64s,
    words: Int64s,
    word_floats: Float64s,
    rows: int,
) -> None:
    """(x, window, without, ddof) -> the variance; parts: the z-score of x, `window_sum` and its parts.

    The window is `without` the row at hand where that is 1; then nobody reads what is of `window_sum`.
    """
    out = line[at.OUT]
    window_rows, ns = ints[line[at.OPERANDS + 1], 0], ints[line[at.OPERANDS + 2], 0]
    reset, most = ints[line[at.OPERANDS + 3], 0], ints[line[at.OPERANDS + 4], 0]
    without, ddof = ints[line[at.OPERANDS + 5], 0], ints[line[at.OPERANDS + 6], 0]
    c, base, stride = line[at.KEPT], line[at.BASE], line[at.STRIDE]
    low, mean = line[at.PARTS_AT], line[at.PARTS_AT + 1]
    score, sum_out, count_out = line[at.PARTS_AT + 2], line[at.PARTS_AT + 3], line[at.PARTS_AT + 4]
    for i in range(rows):
        g = places[at.GROUP, i]
        null = NULL_IN if g < 0 else WARMING
        of_variance, of_score, of_sum, of_mean = null, null, null, null
        of_count, count = null, 0
        variance, distance, total, rest, middle = 0.0, 0.0, 0.0, 0.0, 0.0
        if g >= 0 and (reset == 0 or places[at.SESSION, i] >= 0):
            n, o, far = places[at.ORDINAL, i], base + g * stride, line[at.FAR] + g * stride
            slot = places[at.SLOT, i]
            now = kept[c, slot] != NO_FLOAT
            _slide(i, o, far, c, window_rows, ns, reset, most, without, places, kept, kept_time, words)
            of_count, count = OK, words[o + COUNT]
            if sum_out >= 0:
                total, rest, middle = _total(words, word_floats, o, far, count, low, mean)
                of_sum = of_mean = OK if abs(total) <= FLOAT_MAX else DOMAIN
            if count > ddof:
                x = kept[c, slot] if now and score >= 0 else NO_FLOAT
                variance, distance, scored = _spread(words, o + NEAR, far, count, ddof, x)
                of_variance = OK if variance <= FLOAT_MAX else DOMAIN
                of_score = NULL_IN if not now else OK if scored else DOMAIN
            if without != 0 and now and n >= words[o + BEGINS]:
                _enter(words, o, far, kept[c, slot], 1)
        _write(floats, status, out, i, variance, of_variance)
        _write(floats, status, score, i, distance, of_score)
        _write(floats, status, sum_out, i, total, of_sum)
        _write(floats, status, low, i, rest, of_sum)
        _write(floats, status, mean, i, middle, of_mean)
        if count_out >= 0:
            ints[count_out, i] = count
            status[count_out, i] = of_count


@njit(nogil=True, cache=True, forceinline=True)
def _write(floats: Grid, status: Grid, out: int, i: int, value: float, null: np.uint8) -> None:
    """Give a register its value of row i; below 0 it is none, for nobody reads it."""
    if out >= 0:
        floats[out, i] = value
        status[out, i] = null


@njit(nogil=True, cache=True, forceinline=True)
def _slide(
    i: int,
    o: int,
    far: int,
    c: int,
    window_rows: int,
    ns: int,
    reset: int,
    most: int,
    without: int,
    places: Grid,
    kept: Grid,
    kept_time: Int64s,
    words: Int64s,
) -> None:
    """Make the sums at `o` those of the window which ends with row i, `without` that row where it is 1."""
    n, start, mask = places[at.ORDINAL, i], places[at.RING, i], places[at.ROOM, i]
    begin, first = words[o + BEGINS], places[at.FIRST, i]
    if reset != 0 and first > begin:
        near.clear(words, o + NEAR, far, NEAR_SQUARES_WORDS)
        words[o + COUNT] = 0
        begin = first
    if n >= begin:
        bits = kept[c, start + (n & mask)]
        if bits != NO_FLOAT and without == 0:
            _enter(words, o, far, bits, 1)
        after = begins(i, begin, window_rows, ns, most, places, start, mask, kept_time)
        for gone in range(begin, after):
            bits = kept[c, start + (gone & mask)]
            if bits != NO_FLOAT:
                _enter(words, o, far, bits, -1)
        begin = after
    words[o + BEGINS] = begin


@njit(nogil=True, cache=True)
def _begin(i: int, o: int, reset: int, places: Grid, words: Int64s) -> int:
    """Where the window began; where a session has begun since, there, with sums of nothing."""
    begin, first = words[o + BEGINS], places[at.FIRST, i]
    if reset == 0 or first <= begin:
        return int(begin)
    exact.clear(words, o + SUM)
    exact.clear(words, o + PRODUCTS)
    words[o + COUNT] = 0
    return int(first)


@njit(nogil=True, cache=True)
def _slide_products(
    i: int,
    o: int,
    a: int,
    b: int,
    window_rows: int,
    ns: int,
    reset: int,
    most: int,
    places: Grid,
    kept: Grid,
    kept_time: Int64s,
    words: Int64s,
) -> None:
    """The same of pairs, which count where both values are there."""
    n, start, mask = places[at.ORDINAL, i], places[at.RING, i], places[at.ROOM, i]
    begin = _begin(i, o, reset, places, words)
    if n >= begin:
        slot = start + (n & mask)
        if kept[a, slot] != NO_FLOAT and kept[b, slot] != NO_FLOAT:
            _enter_product(words, o, kept[a, slot], kept[b, slot], 1)
        after = begins(i, begin, window_rows, ns, most, places, start, mask, kept_time)
        for gone in range(begin, after):
            slot = start + (gone & mask)
            if kept[a, slot] != NO_FLOAT and kept[b, slot] != NO_FLOAT:
                _enter_product(words, o, kept[a, slot], kept[b, slot], -1)
        begin = after
    words[o + BEGINS] = begin


@njit(nogil=True, cache=True, forceinline=True)
def _spread(words: Int64s, o: int, far: int, n: int, ddof: int, x: int) -> tuple[float, float, bool]:
    """The variance of n values; the z-score of the float with bits x, and whether there is one."""
    is_near = words[o + near.PLACE] < near.FAR_ONE
    if is_near:
        high, low, unit = near.spread(words, o, n)
    else:
        high, low, unit = _far_spread(words, o, far, n)
    if high == 0:
        return 0.0, 0.0, False
    variance = spread_kernel.variance(high, low, unit, n * (n - ddof))
    if x == NO_FLOAT:
        return variance, 0.0, False
    away, away_low, away_unit = 0, 0, 0
    if is_near:
        away, away_low, away_unit, is_near = near.distance(words, o, n, x)
    if not is_near:
        away, away_low, away_unit = _far_distance(words, o, far, n, x)
    if away == 0:
        return variance, 0.0, True
    return variance, spread_kernel.score(away, away_low, away_unit, high, low, unit, n, ddof), True


@njit(nogil=True, cache=True)
def _far_spread(words: Int64s, o: int, far: int, n: int) -> tuple[int, int, int]:
    """`near_kernel.spread` where something is far."""
    near.whole(words, o, far)
    near.whole_squares(words, o, far)
    of_x = digit.take(words, WHOLE, words, FIRST)
    if of_x[0] != 0 and n <= COLUMNS_MAX:
        number = digit.spread(words, WHOLE_SQUARES, words, n, FIRST, of_x, THIRD)
    else:
        of_squares = digit.take(words, WHOLE_SQUARES, words, SECOND)
        number = digit.centred(words, n, SECOND, of_squares, FIRST, of_x, FIRST, of_x, THIRD)
    if number[0] <= 0:
        return 0, 0, 0
    high, low, unit = digit.top(words, THIRD, number[1], number[2], PRODUCT_UNIT)
    return high, low, unit


@njit(nogil=True, cache=True)
def _far_distance(words: Int64s, o: int, far: int, n: int, x: int) -> tuple[int, int, int]:
    """n * x - Sx by all digits: two words and the unit of the first, as `exact_kernel.pair` takes them."""
    near.whole(words, o, far)
    of_x = digit.take(words, WHOLE, words, FIRST)
    sign, lowest, highest = digit.distance(words, n, x, FIRST, of_x, SECOND)
    if sign == 0:
        return 0, 0, 0
    high, low, unit = digit.top(words, SECOND, lowest, highest, UNIT)
    if sign < 0:
        low, high = wide.two_sum(0, 0, low, high, -1)
    return high, low, unit


@njit(nogil=True, cache=True, forceinline=True)
def _enter(words: Int64s, o: int, far: int, x: int, sign: int) -> None:
    words[o + COUNT] += sign
    near.add_with_square(words, o + NEAR, far, x, sign)


@njit(nogil=True, cache=True, forceinline=True)
def _total(
    words: Int64s, word_floats: Float64s, o: int, far: int, count: int, low: int, mean: int
) -> tuple[float, float, float]:
    """The sum, what is left of it, and the mean, as `window_sum` has them."""
    total, rest, middle = 0.0, 0.0, 0.0
    if low >= 0 or mean >= 0:
        total, rest = near.rounded(words, word_floats, o + NEAR, far)
    else:
        total = near.nearest(words, o + NEAR, far)
    if mean >= 0 and count > 0:
        middle = near.mean(words, o + NEAR, far, count, total, rest)
    return total, rest, middle


@njit(nogil=True, cache=True)
def divided_by(digits: Int64s, base: int, number: tuple[int, int, int], unit: int, divisor: int) -> float:
    """The number by a divisor of at most 40 bits, rounded; infinite where it is too large."""
    sign, low, high = number
    if sign == 0:
        return 0.0
    x, x_low = digit.leading(digits, base, low, high)
    x, x_low = double.divided(x, x_low, float(divisor), 0.0)
    return double.scaled(sign * x, digit.power(high, unit))


@njit(nogil=True, cache=True)
def window_products(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    kept: Grid,
    kept_time: Int64s,
    words: Int64s,
    rows: int,
) -> None:
    """(x, y, window) -> the sum of x * y over pairs; parts: what is left, the mean of x weighted by y.

    They are rounded from the exact sums.  Of a window without pairs the sum is 0, and there is no mean.
    """
    out = line[at.OUT]
    window_rows, ns = ints[line[at.OPERANDS + 2], 0], ints[line[at.OPERANDS + 3], 0]
    reset, most = ints[line[at.OPERANDS + 4], 0], ints[line[at.OPERANDS + 5], 0]
    a, b, base, stride = line[at.KEPT], line[at.KEPT + 1], line[at.BASE], line[at.STRIDE]
    low, mean = line[at.PARTS_AT], line[at.PARTS_AT + 1]
    for i in range(rows):
        g = places[at.GROUP, i]
        null = NULL_IN if g < 0 else WARMING
        of_mean = null
        total, rest, middle = 0.0, 0.0, 0.0
        if g >= 0 and (reset == 0 or places[at.SESSION, i] >= 0):
            o = base + g * stride
            _slide_products(i, o, a, b, window_rows, ns, reset, most, places, kept, kept_time, words)
            of_sum = digit.take(words, o + PRODUCTS, words, FIRST)
            if of_sum[0] != 0:
                total, rest = _rounded(words, of_sum)
            null = OK if abs(total) <= FLOAT_MAX else DOMAIN
            if mean >= 0 and words[o + COUNT] > 0:
                of_y = digit.take(words, o + SUM, words, SECOND)
                of_mean = DOMAIN
                if of_y[0] != 0:
                    middle = of_y[0] * _by_sum(words, of_sum, of_y)
                    of_mean = OK if abs(middle) <= FLOAT_MAX else DOMAIN
        floats[out, i] = total
        status[out, i] = null
        if low >= 0:
            floats[low, i] = rest
            status[low, i] = null
        if mean >= 0:
            floats[mean, i] = middle
            status[mean, i] = of_mean


@njit(nogil=True, cache=True)
def _enter_product(words: Int64s, o: int, x: int, y: int, sign: int) -> None:
    words[o + COUNT] += sign
    exact.add(words, o + SUM, y, sign)
    digit.add_product(words, o + PRODUCTS, x, y, sign)


@njit(nogil=True, cache=True)
def _rounded(digits: Int64s, number: tuple[int, int, int]) -> tuple[float, float]:
    """A sum of products other than 0 as a pair; infinite where it is too large."""
    sign, low, high = number
    x, x_low = digit.leading(digits, FIRST, low, high)
    power = digit.power(high, PRODUCT_UNIT)
    return sign * double.scaled(x, power), sign * double.scaled(x_low, power)


@njit(nogil=True, cache=True)
def _by_sum(digits: Int64s, of_x: tuple[int, int, int], of_y: tuple[int, int, int]) -> float:
    """A sum of products by the size of a sum other than 0, rounded."""
    if of_x[0] == 0:
        return 0.0
    a, a_low = digit.leading(digits, FIRST, of_x[1], of_x[2])
    b, b_low = digit.leading(digits, SECOND, of_y[1], of_y[2])
    a, a_low = double.divided(a, a_low, b, b_low)
    return of_x[0] * double.scaled(a, digit.power(of_x[2], PRODUCT_UNIT) - digit.power(of_y[2], UNIT))
