"""The distribution function of Student's t, by its continued fraction: Q14 with `dist="t"`.

The share of the tail beyond z is half of I_x(df / 2, 1 / 2), the incomplete beta function, with
x = df / (df + z * z).  `log` and `exp` are libm's, a scalar at a time; the number of terms hangs on the
arguments alone, and so do all bits.
"""

import math
from typing import Final

from numba import njit

from operators.nodes.row_kernel import FLOAT_MAX, OK, Grid

TERMS_MAX: Final = 500
ENOUGH: Final = 2.0**-53  # the last factor differs from 1 by no more
LEAST: Final = 1e-300  # in place of 0, by which nothing is divided


@njit(nogil=True, cache=True)
def student_floats(floats: Grid, status: Grid, z: int, df: int, front: int, out: int, rows: int) -> None:
    """(z, degrees of freedom, 1 / B(df / 2, 1 / 2)) -> how much of the distribution lies below z."""
    for i in range(rows):
        null = status[z, i]
        floats[out, i] = below(floats[z, i], floats[df, i], floats[front, i]) if null == OK else 0.0
        status[out, i] = null


@njit(nogil=True, cache=True, error_model="numpy")
def below(z: float, df: float, front: float) -> float:
    """How much of the distribution lies below a finite z."""
    if z == 0.0:
        return 0.5
    square = z * z
    if square + df <= FLOAT_MAX:
        x, y = df / (df + square), square / (df + square)
    else:
        x, y = 0.0, 1.0
    if y == 0.0:  # z is too small to be squared
        return 0.5
    a, b = 0.5 * df, 0.5
    # Of logarithms as near to 0 as they are, and where x is too small for a float all the same.
    of_x = math.log1p(-y) if y < 0.5 else math.log(df) - 2.0 * math.log(abs(z)) + math.log1p(-x)
    of_y = math.log1p(-x) if x < 0.5 else math.log(y)
    weight = math.exp(a * of_x + b * of_y) * front
    if x < (a + 1.0) / (a + b + 2.0):
        tail = 0.5 * (weight * fraction(a, b, x) / a)
    else:
        tail = 0.5 * (1.0 - weight * fraction(b, a, y) / b)
    return tail if z < 0.0 else 1.0 - tail


@njit(nogil=True, cache=True, error_model="numpy")
def fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of I_x(a, b), from its first term on (Lentz's way)."""
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) >= LEAST else LEAST)
    value = d
    for m in range(1, TERMS_MAX + 1):
        n = float(m)
        even = n * (b - n) * x / ((a + 2.0 * n - 1.0) * (a + 2.0 * n))
        odd = -(a + n) * (a + b + n) * x / ((a + 2.0 * n) * (a + 2.0 * n + 1.0))
        for term in (even, odd):
            d = 1.0 + term * d
            d = 1.0 / (d if abs(d) >= LEAST else LEAST)
            c = 1.0 + term / c
            c = c if abs(c) >= LEAST else LEAST
            value *= d * c
        if abs(d * c - 1.0) <= ENOUGH:
            break
    return value
