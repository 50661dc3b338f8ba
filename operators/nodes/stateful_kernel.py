"""Finds the loop of a step with state, and of the lines that keep values for such steps."""

from numba import njit

from operators.nodes import (
    history_kernel,
    lag_kernel,
    moment_kernel,
    pair_kernel,
    recursion_kernel,
    shape_kernel,
    sum_kernel,
    total_kernel,
)
from operators.nodes import opcodes as op
from operators.nodes import places as at
from operators.nodes.row_kernel import Grid
from schemas.batch import Int64s


@njit(nogil=True, cache=True)
def step(
    line: Int64s,
    floats: Grid,
    float_words: Grid,
    ints: Grid,
    bools: Grid,
    status: Grid,
    places: Grid,
    rings: Grid,
    kept: Grid,
    kept_status: Grid,
    kept_time: Int64s,
    words: Int64s,
    word_floats: Grid,
    rows: int,
) -> None:
    """Run one line; `float_words` are the bits of `floats`."""
    opcode, x, c = line[at.OPCODE], line[at.OPERANDS], line[at.KEPT]
    if opcode == op.KEEP_FLOAT:
        history_kernel.keep_floats(float_words, status, x, places, kept, kept_status, c, rows)
    elif opcode == op.KEEP_INT:
        history_kernel.keep(ints, status, x, places, kept, kept_status, c, rows)
    elif opcode == op.KEEP_BOOL:
        history_kernel.keep(bools, status, x, places, kept, kept_status, c, rows)
    elif opcode == op.LAG_ROWS_FLOAT:
        lag_kernel.lag_rows(line, float_words, ints, status, places, kept, kept_status, rows)
    elif opcode == op.LAG_ROWS_INT:
        lag_kernel.lag_rows(line, ints, ints, status, places, kept, kept_status, rows)
    elif opcode == op.LAG_ROWS_BOOL:
        lag_kernel.lag_rows(line, bools, ints, status, places, kept, kept_status, rows)
    elif opcode == op.LAG_TIME_FLOAT:
        lag_kernel.lag_time(
            line, float_words, ints, status, places, kept, kept_status, kept_time, words, rows
        )
    elif opcode == op.LAG_TIME_INT:
        lag_kernel.lag_time(line, ints, ints, status, places, kept, kept_status, kept_time, words, rows)
    elif opcode == op.LAG_TIME_BOOL:
        lag_kernel.lag_time(line, bools, ints, status, places, kept, kept_status, kept_time, words, rows)
    elif opcode == op.WINDOW_COUNT:
        sum_kernel.window_count(line, ints, status, places, kept_status, kept_time, words, rows)
    elif opcode == op.WINDOW_SUM:
        sum_kernel.window_sum(
            line,
            floats,
            ints,
            status,
            places,
            kept,
            kept_time,
            words,
            word_floats,
            rows,
        )
    elif opcode == op.WINDOW_TOTAL:
        total_kernel.window_total(line, ints, status, places, kept, kept_status, kept_time, words, rows)
    elif opcode == op.WINDOW_SQUARES:
        moment_kernel.window_squares(
            line,
            floats,
            ints,
            status,
            places,
            kept,
            kept_time,
            words,
            word_floats,
            rows,
        )
    elif opcode == op.WINDOW_PRODUCTS:
        moment_kernel.window_products(line, floats, ints, status, places, kept, kept_time, words, rows)
    elif opcode == op.WINDOW_PAIRS:
        pair_kernel.window_pairs(line, floats, ints, status, places, kept, kept_time, words, rows)
    elif opcode == op.WINDOW_SHAPE:
        shape_kernel.window_shape(line, floats, ints, status, places, kept, kept_time, words, rows)
    else:
        recursion_kernel.ewma(line, floats, ints, status, places, words, word_floats, rows)
