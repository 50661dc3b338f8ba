"""Values of a column as whole numbers of units of 1/scale (K1), in the manner of `row_kernel`."""

from typing import Final

import numpy as np
from numba import njit

from operators.nodes.row_kernel import DOMAIN, INT_MIN, OK, Grid

GRID_ERROR_MAX: Final = 1e-6  # units that a float may lie beside a whole number of them
UNITS_MAX: Final = 2.0**40  # beyond it a float of units and a part of them has no such digits


@njit(nogil=True, cache=True)
def float_units(floats: Grid, ints: Grid, status: Grid, x: int, scale: int, out: int, rows: int) -> None:
    """K1: x * scale, half to even, where it is a whole number of units but for the float's own error."""
    for i in range(rows):
        units = floats[x, i] * floats[scale, i]
        whole = np.rint(units)
        null = status[x, i]
        on_grid = abs(units - whole) <= GRID_ERROR_MAX and abs(whole) < UNITS_MAX
        ints[out, i] = np.int64(whole) if on_grid else 0
        status[out, i] = null if null != OK or on_grid else DOMAIN


@njit(nogil=True, cache=True)
def decimal_units(ints: Grid, status: Grid, x: int, times: int, by: int, out: int, rows: int) -> None:
    """K1: x * times / by, where it is whole and fits int64; x is a decimal's digits, INT_MIN for too many."""
    for i in range(rows):
        digits = ints[x, i]
        factor = ints[times, i]
        parts = digits // ints[by, i]
        on_grid = parts * ints[by, i] == digits and digits != INT_MIN
        units = parts * factor
        # A wrapped product is told by its float, which is off by far less than 2**62.
        on_grid = on_grid and abs(np.float64(parts) * np.float64(factor) - np.float64(units)) < 2.0**62
        null = status[x, i]
        ints[out, i] = units if on_grid else 0
        status[out, i] = null if null != OK or on_grid else DOMAIN
