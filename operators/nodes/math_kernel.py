"""The row functions of numbers as loops over registers, in the manner of `row_kernel`: R1, R3 to R6, Q14.

`exp`, `erfc` and `pow` are libm's, a scalar at a time; `values` are the registers `floats` or `ints`.
"""

import math
from typing import Final

from numba import njit

from operators.nodes.row_kernel import DOMAIN, FLOAT_MAX, OK, Grid

EXP_MAX: Final = 709.782712893384  # the largest float whose exp is finite


@njit(nogil=True, cache=True)
def exp_floats(floats: Grid, status: Grid, x: int, out: int, rows: int) -> None:
    """R1: e to the power x."""
    for i in range(rows):
        null = status[x, i]
        fits = null == OK and floats[x, i] <= EXP_MAX
        floats[out, i] = math.exp(floats[x, i]) if fits else 0.0
        status[out, i] = null if null != OK or fits else DOMAIN


@njit(nogil=True, cache=True)
def sqrt_floats(floats: Grid, status: Grid, x: int, out: int, rows: int) -> None:
    """R3: the square root."""
    for i in range(rows):
        null = status[x, i]
        defined = null == OK and floats[x, i] >= 0.0
        floats[out, i] = math.sqrt(floats[x, i]) if defined else 0.0
        status[out, i] = null if null != OK or defined else DOMAIN


@njit(nogil=True, cache=True)
def power_floats(floats: Grid, status: Grid, x: int, k: int, out: int, rows: int) -> None:
    """R4: x to the power k, for a k that is no small whole number: those are products.

    What is not defined or overflows is not finite in libm either, for which `math.pow` would raise where
    kernels run as plain Python.  `**` of two floats is libm's pow in both.
    """
    for i in range(rows):
        null = status[x, i] | status[k, i]
        value = floats[x, i] ** floats[k, i] if null == OK else 0.0
        floats[out, i] = value
        status[out, i] = null if null != OK or abs(value) <= FLOAT_MAX else DOMAIN


@njit(nogil=True, cache=True)
def erfc_floats(floats: Grid, status: Grid, x: int, out: int, rows: int) -> None:
    """Q14: the complementary error function, of which half is a share of the normal distribution."""
    for i in range(rows):
        null = status[x, i]
        floats[out, i] = math.erfc(floats[x, i]) if null == OK else 0.0
        status[out, i] = null


@njit(nogil=True, cache=True)
def smaller(values: Grid, status: Grid, x: int, y: int, skip_null: int, out: int, rows: int) -> None:
    """R5: the smaller of x and y, x of equals; with `skip_null` the one that is there."""
    for i in range(rows):
        a, b = values[x, i], values[y, i]
        of_a, of_b = status[x, i], status[y, i]
        second = (of_a != OK) | ((of_b == OK) & (b < a))
        known = (skip_null != 0) & ((of_a == OK) | (of_b == OK))
        values[out, i] = b if second else a
        status[out, i] = OK if known else of_a | of_b


@njit(nogil=True, cache=True)
def larger(values: Grid, status: Grid, x: int, y: int, skip_null: int, out: int, rows: int) -> None:
    """R5: the larger of x and y, x of equals; with `skip_null` the one that is there."""
    for i in range(rows):
        a, b = values[x, i], values[y, i]
        of_a, of_b = status[x, i], status[y, i]
        second = (of_a != OK) | ((of_b == OK) & (b > a))
        known = (skip_null != 0) & ((of_a == OK) | (of_b == OK))
        values[out, i] = b if second else a
        status[out, i] = OK if known else of_a | of_b


@njit(nogil=True, cache=True)
def clip(values: Grid, status: Grid, x: int, lo: int, hi: int, out: int, rows: int) -> None:
    """R6: x between lo and hi; a bound that is null is none."""
    for i in range(rows):
        value, low, high = values[x, i], values[lo, i], values[hi, i]
        null = status[x, i]
        has_low, has_high = status[lo, i] == OK, status[hi, i] == OK
        values[out, i] = low if has_low and value < low else high if has_high and value > high else value
        status[out, i] = DOMAIN if null == OK and has_low and has_high and low > high else null
