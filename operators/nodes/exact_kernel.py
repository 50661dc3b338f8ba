"""Exact sums of float64, rounded once: the value hangs on the addends alone, never on their order.

A sum is a number in base 2**32 whose digits are signed 64 bit words (Neal, arXiv 1505.05571): to add or to
take away a float is to add three integers, without any error, and no digit can overflow before 2**31 addends.

In the words of a state, from `o` on: the lowest digit that may be other than 0, the highest one (0 for an
empty sum),
`EXACT_DIGITS` digits, and a word for who computes.  Digit k counts units of 2**(32 * k - 1075).
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from operators.formula.history import EXACT_DIGITS
from operators.nodes.bits_kernel import bits_of, power_of
from operators.nodes.fused_kernel import SPLITTER, left_of
from schemas.batch import Int64s

Float64s = npt.NDArray[np.float64]

LOWEST: Final = 0
HIGHEST: Final = 1
DIGITS: Final = 2
SCRATCH: Final = DIGITS + EXACT_DIGITS
SIZE: Final = SCRATCH + 1

DIGIT: Final = 0xFFFFFFFF
MANTISSA: Final = 0xFFFFFFFFFFFFF
HIDDEN: Final = 1 << 52
UNIT: Final = 1075  # digit 0 counts units of 2**-UNIT
ONE: Final = np.uint64(1)  # a place without a sign is never counted from the end
TWO: Final = np.uint64(2)
THREE: Final = np.uint64(3)

SIGNED: Final = 1 << 31  # the highest of four digits has a sign
SMALLEST: Final = 5e-324
NORMAL_MIN: Final = 2.0**-1022
FLOAT_MAX: Final = 1.7976931348623157e308
SMALL: Final = 1e-280  # between these a quotient and its error are exact enough
LARGE: Final = 1e290
NEAR: Final = 2.0**-48


@njit(nogil=True, cache=True)
def add(words: Int64s, o: int, bits: int, sign: int) -> None:
    """Add the float with these bits, or with `sign` -1 take it away."""
    k = add_digits(words, o, bits, sign)
    if k >= 0:
        widen(words, o, k, k)


@njit(nogil=True, cache=True)
def add_digits(words: Int64s, o: int, bits: int, sign: int) -> int:
    """The same, where the caller tells `widen` later; returns the lowest digit written, -1 for none."""
    exponent = (bits >> 52) & 0x7FF
    mantissa = bits & MANTISSA
    if exponent == 0:
        if mantissa == 0:
            return -1
        exponent = 1
    else:
        mantissa |= HIDDEN
    if bits < 0:
        sign = -sign
    k = exponent >> 5
    shift = exponent & 31
    rest = (mantissa >> 1) >> (31 - shift)
    d = np.uint64(o + DIGITS + k)
    # What is taken away leaves each digit as it was: a window's digits never grow with the rows that passed.
    words[d] += sign * ((mantissa << shift) & DIGIT)
    words[d + ONE] += sign * (rest & DIGIT)
    words[d + TWO] += sign * (rest >> 32)
    return int(k)


@njit(nogil=True, cache=True)
def widen(words: Int64s, o: int, lowest: int, highest: int) -> None:
    """Note that floats were added whose lowest digits were between these."""
    low = np.uint64(o + LOWEST)
    high = np.uint64(o + HIGHEST)
    if words[high] == 0:
        words[low] = lowest
        words[high] = highest + 2
    else:
        words[low] = min(words[low], lowest)
        words[high] = max(words[high], highest + 2)


@njit(nogil=True, cache=True)
def clear(words: Int64s, o: int) -> None:
    """Make it the sum of nothing."""
    if words[o + HIGHEST] != 0:
        for k in range(words[o + LOWEST], words[o + HIGHEST] + 1):
            words[o + DIGITS + k] = 0
        words[o + HIGHEST] = 0


@njit(nogil=True, cache=True)
def add_product(words: Int64s, floats: Float64s, o: int, x: float, y: float, sign: int) -> bool:
    """Add x * y exactly, or take it away; False, and nothing is added, where it is too large for that.

    The product and its error (Dekker) are added.  Below 2**-1022 the error is lost.
    """
    product = x * y
    t = SPLITTER * x
    x_high = t - (t - x)
    x_low = x - x_high
    t = SPLITTER * y
    y_high = t - (t - y)
    y_low = y - y_high
    error = ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low
    if not abs(error) <= 1e308 or not abs(product) <= 1e308:
        return False
    floats[o + SCRATCH] = product
    add(words, o, words[o + SCRATCH], sign)
    floats[o + SCRATCH] = error
    add(words, o, words[o + SCRATCH], sign)
    return True


@njit(nogil=True, cache=True)
def settle(words: Int64s, o: int) -> int:
    """Bring the digits in order, each in [0, 2**32) but the highest; returns the highest that is not 0."""
    low, high = words[o + LOWEST], words[o + HIGHEST]
    d = o + DIGITS
    carry = 0
    for k in range(low, high + 1):
        digit = words[d + k] + carry
        words[d + k] = digit & DIGIT
        carry = digit >> 32
    if carry != 0:
        high += 1
        words[d + high] = carry
    # A highest digit of -1 is the sign of the one below it.
    while high > low and (words[d + high] == 0 or words[d + high] == -1):
        if words[d + high] == -1:
            words[d + high - 1] -= 1 << 32
        words[d + high] = 0
        high -= 1
    words[o + HIGHEST] = max(high, 1)
    return int(high)


@njit(nogil=True, cache=True)
def rounded(words: Int64s, o: int) -> tuple[float, float]:
    """The sum rounded, half to even, and what is left of it, rounded; infinite where it is too large.

    It may tidy the digits up, which does not change the sum.
    """
    total, rest, whole = _nearest(words, o)
    if not whole and abs(total) <= FLOAT_MAX:
        bits = bits_of(total)
        add(words, o, bits, -1)
        rest, _, _ = _nearest(words, o)
        add(words, o, bits, 1)
    return total, rest


@njit(nogil=True, cache=True)
def nearest(words: Int64s, o: int) -> float:
    """The sum rounded, half to even; infinite where it is too large."""
    high, low = words[np.uint64(o + HIGHEST)], words[np.uint64(o + LOWEST)]
    if high == 0:
        return 0.0
    d = np.uint64(o + DIGITS + low)
    if words[d] == 0 and low < high:
        low += 1
        d += ONE
        words[np.uint64(o + LOWEST)] = low
    if high - low <= 3:
        t0 = words[d]
        t1 = words[d + ONE] + (t0 >> 32)
        t2 = words[d + TWO] + (t1 >> 32)
        t3 = words[d + THREE] + (t2 >> 32)
        if -SIGNED <= t3 < SIGNED:
            upper, lower, unit = two_words(t3, t2 & DIGIT, t1 & DIGIT, t0 & DIGIT, 32 * low - UNIT)
            return rounded_words(upper, lower, unit)
    total, _, _ = _nearest(words, o)
    return total


@njit(nogil=True, cache=True)
def _nearest(words: Int64s, o: int) -> tuple[float, float, bool]:
    """The sum rounded, what is left of its four highest digits, and whether it has no others."""
    high, low = words[o + HIGHEST], words[o + LOWEST]
    if high == 0:
        return 0.0, 0.0, True
    d = o + DIGITS
    if words[d + low] == 0 and low < high:
        low += 1
        words[o + LOWEST] = low
    if high - low <= 3:
        first_digit = np.uint64(d + low)
        t0 = words[first_digit]
        t1 = words[first_digit + ONE] + (t0 >> 32)
        t2 = words[first_digit + TWO] + (t1 >> 32)
        t3 = words[first_digit + THREE] + (t2 >> 32)
        if -SIGNED <= t3 < SIGNED:
            value, rest = _of_digits(t3, t2 & DIGIT, t1 & DIGIT, t0 & DIGIT, 32 * low - UNIT, False)
            return value, rest, True
    high = settle(words, o)
    first = max(low, high - 3)
    sticky = False
    for k in range(low, first):
        sticky |= words[d + k] != 0
    t3 = words[d + first + 3]
    if not -SIGNED <= t3 < SIGNED:  # the highest digit may have 33 bits: one more below it is let go
        sticky |= words[d + first] != 0
        first += 1
        t3 = words[d + first + 3]
    t0, t1, t2 = words[d + first], words[d + first + 1], words[d + first + 2]
    if t2 < 0:  # the highest digit is not the fourth one
        t2, t3 = t2 + (1 << 32), -1
    elif t1 < 0:
        t1, t2, t3 = t1 + (1 << 32), DIGIT, -1
    elif t0 < 0:
        t0, t1, t2, t3 = t0 + (1 << 32), DIGIT, DIGIT, -1
    value, rest = _of_digits(t3, t2, t1, t0, 32 * first - UNIT, sticky)
    return value, rest, not sticky


@njit(nogil=True, cache=True)
def _of_digits(t3: int, t2: int, t1: int, t0: int, unit: int, sticky: bool) -> tuple[float, float]:
    """The float nearest to four digits of `unit`, and the float nearest to the rest; t3 has the sign.

    `sticky` says that there is more below: then the number has at least 55 bits.
    """
    high, low, unit = two_words(t3, t2, t1, t0, unit)
    return split(high, low, unit, sticky)


@njit(nogil=True, cache=True)
def two_words(t3: int, t2: int, t1: int, t0: int, unit: int) -> tuple[int, int, int]:
    """Four digits as a word with at least 55 bits, or with all there are, and the word behind it.

    With the unit of the former; the latter counts in 2**-64 of it.
    """
    high = (t3 << 32) | t2
    low = ((t1 - ((t1 >> 31) << 32)) << 32) | t0  # t1 with a sign, so that nothing leaves the word
    if high == low >> 63:  # one word holds it
        return low, 0, unit
    shift = 0
    if -(1 << 31) <= high < (1 << 31):
        high, low, shift = (high << 32) | ((low >> 32) & DIGIT), low << 32, 32
    if -(1 << 47) <= high < (1 << 47):
        high, low, shift = (high << 16) | ((low >> 48) & 0xFFFF), low << 16, shift + 16
    if -(1 << 55) <= high < (1 << 55):
        high, low, shift = (high << 8) | ((low >> 56) & 0xFF), low << 8, shift + 8
    return high, low, unit + 64 - shift


@njit(nogil=True, cache=True, forceinline=True)
def pair(high: int, low: int, sticky: bool) -> tuple[float, float]:
    """The float nearest to `high`.`low` (the latter as a fraction of 2**64), and that nearest to the rest.

    `high` has at least 55 bits, or `low` is 0; `sticky` says that there is more below.
    """
    value = np.float64(high | 1) if low != 0 or sticky else np.float64(high)
    upper = np.float64(high >> 32) * 4294967296.0
    rest = (upper - value) + np.float64(high & DIGIT)
    rest += np.float64((low >> 32) & DIGIT) * 2.0**-32  # exact, as all before it
    rest += np.float64(low & DIGIT) * 2.0**-64
    return value, rest


@njit(nogil=True, cache=True, forceinline=True)
def split(high: int, low: int, unit: int, sticky: bool) -> tuple[float, float]:
    """`pair` in units of a power of 2."""
    value, rest = pair(high, low, sticky)
    half = unit >> 1
    first, second = power_of(half), power_of(unit - half)
    return value * first * second, rest * first * second


@njit(nogil=True, cache=True, forceinline=True)
def rounded_words(high: int, low: int, unit: int) -> float:
    """The first of `split` alone."""
    value = np.float64(high | 1) if low != 0 else np.float64(high)
    half = unit >> 1
    return float(value * power_of(half) * power_of(unit - half))


@njit(nogil=True, cache=True)
def mean(words: Int64s, o: int, n: int) -> float:
    """The sum by n, 1 <= n < 2**31, rounded once, half to even."""
    total, rest = rounded(words, o)
    return quotient(words, o, n, total, rest)


@njit(nogil=True, cache=True, forceinline=True, error_model="numpy")
def quick_quotient(n: int, total: float, rest: float) -> tuple[float, bool]:
    """`quotient` of a sum, and whether it is sure without its digits."""
    size, count = abs(total), np.float64(n)
    value = total / count
    product = value * count
    error = left_of(value, count, product)
    correction = ((total - product) - error + rest) / count
    # Unless the exact value is next to the middle of two floats, this is the nearest one.
    more, less = value + correction * (1.0 + NEAR), value + correction * (1.0 - NEAR)
    known = (n == 1) | (total == 0.0) | (size > FLOAT_MAX)
    return total if known else more, known | ((more == less) & (size > SMALL) & (size < LARGE))


@njit(nogil=True, cache=True)
def quotient(words: Int64s, o: int, n: int, total: float, rest: float) -> float:
    """`mean` of a sum whose `rounded` is known."""
    value, sure = quick_quotient(n, total, rest)
    return value if sure else divided(words, o, n)


@njit(nogil=True, cache=True)
def divided(words: Int64s, o: int, n: int) -> float:
    """The sum by n, digit by digit; the sum is not 0."""
    d = o + DIGITS
    high = settle(words, o)
    negative = words[d + high] < 0
    if negative:
        _negate(words, o)
        high = settle(words, o)
    rest, places, k = 0, 0, high
    t2, t1, t0 = 0, 0, 0
    while places < 3:
        digit = words[d + k] if k >= words[o + LOWEST] else 0
        whole = (rest << 32) + digit
        quotient = whole // n
        rest = whole - quotient * n
        if places > 0 or quotient != 0:
            t2, t1, t0 = t1, t0, quotient
            places += 1
        k -= 1
    sticky = rest != 0
    for lower in range(words[o + LOWEST], k + 1):
        sticky |= words[d + lower] != 0
    value, _ = _of_digits(0, t2, t1, t0, 32 * (k + 1) - UNIT, sticky)
    if value <= NORMAL_MIN:  # it was rounded twice: floats have fewer bits there
        value = _small_quotient(words, o, n)
    if negative:
        _negate(words, o)
        settle(words, o)
    return -value if negative else value


@njit(nogil=True, cache=True)
def _small_quotient(words: Int64s, o: int, n: int) -> float:
    """The sum by n, of a sum above 0 whose quotient is at most 2**-1022, in units of the smallest float."""
    rest, halves = 0, 0
    for k in range(words[o + HIGHEST], -1, -1):
        whole = (rest << 32) + words[o + DIGITS + k]
        quotient = whole // n
        rest = whole - quotient * n
        halves = (halves << 32) + quotient
    units = halves >> 1
    if halves & 1 and (rest != 0 or units & 1):
        units += 1
    return units * SMALLEST


@njit(nogil=True, cache=True)
def _negate(words: Int64s, o: int) -> None:
    for k in range(o + DIGITS + words[o + LOWEST], o + DIGITS + words[o + HIGHEST] + 1):
        words[k] = -words[k]
