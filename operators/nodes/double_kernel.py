"""Numbers as the sum of two floats, for the last few operations of a formula whose sums are exact.

A pair (high, low) is settled where high is the float nearest to their sum; results are within 2**-96 of their
size (Dekker 1971).  Arguments are neither so large nor so small that a product of two leaves the range of
float64: powers of 2 are kept beside them, and come in with `scaled` at the end.
"""

import math
from typing import Final

from numba import njit

from operators.nodes.bits_kernel import power_of
from operators.nodes.fused_kernel import left_of

SCALE_MIN: Final = -1_280  # of any pair the result is 0
SCALE_MAX: Final = 1_200  # of any pair other than 0 the result is infinite


@njit(nogil=True, cache=True, forceinline=True)
def settled(high: float, low: float) -> tuple[float, float]:
    """The pair in its settled form, for |high| >= |low| or high = 0."""
    total = high + low
    return total, low - (total - high)


@njit(nogil=True, cache=True, forceinline=True)
def product(x: float, y: float) -> tuple[float, float]:
    """x * y of two floats, exactly."""
    value = x * y
    return value, left_of(x, y, value)


@njit(nogil=True, cache=True, forceinline=True)
def multiplied(x: float, x_low: float, y: float, y_low: float) -> tuple[float, float]:
    """The product of two pairs."""
    high, low = product(x, y)
    return settled(high, low + (x * y_low + x_low * y))


@njit(nogil=True, cache=True, forceinline=True, error_model="numpy")
def divided(x: float, x_low: float, y: float, y_low: float) -> tuple[float, float]:
    """The quotient of two pairs, y other than 0."""
    first = x / y
    high, low = product(first, y)
    rest = ((x - high) - low) + (x_low - first * y_low)
    return settled(first, rest / y)


@njit(nogil=True, cache=True, forceinline=True, error_model="numpy")
def root(x: float, x_low: float) -> float:
    """The square root of a pair above 0, rounded."""
    first = math.sqrt(x)
    high, low = product(first, first)
    return first + (((x - high) - low) + x_low) / (2.0 * first)


@njit(nogil=True, cache=True, forceinline=True)
def scaled(x: float, power: int) -> float:
    """x * 2**power, rounded once; 2**-48 < |x| < 2**160, or 0."""
    power = max(SCALE_MIN, min(SCALE_MAX, power))
    half = power >> 1
    return float(x * power_of(half) * power_of(power - half))
