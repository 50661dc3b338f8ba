"""The rows that a node keeps: per symbol a ring of its last rows, all rings in one pool.

A ring has, for each value that some step looks back at, the bits of the value and its status, and the time
of the row; the values of one row lie side by side.  Rows of a symbol are numbered from 0; row n of a ring
lies at `START + (n & MASK)`.
"""

from typing import Final

from numba import njit

from operators.nodes import places as at
from operators.nodes.row_kernel import OK, Grid
from operators.rows.groups import NO_GROUP
from schemas.batch import Int64s

NO_FLOAT: Final = 0x7FF8_0000_0000_0001  # the bits of no number


@njit(nogil=True, cache=True)
def make_room(
    groups: Int64s,
    rings: Grid,
    pool: Grid,
    pool_status: Grid,
    pool_time: Int64s,
    lists: Grid,
    used: int,
    rows: int,
) -> int:
    """Give a larger ring, behind the `used` rows of the pool, to each symbol whose ring the batch would
    overflow.

    Returns how many rows of the pool are used then; where it is too small, less 1 minus the rows that all
    rings need, and nothing has moved: `move_rings` is to be called.
    """
    wanted = 0
    for i in range(rows):
        g = groups[i]
        if g >= 0:
            rings[g, at.COMING] += 1
    for i in range(rows):
        g = groups[i]
        if g >= 0 and rings[g, at.COMING] > 0 and not _fits(rings, g):
            wanted += _room_of(rings[g, at.NEXT] - rings[g, at.OLDEST] + rings[g, at.COMING])
    if used + wanted > pool_time.size:
        wanted = 0
        for g in range(rings.shape[0]):
            wanted += _room_of(rings[g, at.NEXT] - rings[g, at.OLDEST] + rings[g, at.COMING])
        return -1 - wanted
    for i in range(rows):
        g = groups[i]
        if g >= 0 and rings[g, at.COMING] > 0:
            if not _fits(rings, g):
                used = _move(
                    rings, g, used, pool, pool_status, pool_time, lists, pool, pool_status, pool_time, lists
                )
            rings[g, at.COMING] = 0
    return used


@njit(nogil=True, cache=True)
def _fits(rings: Grid, g: int) -> bool:
    return bool(rings[g, at.NEXT] - rings[g, at.OLDEST] + rings[g, at.COMING] <= rings[g, at.MASK] + 1)


@njit(nogil=True, cache=True)
def _room_of(rows: int) -> int:
    """A power of two with room for half as many rows again at least; none for no row."""
    if rows == 0:
        return 0
    room = at.ROOM_MIN
    while 2 * room < 3 * rows:
        room *= 2
    return room


@njit(nogil=True, cache=True)
def move_rings(
    rings: Grid,
    pool: Grid,
    pool_status: Grid,
    pool_time: Int64s,
    lists: Grid,
    new_pool: Grid,
    new_status: Grid,
    new_time: Int64s,
    new_lists: Grid,
) -> int:
    """Move every ring to a pool with room for its rows and those that come; returns how many it uses."""
    used = 0
    for g in range(rings.shape[0]):
        used = _move(
            rings,
            g,
            used,
            pool,
            pool_status,
            pool_time,
            lists,
            new_pool,
            new_status,
            new_time,
            new_lists,
        )
        rings[g, at.COMING] = 0
    return used


@njit(nogil=True, cache=True)
def _move(
    rings: Grid,
    g: int,
    start: int,
    pool: Grid,
    pool_status: Grid,
    pool_time: Int64s,
    lists: Grid,
    new_pool: Grid,
    new_status: Grid,
    new_time: Int64s,
    new_lists: Grid,
) -> int:
    """Move a ring to `start`, with room for the rows that come; returns where that ends.

    What `lists` hold keeps its place in the ring, and does not follow the rows.
    """
    oldest, after = rings[g, at.OLDEST], rings[g, at.NEXT]
    room = _room_of(after - oldest + rings[g, at.COMING])
    old_start, old_mask, mask = rings[g, at.START], rings[g, at.MASK], room - 1
    rows, status = pool.T, pool_status.T
    new_rows, new_rows_status = new_pool.T, new_status.T
    n = oldest if old_mask >= 0 else after  # without a ring the rows have yet to be restored
    while n < after:
        old, new = old_start + (n & old_mask), start + (n & mask)
        count = min(
            after - n, old_mask + 1 - (n & old_mask), mask + 1 - (n & mask)
        )  # that lie in a row in both
        new_time[new : new + count] = pool_time[old : old + count]
        new_rows[new : new + count] = rows[old : old + count]
        new_rows_status[new : new + count] = status[old : old + count]
        n += count
    for c in range(lists.shape[0]):
        for k in range(min(old_mask, mask) + 1):
            new_lists[c, start + k] = lists[c, old_start + k]
    rings[g, at.START], rings[g, at.MASK] = start, mask
    return int(start + room)


@njit(nogil=True, cache=True)
def order_by_symbol(batch: Grid, coming: Grid, behind: Int64s, rows: int) -> None:
    """Lay out what is coming symbol by symbol, each one's rows in their order; those of nobody come first.

    `batch` has group, time and session by row.  `behind` has a word for each symbol, and one for nobody.
    """
    behind[:] = 0
    for i in range(rows):
        behind[max(batch[at.GROUP, i], NO_GROUP) - NO_GROUP] += 1
    place = 0
    for g in range(behind.size):
        place, behind[g] = place + behind[g], place
    for i in range(rows):
        g = max(batch[at.GROUP, i], NO_GROUP) - NO_GROUP
        place = behind[g]
        behind[g] = place + 1
        coming[at.GROUP, place] = batch[at.GROUP, i]
        coming[at.TIME_NS, place] = batch[at.TIME_NS, i]
        coming[at.SESSION, place] = batch[at.SESSION, i]
        coming[at.ROW, place], coming[at.PLACE, i] = i, place


@njit(nogil=True, cache=True)
def enter(
    coming: Grid, lower: int, places: Grid, rings: Grid, pool_time: Int64s, keeps: int, rows: int
) -> None:
    """Number the rows of a tile, notice sessions, and give each row its slot where the node `keeps` rows.

    `coming` has group, time and session of the rows of the batch, the tile's from `lower` on.
    """
    for i in range(rows):
        g = coming[at.GROUP, lower + i]
        places[at.GROUP, i] = g
        places[at.TIME_NS, i] = coming[at.TIME_NS, lower + i]
        places[at.SESSION, i] = coming[at.SESSION, lower + i]
        if g < 0:
            continue
        n = rings[g, at.NEXT]
        session = places[at.SESSION, i]
        if session >= 0 and session != rings[g, at.OF_SESSION]:
            rings[g, at.OF_SESSION] = session
            rings[g, at.SINCE] = n
        rings[g, at.NEXT] = n + 1
        rings[g, at.CHANGED] = 1
        places[at.ORDINAL, i] = n
        places[at.FIRST, i] = rings[g, at.SINCE]
        if keeps != 0:
            start, mask = rings[g, at.START], rings[g, at.MASK]
            places[at.RING, i], places[at.ROOM, i] = start, mask
            places[at.SLOT, i] = start + (n & mask)
            pool_time[start + (n & mask)] = places[at.TIME_NS, i]


@njit(nogil=True, cache=True)
def leave(
    places: Grid, rings: Grid, pool_time: Int64s, keep_rows: int, keep_ns: int, most: int, rows: int
) -> None:
    """Forget the rows that no window can need any more.

    Kept are the last `keep_rows` rows of a symbol, and with `keep_ns` >= 0 those of that length of time and
    the one before them, yet never more than `most`.
    """
    for i in range(rows):
        g = places[at.GROUP, i]
        if g < 0:
            continue
        oldest, last = rings[g, at.OLDEST], places[at.ORDINAL, i]
        start, mask = rings[g, at.START], rings[g, at.MASK]
        bound = places[at.TIME_NS, i] - keep_ns
        while last - oldest >= keep_rows:
            young = oldest == last or pool_time[start + ((oldest + 1) & mask)] > bound
            if keep_ns >= 0 and young and last - oldest < most:
                break
            oldest += 1
        rings[g, at.OLDEST] = oldest


@njit(nogil=True, cache=True)
def keep(
    values: Grid, status: Grid, x: int, places: Grid, pool: Grid, pool_status: Grid, c: int, rows: int
) -> None:
    """Keep the integers or booleans of a register in column c of the rings."""
    for i in range(rows):
        if places[at.GROUP, i] >= 0:
            slot = places[at.SLOT, i]
            pool[c, slot] = values[x, i]
            pool_status[c, slot] = status[x, i]


@njit(nogil=True, cache=True)
def keep_floats(
    words: Grid, status: Grid, x: int, places: Grid, pool: Grid, pool_status: Grid, c: int, rows: int
) -> None:
    """Keep the bits of floats; those of a null are `NO_FLOAT`: windows need not look at its status."""
    for i in range(rows):
        if places[at.GROUP, i] >= 0:
            slot, null = places[at.SLOT, i], status[x, i]
            pool[c, slot] = words[x, i] if null == OK else NO_FLOAT
            pool_status[c, slot] = null
