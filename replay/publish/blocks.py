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


@dataclass(frozen=True, slots=True)
class Parts:
    """`order` gathers the rows, those of partition `p` at `bounds[p]:bounds[p + 1]`.

    There row `i` is in message `message[i]` of its partition, counted from 0, at place `index[i]`.
    """

    order: Int64s
    bounds: Int64s
    message: Int64s
    index: Int32s


def gather_partitions(
    clock_ns: Int64s,
    key_code: Int32s,
    home: Int32s,
    *,
    partitions: int,
    rows_max: int,
    grace_ns: int,
    disorder_ns: int,
) -> Parts:
    """Gather rows by partition, each in the order and the messages that `gather_blocks` would give it.

    `home` has the partition of each key.  All is one sort by one small number: partition, tile and key.
    """
    assert grace_ns >= disorder_ns
    tile = np.maximum.accumulate(clock_ns) // (grace_ns - disorder_ns + 1)
    tile = np.cumsum(np.diff(tile, prepend=tile[:1]) != 0)  # numbered from 0: they ascend
    tiles = int(tile[-1]) + 1 if tile.size else 0
    keys_of = np.bincount(home, minlength=partitions)
    first = np.cumsum(keys_of) - keys_of  # of the keys, partition after partition
    rank = np.empty(home.size, np.int64)
    rank[np.argsort(home, kind="stable")] = np.arange(home.size)
    cell_of = first[home] * tiles + rank - first[home]
    cell = cell_of[key_code] + tile * keys_of[home][key_code]
    # Two bytes are sorted by counting, several times as fast as eight by comparing.
    narrow = cell.astype(np.uint16) if home.size * tiles < 2**16 else cell
    order = np.argsort(narrow, kind="stable").astype(np.int64, copy=False)
    cell = cell[order]
    ends = np.append(first, home.size) * tiles
    bounds = np.searchsorted(cell, ends).astype(np.int64)
    new = np.ones(order.size, np.bool_)
    new[1:] = cell[1:] != cell[:-1]
    place = np.arange(order.size)
    place -= np.maximum.accumulate(np.where(new, place, 0))
    place %= rows_max
    message = np.cumsum(place == 0) - 1
    held = np.diff(bounds)
    begun = np.append(message, 0)[np.minimum(bounds[:-1], max(order.size - 1, 0))]
    message -= np.repeat(begun, held)
    return Parts(order, bounds, message.astype(np.int64, copy=False), place.astype(np.int32))
