"""A regression that forgets: recursive least squares, M23.  Words as those of `recursion_kernel`."""

from typing import Final

from numba import njit

from operators.nodes import places as at
from operators.nodes.exact_kernel import Float64s
from operators.nodes.recursion_kernel import STATES, emit, outside, turn
from operators.nodes.row_kernel import OK, Grid
from schemas.batch import Int64s

A: Final = 0
SLOPE: Final = 1
P00: Final = 2
P01: Final = 3
P11: Final = 4
UPDATES: Final = 5
WORDS: Final = 6

GUARD: Final = 1e8  # of the first variance: beyond it that of an estimate is not raised any more


@njit(nogil=True, cache=True)
def regression(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    words: Int64s,
    word_floats: Float64s,
    rows: int,
) -> None:
    """M23: (y, x, lambda_f, P0, min_count, session, shift) -> the slope of y = a + slope * x.

    A row without y or x is skipped.
    """
    out, y, x = line[at.OUT], line[at.OPERANDS], line[at.OPERANDS + 1]
    forget, start = floats[line[at.OPERANDS + 2], 0], floats[line[at.OPERANDS + 3], 0]
    least, session = ints[line[at.OPERANDS + 4], 0], ints[line[at.OPERANDS + 5], 0]
    shift = ints[line[at.OPERANDS + 6], 0]
    base, stride, size = line[at.BASE], line[at.STRIDE], line[at.SIZE]
    for i in range(rows):
        if outside(floats, status, places, out, i, session):
            continue
        o, n, s = base + places[at.GROUP, i] * stride, places[at.ORDINAL, i], 0
        turn(words, o, size, session, shift, n, places[at.FIRST, i], n)
        for s in range(o + STATES, o + size, WORDS):
            if status[y, i] == OK and status[x, i] == OK:
                if words[s + UPDATES] == 0:
                    word_floats[s + P00] = word_floats[s + P11] = start
                update(word_floats, s, floats[x, i], floats[y, i], forget, GUARD * start)
                words[s + UPDATES] += 1
        emit(floats, status, out, i, word_floats[s + SLOPE], words[s + UPDATES] >= least)


@njit(nogil=True, cache=True, error_model="numpy")
def update(state: Float64s, s: int, x: float, y: float, forget: float, most: float) -> None:
    """Let one pair in; a variance above `most` is not raised in that row (the wind-up guard)."""
    p00, p01, p11 = state[s + P00], state[s + P01], state[s + P11]
    wound_up = p00 > most or p11 > most
    u0 = p00 + p01 * x
    u1 = p01 + p11 * x
    divisor = forget + (u0 + u1 * x)
    k0, k1 = u0 / divisor, u1 / divisor
    error = y - (state[s + A] + state[s + SLOPE] * x)
    state[s + A] += k0 * error
    state[s + SLOPE] += k1 * error
    by = 1.0 if wound_up else forget
    state[s + P00] = (p00 - k0 * u0) / by
    state[s + P01] = (p01 - k0 * u1) / by
    state[s + P11] = (p11 - k1 * u1) / by
