"""Whole numbers of any length, for formulas of exact sums whose terms cancel: no digit is lost.

The second moments of a window are differences such as n * Sxx - Sx * Sx, of which all digits may cancel: of
prices far from 0 most do, of a constant window all.  As digits the difference is exact, whatever the values
are, and the rest of the formula is a few operations on pairs of floats (`double_kernel`).

A state's sum of products is as in `exact_kernel`, with twice the range: digit k counts units of
2**(32 * k - 2150), so that digits i and j of two sums of floats multiply into digit i + j of it.  A number
to compute with lies in `digits` from `base` on: digits in [0, 2**32) of the places low to high, and a sign,
0 for the number 0; its digit k counts units of 2**(32 * k - unit), where units add up in products.
"""

from typing import Final

import numpy as np
from numba import njit

from operators.nodes import wide_kernel as wide
from operators.nodes.double_kernel import settled
from operators.nodes.exact_kernel import (
    DIGIT,
    DIGITS,
    HIDDEN,
    HIGHEST,
    LOWEST,
    MANTISSA,
    ONE,
    TWO,
    UNIT,
    widen,
)
from schemas.batch import Int64s

PRODUCT_UNIT: Final = 2 * UNIT
COLUMNS_MAX: Final = 1 << 14  # terms of a sum whose columns times their number fit into a word
ROOM: Final = 304  # places for any number here: the longest is a product of two sums of products
HALF: Final = (1 << 27) - 1  # of a mantissa, the lower one


@njit(nogil=True, cache=True)
def add_product(words: Int64s, o: int, x: int, y: int, sign: int) -> None:
    """Add the product of the floats with these bits to a sum of products, or with `sign` -1 take it away."""
    x_exponent, y_exponent = (x >> 52) & 0x7FF, (y >> 52) & 0x7FF
    x_mantissa, y_mantissa = x & MANTISSA, y & MANTISSA
    if x_exponent == 0:
        x_exponent = 1
    else:
        x_mantissa |= HIDDEN
    if y_exponent == 0:
        y_exponent = 1
    else:
        y_mantissa |= HIDDEN
    if x_mantissa == 0 or y_mantissa == 0:
        return
    x_high, x_low = x_mantissa >> 27, x_mantissa & HALF
    y_high, y_low = y_mantissa >> 27, y_mantissa & HALF
    middle = x_high * y_low + x_low * y_high
    low = x_low * y_low + ((middle & HALF) << 27)  # 55 bits, and so is `high`, which counts units of 2**54
    high = x_high * y_high + (middle >> 27)
    if (x ^ y) < 0:
        sign = -sign
    position = x_exponent + y_exponent
    k, shift = position >> 5, position & 31
    d = np.uint64(o + DIGITS + k)
    rest = low >> (32 - shift)
    words[d] += sign * ((low << shift) & DIGIT)
    words[d + ONE] += sign * (rest & DIGIT)
    words[d + TWO] += sign * (rest >> 32)
    position += 54
    last, shift = position >> 5, position & 31
    d = np.uint64(o + DIGITS + last)
    rest = high >> (32 - shift)
    words[d] += sign * ((high << shift) & DIGIT)
    words[d + ONE] += sign * (rest & DIGIT)
    words[d + TWO] += sign * (rest >> 32)
    widen(words, o, k, last)


@njit(nogil=True, cache=True)
def take(words: Int64s, o: int, digits: Int64s, base: int) -> tuple[int, int, int]:
    """Copy the sum of a state to `base`; returns sign, low and high.  The state forgets places that are 0."""
    low, high = words[o + LOWEST], words[o + HIGHEST]
    if high == 0:
        return 0, 0, 0
    d = o + DIGITS
    while high > low and words[d + high] == 0:
        high -= 1
    while high > low and words[d + low] == 0:
        low += 1
    words[o + LOWEST], words[o + HIGHEST] = low, max(high, 1)
    carry = 0
    for k in range(low, high + 1):
        column = words[d + k] + carry
        digits[base + k] = column & DIGIT
        carry = column >> 32
    return ended(digits, base, low, high, carry)


@njit(nogil=True, cache=True)
def carried(digits: Int64s, base: int, low: int, high: int) -> tuple[int, int, int]:
    """Bring columns of any size and sign in the form of a number; returns sign, low and high.

    There are four more places behind `high`.
    """
    carry = 0
    for k in range(base + low, base + high + 1):
        column = digits[k] + carry
        digits[k] = column & DIGIT
        carry = column >> 32
    return ended(digits, base, low, high, carry)


@njit(nogil=True, cache=True)
def ended(digits: Int64s, base: int, low: int, high: int, carry: int) -> tuple[int, int, int]:
    """What is left to do when the carry of all columns is known."""
    while carry != 0 and carry != -1:
        high += 1
        digits[base + high] = carry & DIGIT
        carry >>= 32
    sign = 1
    if carry < 0:
        sign, carry = -1, 0
        for k in range(base + low, base + high + 1):
            column = carry - digits[k]
            digits[k] = column & DIGIT
            carry = column >> 32
        if carry == 0:  # all were 0: it is minus one unit of the place behind them
            high += 1
            digits[base + high] = 1
    while high > low and digits[base + high] == 0:
        high -= 1
    while high > low and digits[base + low] == 0:
        low += 1
    return sign if digits[base + high] != 0 else 0, low, high


@njit(nogil=True, cache=True)
def add_multiplied(
    digits: Int64s,
    x: int,
    x_low: int,
    x_high: int,
    y: int,
    y_low: int,
    y_high: int,
    sign: int,
    base: int,
) -> None:
    """Add the product of the numbers at x and y to the columns at `base`, or with `sign` -1 take it away."""
    for i in range(x_low, x_high + 1):
        digit = digits[x + i]
        for j in range(y_low, y_high + 1):
            value = digit * digits[y + j]  # 64 bits: its sign is none
            digits[base + i + j] += sign * (value & DIGIT)
            digits[base + i + j + 1] += sign * ((value >> 32) & DIGIT)


@njit(nogil=True, cache=True)
def spread(
    words: Int64s, o: int, digits: Int64s, n: int, x: int, of_x: tuple[int, int, int], base: int
) -> tuple[int, int, int]:
    """n * Sxx - Sx * Sx, to `base`: Sx at `x` is not 0, and Sxx is the sum of n products in a state.

    It is `centred` for the case that counts: half the products, and the columns of n * Sxx as they are, which
    have less than 2**33 * n each.
    """
    low, high = words[o + LOWEST], words[o + HIGHEST]
    d = o + DIGITS
    while high > low and words[d + high] == 0:
        high -= 1
    while high > low and words[d + low] == 0:
        low += 1
    words[o + LOWEST], words[o + HIGHEST] = low, max(high, 1)
    x_low, x_high = of_x[1], of_x[2]
    last = max(high, 2 * x_high + 1, 2 * x_low + 5)
    for k in range(min(low, 2 * x_low), low):
        digits[base + k] = 0
    for k in range(low, high + 1):
        digits[base + k] = words[d + k] * n
    for k in range(high + 1, last + 1):
        digits[base + k] = 0
    if x_high <= x_low + 2:
        a = digits[x + x_low]
        b = digits[x + x_low + 1] if x_high > x_low else 0
        c = digits[x + x_low + 2] if x_high > x_low + 1 else 0
        aa, ab, ac, bb, bc, cc = a * a, a * b, a * c, b * b, b * c, c * c  # 64 bits: their sign is none
        k = base + 2 * x_low
        digits[k] -= aa & DIGIT
        digits[k + 1] -= ((aa >> 32) & DIGIT) + 2 * (ab & DIGIT)
        digits[k + 2] -= 2 * ((ab >> 32) & DIGIT) + 2 * (ac & DIGIT) + (bb & DIGIT)
        digits[k + 3] -= 2 * ((ac >> 32) & DIGIT) + ((bb >> 32) & DIGIT) + 2 * (bc & DIGIT)
        digits[k + 4] -= 2 * ((bc >> 32) & DIGIT) + (cc & DIGIT)
        digits[k + 5] -= (cc >> 32) & DIGIT
    else:
        add_multiplied(digits, x, x_low, x_high, x, x_low, x_high, -1, base)
    return carried(digits, base, min(low, 2 * x_low), last)


@njit(nogil=True, cache=True)
def centred(
    digits: Int64s,
    n: int,
    p: int,
    of_p: tuple[int, int, int],
    x: int,
    of_x: tuple[int, int, int],
    y: int,
    of_y: tuple[int, int, int],
    base: int,
) -> tuple[int, int, int]:
    """n * P - X * Y, to `base`; the `of_` are sign, low and high of the numbers."""
    p_sign, low, high = of_p
    sign = of_x[0] * of_y[0]
    if p_sign == 0 and sign == 0:
        return 0, 0, 0
    x_low, x_high, y_low, y_high = of_x[1], of_x[2], of_y[1], of_y[2]
    if p_sign == 0:
        low, high = x_low + y_low, x_high + y_high + 1
    elif sign != 0:
        low, high = min(low, x_low + y_low), max(high, x_high + y_high + 1)
    for k in range(base + low, base + high + 1):
        digits[k] = 0
    if p_sign != 0:
        for k in range(of_p[1], of_p[2] + 1):
            digits[base + k] = digits[p + k] * (p_sign * n)
    if sign != 0:
        add_multiplied(digits, x, x_low, x_high, y, y_low, y_high, -sign, base)
    return carried(digits, base, low, high)


@njit(nogil=True, cache=True)
def crossed(
    digits: Int64s,
    a: int,
    of_a: tuple[int, int, int],
    b: int,
    of_b: tuple[int, int, int],
    c: int,
    of_c: tuple[int, int, int],
    d: int,
    of_d: tuple[int, int, int],
    base: int,
) -> tuple[int, int, int]:
    """A * B - C * D, to `base`; the `of_` are sign, low and high of the numbers."""
    first, second = of_a[0] * of_b[0], of_c[0] * of_d[0]
    if first == 0 and second == 0:
        return 0, 0, 0
    low, high = of_a[1] + of_b[1], of_a[2] + of_b[2] + 1
    if first == 0:
        low, high = of_c[1] + of_d[1], of_c[2] + of_d[2] + 1
    elif second != 0:
        low, high = min(low, of_c[1] + of_d[1]), max(high, of_c[2] + of_d[2] + 1)
    for k in range(base + low, base + high + 1):
        digits[k] = 0
    if first != 0:
        add_multiplied(digits, a, of_a[1], of_a[2], b, of_b[1], of_b[2], first, base)
    if second != 0:
        add_multiplied(digits, c, of_c[1], of_c[2], d, of_d[1], of_d[2], -second, base)
    return carried(digits, base, low, high)


@njit(nogil=True, cache=True)
def distance(
    digits: Int64s, n: int, bits: int, x: int, of_x: tuple[int, int, int], base: int
) -> tuple[int, int, int]:
    """n * f - X, to `base`, of the float f with these bits; both count units of 2**-1075."""
    exponent, mantissa = (bits >> 52) & 0x7FF, bits & MANTISSA
    if exponent == 0:
        exponent = 1
    else:
        mantissa |= HIDDEN
    k, shift = exponent >> 5, exponent & 31
    low, high = k, k + 2
    if of_x[0] != 0:
        low, high = min(low, of_x[1]), max(high, of_x[2])
    for place in range(base + low, base + high + 1):
        digits[place] = 0
    factor = -n if bits < 0 else n
    rest = mantissa >> (32 - shift)
    digits[base + k] = ((mantissa << shift) & DIGIT) * factor
    digits[base + k + 1] = (rest & DIGIT) * factor
    digits[base + k + 2] = (rest >> 32) * factor
    if of_x[0] != 0:
        for place in range(of_x[1], of_x[2] + 1):
            digits[base + place] -= of_x[0] * digits[x + place]
    return carried(digits, base, low, high)


@njit(nogil=True, cache=True)
def leading(digits: Int64s, base: int, low: int, high: int) -> tuple[float, float]:
    """The size of a number other than 0 as a pair of floats in [2**32, 2**64], in units of digit high - 1.

    It is within 2**-74 of its size: the four highest digits count.
    """
    first = float(digits[base + high]) * 4294967296.0
    second = float(digits[base + high - 1]) if high > low else 0.0
    total = first + second
    rest = second - (total - first)
    if high - 2 >= low:
        rest += float(digits[base + high - 2]) * 2.0**-32
    if high - 3 >= low:
        rest += float(digits[base + high - 3]) * 2.0**-64
    return settled(total, rest)


@njit(nogil=True, cache=True)
def top(digits: Int64s, base: int, low: int, high: int, unit: int) -> tuple[int, int, int]:
    """The 127 highest bits of a number other than 0 in two words, and the unit of the first, a power of 2.

    Digit 0 counts units of 2**-unit.
    """
    d0 = digits[base + high]
    d1 = digits[base + high - 1] if high - 1 >= low else 0
    d2 = digits[base + high - 2] if high - 2 >= low else 0
    d3 = digits[base + high - 3] if high - 3 >= low else 0
    d4 = digits[base + high - 4] if high - 4 >= low else 0
    upper, lower, zeros = wide.top(d4 << 32, (d2 << 32) | d3, (d0 << 32) | d1)
    return upper, lower, 32 * (high - 1) - zeros + 1 - unit


@njit(nogil=True, cache=True)
def power(high: int, unit: int) -> int:
    """The power of 2 that the pair of `leading` counts."""
    return 32 * (high - 1) - unit
