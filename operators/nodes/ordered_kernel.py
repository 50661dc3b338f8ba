"""Finds the loop of a step over a window's values in order, or of one that remembers a sum or an event."""

from numba import njit

from operators.nodes import event_kernel, extreme_kernel, sorted_kernel
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
    status: Grid,
    places: Grid,
    kept: Grid,
    kept_status: Grid,
    kept_time: Int64s,
    lists: Grid,
    words: Int64s,
    rows: int,
) -> None:
    """Run one line over a window; `float_words` are the bits of `floats`."""
    opcode = line[at.OPCODE]
    of_floats = int(opcode in (op.EXTREME_FLOAT, op.ROWS_BACK_FLOAT, op.RANK_FLOAT))
    if opcode <= op.ROWS_BACK_INT:
        values = float_words if opcode == op.EXTREME_FLOAT else ints
        back = int(opcode >= op.ROWS_BACK_FLOAT)
        extreme_kernel.extreme(
            line, values, ints, status, places, kept, kept_status, kept_time, words, of_floats, back, rows
        )
    elif opcode == op.QUANTILE:
        sorted_kernel.quantile(
            line, floats, float_words, ints, status, places, kept, kept_status, kept_time, lists, words, rows
        )
    else:
        sorted_kernel.rank(
            line, floats, ints, status, places, kept, kept_status, kept_time, lists, words, of_floats, rows
        )


@njit(nogil=True, cache=True)
def since(
    line: Int64s,
    floats: Grid,
    float_words: Grid,
    ints: Grid,
    bools: Grid,
    status: Grid,
    places: Grid,
    words: Int64s,
    rows: int,
) -> None:
    """Run one line that keeps no rows."""
    opcode = line[at.OPCODE]
    if opcode == op.CUMSUM_FLOAT:
        event_kernel.cumsum_floats(line, floats, float_words, ints, status, places, words, rows)
    elif opcode == op.CUMSUM_INT:
        event_kernel.cumsum_ints(line, ints, status, places, words, rows)
    elif opcode == op.TIME_SINCE:
        event_kernel.since_event(line, ints, bools, status, places, words, 0, rows)
    elif opcode == op.COUNT_SINCE:
        event_kernel.since_event(line, ints, bools, status, places, words, 1, rows)
    elif opcode == op.FILL_FLOAT:
        event_kernel.fill_forward(line, float_words, ints, status, places, words, rows)
    elif opcode == op.FILL_INT:
        event_kernel.fill_forward(line, ints, ints, status, places, words, rows)
    else:
        event_kernel.fill_forward(line, bools, ints, status, places, words, rows)
