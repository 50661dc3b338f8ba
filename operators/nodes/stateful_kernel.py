"""The steps with state, family by family: each runs the lines of its own, one after another, over a tile.

A kernel of all of them would take minutes to compile; a node compiles, or loads, those that it needs.  All
take the same, as does `compute`: `float_words` are bits of `floats`, the rest is `Registers` and `Memory`.
"""

from collections.abc import Callable
from typing import Final

from numba import njit

from operators.nodes import (
    bucket_kernel,
    change_kernel,
    history_kernel,
    lag_kernel,
    moment_kernel,
    ordered_kernel,
    pair_kernel,
    recursion_kernel,
    regression_kernel,
    scale_kernel,
    session_kernel,
    shape_kernel,
    standing_kernel,
    sum_kernel,
    total_kernel,
    trend_kernel,
)
from operators.nodes import opcodes as op
from operators.nodes import places as at
from operators.nodes.evaluate_kernel import compute
from operators.nodes.exact_kernel import Float64s
from operators.nodes.lent_kernel import lend
from operators.nodes.model_kernel import models
from operators.nodes.row_kernel import Grid
from schemas.batch import Int64s


@njit(nogil=True, cache=True)
def look_back(
    program: Grid,
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
    word_floats: Float64s,
    rows: int,
) -> None:
    """Lines that keep values, lags, and counts and sums over windows."""
    floats, float_words, ints = lend(floats), lend(float_words), lend(ints)
    bools, status, places = lend(bools), lend(status), lend(places)
    kept, kept_status, kept_time = lend(kept), lend(kept_status), lend(kept_time)
    words, word_floats = lend(words), lend(word_floats)
    for k in range(program.shape[0]):
        line = lend(program[k])
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
        elif opcode == op.WINDOW_CUT:
            sum_kernel.window_cut(line, bools, ints, status, places, kept_time, words, rows)
        elif opcode == op.WINDOW_COUNT:
            sum_kernel.window_count(line, ints, status, places, kept_status, kept_time, words, rows)
        else:
            sum_kernel.window_sum(line, floats, ints, status, places, kept, kept_time, words, rows)


@njit(nogil=True, cache=True)
def totals(
    program: Grid,
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
    word_floats: Float64s,
    rows: int,
) -> None:
    """Sums of integers and of products over windows."""
    floats, ints, status = lend(floats), lend(ints), lend(status)
    places, kept, kept_status = lend(places), lend(kept), lend(kept_status)
    kept_time, words = lend(kept_time), lend(words)
    for k in range(program.shape[0]):
        line = lend(program[k])
        if line[at.OPCODE] == op.WINDOW_TOTAL:
            total_kernel.window_total(line, ints, status, places, kept, kept_status, kept_time, words, rows)
        else:
            moment_kernel.window_products(line, floats, ints, status, places, kept, kept_time, words, rows)


@njit(nogil=True, cache=True)
def squares(
    program: Grid,
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
    word_floats: Float64s,
    rows: int,
) -> None:
    """Variances over windows, and what goes with them."""
    floats, ints, status = lend(floats), lend(ints), lend(status)
    places, kept, kept_time = lend(places), lend(kept), lend(kept_time)
    words = lend(words)
    for k in range(program.shape[0]):
        line = lend(program[k])
        moment_kernel.window_squares(line, floats, ints, status, places, kept, kept_time, words, rows)


@njit(nogil=True, cache=True)
def pairs(
    program: Grid,
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
    word_floats: Float64s,
    rows: int,
) -> None:
    """Covariances over windows, and what goes with them."""
    floats, ints, status = lend(floats), lend(ints), lend(status)
    places, kept, kept_time = lend(places), lend(kept), lend(kept_time)
    words = lend(words)
    for k in range(program.shape[0]):
        pair_kernel.window_pairs(program[k], floats, ints, status, places, kept, kept_time, words, rows)


@njit(nogil=True, cache=True)
def shapes(
    program: Grid,
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
    word_floats: Float64s,
    rows: int,
) -> None:
    """What is made anew from a window's rows: moments, lines, and variances on two scales."""
    floats, ints, status = lend(floats), lend(ints), lend(status)
    places, kept_time, words, word_floats = lend(places), lend(kept_time), lend(words), lend(word_floats)
    for k in range(program.shape[0]):
        line = lend(program[k])
        if line[at.OPCODE] == op.WINDOW_SHAPE:
            shape_kernel.window_shape(line, floats, ints, status, places, kept, kept_time, words, rows)
        elif line[at.OPCODE] == op.WINDOW_TREND:
            trend_kernel.window_trend(line, floats, ints, status, places, kept, kept_time, words, rows)
        else:
            scale_kernel.window_two_scales(
                line, floats, ints, status, places, kept, kept_time, words, word_floats, rows
            )


@njit(nogil=True, cache=True)
def in_order(
    program: Grid,
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
    word_floats: Float64s,
    rows: int,
) -> None:
    """Extremes, quantiles and ranks over windows."""
    floats, float_words, ints = lend(floats), lend(float_words), lend(ints)
    status, places, kept = lend(status), lend(places), lend(kept)
    kept_status, kept_time, words = lend(kept_status), lend(kept_time), lend(words)
    for k in range(program.shape[0]):
        ordered_kernel.step(
            lend(program[k]),
            floats,
            float_words,
            ints,
            status,
            places,
            kept,
            kept_status,
            kept_time,
            lists,
            words,
            rows,
        )


@njit(nogil=True, cache=True)
def events(
    program: Grid,
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
    word_floats: Float64s,
    rows: int,
) -> None:
    """What remembers a sum, an event or a value."""
    floats, float_words, ints = lend(floats), lend(float_words), lend(ints)
    bools, status, places = lend(bools), lend(status), lend(places)
    words = lend(words)
    for k in range(program.shape[0]):
        ordered_kernel.since(lend(program[k]), floats, float_words, ints, bools, status, places, words, rows)


@njit(nogil=True, cache=True)
def sessions(
    program: Grid,
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
    word_floats: Float64s,
    rows: int,
) -> None:
    """Changes, counts and sums since the session or the symbol began."""
    floats, ints, status = lend(floats), lend(ints), lend(status)
    places, words, word_floats = lend(places), lend(words), lend(word_floats)
    for k in range(program.shape[0]):
        line = lend(program[k])
        opcode = line[at.OPCODE]
        if opcode == op.LAST_CHANGE_FLOAT:
            change_kernel.last_change(line, floats, word_floats, ints, status, places, words, rows)
        elif opcode == op.LAST_CHANGE_INT:
            change_kernel.last_change(line, ints, words, ints, status, places, words, rows)
        elif opcode == op.SESSION_COUNT:
            session_kernel.session_count(line, ints, status, places, words, rows)
        elif opcode == op.SESSION_SUM:
            session_kernel.session_sum(line, floats, ints, status, places, words, word_floats, rows)
        else:
            session_kernel.session_products(line, floats, ints, status, places, words, word_floats, rows)


@njit(nogil=True, cache=True)
def recursions(
    program: Grid,
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
    word_floats: Float64s,
    rows: int,
) -> None:
    """Averages, sums and a regression whose weights decay."""
    floats, ints, status = lend(floats), lend(ints), lend(status)
    places, words, word_floats = lend(places), lend(words), lend(word_floats)
    for k in range(program.shape[0]):
        line = lend(program[k])
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
        else:
            regression_kernel.regression(line, floats, ints, status, places, words, word_floats, rows)


@njit(nogil=True, cache=True)
def fillings(
    program: Grid,
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
    word_floats: Float64s,
    rows: int,
) -> None:
    """What fills up with trades, or stands over time."""
    floats, ints, status, places = lend(floats), lend(ints), lend(status), lend(places)
    kept_time, words, word_floats = lend(kept_time), lend(words), lend(word_floats)
    for k in range(program.shape[0]):
        line = lend(program[k])
        opcode = line[at.OPCODE]
        if opcode in (op.BUCKETS, op.SHARE_BUCKETS):
            bucket_kernel.buckets(line, floats, ints, status, places, words, word_floats, rows)
        elif opcode == op.TWO_SCALES:
            scale_kernel.two_scales(line, floats, ints, status, places, words, word_floats, rows)
        elif opcode == op.ROW_TIME:
            lag_kernel.row_time(line, ints, status, places, rows)
        else:
            standing_kernel.twap(
                line, floats, ints, status, places, kept, kept_status, kept_time, words, word_floats, rows
            )


# In the order of `opcodes.FAMILIES`; at -1 stands what hangs on the row alone.
FAMILIES: Final[tuple[Callable[..., None], ...]] = (
    look_back,
    totals,
    squares,
    pairs,
    shapes,
    in_order,
    events,
    sessions,
    recursions,
    fillings,
    models,
    compute,
)
