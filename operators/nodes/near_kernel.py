"""Exact sums of windows in one line of memory: the few digits that most values use, and all others far away.

An exact sum (`exact_kernel`, `digit_kernel`) has 72 digits, or 136, and the values of a symbol use three or
four of them.  Words of a state hold these: where its digits begin and how much is in them, `PLACE`, and the
digits from there on, `SUM_NEAR` of a sum of values and `SQUARES_NEAR` of one of squares.  What uses other
digits is added to a whole sum, `far`, which lies behind the words of all steps; the sum is that of both.

The digits are those of the whole sum, and so is all that is computed of them.  Where more is needed than what
is near, the whole sum is put together in the words before those of the first symbol.
"""

from typing import Final

import numpy as np
from numba import njit

from operators.formula.history import EXACT_WORDS, PRODUCT_WORDS
from operators.nodes import exact_kernel as exact
from operators.nodes.digit_kernel import HALF, PRODUCT_UNIT
from operators.nodes.exact_kernel import (
    DIGIT,
    DIGITS,
    HIDDEN,
    HIGHEST,
    LOWEST,
    MANTISSA,
    POWER_MIN,
    POWERS,
    SIGNED,
    UNIT,
    Float64s,
)
from operators.nodes.spread_kernel import leading, leading_digits
from schemas.batch import Int64s

# Where a whole sum is put together, of values and of squares, and where the words of symbols begin.
WHOLE: Final = 0
WHOLE_SQUARES: Final = EXACT_WORDS
STATES: Final = 8 * ((EXACT_WORDS + PRODUCT_WORDS + 7) // 8)

PLACE: Final = 0
FIRST_DIGIT: Final = 1
SUM_NEAR: Final = 5
SQUARES_NEAR: Final = 7

# Of `PLACE`: which digit is the first one, how many values other than 0 are in those that are near, how many
# far away.  A sum that nothing is taken away from counts neither above 1.
FIRST: Final = 0xFF
NEAR_ONE: Final = 1 << 8
NEAR_BITS: Final = 28
FAR_ONE: Final = NEAR_ONE << NEAR_BITS
NEARS: Final = FAR_ONE - NEAR_ONE


@njit(nogil=True, cache=True)
def begin(place: int, k: int) -> int:
    """The place of a sum where digit k comes: where it has none it begins a digit before."""
    return place if place >= NEAR_ONE else max(k - 1, 0)


@njit(nogil=True, cache=True)
def add(words: Int64s, o: int, far: int, bits: int, sign: int) -> None:
    """Add the float with these bits to a sum of a window, or with `sign` -1 take it away."""
    exponent = (bits >> 52) & 0x7FF
    mantissa = bits & MANTISSA
    if exponent == 0:
        if mantissa == 0:
            return
        exponent = 1
    else:
        mantissa |= HIDDEN
    k, shift = exponent >> 5, exponent & 31
    place = begin(words[o + PLACE], k)
    j = k - (place & FIRST)
    if 0 <= j <= SUM_NEAR - 3:
        words[o + PLACE] = place + sign * NEAR_ONE
        signed = -sign if bits < 0 else sign
        rest = (mantissa >> 1) >> (31 - shift)
        d = o + FIRST_DIGIT + j
        words[d] += signed * ((mantissa << shift) & DIGIT)
        words[d + 1] += signed * (rest & DIGIT)
        words[d + 2] += signed * (rest >> 32)
    else:
        words[o + PLACE] = place + sign * FAR_ONE
        exact.add(words, far, bits, sign)


@njit(nogil=True, cache=True)
def count_one(words: Int64s, o: int) -> None:
    """Count of each kind no more than one value: of a sum that may never end."""
    place = words[o + PLACE]
    words[o + PLACE] = (
        (place & FIRST) | (NEAR_ONE if place & NEARS != 0 else 0) | (FAR_ONE if place >= FAR_ONE else 0)
    )


@njit(nogil=True, cache=True)
def add_square(words: Int64s, o: int, far: int, bits: int, sign: int) -> None:
    """Add the square of the float with these bits to a sum of squares, or with `sign` -1 take it away."""
    exponent = (bits >> 52) & 0x7FF
    mantissa = bits & MANTISSA
    if exponent == 0:
        if mantissa == 0:
            return
        exponent = 1
    else:
        mantissa |= HIDDEN
    x_high, x_low = mantissa >> 27, mantissa & HALF
    middle = 2 * x_high * x_low
    low = x_low * x_low + ((middle & HALF) << 27)  # as in `digit_kernel.add_product`
    high = x_high * x_high + (middle >> 27)
    position = 2 * exponent
    k, shift = position >> 5, position & 31
    last, last_shift = (position + 54) >> 5, (position + 54) & 31
    place = begin(words[o + PLACE], k)
    j = k - (place & FIRST)
    is_near = 0 <= j <= SQUARES_NEAR - 5
    words[o + PLACE] = place + sign * (NEAR_ONE if is_near else FAR_ONE)
    d = o + FIRST_DIGIT + j if is_near else far + DIGITS + k
    rest = low >> (32 - shift)
    words[d] += sign * ((low << shift) & DIGIT)
    words[d + 1] += sign * (rest & DIGIT)
    words[d + 2] += sign * (rest >> 32)
    d += last - k
    rest = high >> (32 - last_shift)
    words[d] += sign * ((high << last_shift) & DIGIT)
    words[d + 1] += sign * (rest & DIGIT)
    words[d + 2] += sign * (rest >> 32)
    if not is_near:
        exact.widen(words, far, k, last)


@njit(nogil=True, cache=True)
def clear(words: Int64s, o: int, far: int, near: int) -> None:
    """Make a sum with so many near digits that of nothing."""
    if words[o + PLACE] >= FAR_ONE:
        exact.clear(words, far)
    for k in range(o, o + FIRST_DIGIT + near):
        words[k] = 0


@njit(nogil=True, cache=True)
def whole(words: Int64s, o: int, far: int, near: int, to: int) -> None:
    """Write a sum with so many near digits to `to` as a whole one; what was there is forgotten."""
    exact.clear(words, to)
    place = words[o + PLACE]
    if place < NEAR_ONE:
        return
    first = place & FIRST
    low, high = first, first + near - 1
    if place >= FAR_ONE and words[far + HIGHEST] != 0:
        low, high = min(low, words[far + LOWEST]), max(high, words[far + HIGHEST])
        for k in range(words[far + LOWEST], words[far + HIGHEST] + 1):
            words[to + DIGITS + k] = words[far + DIGITS + k]
    for k in range(near):
        words[to + DIGITS + first + k] += words[o + FIRST_DIGIT + k]
    words[to + LOWEST], words[to + HIGHEST] = low, high


@njit(nogil=True, cache=True)
def _words(words: Int64s, o: int) -> tuple[int, int, int, bool]:
    """What is near of a sum of values as `exact_kernel.two_words` has it, and whether there is more below."""
    d = o + FIRST_DIGIT
    unit = 32 * (words[o + PLACE] & FIRST) - UNIT
    t0 = words[d]
    t1 = words[d + 1] + (t0 >> 32)
    t2 = words[d + 2] + (t1 >> 32)
    t3 = words[d + 3] + (t2 >> 32)
    t4 = words[d + 4] + (t3 >> 32)
    top = (t4 << 32) | (t3 & DIGIT)
    if -SIGNED <= top < SIGNED:
        high, low, unit = exact.two_words(top, t2 & DIGIT, t1 & DIGIT, t0 & DIGIT, unit)
        return high, low, unit, False
    high, low, unit = exact.two_words(t4, t3 & DIGIT, t2 & DIGIT, t1 & DIGIT, unit + 32)
    return high, low, unit, t0 & DIGIT != 0


@njit(nogil=True, cache=True)
def nearest(words: Int64s, o: int, far: int) -> float:
    """A sum of values rounded, half to even; infinite where it is too large."""
    if words[o + PLACE] >= FAR_ONE:
        whole(words, o, far, SUM_NEAR, WHOLE)
        return float(exact.nearest(words, WHOLE))
    high, low, unit, more = _words(words, o)
    value = np.float64(high | 1) if low != 0 or more else np.float64(high)
    half = unit >> 1
    return float(value * POWERS[half - POWER_MIN] * POWERS[unit - half - POWER_MIN])


@njit(nogil=True, cache=True)
def rounded(words: Int64s, floats: Float64s, o: int, far: int) -> tuple[float, float]:
    """A sum of values rounded, and what is left of it, rounded: `exact_kernel.rounded`."""
    if words[o + PLACE] < FAR_ONE:
        high, low, unit, more = _words(words, o)
        if not more:
            total, rest = exact.split(high, low, unit, False)
            return total, rest
    whole(words, o, far, SUM_NEAR, WHOLE)
    total, rest = exact.rounded(words, floats, WHOLE)
    return total, rest


@njit(nogil=True, cache=True)
def mean(words: Int64s, o: int, far: int, n: int, total: float, rest: float) -> float:
    """A sum of values by n, rounded once, given what `rounded` says of it."""
    value, sure = exact.quick_quotient(n, total, rest)
    if sure:
        return float(value)
    whole(words, o, far, SUM_NEAR, WHOLE)
    return float(exact.divided(words, WHOLE, n))


@njit(nogil=True, cache=True)
def leading_sum(words: Int64s, o: int, far: int) -> tuple[float, float, int]:
    """`spread_kernel.leading` of a sum of values."""
    if words[o + PLACE] >= FAR_ONE:
        whole(words, o, far, SUM_NEAR, WHOLE)
        return leading(words, WHOLE, UNIT)
    unit = UNIT - 32 * (words[o + PLACE] & FIRST)
    return leading_digits(words, o + FIRST_DIGIT, 0, SUM_NEAR - 1, unit)


@njit(nogil=True, cache=True)
def leading_squares(words: Int64s, o: int, far: int) -> tuple[float, float, int]:
    """The same of a sum of squares."""
    if words[o + PLACE] >= FAR_ONE:
        whole(words, o, far, SQUARES_NEAR, WHOLE_SQUARES)
        return leading(words, WHOLE_SQUARES, PRODUCT_UNIT)
    unit = PRODUCT_UNIT - 32 * (words[o + PLACE] & FIRST)
    return leading_digits(words, o + FIRST_DIGIT, 0, SQUARES_NEAR - 1, unit)


@njit(nogil=True, cache=True)
def settle(words: Int64s, o: int, far: int) -> None:
    """Bring the digits of a sum of values in order, each in [0, 2**32) but the highest."""
    for k in range(o + FIRST_DIGIT, o + SUM_NEAR):
        words[k + 1] += words[k] >> 32
        words[k] &= DIGIT
    if words[o + PLACE] >= FAR_ONE and words[far + HIGHEST] != 0:
        exact.settle(words, far)
