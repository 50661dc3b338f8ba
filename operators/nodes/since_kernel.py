"""Finds the loop of a recursion, and of what else hangs on all rows since a start."""

from numba import njit

from operators.nodes import (
    bucket_kernel,
    lag_kernel,
    recursion_kernel,
    regression_kernel,
    scale_kernel,
    standing_kernel,
)
from operators.nodes import opcodes as op
from operators.nodes import places as at
from operators.nodes.exact_kernel import Float64s
from operators.nodes.row_kernel import Grid
from schemas.batch import Int64s


@njit(nogil=True, cache=True)
def step(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    kept: Grid,
    kept_status: Grid,
    kept_time: Int64s,
    words: Int64s,
    word_floats: Float64s,
    rows: int,
) -> None:
    """Run one line."""
    opcode = line[at.OPCODE]
    if opcode == op.EWMA:
        recursion_kernel.ewma(line, floats, ints, status, places, words, word_floats, rows)
    elif opcode == op.AVERAGE:
        recursion_kernel.average(line, floats, ints, status, places, words, word_floats, rows)
    elif opcode == op.EWMA_TIME:
        recursion_kernel.ewma_time(line, floats, ints, status, places, words, word_floats, rows)
    elif opcode == op.DECAY_ACCUM:
        recursion_kernel.decay_accum(line, floats, ints, status, places, words, word_floats, rows)
    elif opcode == op.EWM_STD:
        recursion_kernel.ewm_std(line, floats, ints, status, places, words, word_floats, rows)
    elif opcode == op.REGRESSION:
        regression_kernel.regression(line, floats, ints, status, places, words, word_floats, rows)
    elif opcode == op.BUCKETS:
        bucket_kernel.buckets(line, floats, ints, status, places, words, word_floats, rows)
    elif opcode == op.TWO_SCALES:
        scale_kernel.two_scales(line, floats, ints, status, places, words, word_floats, rows)
    elif opcode == op.ROW_TIME:
        lag_kernel.row_time(line, ints, status, places, rows)
    else:
        standing_kernel.twap(
            line, floats, ints, status, places, kept, kept_status, kept_time, words, word_floats, rows
        )
