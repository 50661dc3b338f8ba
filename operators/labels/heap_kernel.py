"""Two pairing heaps for each symbol, over the rows: the lowest upper barrier, the highest lower one on top.

A row's links name rows by ordinal, -1 for none: its first child, its next sibling, and the sibling before it
or, of a first child, the parent.  So a row is taken out from anywhere, and no memory is asked for.
"""

from numba import njit

from operators.labels import places as at
from operators.labels.places import Real, Whole


@njit(nogil=True, cache=True)
def meld(whole: Whole, real: Real, origin: int, side: int, one: int, other: int) -> int:
    """Put one heap below the root of the other; returns the root.  A heap without rows is -1."""
    if one < 0 or other < 0:
        return max(one, other)
    links = at.LINKS + at.LINKS_EACH * side
    level, against = real[at.UPPER + side, one - origin], real[at.UPPER + side, other - origin]
    if (against < level) if side == 0 else (against > level):
        one, other = other, one
    child = whole[links + at.CHILD, one - origin]
    whole[links + at.NEXT, other - origin] = child
    if child >= 0:
        whole[links + at.PREVIOUS, child - origin] = other
    whole[links + at.PREVIOUS, other - origin] = one
    whole[links + at.CHILD, one - origin] = other
    return one


@njit(nogil=True, cache=True)
def gather(whole: Whole, real: Real, origin: int, side: int, child: int) -> int:
    """Make one heap of a row's children: in pairs, then from the last pair to the first."""
    links = at.LINKS + at.LINKS_EACH * side
    pairs = -1
    while child >= 0:
        second = whole[links + at.NEXT, child - origin]
        following = -1
        if second >= 0:
            following = whole[links + at.NEXT, second - origin]
            whole[links + at.NEXT, second - origin] = -1
            whole[links + at.PREVIOUS, second - origin] = -1
        whole[links + at.NEXT, child - origin] = whole[links + at.PREVIOUS, child - origin] = -1
        pair = meld(whole, real, origin, side, child, second)
        whole[links + at.NEXT, pair - origin] = pairs
        pairs = pair
        child = following
    root = -1
    while pairs >= 0:
        following = whole[links + at.NEXT, pairs - origin]
        whole[links + at.NEXT, pairs - origin] = -1
        root = meld(whole, real, origin, side, root, pairs)
        pairs = following
    return root


@njit(nogil=True, cache=True)
def add(whole: Whole, real: Real, symbols: Whole, origin: int, side: int, row: int) -> None:
    """Put a row into a heap of its symbol, by its level."""
    links = at.LINKS + at.LINKS_EACH * side
    for link in range(at.LINKS_EACH):
        whole[links + link, row - origin] = -1
    root = symbols[at.ROOTS + side, whole[at.GROUP, row - origin]]
    symbols[at.ROOTS + side, whole[at.GROUP, row - origin]] = meld(whole, real, origin, side, root, row)


@njit(nogil=True, cache=True)
def take_out(whole: Whole, real: Real, symbols: Whole, origin: int, side: int, row: int) -> None:
    """Take a row out of a heap of its symbol, wherever it is."""
    links = at.LINKS + at.LINKS_EACH * side
    g = whole[at.GROUP, row - origin]
    below = gather(whole, real, origin, side, whole[links + at.CHILD, row - origin])
    root = symbols[at.ROOTS + side, g]
    if root == row:
        symbols[at.ROOTS + side, g] = below
        return
    before, after = whole[links + at.PREVIOUS, row - origin], whole[links + at.NEXT, row - origin]
    if whole[links + at.CHILD, before - origin] == row:
        whole[links + at.CHILD, before - origin] = after
    else:
        whole[links + at.NEXT, before - origin] = after
    if after >= 0:
        whole[links + at.PREVIOUS, after - origin] = before
    symbols[at.ROOTS + side, g] = meld(whole, real, origin, side, root, below)
