"""The sum of a window's integers: R31, exactly; one that int64 does not hold is null.

Words of a state: the ordinal at which the window begins, how many of its rows have a value, and the sum as
its lower 32 bits and the rest, each added up on its own.
"""

from typing import Final

from numba import njit

from operators.nodes import places as at
from operators.nodes.row_kernel import DOMAIN, NULL_IN, OK, WARMING, Grid
from operators.nodes.sum_kernel import BEGINS, COUNT, begins
from schemas.batch import Int64s

LOWER: Final = 2
UPPER: Final = 3
LOWER_BITS: Final = 0xFFFFFFFF
UPPER_MAX: Final = 1 << 31


@njit(nogil=True, cache=True)
def window_total(
    line: Int64s,
    ints: Grid,
    status: Grid,
    places: Grid,
    kept: Grid,
    kept_status: Grid,
    kept_time: Int64s,
    words: Int64s,
    rows: int,
) -> None:
    """(x, window) -> the sum of its values."""
    out = line[at.OUT]
    window_rows, ns = ints[line[at.OPERANDS + 1], 0], ints[line[at.OPERANDS + 2], 0]
    reset, most = ints[line[at.OPERANDS + 3], 0], ints[line[at.OPERANDS + 4], 0]
    c, base, stride = line[at.KEPT], line[at.BASE], line[at.STRIDE]
    for i in range(rows):
        g = places[at.GROUP, i]
        null, total = NULL_IN if g < 0 else WARMING, 0
        if g >= 0 and (reset == 0 or places[at.SESSION, i] >= 0):
            n, first = places[at.ORDINAL, i], places[at.FIRST, i]
            o = base + g * stride
            start, mask = places[at.RING, i], places[at.ROOM, i]
            begin = words[o + BEGINS]
            if reset != 0 and first > begin:
                words[o + COUNT] = words[o + LOWER] = words[o + UPPER] = 0
                begin = first
            if n >= begin:
                _enter(words, o, kept, kept_status, c, start + (n & mask), 1)
                after = begins(i, begin, window_rows, ns, most, places, start, mask, kept_time)
                for gone in range(begin, after):
                    _enter(words, o, kept, kept_status, c, start + (gone & mask), -1)
                begin = after
            words[o + BEGINS] = begin
            lower = words[o + LOWER]
            upper = words[o + UPPER] + (lower >> 32)
            null = DOMAIN
            if -UPPER_MAX <= upper < UPPER_MAX:
                total = (upper << 32) | (lower & LOWER_BITS)
                null = OK
        ints[out, i] = total
        status[out, i] = null


@njit(nogil=True, cache=True)
def _enter(words: Int64s, o: int, kept: Grid, kept_status: Grid, c: int, slot: int, sign: int) -> None:
    if kept_status[c, slot] == OK:
        words[o + COUNT] += sign
        words[o + LOWER] += sign * (kept[c, slot] & LOWER_BITS)
        words[o + UPPER] += sign * (kept[c, slot] >> 32)
