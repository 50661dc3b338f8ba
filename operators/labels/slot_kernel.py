"""The slots of each symbol: side by side, moved to their front or to more of them where there are too few."""

import math

from numba import njit

from operators.labels import places as at
from operators.labels.places import Real, Reasons, Settings, Whole


@njit(nogil=True, cache=True)
def make_room(
    symbols: Whole,
    slots: Whole,
    real: Real,
    reach: Real,
    blocks: Real,
    settings: Settings,
    used: int,
    g: int,
) -> int:
    """Make room for one more row of a symbol; returns how many slots are used, -1 where there are too few."""
    size, begin, head = symbols[g, at.SIZE], symbols[g, at.BEGIN], symbols[g, at.HEAD]
    rows = symbols[g, at.END] - head
    to = begin
    if 4 * (rows + 1) > 3 * size:
        size = max(at.SLOTS_MIN, 2 * size)
        to = used if size < at.BLOCK else -(-used // at.BLOCK) * at.BLOCK
        used = to + size
        if used > settings[at.ROOM]:
            return -1
    for k in range(rows):
        for field in range(at.LATEST):
            slots[to + k, field] = slots[head + k, field]
        for field in range(at.REAL_FIELDS):
            real[field, to + k] = real[field, head + k]
    depth = 0
    for k in range(symbols[g, at.DEPTH]):
        slot = slots[begin + k, at.LATEST]
        if slot >= head:
            slots[to + depth, at.LATEST] = slot - head + to
            depth += 1
    symbols[g, at.BEGIN], symbols[g, at.SIZE], symbols[g, at.HEAD] = to, size, to
    symbols[g, at.END], symbols[g, at.DEPTH] = to + rows, depth
    symbols[g, at.PRICED] += to - head
    look_again(symbols, real, reach, blocks, g)
    return used


@njit(nogil=True, cache=True)
def look_again(symbols: Whole, real: Real, reach: Real, blocks: Real, g: int) -> None:
    """Find the nearest barriers of each block of a symbol's slots, and of the symbol."""
    reach[g, 0], reach[g, 1] = math.inf, -math.inf
    for slot in range(symbols[g, at.HEAD], symbols[g, at.END]):
        if slot % at.BLOCK == 0 or slot == symbols[g, at.HEAD]:
            begin_block(symbols, blocks, g, slot)
        come_nearer(symbols, reach, blocks, g, slot, real[at.UPPER, slot], real[at.LOWER, slot])


@njit(nogil=True, cache=True, forceinline=True)
def begin_block(symbols: Whole, blocks: Real, g: int, slot: int) -> None:
    """A block of slots begins: it has no barrier.  A symbol with few slots has no blocks."""
    if symbols[g, at.SIZE] > at.BLOCK:
        blocks[slot // at.BLOCK, 0], blocks[slot // at.BLOCK, 1] = math.inf, -math.inf


@njit(nogil=True, cache=True, forceinline=True)
def come_nearer(
    symbols: Whole, reach: Real, blocks: Real, g: int, slot: int, upper: float, lower: float
) -> None:
    """Count the barriers of a slot among those of its block and its symbol."""
    reach[g, 0], reach[g, 1] = min(reach[g, 0], upper), max(reach[g, 1], lower)
    if symbols[g, at.SIZE] > at.BLOCK:
        block = slot // at.BLOCK
        blocks[block, 0], blocks[block, 1] = min(blocks[block, 0], upper), max(blocks[block, 1], lower)


@njit(nogil=True, cache=True)
def enter_rows(
    rows: Whole,
    reasons: Reasons,
    keys: Whole,
    flags: Whole,
    inputs: Real,
    first: int,
    counts: Whole,
    places: Whole,
    line: Whole,
    floats: Real,
) -> int:
    """Put rows from an ordinal on into the tables, and into `taken` those of one symbol together, in order.

    Returns how many have a symbol; what others come to is decided.  `counts` is 0 for each symbol, before and
    after; `places` has room for as many numbers as there are rows.  `line` and `floats` are `taken`.
    """
    mask, distinct = reasons.size - 1, 0
    for g in keys[at.GROUP]:
        if g >= 0:
            if counts[g] == 0:
                places[distinct] = g
                distinct += 1
            counts[g] += 1
    place = 0
    for k in range(distinct):
        count = counts[places[k]]
        counts[places[k]] = place
        place += count
    for i in range(keys.shape[1]):
        g, row = keys[at.GROUP, i], (first + i) & mask
        for field in range(at.ROW_FIELDS):
            rows[field, row] = keys[field, i]
        reasons[row] = at.NULL_IN
        if g >= 0:
            reasons[row] = at.WAITS
            p = counts[g]
            counts[g] += 1
            for field in range(at.ROW_FIELDS):
                line[p, field] = keys[field, i]
            line[p, at.OWN_ORDINAL] = first + i
            for field in range(at.FLAGS):
                line[p, at.OWN_FLAGS + field] = flags[field, i]
            for field in range(inputs.shape[0]):
                floats[p, at.OWN_INPUTS + field] = inputs[field, i]
    for k in range(distinct):
        counts[places[k]] = 0
    return place
