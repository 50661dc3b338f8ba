"""The largest or smallest value of a window, and how many rows back it is: R35 and R45.

The rows of a window are in two parts.  Of the rows in front of `TURN`, each has in a column of the rings the
best row from it to there; of those behind, only the best one is known.  Once the window has left the front
part, all of its rows become the front part: each row is looked at twice, however long the window is.
A queue of candidates takes as many looks, in an order that a processor foresees less well.

Values are compared as keys: integers in the order of the values.
"""

from typing import Final

from numba import njit

from operators.nodes import places as at
from operators.nodes.row_kernel import INT_MIN, NULL_IN, OK, WARMING, Grid
from operators.nodes.sum_kernel import begins
from schemas.batch import Int64s

BEGINS: Final = 0
TURN: Final = 1
BEST: Final = 2  # behind the turn: its ordinal and 1, 0 for none
BEST_KEY: Final = 3

INT_MAX: Final = 2**63 - 1


@njit(nogil=True, cache=True, forceinline=True)
def key_of(bits: int, of_floats: int) -> int:
    """An integer in the order of the values; a zero has no sign."""
    if of_floats != 0 and bits < 0:
        return 0 if bits == INT_MIN else bits ^ INT_MAX
    return bits


@njit(nogil=True, cache=True, forceinline=True)
def value_of(key: int, of_floats: int) -> int:
    """The value with this key, of a float its bits."""
    return key ^ INT_MAX if of_floats != 0 and key < 0 else key


@njit(nogil=True, cache=True)
def turn(
    begin: int,
    n: int,
    of_floats: int,
    sign: int,
    c: int,
    own: int,
    start: int,
    mask: int,
    kept: Grid,
    kept_status: Grid,
) -> None:
    """Make the rows from `begin` to n the front part."""
    best, best_key = 0, 0
    for row in range(n, begin - 1, -1):
        slot = start + (row & mask)
        if kept_status[c, slot] == OK:
            key = key_of(kept[c, slot], of_floats) ^ sign
            if best == 0 or key > best_key:
                best, best_key = row + 1, key
        kept[own, slot] = best


@njit(nogil=True, cache=True)
def extreme(
    line: Int64s,
    values: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    kept: Grid,
    kept_status: Grid,
    kept_time: Int64s,
    words: Int64s,
    of_floats: int,
    back: int,
    rows: int,
) -> None:
    """(x, window, sign) -> the largest value, or with a sign of -1 the smallest; of equals the newest.

    With `back` it is how many rows before.  `values` are the registers of the result; floats as their bits.
    """
    out = line[at.OUT]
    window_rows, ns = ints[line[at.OPERANDS + 1], 0], ints[line[at.OPERANDS + 2], 0]
    reset, most = ints[line[at.OPERANDS + 3], 0], ints[line[at.OPERANDS + 4], 0]
    sign, c, own = line[at.OPERANDS + 5], line[at.KEPT], line[at.OWN]
    base, stride = line[at.BASE], line[at.STRIDE]
    for i in range(rows):
        g = places[at.GROUP, i]
        values[out, i] = 0
        if g < 0 or (reset != 0 and places[at.SESSION, i] < 0):
            status[out, i] = NULL_IN if g < 0 else WARMING
            continue
        n, first = places[at.ORDINAL, i], places[at.FIRST, i]
        o, start, mask = base + g * stride, places[at.RING, i], places[at.ROOM, i]
        begin = words[o + BEGINS]
        if reset != 0 and first > begin:
            begin = first
            words[o + TURN] = first
        slot = start + (n & mask)
        if kept_status[c, slot] == OK:
            key = key_of(kept[c, slot], of_floats) ^ sign
            if words[o + BEST] == 0 or key >= words[o + BEST_KEY]:
                words[o + BEST], words[o + BEST_KEY] = n + 1, key
        begin = begins(i, begin, window_rows, ns, most, places, start, mask, kept_time)
        if begin >= words[o + TURN]:
            turn(begin, n, of_floats, sign, c, own, start, mask, kept, kept_status)
            words[o + TURN], words[o + BEST] = n + 1, 0
        words[o + BEGINS] = begin
        best, key = words[o + BEST], words[o + BEST_KEY]
        front = kept[own, start + (begin & mask)]
        if front != 0:
            front_key = key_of(kept[c, start + ((front - 1) & mask)], of_floats) ^ sign
            if best == 0 or front_key > key:
                best, key = front, front_key
        status[out, i] = OK if best != 0 else WARMING
        if best != 0:
            values[out, i] = n + 1 - best if back != 0 else value_of(key ^ sign, of_floats)
