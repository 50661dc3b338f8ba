"""The last change of a value that was none to 0: Q7.

Words of a state: the ordinal behind the last row that it has taken, whether there was a value, the last one,
and the sign of its last change.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

from operators.nodes import places as at
from operators.nodes.recursion_kernel import begins_anew
from operators.nodes.row_kernel import NULL_IN, OK, WARMING, Grid
from schemas.batch import Int64s

TAKEN: Final = 0
KNOWN: Final = 1
LAST: Final = 2
SIGN: Final = 3


@njit(nogil=True, cache=True)
def last_change(
    line: Int64s,
    values: Grid,
    word_values: npt.NDArray[Any],
    ints: Grid,
    status: Grid,
    places: Grid,
    words: Int64s,
    rows: int,
) -> None:
    """(x, reset) -> the sign of the last change from value to value so far; 0 before the first.

    Null where x is.  `values` and `word_values` are the registers and the words of one kind.
    """
    out, x, reset = line[at.OUT], line[at.OPERANDS], ints[line[at.OPERANDS + 1], 0]
    base, stride = line[at.BASE], line[at.STRIDE]
    for i in range(rows):
        g = places[at.GROUP, i]
        ints[out, i] = 0
        if g < 0 or (reset != 0 and places[at.SESSION, i] < 0):
            status[out, i] = NULL_IN if g < 0 else WARMING
            continue
        o = base + g * stride
        if begins_anew(words, o, reset, places[at.FIRST, i]):
            words[o + KNOWN] = words[o + SIGN] = 0
        words[o + TAKEN] = places[at.ORDINAL, i] + 1
        if status[x, i] == OK:
            value, last = values[x, i], word_values[o + LAST]
            if words[o + KNOWN] != 0 and value != last:
                words[o + SIGN] = np.int64(value > last) - np.int64(value < last)
            word_values[o + LAST] = value
            words[o + KNOWN] = 1
            ints[out, i] = words[o + SIGN]
        status[out, i] = status[x, i]
