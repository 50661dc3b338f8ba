"""The row functions as loops over registers: one value and one status per row, written for each row anew.

A register is a row of the arrays `floats` (float64), `ints` (int64) or `bools` (uint8, 0 or 1), and the
same row of `status` (uint8).  A status is `OK`, `NULL_IN` (a null because a null or a value that is not
finite came in), `WARMING` (a null because the symbol has too few rows yet) or `DOMAIN` (a null because the
function has no finite value there).  Of two reasons the graver one goes on: the codes are such that `|` gives
it, where a null that is both warming and of the domain counts as the latter.  What a value is where the
status is not `OK` is arbitrary, and no status hangs on it.

`x`, `y` and `out` are registers, `rows` is how many of their elements count.  Every float operation is the
IEEE one, in the order of the formula; `log` is libm's.  A view of a register costs more than a short loop.
"""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

from schemas.batch import Int64s

Grid = npt.NDArray[Any]  # (registers, TILE)

OK: Final = np.uint8(0)
NULL_IN: Final = np.uint8(1)
DOMAIN: Final = np.uint8(3)
WARMING: Final = np.uint8(5)

FLOAT_MAX: Final = 1.7976931348623157e308
INT_MIN: Final = -(2**63)
# Beyond it a float product is of integers that overflow; nearer to 2**63 the sign of the wrapped one tells.
PRODUCT_MAX: Final = 9.3e18
TWO_63: Final = 2.0**63

# Which orders of two values a comparison accepts, as a sum.
LESS: Final = 1
EQUAL: Final = 2
GREATER: Final = 4


@njit(nogil=True, cache=True)
def add_floats(floats: Grid, status: Grid, x: int, y: int, out: int, rows: int) -> None:
    """R10: x + y."""
    for i in range(rows):
        value = floats[x, i] + floats[y, i]
        null = status[x, i] | status[y, i]
        floats[out, i] = value
        status[out, i] = null if null != OK or abs(value) <= FLOAT_MAX else DOMAIN


@njit(nogil=True, cache=True)
def subtract_floats(floats: Grid, status: Grid, x: int, y: int, out: int, rows: int) -> None:
    """R10: x - y."""
    for i in range(rows):
        value = floats[x, i] - floats[y, i]
        null = status[x, i] | status[y, i]
        floats[out, i] = value
        status[out, i] = null if null != OK or abs(value) <= FLOAT_MAX else DOMAIN


@njit(nogil=True, cache=True)
def multiply_floats(floats: Grid, status: Grid, x: int, y: int, out: int, rows: int) -> None:
    """R10: x * y."""
    for i in range(rows):
        value = floats[x, i] * floats[y, i]
        null = status[x, i] | status[y, i]
        floats[out, i] = value
        status[out, i] = null if null != OK or abs(value) <= FLOAT_MAX else DOMAIN


@njit(nogil=True, cache=True, error_model="numpy")
def divide_floats(floats: Grid, status: Grid, x: int, y: int, out: int, rows: int) -> None:
    """R10: x / y, also of integers, which are floats by then."""
    for i in range(rows):
        value = floats[x, i] / floats[y, i]
        null = status[x, i] | status[y, i]
        floats[out, i] = value
        status[out, i] = null if null != OK or abs(value) <= FLOAT_MAX else DOMAIN


@njit(nogil=True, cache=True)
def log_floats(floats: Grid, status: Grid, x: int, out: int, rows: int) -> None:
    """R1: the natural logarithm."""
    for i in range(rows):
        null = status[x, i]
        positive = null == OK and floats[x, i] > 0.0
        floats[out, i] = math.log(floats[x, i]) if positive else 0.0
        status[out, i] = null if null != OK or positive else DOMAIN


@njit(nogil=True, cache=True)
def negate_floats(floats: Grid, status: Grid, x: int, out: int, rows: int) -> None:
    """R10: -x."""
    for i in range(rows):
        floats[out, i] = -floats[x, i]
        status[out, i] = status[x, i]


@njit(nogil=True, cache=True)
def abs_floats(floats: Grid, status: Grid, x: int, out: int, rows: int) -> None:
    """R2: x without its sign."""
    for i in range(rows):
        floats[out, i] = abs(floats[x, i])
        status[out, i] = status[x, i]


@njit(nogil=True, cache=True)
def to_floats(ints: Grid, floats: Grid, status: Grid, x: int, out: int, rows: int) -> None:
    """The nearest float64 of an integer, half to even."""
    for i in range(rows):
        floats[out, i] = np.float64(ints[x, i])
        status[out, i] = status[x, i]


@njit(nogil=True, cache=True)
def add_ints(ints: Grid, status: Grid, x: int, y: int, out: int, rows: int) -> None:
    """R10: x + y; it overflowed where its sign is neither operand's."""
    for i in range(rows):
        a, b = ints[x, i], ints[y, i]
        value = a + b
        null = status[x, i] | status[y, i]
        ints[out, i] = value
        status[out, i] = null if null != OK or (a ^ value) & (b ^ value) >= 0 else DOMAIN


@njit(nogil=True, cache=True)
def subtract_ints(ints: Grid, status: Grid, x: int, y: int, out: int, rows: int) -> None:
    """R10: x - y; it overflowed where x and y have unlike signs and the result's is y's."""
    for i in range(rows):
        a, b = ints[x, i], ints[y, i]
        value = a - b
        null = status[x, i] | status[y, i]
        ints[out, i] = value
        status[out, i] = null if null != OK or (a ^ b) & (a ^ value) >= 0 else DOMAIN


@njit(nogil=True, cache=True)
def multiply_ints(ints: Grid, status: Grid, x: int, y: int, out: int, rows: int) -> None:
    """R10: x * y; it overflowed where the product of the floats is far too large, or of another sign."""
    for i in range(rows):
        a, b = ints[x, i], ints[y, i]
        value = a * b
        product = np.float64(a) * np.float64(b)
        fits = (abs(product) <= PRODUCT_MAX) & ((value < 0) == (product < 0.0))
        null = status[x, i] | status[y, i]
        ints[out, i] = value
        status[out, i] = null if null != OK or fits else DOMAIN


@njit(nogil=True, cache=True)
def negate_ints(ints: Grid, status: Grid, x: int, out: int, rows: int) -> None:
    """R10: -x; the smallest integer has none."""
    for i in range(rows):
        null = status[x, i]
        status[out, i] = null if null != OK or ints[x, i] != INT_MIN else DOMAIN
        ints[out, i] = -ints[x, i]


@njit(nogil=True, cache=True)
def abs_ints(ints: Grid, status: Grid, x: int, out: int, rows: int) -> None:
    """R2: x without its sign; the smallest integer has none."""
    for i in range(rows):
        null = status[x, i]
        status[out, i] = null if null != OK or ints[x, i] != INT_MIN else DOMAIN
        ints[out, i] = -ints[x, i] if ints[x, i] < 0 else ints[x, i]


@njit(nogil=True, cache=True)
def sign(values: Grid, ints: Grid, status: Grid, x: int, out: int, rows: int) -> None:
    """R2: -1, 0 or 1 of `values`, which are `floats` or `ints`."""
    for i in range(rows):
        ints[out, i] = np.int64(values[x, i] > 0) - np.int64(values[x, i] < 0)
        status[out, i] = status[x, i]


@njit(nogil=True, cache=True)
def where(bools: Grid, values: Grid, status: Grid, c: int, x: int, y: int, out: int, rows: int) -> None:
    """R7: x where c is true, y where it is false; the branch not taken may be null."""
    for i in range(rows):
        a, b = values[x, i], values[y, i]  # both are read, so that there is no branch
        null, of_a, of_b = status[c, i], status[x, i], status[y, i]
        true = bools[c, i] != 0
        taken = of_a if true else of_b
        values[out, i] = a if true else b
        status[out, i] = null if null != OK else taken


@njit(nogil=True, cache=True)
def compare(
    values: Grid, bools: Grid, status: Grid, x: int, y: int, accepted: int, out: int, rows: int
) -> None:
    """R8: whether the order of x and y is among those `accepted`.  `values` are any array."""
    less, equal, greater = accepted & LESS != 0, accepted & EQUAL != 0, accepted & GREATER != 0
    for i in range(rows):
        a, b = values[x, i], values[y, i]
        null = status[x, i] | status[y, i]
        bools[out, i] = (less and a < b) or (equal and a == b) or (greater and a > b)
        status[out, i] = null


@njit(nogil=True, cache=True)
def compare_mixed(
    ints: Grid, floats: Grid, bools: Grid, status: Grid, x: int, y: int, accepted: int, out: int, rows: int
) -> None:
    """R8: the same of an integer x and a float y, exactly: the integer is never rounded."""
    for i in range(rows):
        a, b = ints[x, i], floats[y, i]
        null = status[x, i] | status[y, i]
        order = 0
        if null == OK:
            if b >= TWO_63:
                order = LESS
            elif b < -TWO_63:
                order = GREATER
            else:
                whole = np.int64(b)
                rest = b - np.float64(whole)
                if a < whole or (a == whole and rest > 0.0):
                    order = LESS
                elif a > whole or rest < 0.0:
                    order = GREATER
                else:
                    order = EQUAL
        bools[out, i] = order & accepted != 0
        status[out, i] = null


@njit(nogil=True, cache=True)
def both(bools: Grid, status: Grid, x: int, y: int, out: int, rows: int) -> None:
    """R9: x and y; one that is false decides, whatever the other."""
    for i in range(rows):
        of_x, of_y = status[x, i], status[y, i]
        false = ((of_x == OK) & (bools[x, i] == 0)) | ((of_y == OK) & (bools[y, i] == 0))
        bools[out, i] = not false
        status[out, i] = OK if false else of_x | of_y


@njit(nogil=True, cache=True)
def either(bools: Grid, status: Grid, x: int, y: int, out: int, rows: int) -> None:
    """R9: x or y; one that is true decides, whatever the other."""
    for i in range(rows):
        of_x, of_y = status[x, i], status[y, i]
        true = ((of_x == OK) & (bools[x, i] != 0)) | ((of_y == OK) & (bools[y, i] != 0))
        bools[out, i] = true
        status[out, i] = OK if true else of_x | of_y


@njit(nogil=True, cache=True)
def opposite(bools: Grid, status: Grid, x: int, out: int, rows: int) -> None:
    """R9: not x."""
    for i in range(rows):
        bools[out, i] = bools[x, i] == 0
        status[out, i] = status[x, i]


@njit(nogil=True, cache=True, forceinline=True)
def row_of(order: Int64s, ordered: int, place: int) -> int:
    """Which row of the batch is run at a place: the one there, where its rows are not run in an `order`."""
    return order[place] if ordered != 0 else place


@njit(nogil=True, cache=True)
def load_status(
    valid: Grid,
    column: int,
    shift: int,
    status: Grid,
    out: int,
    order: Int64s,
    ordered: int,
    lower: int,
    rows: int,
) -> None:
    """A null enters as one; row i is bit `shift` + i of the bitmap, and without a null `shift` is -1.

    The first of the rows is run at place `lower` (`row_of`).
    """
    if shift < 0:
        for i in range(rows):
            status[out, i] = OK
    else:
        for i in range(rows):
            place = shift + row_of(order, ordered, lower + i)
            bit = (valid[column, place >> 3] >> (place & 7)) & 1
            status[out, i] = OK if bit != 0 else NULL_IN


@njit(nogil=True, cache=True)
def load_floats(
    values: Grid,
    column: int,
    floats: Grid,
    status: Grid,
    out: int,
    order: Int64s,
    ordered: int,
    lower: int,
    rows: int,
) -> None:
    """A float that is not finite enters as a null, and -0.0 as 0.0."""
    for i in range(rows):
        value = values[column, row_of(order, ordered, lower + i)] + 0.0
        floats[out, i] = value
        status[out, i] = status[out, i] if abs(value) <= FLOAT_MAX else NULL_IN


@njit(nogil=True, cache=True)
def load_ints(
    values: Grid, column: int, ints: Grid, out: int, order: Int64s, ordered: int, lower: int, rows: int
) -> None:
    """An integer enters as it is."""
    for i in range(rows):
        ints[out, i] = values[column, row_of(order, ordered, lower + i)]


@njit(nogil=True, cache=True)
def load_bits(
    bits: Grid,
    column: int,
    shift: int,
    bools: Grid,
    out: int,
    order: Int64s,
    ordered: int,
    lower: int,
    rows: int,
) -> None:
    """A boolean enters as it is; row i is bit `shift` + i of the bitmap."""
    for i in range(rows):
        place = shift + row_of(order, ordered, lower + i)
        bools[out, i] = (bits[column, place >> 3] >> (place & 7)) & 1
