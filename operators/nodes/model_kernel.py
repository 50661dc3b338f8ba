"""Models of a state that rows tell about, M42 and M52 to M54.  Words as those of `recursion_kernel`.

Whatever a row has no value for is left as it is, but for what passes with every row.  Parts are null in rows
without a value: they say how it differs from what was expected.
"""

from typing import Final

import numpy as np
from numba import njit

from operators.nodes import opcodes as op
from operators.nodes import places as at
from operators.nodes.exact_kernel import Float64s
from operators.nodes.recursion_kernel import STATES, emit, outside, turn
from operators.nodes.row_kernel import NULL_IN, OK, WARMING, Grid
from schemas.batch import Int64s

S_PER_NS: Final = 1e-9

# Words of a state: of M52, of M42, of M53 and of M54.
LEVEL: Final = 0
LEVEL_P: Final = 1
LEVEL_VALUES: Final = 2
LEVEL_LAST: Final = 3
LEVEL_WORDS: Final = 4
B1: Final = 0
B0: Final = 1
P00: Final = 2
P01: Final = 3
P11: Final = 4
PAIRS: Final = 5
HEDGE_WORDS: Final = 6
HIDDEN: Final = 3  # the probabilities of so many states
BEGUN: Final = 3
HIDDEN_WORDS: Final = 4
UP: Final = 0
DOWN: Final = 1
CUSUM_WORDS: Final = 2


@njit(nogil=True, cache=True)
def emit_part(floats: Grid, status: Grid, out: int, i: int, value: float, null: np.uint8) -> None:
    """Write a further result, null where `null` says why; into no register where nobody reads it."""
    if out < 0:
        return
    if null == OK:
        emit(floats, status, out, i, value, True)
    else:
        floats[out, i] = 0.0
        status[out, i] = null


@njit(nogil=True, cache=True, error_model="numpy")
def local_level(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    words: Int64s,
    word_floats: Float64s,
    rows: int,
) -> None:
    """M52: (y, q, r, by_time, session, shift) -> the level; parts: by how much y is above it, and F."""
    out, y = line[at.OUT], line[at.OPERANDS]
    q, r = floats[line[at.OPERANDS + 1], 0], floats[line[at.OPERANDS + 2], 0]
    by_time, session = ints[line[at.OPERANDS + 3], 0], ints[line[at.OPERANDS + 4], 0]
    shift = ints[line[at.OPERANDS + 5], 0]
    base, stride, size = line[at.BASE], line[at.STRIDE], line[at.SIZE]
    for i in range(rows):
        above, variance, null = 0.0, 0.0, NULL_IN
        if outside(floats, status, places, out, i, session):
            null = status[out, i]
        else:
            o, n, s = base + places[at.GROUP, i] * stride, places[at.ORDINAL, i], 0
            now_ns = places[at.TIME_NS, i]
            turn(words, o, size, session, shift, n, places[at.FIRST, i], n)
            for s in range(o + STATES, o + size, LEVEL_WORDS):
                p = word_floats[s + LEVEL_P]
                if words[s + LEVEL_VALUES] > 0:
                    took_s = float(now_ns - words[s + LEVEL_LAST]) * S_PER_NS
                    p += q * took_s if by_time != 0 else q
                null = status[y, i]
                if null == OK and words[s + LEVEL_VALUES] == 0:
                    word_floats[s + LEVEL], p, null = floats[y, i], r, WARMING
                    words[s + LEVEL_VALUES] = 1
                elif null == OK:
                    variance = p + r
                    gain = p / variance
                    above = floats[y, i] - word_floats[s + LEVEL]
                    word_floats[s + LEVEL] += gain * above
                    p = r * gain
                word_floats[s + LEVEL_P] = p
                words[s + LEVEL_LAST] = now_ns
            emit(floats, status, out, i, word_floats[s + LEVEL], words[s + LEVEL_VALUES] > 0)
        emit_part(floats, status, line[at.PARTS_AT], i, above, null)
        emit_part(floats, status, line[at.PARTS_AT + 1], i, variance, null)


@njit(nogil=True, cache=True, error_model="numpy")
def hedge(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    words: Int64s,
    word_floats: Float64s,
    rows: int,
) -> None:
    """M42: (y, x, q, r, session, shift) -> b1 of y = b1 * x + b0; parts: b0, the error of y, and its F.

    A fourth part is how many pairs there were.
    """
    out, y, x = line[at.OUT], line[at.OPERANDS], line[at.OPERANDS + 1]
    q, r = floats[line[at.OPERANDS + 2], 0], floats[line[at.OPERANDS + 3], 0]
    session, shift = ints[line[at.OPERANDS + 4], 0], ints[line[at.OPERANDS + 5], 0]
    base, stride, size = line[at.BASE], line[at.STRIDE], line[at.SIZE]
    for i in range(rows):
        b0, pairs, error, variance, null, reached = 0.0, 0, 0.0, 0.0, NULL_IN, OK
        if outside(floats, status, places, out, i, session):
            null = reached = status[out, i]
        else:
            o, n, s = base + places[at.GROUP, i] * stride, places[at.ORDINAL, i], 0
            turn(words, o, size, session, shift, n, places[at.FIRST, i], n)
            null = status[y, i] | status[x, i]
            for s in range(o + STATES, o + size, HEDGE_WORDS):
                word_floats[s + P00] += q
                word_floats[s + P11] += q
                if null == OK:
                    error, variance = follow(word_floats, s, floats[x, i], floats[y, i], r)
                    words[s + PAIRS] += 1
            b0, pairs = word_floats[s + B0], words[s + PAIRS]
            emit(floats, status, out, i, word_floats[s + B1], pairs > 0)
            if pairs == 0:
                reached = WARMING
        emit_part(floats, status, line[at.PARTS_AT], i, b0, reached)
        emit_part(floats, status, line[at.PARTS_AT + 1], i, error, null)
        emit_part(floats, status, line[at.PARTS_AT + 2], i, variance, null)
        emit_part(floats, status, line[at.PARTS_AT + 3], i, float(pairs), null)


@njit(nogil=True, cache=True, error_model="numpy")
def follow(state: Float64s, s: int, x: float, y: float, r: float) -> tuple[float, float]:
    """Let one pair in; returns by how much y is above the line, and how much that may be, squared."""
    g0 = state[s + P00] * x + state[s + P01]
    g1 = state[s + P01] * x + state[s + P11]
    variance = (x * g0 + g1) + r
    error = y - (state[s + B1] * x + state[s + B0])
    k0, k1 = g0 / variance, g1 / variance
    state[s + B1] += k0 * error
    state[s + B0] += k1 * error
    state[s + P00] -= k0 * g0
    state[s + P01] -= k0 * g1
    state[s + P11] -= k1 * g1
    return error, variance


@njit(nogil=True, cache=True)
def hidden_states(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    words: Int64s,
    word_floats: Float64s,
    rows: int,
) -> None:
    """M53: (e1, e2, e3, pi1.., A11, A12.., session, shift) -> how likely state 1 is; parts: the others.

    `e` is how likely the row's value is in each state, by the most likely one.
    """
    out, e = line[at.OUT], line[at.OPERANDS : at.OPERANDS + HIDDEN]
    pi, moves = at.OPERANDS + HIDDEN, at.OPERANDS + 2 * HIDDEN
    session = ints[line[moves + HIDDEN * HIDDEN], 0]
    shift = ints[line[moves + HIDDEN * HIDDEN + 1], 0]
    base, stride, size = line[at.BASE], line[at.STRIDE], line[at.SIZE]
    for i in range(rows):
        second, third, reached = 0.0, 0.0, OK
        if outside(floats, status, places, out, i, session):
            reached = status[out, i]
        else:
            o, n, s = base + places[at.GROUP, i] * stride, places[at.ORDINAL, i], 0
            turn(words, o, size, session, shift, n, places[at.FIRST, i], n)
            known = status[e[0], i] == OK and status[e[1], i] == OK and status[e[2], i] == OK
            for s in range(o + STATES, o + size, HIDDEN_WORDS):
                f0, f1, f2 = word_floats[s], word_floats[s + 1], word_floats[s + 2]
                for j in range(HIDDEN):
                    if words[s + BEGUN] == 0:
                        word_floats[s + j] = floats[line[pi + j], 0]
                    else:
                        from_0 = f0 * floats[line[moves + j], 0]
                        from_1 = f1 * floats[line[moves + HIDDEN + j], 0]
                        from_2 = f2 * floats[line[moves + 2 * HIDDEN + j], 0]
                        word_floats[s + j] = (from_0 + from_1) + from_2
                words[s + BEGUN] = 1
                if known:
                    w0 = word_floats[s] * floats[e[0], i]
                    w1 = word_floats[s + 1] * floats[e[1], i]
                    w2 = word_floats[s + 2] * floats[e[2], i]
                    total = (w0 + w1) + w2
                    if total > 0.0:
                        word_floats[s], word_floats[s + 1] = w0 / total, w1 / total
                        word_floats[s + 2] = w2 / total
            second, third = word_floats[s + 1], word_floats[s + 2]
            emit(floats, status, out, i, word_floats[s], True)
        emit_part(floats, status, line[at.PARTS_AT], i, second, reached)
        emit_part(floats, status, line[at.PARTS_AT + 1], i, third, reached)


@njit(nogil=True, cache=True)
def cusum(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    words: Int64s,
    word_floats: Float64s,
    rows: int,
) -> None:
    """M54: (y, h, session, shift) -> 1 where the sum of rises reaches h, -1 where that of falls does, else 0.

    An h that is null or not above 0 is never reached.
    """
    out, y, h = line[at.OUT], line[at.OPERANDS], line[at.OPERANDS + 1]
    session, shift = ints[line[at.OPERANDS + 2], 0], ints[line[at.OPERANDS + 3], 0]
    base, stride, size = line[at.BASE], line[at.STRIDE], line[at.SIZE]
    for i in range(rows):
        if outside(floats, status, places, out, i, session):
            ints[out, i] = 0
            continue
        o, n = base + places[at.GROUP, i] * stride, places[at.ORDINAL, i]
        turn(words, o, size, session, shift, n, places[at.FIRST, i], n)
        s, event = o + STATES, 0
        if status[y, i] == OK:
            up, down = word_floats[s + UP] + floats[y, i], word_floats[s + DOWN] + floats[y, i]
            up, down = up if up > 0.0 else 0.0, down if down < 0.0 else 0.0
            if status[h, i] == OK and floats[h, i] > 0.0:
                if up >= floats[h, i]:
                    event, up = 1, 0.0
                elif down <= -floats[h, i]:
                    event, down = -1, 0.0
            word_floats[s + UP], word_floats[s + DOWN] = up, down
        ints[out, i] = event
        status[out, i] = OK


@njit(nogil=True, cache=True)
def models(
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
    """The lines of this family; the arguments are those of `stateful_kernel`."""
    for k in range(program.shape[0]):
        line = program[k]
        opcode = line[at.OPCODE]
        if opcode == op.LOCAL_LEVEL:
            local_level(line, floats, ints, status, places, words, word_floats, rows)
        elif opcode == op.HEDGE:
            hedge(line, floats, ints, status, places, words, word_floats, rows)
        elif opcode == op.HIDDEN_STATES:
            hidden_states(line, floats, ints, status, places, words, word_floats, rows)
        else:
            cusum(line, floats, ints, status, places, words, word_floats, rows)
