"""Recursions: values that hang on all rows of the symbol since they began, in order.

Words of a state begin with the ordinal behind the last row that it has taken, 0 for none.
"""

from typing import Final

from numba import njit

from operators.nodes import places as at
from operators.nodes.exact_kernel import Float64s
from operators.nodes.row_kernel import NULL_IN, OK, WARMING, Grid
from schemas.batch import Int64s

TAKEN: Final = 0


@njit(nogil=True, cache=True)
def begins_anew(words: Int64s, o: int, reset: int, first: int) -> bool:
    """Whether a state starts empty: with `reset`, where the session began after the last row it took."""
    return words[o + TAKEN] == 0 or (reset != 0 and words[o + TAKEN] <= first)


@njit(nogil=True, cache=True)
def ewma(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    words: Int64s,
    word_floats: Float64s,
    rows: int,
) -> None:
    """R50: (x, k, reset) -> the mean of all values so far, of which each row takes the weights times k.

    Null before the first value.
    """
    out, x, k = line[at.OUT], line[at.OPERANDS], floats[line[at.OPERANDS + 1], 0]
    reset = ints[line[at.OPERANDS + 2], 0]
    base, stride = line[at.BASE], line[at.STRIDE]
    for i in range(rows):
        g = places[at.GROUP, i]
        floats[out, i] = 0.0
        if g < 0 or (reset != 0 and places[at.SESSION, i] < 0):
            status[out, i] = NULL_IN if g < 0 else WARMING
            continue
        o = base + g * stride
        if begins_anew(words, o, reset, places[at.FIRST, i]):
            word_floats[o + 1] = word_floats[o + 2] = 0.0
        words[o + TAKEN] = places[at.ORDINAL, i] + 1
        weighted, weight = k * word_floats[o + 1], k * word_floats[o + 2]
        if status[x, i] == OK:
            weighted += floats[x, i]
            weight += 1.0
        word_floats[o + 1], word_floats[o + 2] = weighted, weight
        if weight > 0.0:
            floats[out, i] = weighted / weight
        status[out, i] = OK if weight > 0.0 else WARMING
