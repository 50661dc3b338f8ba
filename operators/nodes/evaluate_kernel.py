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
from operators.nodes.row_kernel import OK, Grid
from schemas.batch import Int64s

TILE: Final = 2_048  # rows; a multiple of 8, so that each tile begins with a byte of its bitmaps

LOWEST: Final = np.uint64(0x0101010101010101)  # the lowest bit of each byte
GATHER: Final = np.uint64(0x0102040810204080)  # times eight lowest bits: their bitmap, in the highest byte

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
    status_words, bool_words = status.view(np.uint64), bools.view(np.uint64)
    for k in range(program.shape[0]):
        opcode, out, a, feature = program[k, 0], program[k, 1], program[k, 2], program[k, 3]
        nulls = _store_status(status_words, a, out_valid, out_counts, feature, lower, rows)
        if opcode == STORE_FLOAT:
            _store(floats, status, a, out_floats, out, lower, rows, nulls)
        elif opcode == STORE_INT:
            _store(ints, status, a, out_ints, out, lower, rows, nulls)
        elif opcode == STORE_BYTE:
            _store(ints, status, a, out_bytes, out, lower, rows, nulls)
        else:
            _store_bits(bool_words, a, out_valid, feature, out_bits, out, lower, rows)


@njit(nogil=True, cache=True)
def _store_status(words: Grid, x: int, valid: Grid, counts: Grid, feature: int, lower: int, rows: int) -> int:
    """Write the bitmap and count the nulls by reason; returns how many there are.

    `words` are the statuses, eight in one uint64: a null has its lowest bit set, one of the domain the next.
    """
    nulls = domain = np.uint64(0)
    for place in range((rows + 7) // 8):
        word = words[x, place]
        if 8 * place + 8 > rows:
            word &= (np.uint64(1) << np.uint64(8 * (rows % 8))) - np.uint64(1)
        null = word & LOWEST
        nulls += (null * LOWEST) >> np.uint64(56)
        domain += (((word >> np.uint64(1)) & LOWEST) * LOWEST) >> np.uint64(56)
        valid[feature, lower // 8 + place] = ~((null * GATHER) >> np.uint64(56)) & np.uint64(255)
    if rows % 8 != 0:
        valid[feature, (lower + rows) // 8] &= (1 << (rows % 8)) - 1
    counts[feature, 0] += np.int64(nulls - domain)
    counts[feature, 1] += np.int64(domain)
    return int(nulls)


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
def _store_bits(
    words: Grid, x: int, valid: Grid, feature: int, bits: Grid, out: int, lower: int, rows: int
) -> None:
    """Write booleans, eight in one uint64 of `words`, as a bitmap, and 0 where `valid` has no value."""
    for place in range((rows + 7) // 8):
        byte = (words[x, place] * GATHER) >> np.uint64(56)
        bits[out, lower // 8 + place] = byte & valid[feature, lower // 8 + place]


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
