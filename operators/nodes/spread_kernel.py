"""Variances and z-scores from the highest bits of exact differences: whatever cancels has cancelled before.

A difference comes as `exact_kernel.pair` takes it: two words, the first in units of a power of 2.
"""

import numpy as np
from numba import njit

from operators.nodes import double_kernel as double
from operators.nodes.exact_kernel import pair


@njit(nogil=True, cache=True, forceinline=True)
def variance(high: int, low: int, unit: int, divisor: int) -> float:
    """The difference by a divisor of at most 40 bits, rounded; infinite where it is too large."""
    total, rest = pair(high, low, False)
    value, _ = double.divided(total, rest, np.float64(divisor), 0.0)
    return double.scaled(value, unit)


@njit(nogil=True, cache=True, forceinline=True)
def score(
    away: int, away_low: int, away_unit: int, high: int, low: int, unit: int, n: int, ddof: int
) -> float:
    """R44: d * sqrt((n - ddof) / (n * s)), of d = n * x - Sx, which comes first, and s, the spread."""
    d, d_low = pair(away, away_low, False)
    s, s_low = pair(high, low, False)
    if unit & 1:  # a power whose root is one
        s, s_low, unit = 2.0 * s, 2.0 * s_low, unit - 1
    square, square_low = double.multiplied(d, d_low, d, d_low)
    square, square_low = double.multiplied(square, square_low, np.float64(n - ddof), 0.0)
    s, s_low = double.multiplied(s, s_low, np.float64(n), 0.0)
    square, square_low = double.divided(square, square_low, s, s_low)
    value = double.scaled(double.root(square, square_low), away_unit - (unit >> 1))
    return value if d > 0.0 else -value
