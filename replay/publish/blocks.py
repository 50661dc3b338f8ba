"""Rows gathered by key into messages of many rows, adding no more disorder than the worker's grace covers."""

from dataclasses import dataclass

import numpy as np

from schemas.batch import Bools, Int32s, Int64s


@dataclass(frozen=True, slots=True)
class Blocks:
    """`order` gathers the rows; message `i` is then `order[cuts[i]:cuts[i + 1]]`, rows of one key."""

    order: Int64s
    cuts: Int64s


def gather_blocks(
    clock_ns: Int64s, key_code: Int32s, *, rows_max: int, grace_ns: int, disorder_ns: int
) -> Blocks:
    """Gather rows in publish order (pipeline clock, key of each) into messages of `rows_max` rows at most.

    Inside a key the order stays.  Across keys rows overtake each other inside a tile only, a range of
    `grace_ns - disorder_ns + 1` of the newest time so far: a row trails that by `disorder_ns` at most, so
    it trails everything before it in the new order by `grace_ns` at most.
    """
    assert grace_ns >= disorder_ns
    tile = np.maximum.accumulate(clock_ns) // (grace_ns - disorder_ns + 1)
    order = np.lexsort((key_code, tile))
    tile, key = tile[order], key_code[order]
    new = np.ones(order.size, dtype=np.bool_)
    new[1:] = (tile[1:] != tile[:-1]) | (key[1:] != key[:-1])
    place = np.arange(order.size)
    place -= np.maximum.accumulate(np.where(new, place, 0))
    cuts = np.append(np.flatnonzero(place % rows_max == 0), order.size)
    return Blocks(order, cuts.astype(np.int64))


def halved(cuts: Int64s, large: Bools) -> Int64s:
    """The cuts, and one more in the middle of each message that is too large; none of those has one row."""
    lower, upper = cuts[:-1][large], cuts[1:][large]
    assert np.all(upper - lower > 1), "a message of one row cannot be cut"
    return np.sort(np.concatenate([cuts, (lower + upper) // 2]))
