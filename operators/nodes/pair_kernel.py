"""Second moments of pairs over windows, from exact sums, of which no digit is lost: R41 to R43, M24 and M27.

Words of a state: the ordinal at which the window begins, how many pairs it has, one that is free, the exact
sums of x and of y, and those of x * y, x * x and y * y (`digit_kernel`).
"""

import math
from typing import Final

import numpy as np
from numba import njit

from operators.formula.history import EXACT_DIGITS, PRODUCT_DIGITS
from operators.nodes import digit_kernel as digit
from operators.nodes import double_kernel as double
from operators.nodes import exact_kernel as exact
from operators.nodes import places as at
from operators.nodes.digit_kernel import PRODUCT_UNIT, ROOM
from operators.nodes.exact_kernel import FLOAT_MAX, UNIT, Float64s
from operators.nodes.history_kernel import NO_FLOAT
from operators.nodes.moment_kernel import SUM, divided_by
from operators.nodes.near_kernel import NUMBERS
from operators.nodes.row_kernel import DOMAIN, NULL_IN, OK, WARMING, Grid
from operators.nodes.sum_kernel import BEGINS, COUNT, begins
from schemas.batch import Int64s

# Where the first two numbers lie that are computed with.
X: Final = NUMBERS
Y: Final = X + ROOM

SECOND: Final = SUM + 3 + EXACT_DIGITS
PRODUCTS: Final = SECOND + 3 + EXACT_DIGITS
X_SQUARES: Final = PRODUCTS + 2 + PRODUCT_DIGITS
Y_SQUARES: Final = X_SQUARES + 2 + PRODUCT_DIGITS


@njit(nogil=True, cache=True)
def window_pairs(
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
    """(x, y, window) -> the covariance of the pairs; parts: their correlation, and three of y on x.

    These are the slope, the intercept and the slope's t-value.
    """
    out = line[at.OUT]
    window_rows, ns = ints[line[at.OPERANDS + 2], 0], ints[line[at.OPERANDS + 3], 0]
    reset, most = ints[line[at.OPERANDS + 4], 0], ints[line[at.OPERANDS + 5], 0]
    a, b, base, stride = line[at.KEPT], line[at.KEPT + 1], line[at.BASE], line[at.STRIDE]
    parts = line[at.PARTS_AT : at.PARTS_AT + 4]
    need_y = parts[CORRELATION] >= 0 or parts[T_VALUE] >= 0
    need_x = need_y or parts[SLOPE] >= 0 or parts[INTERCEPT] >= 0
    results = np.zeros(5)
    of = np.zeros(5, np.uint8)
    for i in range(rows):
        g = places[at.GROUP, i]
        results[:] = 0.0
        of[:] = NULL_IN if g < 0 else WARMING
        if g >= 0 and (reset == 0 or places[at.SESSION, i] >= 0):
            n, first = places[at.ORDINAL, i], places[at.FIRST, i]
            o = base + g * stride
            start, mask = places[at.RING, i], places[at.ROOM, i]
            begin = words[o + BEGINS]
            if reset != 0 and first > begin:
                _clear_pairs(words, o)
                begin = first
            if n >= begin:
                slot = start + (n & mask)
                if kept[a, slot] != NO_FLOAT and kept[b, slot] != NO_FLOAT:
                    _enter_pair(words, o, kept[a, slot], kept[b, slot], need_x, need_y, 1)
                after = begins(i, begin, window_rows, ns, most, places, start, mask, kept_time)
                for gone in range(begin, after):
                    slot = start + (gone & mask)
                    if kept[a, slot] != NO_FLOAT and kept[b, slot] != NO_FLOAT:
                        _enter_pair(words, o, kept[a, slot], kept[b, slot], need_x, need_y, -1)
                begin = after
            words[o + BEGINS] = begin
            if words[o + COUNT] > 1:
                _of_pairs(words, o, need_x, need_y, parts, results, of)
        floats[out, i] = results[COV]
        status[out, i] = of[COV]
        for k in range(4):
            if parts[k] >= 0:
                floats[parts[k], i] = results[k]
                status[parts[k], i] = of[k]


CORRELATION: Final = 0
SLOPE: Final = 1
INTERCEPT: Final = 2
T_VALUE: Final = 3
COV: Final = 4


@njit(nogil=True, cache=True)
def _clear_pairs(words: Int64s, o: int) -> None:
    words[o + COUNT] = 0
    exact.clear(words, o + SUM)
    exact.clear(words, o + SECOND)
    exact.clear(words, o + PRODUCTS)
    exact.clear(words, o + X_SQUARES)
    exact.clear(words, o + Y_SQUARES)


@njit(nogil=True, cache=True)
def _enter_pair(words: Int64s, o: int, x: int, y: int, need_x: bool, need_y: bool, sign: int) -> None:
    words[o + COUNT] += sign
    exact.add(words, o + SUM, x, sign)
    exact.add(words, o + SECOND, y, sign)
    digit.add_product(words, o + PRODUCTS, x, y, sign)
    if need_x:
        digit.add_product(words, o + X_SQUARES, x, x, sign)
    if need_y:
        digit.add_product(words, o + Y_SQUARES, y, y, sign)


@njit(nogil=True, cache=True)
def _of_pairs(
    words: Int64s,
    o: int,
    need_x: bool,
    need_y: bool,
    parts: Int64s,
    results: Float64s,
    of: Grid,
) -> None:
    """The results of at least two pairs, and their statuses.

    Numbers lie in `words` in this order: Sx, Sy, Sxx, Sxy, Syy, then n * Sxx - Sx * Sx and its like of xy and
    yy, then one at hand.
    """
    n = words[o + COUNT]
    x, y, s_xx, s_xy, s_yy = X, Y, Y + ROOM, Y + 2 * ROOM, Y + 3 * ROOM
    xx, xy, yy, last = Y + 4 * ROOM, Y + 5 * ROOM, Y + 6 * ROOM, Y + 7 * ROOM
    of_x = digit.take(words, o + SUM, words, x)
    of_y = digit.take(words, o + SECOND, words, y)
    of_s_xy = digit.take(words, o + PRODUCTS, words, s_xy)
    of_xy = digit.centred(words, n, s_xy, of_s_xy, x, of_x, y, of_y, xy)
    results[COV] = divided_by(words, xy, of_xy, PRODUCT_UNIT, n * (n - 1))
    of[COV] = OK if abs(results[COV]) <= FLOAT_MAX else DOMAIN
    if not need_x:
        return
    of_s_xx = digit.take(words, o + X_SQUARES, words, s_xx)
    of_xx = digit.centred(words, n, s_xx, of_s_xx, x, of_x, x, of_x, xx)
    if of_xx[0] == 0:
        of[CORRELATION] = of[SLOPE] = of[INTERCEPT] = DOMAIN
        of[T_VALUE] = DOMAIN if n > 2 else WARMING
        return
    if parts[SLOPE] >= 0:
        results[SLOPE] = _ratio(words, xy, of_xy, PRODUCT_UNIT, xx, of_xx)
        of[SLOPE] = OK if abs(results[SLOPE]) <= FLOAT_MAX else DOMAIN
    if parts[INTERCEPT] >= 0:  # (Sy * Sxx - Sx * Sxy) / (n * Sxx - Sx * Sx)
        of_last = digit.crossed(words, y, of_y, s_xx, of_s_xx, x, of_x, s_xy, of_s_xy, last)
        results[INTERCEPT] = _ratio(words, last, of_last, UNIT + PRODUCT_UNIT, xx, of_xx)
        of[INTERCEPT] = OK if abs(results[INTERCEPT]) <= FLOAT_MAX else DOMAIN
    if not need_y:
        return
    of_s_yy = digit.take(words, o + Y_SQUARES, words, s_yy)
    of_yy = digit.centred(words, n, s_yy, of_s_yy, y, of_y, y, of_y, yy)
    if parts[CORRELATION] >= 0:
        of[CORRELATION] = DOMAIN
        if of_yy[0] != 0:
            results[CORRELATION] = _correlation(words, xy, of_xy, xx, of_xx, yy, of_yy)
            of[CORRELATION] = OK
    if parts[T_VALUE] >= 0 and n > 2:  # t * t = xy * xy * (n - 2) / (xx * yy - xy * xy)
        of_last = digit.crossed(words, xx, of_xx, yy, of_yy, xy, of_xy, xy, of_xy, last)
        of[T_VALUE] = DOMAIN
        if of_last[0] > 0:
            results[T_VALUE] = _t_value(words, n, xy, of_xy, last, of_last)
            of[T_VALUE] = OK if abs(results[T_VALUE]) <= FLOAT_MAX else DOMAIN


@njit(nogil=True, cache=True)
def _ratio(
    digits: Int64s,
    x: int,
    of_x: tuple[int, int, int],
    x_unit: int,
    y: int,
    of_y: tuple[int, int, int],
) -> float:
    """X / Y, rounded, of a Y above 0 that counts units of products."""
    if of_x[0] == 0:
        return 0.0
    a, a_low = digit.leading(digits, x, of_x[1], of_x[2])
    b, b_low = digit.leading(digits, y, of_y[1], of_y[2])
    a, a_low = double.divided(a, a_low, b, b_low)
    return of_x[0] * double.scaled(a, digit.power(of_x[2], x_unit) - digit.power(of_y[2], PRODUCT_UNIT))


@njit(nogil=True, cache=True)
def _correlation(
    digits: Int64s,
    xy: int,
    of_xy: tuple[int, int, int],
    xx: int,
    of_xx: tuple[int, int, int],
    yy: int,
    of_yy: tuple[int, int, int],
) -> float:
    """R42: the root of xy * xy / (xx * yy), with the sign of xy."""
    if of_xy[0] == 0:
        return 0.0
    a, a_low = digit.leading(digits, xy, of_xy[1], of_xy[2])
    b, b_low = digit.leading(digits, xx, of_xx[1], of_xx[2])
    d, d_low = digit.leading(digits, yy, of_yy[1], of_yy[2])
    a, a_low = double.multiplied(a, a_low, a, a_low)
    b, b_low = double.multiplied(b, b_low, d, d_low)
    a, a_low = double.divided(a, a_low, b, b_low)
    half = 16 * (2 * of_xy[2] - of_xx[2] - of_yy[2])
    return of_xy[0] * min(1.0, double.scaled(double.root(a, a_low), half))


@njit(nogil=True, cache=True)
def _t_value(
    digits: Int64s, n: int, xy: int, of_xy: tuple[int, int, int], rest: int, of_rest: tuple[int, int, int]
) -> float:
    """M24: the root of xy * xy * (n - 2) / rest, with the sign of xy; infinite where the square is."""
    if of_xy[0] == 0:
        return 0.0
    a, a_low = digit.leading(digits, xy, of_xy[1], of_xy[2])
    b, b_low = digit.leading(digits, rest, of_rest[1], of_rest[2])
    a, a_low = double.multiplied(a, a_low, a, a_low)
    a, a_low = double.multiplied(a, a_low, float(n - 2), 0.0)
    a, a_low = double.divided(a, a_low, b, b_low)
    power = 2 * digit.power(of_xy[2], PRODUCT_UNIT) - digit.power(of_rest[2], 2 * PRODUCT_UNIT)
    square = double.scaled(a, power)
    return of_xy[0] * math.sqrt(square)
