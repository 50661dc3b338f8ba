"""Rows gathered by key into messages of many rows, adding no more disorder than the worker's grace covers."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

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
    cuts: Int64s,
    *,
    partitions: int,
    rows_max: int,
    grace_ns: int,
    disorder_ns: int,
) -> Parts:
    """Gather rows by partition, each in the order and the messages that `gather_blocks` would give it.

    `home` has the partition of each key.  Rows are gathered inside `cuts[i]:cuts[i + 1]` alone, a call of
    `gather_blocks` each, in which keys are numbered as they come.
    """
    assert grace_ns >= disorder_ns
    count = clock_ns.size
    part = np.repeat(np.arange(cuts.size - 1), np.diff(cuts))
    newest = np.empty_like(clock_ns)
    for lower, upper in pairwise(cuts):
        np.maximum.accumulate(clock_ns[lower:upper], out=newest[lower:upper])
    tile = newest // (grace_ns - disorder_ns + 1)
    begins = np.ones(count, np.bool_)
    begins[1:] = (tile[1:] != tile[:-1]) | (part[1:] != part[:-1])
    tile = np.cumsum(begins) - 1  # numbered through all cuts: they ascend
    # A key is as old as its first row of a cut: from the last row on, so that the first one stays.
    first = np.empty((cuts.size - 1) * home.size, np.int64)
    place = np.arange(count)
    of_cut = part * home.size + key_code
    first[of_cut[::-1]] = place[::-1]
    age = first[of_cut] - cuts[part]
    group = home[key_code] * (int(tile[-1]) + 1 if count else 0) + tile
    order = np.lexsort((_narrowed(age), _narrowed(group)))
    age, group = age[order], group[order]
    begins[1:] = (group[1:] != group[:-1]) | (age[1:] != age[:-1])
    place -= np.maximum.accumulate(np.where(begins, place, 0))
    place %= rows_max
    held = np.bincount(home[key_code], minlength=partitions)
    bounds = np.append(0, np.cumsum(held))
    message = np.append(np.cumsum(place == 0) - 1, 0)
    message = message[:-1] - np.repeat(message[bounds[:-1]], held)
    return Parts(order, bounds, message, place.astype(np.int32))


def _narrowed(numbers: Int64s) -> npt.NDArray[np.integer]:
    """Numbers from 0 on in two bytes where they fit: such are sorted by counting, several times as fast."""
    return numbers.astype(np.uint16) if numbers.max(initial=0) < 2**16 else numbers
