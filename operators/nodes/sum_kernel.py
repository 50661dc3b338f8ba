"""Counts and exact sums over windows of rows and of time: R30 to R34 and R41 to R44 are made of them.

A window of (rows, ns, reset, rows_max) ends with the row at hand.  Words of a state: the ordinal at which
the window begins, how many of its rows have a value, and what is near of the exact sum (`near_kernel`).
"""

from typing import Final

from numba import njit

from operators.formula.history import NEAR_WORDS
from operators.nodes import near_kernel as near
from operators.nodes import places as at
from operators.nodes import round_kernel as rounding
from operators.nodes.history_kernel import NO_FLOAT
from operators.nodes.row_kernel import NULL_IN, OK, WARMING, Grid
from schemas.batch import Int64s

BEGINS: Final = 0
COUNT: Final = 1
SUM: Final = 2


@njit(nogil=True, cache=True, forceinline=True)
def begins(
    i: int,
    begin: int,
    rows: int,
    ns: int,
    most: int,
    places: Grid,
    start: int,
    mask: int,
    kept_time: Int64s,
) -> int:
    """The ordinal at which the window of row i begins, given where that of the row before did."""
    n = places[at.ORDINAL, i]
    if ns == 0:
        return int(max(begin, n + 1 - rows))
    begin = max(begin, n + 1 - most)
    bound = places[at.TIME_NS, i] - ns
    while kept_time[start + (begin & mask)] <= bound:
        begin += 1
    return begin


@njit(nogil=True, cache=True)
def window_cut(
    line: Int64s,
    bools: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    kept_time: Int64s,
    words: Int64s,
    rows: int,
) -> None:
    """(any, window) -> whether more rows than the window may have are in it; false where a row has none."""
    out, ns = line[at.OUT], ints[line[at.OPERANDS + 2], 0]
    reset, most = ints[line[at.OPERANDS + 3], 0], ints[line[at.OPERANDS + 4], 0]
    base, stride = line[at.BASE], line[at.STRIDE]
    for i in range(rows):
        g, cut = places[at.GROUP, i], 0
        if g >= 0:
            begin = words[base + g * stride]
            if reset != 0:
                begin = max(begin, places[at.FIRST, i])
            start, mask = places[at.RING, i], places[at.ROOM, i]
            begin = begins(i, begin, 0, ns, most + 1, places, start, mask, kept_time)
            words[base + g * stride] = begin
            if places[at.ORDINAL, i] - begin == most and (reset == 0 or places[at.SESSION, i] >= 0):
                cut = 1
        bools[out, i], status[out, i] = cut, OK


@njit(nogil=True, cache=True)
def window_count(
    line: Int64s,
    ints: Grid,
    status: Grid,
    places: Grid,
    kept_status: Grid,
    kept_time: Int64s,
    words: Int64s,
    rows: int,
) -> None:
    """(x, window) -> how many rows of the window have a value."""
    out = line[at.OUT]
    window_rows, ns = ints[line[at.OPERANDS + 1], 0], ints[line[at.OPERANDS + 2], 0]
    reset, most = ints[line[at.OPERANDS + 3], 0], ints[line[at.OPERANDS + 4], 0]
    c, base, stride = line[at.KEPT], line[at.BASE], line[at.STRIDE]
    for i in range(rows):
        g = places[at.GROUP, i]
        if g < 0 or (reset != 0 and places[at.SESSION, i] < 0):
            ints[out, i] = 0
            status[out, i] = NULL_IN if g < 0 else WARMING
            continue
        n, first = places[at.ORDINAL, i], places[at.FIRST, i]
        o = base + g * stride
        start, mask = places[at.RING, i], places[at.ROOM, i]
        begin = words[o + BEGINS]
        if reset != 0 and first > begin:
            words[o + COUNT] = 0
            begin = first
        if n >= begin:
            words[o + COUNT] += kept_status[c, start + (n & mask)] == OK
            after = begins(i, begin, window_rows, ns, most, places, start, mask, kept_time)
            for gone in range(begin, after):
                words[o + COUNT] -= kept_status[c, start + (gone & mask)] == OK
            begin = after
        words[o + BEGINS] = begin
        ints[out, i] = words[o + COUNT]
        status[out, i] = OK


@njit(nogil=True, cache=True)
def window_sum(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    kept: Grid,
    kept_time: Int64s,
    words: Int64s,
    rows: int,
) -> None:
    """(x, window) -> the exact sum of its values, rounded; parts: what is left of it, the mean, a count.

    The mean is exact; of a window without a value the sum is 0, and there is none.  The count is that of
    `window_count`.
    """
    out = line[at.OUT]
    window_rows, ns = ints[line[at.OPERANDS + 1], 0], ints[line[at.OPERANDS + 2], 0]
    reset, most = ints[line[at.OPERANDS + 3], 0], ints[line[at.OPERANDS + 4], 0]
    c, base, stride = line[at.KEPT], line[at.BASE], line[at.STRIDE]
    for i in range(rows):
        g = places[at.GROUP, i]
        if g < 0:
            rounding.note_nothing(words, i, NULL_IN)
        elif reset != 0 and places[at.SESSION, i] < 0:
            rounding.note_nothing(words, i, WARMING)
        else:
            o, far = base + g * stride, line[at.FAR] + g * stride
            _slide(i, o, far, c, window_rows, ns, reset, most, places, kept, kept_time, words)
            rounding.note_sum(words, i, o + SUM, far, words[o + COUNT])
    rounding.round_sums(words, rows)
    rounding.write_sums(words, floats, status, out, line[at.PARTS_AT], line[at.PARTS_AT + 1], rows)
    rounding.write_counts(words, ints, status, line[at.PARTS_AT + 4], rows)


@njit(nogil=True, cache=True, forceinline=True)
def _slide(
    i: int,
    o: int,
    far: int,
    c: int,
    window_rows: int,
    ns: int,
    reset: int,
    most: int,
    places: Grid,
    kept: Grid,
    kept_time: Int64s,
    words: Int64s,
) -> None:
    """Make the sum at `o` that of the window which ends with row i."""
    n, start, mask = places[at.ORDINAL, i], places[at.RING, i], places[at.ROOM, i]
    begin = words[o + BEGINS]
    if reset != 0 and places[at.FIRST, i] > begin:
        near.clear(words, o + SUM, far, NEAR_WORDS)
        words[o + COUNT] = 0
        begin = places[at.FIRST, i]
    if n >= begin:
        bits = kept[c, start + (n & mask)]
        if bits != NO_FLOAT:
            words[o + COUNT] += 1
            near.add(words, o + SUM, far, bits, 1)
        after = begins(i, begin, window_rows, ns, most, places, start, mask, kept_time)
        for gone in range(begin, after):
            bits = kept[c, start + (gone & mask)]
            if bits != NO_FLOAT:
                words[o + COUNT] -= 1
                near.add(words, o + SUM, far, bits, -1)
        begin = after
    words[o + BEGINS] = begin
