"""Second moments of windows from exact sums, of which no digit is lost: R33, R34, R44, M1 and M22.

Words of a state: the ordinal at which the window begins and how many of its rows have their values.  Then, of
squares, what is near of the exact sums of the values and of their squares (`near_kernel`), of products one
that is free, the exact sum of the values, and that of their products (`digit_kernel`).
"""

from typing import Final

from numba import njit

from operators.formula.history import EXACT_DIGITS, NEAR_SQUARES_WORDS
from operators.nodes import digit_kernel as digit
from operators.nodes import double_kernel as double
from operators.nodes import exact_kernel as exact
from operators.nodes import near_kernel as near
from operators.nodes import places as at
from operators.nodes import round_kernel as rounding
from operators.nodes import spread_kernel
from operators.nodes import wide_kernel as wide
from operators.nodes.digit_kernel import COLUMNS_MAX, PRODUCT_UNIT, ROOM
from operators.nodes.exact_kernel import FLOAT_MAX, UNIT
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
    score, total = line[at.PARTS_AT + 2], line[at.PARTS_AT + 3]
    for i in range(rows):
        g = places[at.GROUP, i]
        if g < 0:
            rounding.note_nothing(words, i, NULL_IN)
            continue
        if reset != 0 and places[at.SESSION, i] < 0:
            rounding.note_nothing(words, i, WARMING)
            continue
        n, o, far = places[at.ORDINAL, i], base + g * stride, line[at.FAR] + g * stride
        x = kept[c, places[at.SLOT, i]]
        _slide(i, o, far, c, window_rows, ns, reset, most, without, places, kept, kept_time, words)
        if words[o + NEAR + near.PLACE] >= near.FAR_ONE or _is_away(words, o + NEAR, score, x):
            _note_far(words, i, o + NEAR, far, words[o + COUNT], ddof, x)
        else:
            rounding.note_sum(words, i, o + NEAR, far, words[o + COUNT])
            rounding.note_squares(words, i, o + NEAR, x)
        if without != 0 and x != NO_FLOAT and n >= words[o + BEGINS]:
            _enter(words, o, far, x, 1)
    if total >= 0:
        rounding.round_sums(words, rows)
        rounding.write_sums(words, floats, status, total, line[at.PARTS_AT], line[at.PARTS_AT + 1], rows)
    rounding.write_counts(words, ints, status, line[at.PARTS_AT + 4], rows)
    rounding.spread_out(words, ddof, score >= 0, rows)
    if score >= 0:
        rounding.round_scores(words, ddof, rows)
        rounding.write_scores(words, floats, status, score, rows)
    rounding.round_variances(words, ddof, rows)
    rounding.write_variances(words, floats, status, out, ddof, rows)


@njit(nogil=True, cache=True, forceinline=True)
def _is_away(words: Int64s, o: int, score: int, x: int) -> bool:
    """Whether a z-score is asked for of a float, by its bits, that is far though the sum at o is near."""
    return score >= 0 and x != NO_FLOAT and not near.is_near(words[o + near.PLACE] & near.BASE, x)


@njit(nogil=True, cache=True)
def _note_far(words: Int64s, i: int, o: int, far: int, n: int, ddof: int, x: int) -> None:
    """Note sums, variance and z-score of row i, made by all digits."""
    rounding.note_far_sum(words, i, o, far, n)
    variance, score, of_score = 0.0, 0.0, WARMING
    if n > ddof:
        of_score = NULL_IN if x == NO_FLOAT else DOMAIN
        high, low, unit = _far_spread(words, o, far, n)
        if high != 0:
            variance = spread_kernel.variance(high, low, unit, n * (n - ddof))
        if high != 0 and x != NO_FLOAT:
            of_score = OK
            away, away_low, away_unit = _far_distance(words, o, far, n, x)
            if away != 0:
                score = spread_kernel.score(away, away_low, away_unit, high, low, unit, n, ddof)
    rounding.note_spread(words, i, variance, score, of_score)


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


@njit(nogil=True, cache=True)
def _far_spread(words: Int64s, o: int, far: int, n: int) -> tuple[int, int, int]:
    """`near_kernel.spread` by all digits."""
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
