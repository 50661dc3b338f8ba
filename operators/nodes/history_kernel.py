"""The rows that a node keeps: per symbol a ring of its last rows, all rings in one pool.

A ring has, for each value that some step looks back at, the bits of the value and its status, and the time
of the row.  Rows of a symbol are numbered from 0; row n of a ring lies at `START + (n & MASK)`.
"""

from numba import njit

from operators.nodes import places as at
from operators.nodes.row_kernel import Grid
from schemas.batch import Int64s


@njit(nogil=True, cache=True)
def room_wanted(places: Grid, rings: Grid, rows: int) -> int:
    """How many rows of the pool the rings need, with all rows of the tile, where one has no room; else 0."""
    short = False
    for i in range(rows):
        g = places[at.GROUP, i]
        if g >= 0:
            rings[g, at.COMING] += 1
            kept = rings[g, at.NEXT] - rings[g, at.OLDEST] + rings[g, at.COMING]
            short |= kept > rings[g, at.MASK] + 1
    if short:
        return int(room_of_all(rings))
    for i in range(rows):
        g = places[at.GROUP, i]
        if g >= 0:
            rings[g, at.COMING] = 0
    return 0


@njit(nogil=True, cache=True)
def room_of_all(rings: Grid) -> int:
    """How many rows of the pool the rings need, with the rows that come."""
    wanted = 0
    for g in range(rings.shape[0]):
        wanted += _room_of(rings[g, at.NEXT] - rings[g, at.OLDEST] + rings[g, at.COMING])
    return wanted


@njit(nogil=True, cache=True)
def _room_of(rows: int) -> int:
    """A power of two with room for half as many rows again; none for no row."""
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
    new_pool: Grid,
    new_status: Grid,
    new_time: Int64s,
) -> None:
    """Move every ring to a pool with room for the rows that `room_wanted` counted."""
    start = 0
    for g in range(rings.shape[0]):
        oldest, after = rings[g, at.OLDEST], rings[g, at.NEXT]
        room = _room_of(after - oldest + rings[g, at.COMING])
        old_start, old_mask, mask = rings[g, at.START], rings[g, at.MASK], room - 1
        for n in range(oldest, after):
            old, new = old_start + (n & old_mask), start + (n & mask)
            new_time[new] = pool_time[old]
            for c in range(pool.shape[0]):
                new_pool[c, new] = pool[c, old]
                new_status[c, new] = pool_status[c, old]
        rings[g, at.START], rings[g, at.MASK], rings[g, at.COMING] = start, mask, 0
        start += room


@njit(nogil=True, cache=True)
def enter(places: Grid, rings: Grid, pool_time: Int64s, keeps: bool, rows: int) -> None:
    """Number the rows of a tile, notice sessions, and give each row its slot where the node `keeps` rows."""
    for i in range(rows):
        g = places[at.GROUP, i]
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
        if keeps:
            slot = rings[g, at.START] + (n & rings[g, at.MASK])
            places[at.SLOT, i] = slot
            pool_time[slot] = places[at.TIME, i]


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
        bound = places[at.TIME, i] - keep_ns
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
    """Keep the values of a register in column c of the rings; those of floats are their bits."""
    for i in range(rows):
        if places[at.GROUP, i] >= 0:
            slot = places[at.SLOT, i]
            pool[c, slot] = values[x, i]
            pool_status[c, slot] = status[x, i]
