"""Steps that hang on the row alone, one after another, each one loop over a tile of rows; and how columns are
brought in.

A kernel generated for the formulas would have to be compiled at start.  A step is a row of `program`: opcode,
register of the result, registers of the operands (or a column of the input, or of the output).
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from operators.nodes import math_kernel, quote_kernel, student_kernel, unit_kernel, window_kernel
from operators.nodes import opcodes as op
from operators.nodes import row_kernel as row
from operators.nodes.row_kernel import Grid
from schemas.batch import Int64s

BATCH: Final = 8_192  # rows that one call takes, tile by tile


class Registers(NamedTuple):
    """One row of `TILE` values per register; a register uses one of the three kinds, and its statuses."""

    floats: Grid  # float64
    ints: Grid  # int64
    bools: Grid  # uint8
    status: Grid  # uint8


class Inputs(NamedTuple):
    """The columns that are read, of one batch and as Arrow holds them: one row per column.

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
    counts: Grid  # int64 (features, 3): rows that are null, by reason: null_in, domain, warming
    reasons: Grid  # uint8 (features, rows): why a row is null (`schemas.reasons`)


class Memory(NamedTuple):
    """What a node remembers of earlier rows (`places`, `history_kernel`)."""

    places: Grid  # int64 (PLACES, TILE)
    rings: Grid  # int64 (groups, RINGS)
    kept: Grid  # int64 (values kept, pool): bits; those of one row lie side by side
    kept_status: Grid  # uint8, the same
    kept_time: Int64s  # (pool,)
    lists: Grid  # int64 (lists, pool): what steps keep in an order of their own
    words: Int64s  # the states of all steps, those of one symbol side by side
    word_floats: Grid  # the same memory as float64


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
    order: Int64s,
    ordered: int,
    lower: int,
    rows: int,
) -> None:
    """Bring columns (`Inputs`) into registers, from place `lower` on: the first steps of a program."""
    for k in range(program.shape[0]):
        opcode, out, a, b = program[k, 0], program[k, 1], program[k, 2], program[k, 3]
        row.load_status(in_valid, b, in_valid_shift[b], status, out, order, ordered, lower, rows)
        if opcode == op.LOAD_FLOAT:
            row.load_floats(in_floats, a, floats, status, out, order, ordered, lower, rows)
        elif opcode == op.LOAD_INT:
            row.load_ints(in_ints, a, ints, out, order, ordered, lower, rows)
        else:
            row.load_bits(in_bits, a, in_shift[a], bools, out, order, ordered, lower, rows)


@njit(nogil=True, cache=True)
def compute(
    program: npt.NDArray[np.int64],
    floats: Grid,
    float_words: Grid,
    ints: Grid,
    bools: Grid,
    status: Grid,
    places: Grid,
    kept: Grid,
    kept_status: Grid,
    kept_time: Int64s,
    lists: Grid,
    words: Int64s,
    word_floats: Grid,
    rows: int,
) -> None:
    """Run functions of a program over `Registers`; the arguments are those of `stateful_kernel`."""
    for k in range(program.shape[0]):
        opcode, out = program[k, 0], program[k, 1]
        a, b, c = program[k, 2], program[k, 3], program[k, 4]
        if opcode <= op.FLOAT_LAST:
            _compute_float(opcode, out, a, b, c, floats, ints, bools, status, rows)
        elif opcode <= op.INT_LAST:
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
    if opcode == op.ADD_FLOAT:
        row.add_floats(floats, status, a, b, out, rows)
    elif opcode == op.SUBTRACT_FLOAT:
        row.subtract_floats(floats, status, a, b, out, rows)
    elif opcode == op.MULTIPLY_FLOAT:
        row.multiply_floats(floats, status, a, b, out, rows)
    elif opcode == op.DIVIDE_FLOAT:
        row.divide_floats(floats, status, a, b, out, rows)
    elif opcode == op.NEGATE_FLOAT:
        row.negate_floats(floats, status, a, out, rows)
    elif opcode == op.ABS_FLOAT:
        row.abs_floats(floats, status, a, out, rows)
    elif opcode == op.LOG_FLOAT:
        row.log_floats(floats, status, a, out, rows)
    elif opcode == op.EXP_FLOAT:
        math_kernel.exp_floats(floats, status, a, out, rows)
    elif opcode == op.SQRT_FLOAT:
        math_kernel.sqrt_floats(floats, status, a, out, rows)
    elif opcode == op.POWER_FLOAT:
        math_kernel.power_floats(floats, status, a, b, out, rows)
    elif opcode == op.ERFC_FLOAT:
        math_kernel.erfc_floats(floats, status, a, out, rows)
    elif opcode == op.STUDENT_FLOAT:
        student_kernel.student_floats(floats, status, a, b, c, out, rows)
    elif opcode == op.MIN_FLOAT:
        math_kernel.smaller(floats, status, a, b, c, out, rows)
    elif opcode == op.MAX_FLOAT:
        math_kernel.larger(floats, status, a, b, c, out, rows)
    elif opcode == op.CLIP_FLOAT:
        math_kernel.clip(floats, status, a, b, c, out, rows)
    elif opcode == op.BID_FLOAT:
        quote_kernel.bid_of(floats, status, a, b, c, out, rows)
    elif opcode == op.ENOUGH_FLOAT:
        window_kernel.enough(floats, ints, status, a, b, c, out, rows)
    elif opcode == op.TO_FLOAT:
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
    if opcode == op.ADD_INT:
        row.add_ints(ints, status, a, b, out, rows)
    elif opcode == op.SUBTRACT_INT:
        row.subtract_ints(ints, status, a, b, out, rows)
    elif opcode == op.MULTIPLY_INT:
        row.multiply_ints(ints, status, a, b, out, rows)
    elif opcode == op.NEGATE_INT:
        row.negate_ints(ints, status, a, out, rows)
    elif opcode == op.ABS_INT:
        row.abs_ints(ints, status, a, out, rows)
    elif opcode == op.SIGN_INT:
        row.sign(ints, ints, status, a, out, rows)
    elif opcode == op.SIGN_FLOAT:
        row.sign(floats, ints, status, a, out, rows)
    elif opcode == op.MIN_INT:
        math_kernel.smaller(ints, status, a, b, c, out, rows)
    elif opcode == op.MAX_INT:
        math_kernel.larger(ints, status, a, b, c, out, rows)
    elif opcode == op.CLIP_INT:
        math_kernel.clip(ints, status, a, b, c, out, rows)
    elif opcode == op.BID_INT:
        quote_kernel.bid_of(ints, status, a, b, c, out, rows)
    elif opcode == op.DIRECTION_INT:
        quote_kernel.direction(ints, ints, status, a, out, rows)
    elif opcode == op.DIRECTION_FLOAT:
        quote_kernel.direction(floats, ints, status, a, out, rows)
    elif opcode == op.ZERO_WITHOUT:
        quote_kernel.zero_without(ints, status, a, b, c, out, rows)
    elif opcode == op.ENOUGH_INT:
        window_kernel.enough(ints, ints, status, a, b, c, out, rows)
    elif opcode == op.UNITS_FLOAT:
        unit_kernel.float_units(floats, ints, status, a, b, out, rows)
    elif opcode == op.UNITS_DECIMAL:
        unit_kernel.decimal_units(ints, status, a, b, c, out, rows)
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
    if opcode == op.COMPARE_FLOAT:
        row.compare(floats, bools, status, a, b, c, out, rows)
    elif opcode == op.COMPARE_INT:
        row.compare(ints, bools, status, a, b, c, out, rows)
    elif opcode == op.COMPARE_MIXED:
        row.compare_mixed(ints, floats, bools, status, a, b, c, out, rows)
    elif opcode == op.COMPARE_BOOL:
        row.compare(bools, bools, status, a, b, c, out, rows)
    elif opcode == op.AND:
        row.both(bools, status, a, b, out, rows)
    elif opcode == op.OR:
        row.either(bools, status, a, b, out, rows)
    elif opcode == op.NOT:
        row.opposite(bools, status, a, out, rows)
    else:
        row.where(bools, bools, status, a, b, c, out, rows)
