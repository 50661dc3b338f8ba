"""Values of earlier rows of the same symbol: R11 by rows, R22 by time."""

from numba import njit

from operators.nodes import places as at
from operators.nodes.row_kernel import NULL_IN, OK, WARMING, Grid
from schemas.batch import Int64s


@njit(nogil=True, cache=True)
def lag_rows(
    line: Int64s,
    values: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    kept: Grid,
    kept_status: Grid,
    rows: int,
) -> None:
    """R11: (x, rows, reset) -> the value of that many rows before; null before the first, of the session if
    reset.

    `values` and `kept` are the registers and the kept values of one kind.
    """
    out, back, reset = line[at.OUT], ints[line[at.OPERANDS + 1], 0], ints[line[at.OPERANDS + 2], 0]
    c = line[at.KEPT]
    for i in range(rows):
        g = places[at.GROUP, i]
        null, value = NULL_IN, values[out, i]
        if g >= 0:
            n = places[at.ORDINAL, i] - back
            inside = places[at.SESSION, i] >= 0 and n >= places[at.FIRST, i] if reset != 0 else n >= 0
            null = WARMING
            if inside:
                slot = places[at.RING, i] + (n & places[at.ROOM, i])
                value, null = kept[c, slot], kept_status[c, slot]
        values[out, i] = value
        status[out, i] = null


@njit(nogil=True, cache=True)
def lag_time(
    line: Int64s,
    values: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    kept: Grid,
    kept_status: Grid,
    kept_time: Int64s,
    words: Int64s,
    rows: int,
) -> None:
    """R22: (x, ns, reset, rows_max) -> the value of the last row at least so long before, ties included.

    Null where there is none (of the session if reset), or where more than `rows_max` rows come after it.
    """
    out, back_ns, reset = line[at.OUT], ints[line[at.OPERANDS + 1], 0], ints[line[at.OPERANDS + 2], 0]
    most = ints[line[at.OPERANDS + 3], 0]
    c, base, stride = line[at.KEPT], line[at.BASE], line[at.STRIDE]
    for i in range(rows):
        g = places[at.GROUP, i]
        null, value = NULL_IN, values[out, i]
        if g >= 0:
            n, start, mask = places[at.ORDINAL, i], places[at.RING, i], places[at.ROOM, i]
            # Rows before these are no longer kept, and are too many rows back in any case.
            latest = max(words[base + g * stride], n - most - 1)
            bound = places[at.TIME_NS, i] - back_ns
            while latest < n and kept_time[start + ((latest + 1) & mask)] <= bound:
                latest += 1
            words[base + g * stride] = latest
            inside = reset == 0 or (places[at.SESSION, i] >= 0 and latest >= places[at.FIRST, i])
            slot = start + (latest & mask)
            null = WARMING
            if inside and kept_time[slot] <= bound and n - latest <= most:
                value, null = kept[c, slot], kept_status[c, slot]
        values[out, i] = value
        status[out, i] = null


@njit(nogil=True, cache=True)
def row_time(line: Int64s, ints: Grid, status: Grid, places: Grid, rows: int) -> None:
    """When each row is, in ns."""
    out = line[at.OUT]
    for i in range(rows):
        ints[out, i] = places[at.TIME_NS, i]
        status[out, i] = NULL_IN if places[at.GROUP, i] < 0 else OK
