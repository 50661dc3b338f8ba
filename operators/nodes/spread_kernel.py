"""Second moments from the highest digits of exact sums, where these are enough: the short way to a variance.

A sum is taken as a pair of floats with 96 bits at least.  Where n * Sxx - Sx * Sx keeps a 2**-40 of n * Sxx,
its last bits are right to 2**-56 of its size; where more cancels, all digits are needed (`digit_kernel`).
Which of both it is hangs on the sums alone.
"""

from typing import Final

import numpy as np
from numba import njit

from operators.nodes import double_kernel as double
from operators.nodes.exact_kernel import (
    DIGIT,
    DIGITS,
    HIGHEST,
    LOWEST,
    POWER_MIN,
    POWERS,
    two_words,
)
from schemas.batch import Int64s

ENOUGH: Final = 2.0**-40
SHIFT_MAX: Final = 500  # powers of 2 between a square of a sum and a sum of squares
SMALL: Final = 1e-130  # a value and its square are far from the ends of float64 between these
LARGE: Final = 1e140


@njit(nogil=True, cache=True)
def leading(words: Int64s, o: int, unit: int) -> tuple[float, float, int]:
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
    return leading_digits(words, d, low, high, unit)


@njit(nogil=True, cache=True)
def leading_digits(words: Int64s, d: int, low: int, high: int, unit: int) -> tuple[float, float, int]:
    """The same of the digits low to high that lie at `d`, where digit 0 would."""
    while high > low and words[np.uint64(d + high)] == 0:
        high -= 1
    while high > low and words[np.uint64(d + low)] == 0:
        low += 1
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
    value = np.float64(upper)
    rest = (np.float64(upper >> 32) * 4294967296.0 - value) + np.float64(upper & DIGIT)
    rest += np.float64((lower >> 32) & DIGIT) * 2.0**-32
    rest += np.float64(lower & DIGIT) * 2.0**-64
    return value, rest, power


@njit(nogil=True, cache=True)
def spread(
    of_x: tuple[float, float, int], of_squares: tuple[float, float, int], n: int
) -> tuple[float, float, int]:
    """n * Sxx - Sx * Sx as a pair in units of a power of 2; (0, 0, 0) where too much of it cancels.

    `of_x` and `of_squares` are `leading` of the sums of the values and of their squares.
    """
    square, square_rest, unit = of_squares
    x, x_rest, power = of_x
    shift = 2 * power - unit if x != 0.0 else 0
    if square == 0.0 or abs(shift) > SHIFT_MAX:
        return 0.0, 0.0, 0
    a, a_rest = double.multiplied(square, square_rest, np.float64(n), 0.0)
    b, b_rest = double.multiplied(x, x_rest, x, x_rest)
    scale = POWERS[shift - POWER_MIN]
    b, b_rest = b * scale, b_rest * scale
    total = a - b
    part = total - a
    rest = ((a - (total - part)) - (b + part)) + (a_rest - b_rest)
    total, rest = double.settled(total, rest)
    if total <= ENOUGH * a:
        return 0.0, 0.0, 0
    return total, rest, unit


@njit(nogil=True, cache=True)
def variance(total: float, rest: float, unit: int, divisor: int) -> float:
    """The spread by a divisor of at most 40 bits, rounded; infinite where it is too large."""
    value, _ = double.divided(total, rest, np.float64(divisor), 0.0)
    return double.scaled(value, unit)


@njit(nogil=True, cache=True)
def score(
    of_x: tuple[float, float, int], n: int, ddof: int, x: float, total: float, rest: float, unit: int
) -> tuple[float, bool]:
    """R44: (n * x - Sx) * sqrt((n - ddof) / (n * spread)); False where too much of the distance cancels.

    `of_x` is `leading` of Sx.
    """
    mean, mean_rest, power = of_x
    half = power >> 1
    first, second = POWERS[half - POWER_MIN], POWERS[power - half - POWER_MIN]
    mean, mean_rest = mean * first * second, mean_rest * first * second
    a, a_rest = double.product(x, np.float64(n))
    if not (SMALL < abs(a) < LARGE and SMALL < abs(mean) < LARGE):
        return 0.0, False
    away = a - mean
    part = away - a
    away_rest = ((a - (away - part)) - (mean + part)) + (a_rest - mean_rest)
    away, away_rest = double.settled(away, away_rest)
    if abs(away) <= ENOUGH * abs(a):
        return 0.0, False
    d, d_rest = double.multiplied(away, away_rest, away, away_rest)
    d, d_rest = double.multiplied(d, d_rest, np.float64(n - ddof), 0.0)
    s, s_rest = double.multiplied(total, rest, np.float64(n), 0.0)
    d, d_rest = double.divided(d, d_rest, s, s_rest)
    value = double.scaled(double.root(d, d_rest), -unit >> 1)
    return (value if away > 0.0 else -value), True
