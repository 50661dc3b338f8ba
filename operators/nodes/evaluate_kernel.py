"""One call runs all features of a node over a tile of rows: step by step, each step one loop over the tile.

A call of its own for each step would cost more than the step where a batch has 50 rows; a kernel generated
for the formulas would have to be compiled at start.  A step is a row of `program`: opcode, register of the
result, registers of the operands (or a column of the input, or of the output).
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from operators.nodes import row_kernel as row
from operators.nodes.row_kernel import DOMAIN, OK, Grid
from schemas.batch import Int64s

TILE: Final = 1_024  # rows; a multiple of 8, so that each tile begins with a byte of its bitmaps

# In groups, by what a step writes: `evaluate` finds the group, the group the loop.
LOAD_FLOAT: Final = 0
ADD_FLOAT: Final = 1
SUBTRACT_FLOAT: Final = 2
MULTIPLY_FLOAT: Final = 3
DIVIDE_FLOAT: Final = 4
NEGATE_FLOAT: Final = 5
ABS_FLOAT: Final = 6
LOG_FLOAT: Final = 7
TO_FLOAT: Final = 8
WHERE_FLOAT: Final = 9
FLOAT_LAST: Final = 9

LOAD_INT: Final = 10
ADD_INT: Final = 11
SUBTRACT_INT: Final = 12
MULTIPLY_INT: Final = 13
NEGATE_INT: Final = 14
ABS_INT: Final = 15
SIGN_INT: Final = 16
SIGN_FLOAT: Final = 17
WHERE_INT: Final = 18
INT_LAST: Final = 18

LOAD_BOOL: Final = 20
COMPARE_FLOAT: Final = 21
COMPARE_INT: Final = 22
COMPARE_MIXED: Final = 23
COMPARE_BOOL: Final = 24
AND: Final = 25
OR: Final = 26
NOT: Final = 27
WHERE_BOOL: Final = 28
BOOL_LAST: Final = 28

STORE_FLOAT: Final = 30
STORE_INT: Final = 31
STORE_BYTE: Final = 32
STORE_BOOL: Final = 33


class Registers(NamedTuple):
    """One row of `TILE` values per register; a register uses one of the three kinds, and its statuses."""

    floats: Grid  # float64
    ints: Grid  # int64
    bools: Grid  # uint8
    status: Grid  # uint8


class Inputs(NamedTuple):
    """The columns that are read, of one tile and as Arrow holds them: one row per column.

    A bitmap may begin inside its first byte: `*_shift` says at which bit, by column.
    """

    floats: Grid  # float64
    ints: Grid  # int64
    bits: Grid  # uint8: bitmaps of booleans
    valid: Grid  # uint8: bitmaps, of every column
    shift: Int64s  # of `bits`
    valid_shift: Int64s  # of `valid`; -1 where there is no null


class Outputs(NamedTuple):
    """The features of a whole batch: one row per feature, in the array of its kind."""

    floats: Grid  # float64
    ints: Grid  # int64
    bytes: Grid  # int8
    bits: Grid  # uint8: bitmaps of booleans
    valid: Grid  # uint8: bitmaps, of every feature
    counts: Grid  # int64 (features, 2): rows that are null, by reason: null_in, domain


@njit(nogil=True, cache=True)
def load(
    program: npt.NDArray[np.int64],
    in_floats: Grid,
    in_ints: Grid,
    in_bits: Grid,
    in_valid: Grid,
    in_shift: Int64s,
    in_valid_shift: Int64s,
    floats: Grid,
    ints: Grid,
    bools: Grid,
    status: Grid,
    rows: int,
) -> None:
    """Bring columns (`Inputs`) into registers: the first steps of a program."""
    for k in range(program.shape[0]):
        opcode, out, a, b = program[k, 0], program[k, 1], program[k, 2], program[k, 3]
        row.load_status(in_valid, b, in_valid_shift[b], status, out, rows)
        if opcode == LOAD_FLOAT:
            row.load_floats(in_floats, a, floats, status, out, rows)
        elif opcode == LOAD_INT:
            row.load_ints(in_ints, a, ints, out, rows)
        else:
            row.load_bits(in_bits, a, in_shift[a], bools, out, rows)


@njit(nogil=True, cache=True)
def compute(
    program: npt.NDArray[np.int64], floats: Grid, ints: Grid, bools: Grid, status: Grid, rows: int
) -> None:
    """Run the functions of a program over `Registers`."""
    for k in range(program.shape[0]):
        opcode, out = program[k, 0], program[k, 1]
        a, b, c = program[k, 2], program[k, 3], program[k, 4]
        if opcode <= FLOAT_LAST:
            _compute_float(opcode, out, a, b, c, floats, ints, bools, status, rows)
        elif opcode <= INT_LAST:
            _compute_int(opcode, out, a, b, c, floats, ints, bools, status, rows)
        else:
            _compute_bool(opcode, out, a, b, c, floats, ints, bools, status, rows)


@njit(nogil=True, cache=True)
def _compute_float(
    opcode: int,
    out: int,
    a: int,
    b: int,
    c: int,
    floats: Grid,
    ints: Grid,
    bools: Grid,
    status: Grid,
    rows: int,
) -> None:
    if opcode == ADD_FLOAT:
        row.add_floats(floats, status, a, b, out, rows)
    elif opcode == SUBTRACT_FLOAT:
        row.subtract_floats(floats, status, a, b, out, rows)
    elif opcode == MULTIPLY_FLOAT:
        row.multiply_floats(floats, status, a, b, out, rows)
    elif opcode == DIVIDE_FLOAT:
        row.divide_floats(floats, status, a, b, out, rows)
    elif opcode == NEGATE_FLOAT:
        row.negate_floats(floats, status, a, out, rows)
    elif opcode == ABS_FLOAT:
        row.abs_floats(floats, status, a, out, rows)
    elif opcode == LOG_FLOAT:
        row.log_floats(floats, status, a, out, rows)
    elif opcode == TO_FLOAT:
        row.to_floats(ints, floats, status, a, out, rows)
    else:
        row.where(bools, floats, status, a, b, c, out, rows)


@njit(nogil=True, cache=True)
def _compute_int(
    opcode: int,
    out: int,
    a: int,
    b: int,
    c: int,
    floats: Grid,
    ints: Grid,
    bools: Grid,
    status: Grid,
    rows: int,
) -> None:
    if opcode == ADD_INT:
        row.add_ints(ints, status, a, b, out, rows)
    elif opcode == SUBTRACT_INT:
        row.subtract_ints(ints, status, a, b, out, rows)
    elif opcode == MULTIPLY_INT:
        row.multiply_ints(ints, status, a, b, out, rows)
    elif opcode == NEGATE_INT:
        row.negate_ints(ints, status, a, out, rows)
    elif opcode == ABS_INT:
        row.abs_ints(ints, status, a, out, rows)
    elif opcode == SIGN_INT:
        row.sign(ints, ints, status, a, out, rows)
    elif opcode == SIGN_FLOAT:
        row.sign(floats, ints, status, a, out, rows)
    else:
        row.where(bools, ints, status, a, b, c, out, rows)


@njit(nogil=True, cache=True)
def _compute_bool(
    opcode: int,
    out: int,
    a: int,
    b: int,
    c: int,
    floats: Grid,
    ints: Grid,
    bools: Grid,
    status: Grid,
    rows: int,
) -> None:
    if opcode == COMPARE_FLOAT:
        row.compare(floats, bools, status, a, b, c, out, rows)
    elif opcode == COMPARE_INT:
        row.compare(ints, bools, status, a, b, c, out, rows)
    elif opcode == COMPARE_MIXED:
        row.compare_mixed(ints, floats, bools, status, a, b, c, out, rows)
    elif opcode == COMPARE_BOOL:
        row.compare(bools, bools, status, a, b, c, out, rows)
    elif opcode == AND:
        row.both(bools, status, a, b, out, rows)
    elif opcode == OR:
        row.either(bools, status, a, b, out, rows)
    elif opcode == NOT:
        row.opposite(bools, status, a, out, rows)
    else:
        row.where(bools, bools, status, a, b, c, out, rows)


@njit(nogil=True, cache=True)
def store(
    program: npt.NDArray[np.int64],
    floats: Grid,
    ints: Grid,
    bools: Grid,
    status: Grid,
    out_floats: Grid,
    out_ints: Grid,
    out_bytes: Grid,
    out_bits: Grid,
    out_valid: Grid,
    out_counts: Grid,
    lower: int,
    rows: int,
) -> None:
    """Write registers to `Outputs`, from row `lower` on, a multiple of 8: the last steps of a program."""
    for k in range(program.shape[0]):
        opcode, out, a, feature = program[k, 0], program[k, 1], program[k, 2], program[k, 3]
        nulls = _store_status(status, a, out_valid, out_counts, feature, lower, rows)
        if opcode == STORE_FLOAT:
            _store(floats, status, a, out_floats, out, lower, rows, nulls)
        elif opcode == STORE_INT:
            _store(ints, status, a, out_ints, out, lower, rows, nulls)
        elif opcode == STORE_BYTE:
            _store(ints, status, a, out_bytes, out, lower, rows, nulls)
        else:
            _store_bits(bools, status, a, out_bits, out, lower, rows)


@njit(nogil=True, cache=True)
def _store_status(
    status: Grid, x: int, valid: Grid, counts: Grid, feature: int, lower: int, rows: int
) -> int:
    """Write the bitmap and count the nulls by reason; returns how many there are."""
    nulls = 0
    domain = 0
    for i in range(rows):
        nulls += status[x, i] != OK
        domain += status[x, i] == DOMAIN
    counts[feature, 0] += nulls - domain
    counts[feature, 1] += domain
    for place in range((rows + 7) // 8):
        upper = min(8 * place + 8, rows)
        byte = 255 >> (8 * place + 8 - upper)
        if nulls > 0:
            byte = 0
            for i in range(8 * place, upper):
                byte |= (status[x, i] == OK) << (i & 7)
        valid[feature, lower // 8 + place] = byte
    return nulls


@njit(nogil=True, cache=True)
def _store(
    values: Grid, status: Grid, x: int, target: Grid, out: int, lower: int, rows: int, nulls: int
) -> None:
    """Write values, and 0 where there is none: what stands at a null never hangs on the rows beside it."""
    for i in range(rows):
        target[out, lower + i] = values[x, i]
    if nulls > 0:
        for i in range(rows):
            if status[x, i] != OK:
                target[out, lower + i] = 0


@njit(nogil=True, cache=True)
def _store_bits(bools: Grid, status: Grid, x: int, bits: Grid, out: int, lower: int, rows: int) -> None:
    """Write booleans as a bitmap, and 0 where there is none."""
    for place in range((rows + 7) // 8):
        byte = 0
        for i in range(8 * place, min(8 * place + 8, rows)):
            byte |= (bools[x, i] != 0 and status[x, i] == OK) << (i & 7)
        bits[out, lower // 8 + place] = byte


@njit(nogil=True, cache=True)
def evaluate(
    loads: npt.NDArray[np.int64],
    functions: npt.NDArray[np.int64],
    stores: npt.NDArray[np.int64],
    floats: Grid,
    ints: Grid,
    bools: Grid,
    status: Grid,
    in_floats: Grid,
    in_ints: Grid,
    in_bits: Grid,
    in_valid: Grid,
    in_shift: Int64s,
    in_valid_shift: Int64s,
    out_floats: Grid,
    out_ints: Grid,
    out_bytes: Grid,
    out_bits: Grid,
    out_valid: Grid,
    out_counts: Grid,
    lower: int,
    rows: int,
) -> None:
    """Run a program over the first `rows` of the inputs; features go to the outputs from row `lower` on.

    The arrays are those of `Registers`, `Inputs` and `Outputs`, one by one: tuples of arrays take three times
    as long to hand over, 4 us more a call.
    """
    load(
        loads,
        in_floats,
        in_ints,
        in_bits,
        in_valid,
        in_shift,
        in_valid_shift,
        floats,
        ints,
        bools,
        status,
        rows,
    )
    compute(functions, floats, ints, bools, status, rows)
    store(
        stores,
        floats,
        ints,
        bools,
        status,
        out_floats,
        out_ints,
        out_bytes,
        out_bits,
        out_valid,
        out_counts,
        lower,
        rows,
    )
