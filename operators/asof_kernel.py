"""The as-of match as plain loops: one merge in time order, with the last row of every group in a table.

A `Side` is a table seen in time order.  Both sides are walked once; no row is grouped, copied or moved.
Times differ by less than 2**63 and are above -2**63 (the door checks both), so no subtraction here wraps.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]


class Side(NamedTuple):
    """One table as the kernels see it.

    `ns`     int64, the time of each row, in the table's own order; unspecified where null.
    `code`   int32, the group of each row, -1 for a null key; empty when all rows are one group.
    `order`  int32, the rows in time order, those with null times left out; empty when they stand in order.
    `rows`   how many rows take part: the size of `order`, or of `ns`.
    """

    ns: Int64s
    code: Int32s
    order: Int32s
    rows: int


@njit(nogil=True, cache=True)
def match_backward(
    left: Side,
    right: Side,
    begin: int,
    end: int,
    strict: int,
    tolerance_ns: int,
    latest: Int32s,
    positions: Int32s,
) -> None:
    """Write for each left entry in [begin, end) the last right row at or before it, or -1.

    `strict` is 1 where an equal time may not match, else 0.  `latest` holds a row per group and is all -1.
    """
    if begin >= end:
        return
    left_ordered = left.order.size > 0
    right_ordered = right.order.size > 0
    left_grouped = left.code.size > 0
    right_grouped = right.code.size > 0
    groups = latest.size
    first_row = left.order[begin] if left_ordered else begin
    at = count_up_to(right, left.ns[first_row] - strict)
    fill_before(right, at, latest)
    for i in range(begin, end):
        row = left.order[i] if left_ordered else i
        left_ns = left.ns[row]
        while at < right.rows:
            candidate = right.order[at] if right_ordered else at
            if right.ns[candidate] > left_ns - strict:
                break
            group = right.code[candidate] if right_grouped else 0
            if 0 <= group < groups:
                latest[group] = candidate
            at += 1
        group = left.code[row] if left_grouped else 0
        position = latest[group] if 0 <= group < groups else -1
        if position >= 0 and left_ns - right.ns[position] > tolerance_ns:
            position = -1
        positions[row] = position


@njit(nogil=True, cache=True)
def match_forward(
    left: Side,
    right: Side,
    begin: int,
    end: int,
    strict: int,
    tolerance_ns: int,
    nearest: bool,
    earliest: Int32s,
    positions: Int32s,
) -> None:
    """Write for each left entry in [begin, end) the first right row at or after it, or -1.

    With `nearest`, `positions` holds the backward match and keeps it where it is no farther.  `earliest`
    holds a row per group and is all -1.
    """
    if begin >= end:
        return
    left_ordered = left.order.size > 0
    right_ordered = right.order.size > 0
    left_grouped = left.code.size > 0
    right_grouped = right.code.size > 0
    groups = earliest.size
    last_row = left.order[end - 1] if left_ordered else end - 1
    at = count_up_to(right, left.ns[last_row] - 1 + strict)
    fill_after(right, at, earliest)
    for i in range(end - 1, begin - 1, -1):
        row = left.order[i] if left_ordered else i
        left_ns = left.ns[row]
        while at > 0:
            candidate = right.order[at - 1] if right_ordered else at - 1
            if right.ns[candidate] <= left_ns - 1 + strict:
                break
            group = right.code[candidate] if right_grouped else 0
            if 0 <= group < groups:
                earliest[group] = candidate
            at -= 1
        group = left.code[row] if left_grouped else 0
        position = earliest[group] if 0 <= group < groups else -1
        if position >= 0 and right.ns[position] - left_ns > tolerance_ns:
            position = -1
        if nearest:
            before = positions[row]
            if before >= 0 and (position < 0 or left_ns - right.ns[before] <= right.ns[position] - left_ns):
                position = before
        positions[row] = position


@njit(nogil=True, cache=True)
def count_up_to(side: Side, upper_ns: int) -> int:
    """Return how many entries of `side` have a time of at most `upper_ns`."""
    lower = 0
    upper = side.rows
    while lower < upper:
        middle = (lower + upper) // 2
        row = side.order[middle] if side.order.size > 0 else middle
        if side.ns[row] <= upper_ns:
            lower = middle + 1
        else:
            upper = middle
    return lower


@njit(nogil=True, cache=True)
def fill_before(side: Side, stop: int, latest: Int32s) -> None:
    """Set `latest` to each group's last row among the first `stop` entries, walking back to find all."""
    missing = latest.size
    at = stop - 1
    while at >= 0 and missing > 0:
        row = side.order[at] if side.order.size > 0 else at
        group = side.code[row] if side.code.size > 0 else 0
        if 0 <= group < latest.size and latest[group] < 0:
            latest[group] = row
            missing -= 1
        at -= 1


@njit(nogil=True, cache=True)
def fill_after(side: Side, start: int, earliest: Int32s) -> None:
    """Set `earliest` to each group's first row from entry `start` on, walking until all are found."""
    missing = earliest.size
    at = start
    while at < side.rows and missing > 0:
        row = side.order[at] if side.order.size > 0 else at
        group = side.code[row] if side.code.size > 0 else 0
        if 0 <= group < earliest.size and earliest[group] < 0:
            earliest[group] = row
            missing -= 1
        at += 1


@njit(nogil=True, cache=True)
def in_order(ns: Int64s, begin: int, end: int) -> bool:
    """Whether no time in [begin, end) is above the one that follows it.

    Blocks of 4,096 keep the inner loop free of branches, so that it is compiled to vector instructions.
    """
    last = min(end, ns.size - 1)
    block = begin
    while block < last:
        descents = 0
        for i in range(block, min(block + 4096, last)):
            descents += ns[i] > ns[i + 1]
        if descents > 0:
            return False
        block += 4096
    return True


@njit(nogil=True, cache=True)
def in_sequence_order(ns: Int64s, sequence: Int64s) -> bool:
    """Whether the rows stand in the order of (time, sequence)."""
    for i in range(ns.size - 1):
        if ns[i] > ns[i + 1] or (ns[i] == ns[i + 1] and sequence[i] > sequence[i + 1]):
            return False
    return True
