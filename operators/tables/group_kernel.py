"""The match in groups where both sides stand in time order: of any group first, then of each row's own.

`match_ungrouped` has written for each left row of a tile the last right row before it, whatever its group.
These loops compare no times: they know how far to go.  Together the two passes take 0.7 of the time of the
one walk of `match_kernel` on random times, and 1.0 to 1.2 on bursts of 10 and of 50 rows.

`latest` and `earliest` hold a row per group and two entries more: one that is always -1, for left rows in no
group, and one that nobody reads, for right rows that must not be kept.  A code is compared as an unsigned
number, so that one comparison finds it beyond the groups or negative.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from operators.tables.match_kernel import fill_after, fill_before

Int32s = npt.NDArray[np.int32]

EXTRA_ENTRIES = 2
TURNS_MIN = 1 / 8  # of the left rows: below, a branch is guessed well enough


@njit(nogil=True, cache=True)
def latest_in_groups(
    left_code: Int32s, right_code: Int32s, at: int, latest: Int32s, positions: Int32s
) -> int:
    """Turn each position, a row of any group, into the last row up to it in the left row's group, or -1.

    `at` is how many of the right rows are in `latest`: what the tile before returned, or -1 for a first tile,
    which may begin anywhere and finds what stood before it.  Where left and right rows alternate, the first
    two right rows before a left one are entered without a branch, which would have to be guessed.
    """
    groups = latest.size - EXTRA_ENTRIES
    rows = right_code.size
    if at < 0 and positions.size > 0:
        at = int(positions[0]) + 1
        fill_before(right_code, None, at, latest[:groups])
    alternating = count_turns(positions) > TURNS_MIN * positions.size
    for i in range(positions.size):
        stop = int(positions[i]) + 1
        if alternating and at + 1 < rows:
            latest[kept_at(right_code[np.uint64(at)], groups, at < stop)] = at
            latest[kept_at(right_code[np.uint64(at + 1)], groups, at + 1 < stop)] = at + 1
            at = min(at + 2, stop)
        while at < stop:
            latest[kept_at(right_code[np.uint64(at)], groups, True)] = at
            at += 1
        positions[i] = latest[read_at(left_code[i], groups)]
    return at


@njit(nogil=True, cache=True)
def earliest_in_groups(
    left_code: Int32s, right_code: Int32s, at: int, earliest: Int32s, positions: Int32s
) -> int:
    """Turn each position, the last row of any group that is too early, into the first one after it, or -1.

    The loop of `latest_in_groups` from the end to the beginning, so the last tile comes first.  `at` is how
    many of the right rows are not in `earliest`.
    """
    groups = earliest.size - EXTRA_ENTRIES
    if at < 0 and positions.size > 0:
        at = int(positions[positions.size - 1]) + 1
        fill_after(right_code, None, right_code.size, at, earliest[:groups])
    alternating = count_turns(positions) > TURNS_MIN * positions.size
    for k in range(positions.size):
        i = np.uint64(positions.size - 1 - k)
        stop = int(positions[i]) + 1
        if alternating and at > 1:
            earliest[kept_at(right_code[np.uint64(at - 1)], groups, at > stop)] = at - 1
            earliest[kept_at(right_code[np.uint64(at - 2)], groups, at - 1 > stop)] = at - 2
            at = max(at - 2, stop)
        while at > stop:
            at -= 1
            earliest[kept_at(right_code[np.uint64(at)], groups, True)] = at
        positions[i] = earliest[read_at(left_code[i], groups)]
    return at


@njit(nogil=True, cache=True)
def count_turns(positions: Int32s) -> int:
    """Return how many rows have another position than the row before."""
    turns = 0
    here = positions[1:]
    for i in range(here.size):
        turns += int(here[i] != positions[i])
    return turns


@njit(nogil=True, cache=True)
def kept_at(code: Any, groups: int, kept: bool) -> Any:
    """Return the entry for a right row: its group's, or the one that nobody reads."""
    group = np.uint64(np.uint32(code))
    nowhere = np.uint64(groups + 1)
    entry = group if group < np.uint64(groups) else nowhere
    return entry if kept else nowhere


@njit(nogil=True, cache=True)
def read_at(code: Any, groups: int) -> Any:
    """Return the entry for a left row: its group's, or the one that is -1."""
    return min(np.uint64(np.uint32(code)), np.uint64(groups))
