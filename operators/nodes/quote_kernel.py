"""What functions of trades and quotes are made of, as loops over registers in the manner of `row_kernel`."""

import numpy as np
from numba import njit

from operators.nodes.row_kernel import DOMAIN, OK, Grid


@njit(nogil=True, cache=True)
def bid_of(values: Grid, status: Grid, bid: int, ask: int, uncrossed: int, out: int, rows: int) -> None:
    """Q1 to Q4: the bid where both prices are above 0 and, with `uncrossed`, the bid is not above the ask.

    `values` are `floats` or `ints`.
    """
    for i in range(rows):
        b, a = values[bid, i], values[ask, i]
        null = status[bid, i] | status[ask, i]
        valid = (b > 0) & (a > 0) & ((uncrossed == 0) | (b <= a))
        values[out, i] = b
        status[out, i] = null if null != OK or valid else DOMAIN


@njit(nogil=True, cache=True)
def direction(values: Grid, ints: Grid, status: Grid, d: int, out: int, rows: int) -> None:
    """Q13, Q15, Q16: a direction, which is -1, 0 or 1; `values` are `floats` or `ints`."""
    for i in range(rows):
        side = np.int64(values[d, i] > 0) - np.int64(values[d, i] < 0)
        null = status[d, i]
        status[out, i] = null if null != OK or values[d, i] == side else DOMAIN
        ints[out, i] = side


@njit(nogil=True, cache=True)
def zero_without(ints: Grid, status: Grid, x: int, y: int, z: int, out: int, rows: int) -> None:
    """Q8: x, but 0 where y is null; null where z is."""
    for i in range(rows):
        absent = status[y, i] != OK
        ints[out, i] = 0 if absent else ints[x, i]
        status[out, i] = status[z, i] if absent else status[x, i]
