"""The as-of match as plain loops: one merge in time order, with the last row of every group in a table.

Both sides are walked once; no row is grouped, copied or moved.  The left side comes in tiles, and a loop goes
on where it stood after the tile before.  For each side a loop takes

    ns     int64, the time of each row, in the table's own order; unspecified where null
    code   int32, the group of each row, -1 for a null key; None when all rows are in group 0
    order  int32, the rows in time order, those with null times left out; None when they stand in order

and is compiled apart for what is None, so that none of it is looked at per row.  Where both sides stand in
order, `match_ungrouped` finds the last right row of any group, and `group_kernel` those of the groups.
Times differ by less than 2**63 and are above -2**63 (the door checks both): no subtraction here wraps.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]


@njit(nogil=True, cache=True)
def match_backward(
    left_ns: Int64s,
    left_code: Int32s | None,
    left_order: Int32s,
    right_ns: Int64s,
    right_code: Int32s | None,
    right_order: Int32s,
    right_rows: int,
    strict: int,
    at: int,
    latest: Int32s,
    positions: Int32s,
) -> int:
    """Write for each left row of a tile the last right row at or before it, or -1; return where it came to.

    `left_order` names the left rows to match.  `right_rows` is how many right rows take part, `strict` 1
    where an equal time may not match, else 0.  `at` is how many of the right rows have been walked and
    `latest` the last of them in each group: what the tile before returned and left there.  For a first tile,
    which may begin anywhere, they are -1 and all -1, and are found.
    """
    left_rows = left_order.size
    if left_rows == 0:
        return at
    if at < 0:
        at = count_up_to(right_ns, right_order, right_rows, left_ns[left_order[0]] - strict)
        fill_before(right_code, right_order, at, latest)
    groups = latest.size
    for i in range(left_rows):
        row = left_order[i]
        upper_ns = left_ns[row] - strict
        while at < right_rows:
            candidate = right_order[at]
            if right_ns[candidate] > upper_ns:
                break
            group = 0 if right_code is None else right_code[candidate]
            if 0 <= group < groups:
                latest[group] = candidate
            at += 1
        group = 0 if left_code is None else left_code[row]
        positions[row] = latest[group] if 0 <= group < groups else -1
    return at


@njit(nogil=True, cache=True)
def match_forward(
    left_ns: Int64s,
    left_code: Int32s | None,
    left_order: Int32s,
    right_ns: Int64s,
    right_code: Int32s | None,
    right_order: Int32s,
    right_rows: int,
    strict: int,
    at: int,
    earliest: Int32s,
    positions: Int32s,
) -> int:
    """Write for each left row of a tile the first right row at or after it, or -1; return where it came to.

    The loop of `match_backward` from the end to the beginning, so the last tile comes first.  `at` is how
    many of the right rows are still to be walked, and `earliest` is like `latest`.
    """
    left_rows = left_order.size
    if left_rows == 0:
        return at
    if at < 0:
        last = left_order[left_rows - 1]
        at = count_up_to(right_ns, right_order, right_rows, left_ns[last] - 1 + strict)
        fill_after(right_code, right_order, right_rows, at, earliest)
    groups = earliest.size
    for i in range(left_rows - 1, -1, -1):
        row = left_order[i]
        lower_ns = left_ns[row] - 1 + strict
        while at > 0:
            candidate = right_order[at - 1]
            if right_ns[candidate] <= lower_ns:
                break
            group = 0 if right_code is None else right_code[candidate]
            if 0 <= group < groups:
                earliest[group] = candidate
            at -= 1
        group = 0 if left_code is None else left_code[row]
        positions[row] = earliest[group] if 0 <= group < groups else -1
    return at


@njit(nogil=True, cache=True)
def match_ungrouped(left_ns: Int64s, right_ns: Int64s, shift: int, offset: int, positions: Int32s) -> None:
    """Write for each left row `offset` plus how many right times are at most its own less `shift`, or -1.

    Both sides stand in time order and are one group, so the count is the match: with `offset` -1 the last row
    before, with 0 the first after.  A step compares once and moves on one side by arithmetic, without a
    branch to mispredict, but must wait for the step before; so four walks take their steps in turn, as many
    at a time as surely end no walk, whose numbers need no check.  Four take 0.4 of the time of one walk with
    branches, and without the checks 0.6 of that.
    """
    rows = right_ns.size
    part = left_ns.size // 4
    if part == 0 or rows == 0:
        finish_walk(left_ns, right_ns, shift, offset, 0, 0, positions)
        return
    left0, left1, left2 = left_ns[:part], left_ns[part : 2 * part], left_ns[2 * part : 3 * part]
    left3 = left_ns[3 * part :]
    out0, out1, out2 = positions[:part], positions[part : 2 * part], positions[2 * part : 3 * part]
    out3 = positions[3 * part :]
    i0 = i1 = i2 = i3 = 0
    at0 = count_up_to(right_ns, None, rows, left0[0] - shift)
    at1 = count_up_to(right_ns, None, rows, left1[0] - shift)
    at2 = count_up_to(right_ns, None, rows, left2[0] - shift)
    at3 = count_up_to(right_ns, None, rows, left3[0] - shift)
    steps = min(part, rows - at3)
    while steps > 0:
        for _ in range(steps):
            step = int(right_ns[np.uint64(at0)] <= left0[np.uint64(i0)] - shift)
            out0[np.uint64(i0)] = at0 + offset
            at0 += step
            i0 += 1 - step
            step = int(right_ns[np.uint64(at1)] <= left1[np.uint64(i1)] - shift)
            out1[np.uint64(i1)] = at1 + offset
            at1 += step
            i1 += 1 - step
            step = int(right_ns[np.uint64(at2)] <= left2[np.uint64(i2)] - shift)
            out2[np.uint64(i2)] = at2 + offset
            at2 += step
            i2 += 1 - step
            step = int(right_ns[np.uint64(at3)] <= left3[np.uint64(i3)] - shift)
            out3[np.uint64(i3)] = at3 + offset
            at3 += step
            i3 += 1 - step
        steps = min(part - max(i0, i1, i2, i3), rows - at3)
    finish_walk(left0, right_ns, shift, offset, i0, at0, out0)
    finish_walk(left1, right_ns, shift, offset, i1, at1, out1)
    finish_walk(left2, right_ns, shift, offset, i2, at2, out2)
    finish_walk(left3, right_ns, shift, offset, i3, at3, out3)


@njit(nogil=True, cache=True)
def finish_walk(
    left_ns: Int64s, right_ns: Int64s, shift: int, offset: int, begin: int, at: int, positions: Int32s
) -> None:
    """Do the rest of one walk of `match_ungrouped`, from left row `begin` and right row `at` on."""
    for i in range(begin, left_ns.size):
        while at < right_ns.size and right_ns[at] <= left_ns[i] - shift:
            at += 1
        positions[i] = at + offset if at + offset < right_ns.size else -1


@njit(nogil=True, cache=True)
def drop_far(
    left_ns: Int64s, left_order: Int32s | None, right_ns: Int64s, tolerance_ns: int, positions: Int32s
) -> None:
    """Set the positions of a tile to -1 where the match is more than `tolerance_ns` away, before or after."""
    left_rows = left_ns.size if left_order is None else left_order.size
    for i in range(left_rows):
        row = i if left_order is None else left_order[i]
        position = positions[row]
        if position >= 0 and abs(left_ns[row] - right_ns[position]) > tolerance_ns:
            positions[row] = -1


@njit(nogil=True, cache=True)
def choose_nearest(left_ns: Int64s, right_ns: Int64s, before: Int32s, positions: Int32s) -> None:
    """Set `positions`, the rows after, to the row before wherever that is no farther."""
    for row in range(positions.size):
        earlier, later = before[row], positions[row]
        if earlier >= 0 and (later < 0 or left_ns[row] - right_ns[earlier] <= right_ns[later] - left_ns[row]):
            positions[row] = earlier


@njit(nogil=True, cache=True)
def count_up_to(ns: Int64s, order: Int32s | None, rows: int, upper_ns: int) -> int:
    """Return how many of the `rows` entries have a time of at most `upper_ns`."""
    lower = 0
    upper = rows
    while lower < upper:
        middle = (lower + upper) // 2
        row = middle if order is None else order[middle]
        if ns[row] <= upper_ns:
            lower = middle + 1
        else:
            upper = middle
    return lower


@njit(nogil=True, cache=True)
def fill_before(code: Int32s | None, order: Int32s | None, stop: int, latest: Int32s) -> None:
    """Set `latest` to each group's last row among the first `stop` entries, walking back to find all."""
    missing = latest.size
    at = stop - 1
    while at >= 0 and missing > 0:
        row = at if order is None else order[at]
        group = 0 if code is None else code[row]
        if 0 <= group < latest.size and latest[group] < 0:
            latest[group] = row
            missing -= 1
        at -= 1


@njit(nogil=True, cache=True)
def fill_after(code: Int32s | None, order: Int32s | None, rows: int, start: int, earliest: Int32s) -> None:
    """Set `earliest` to each group's first row from entry `start` on, walking until all are found."""
    missing = earliest.size
    at = start
    while at < rows and missing > 0:
        row = at if order is None else order[at]
        group = 0 if code is None else code[row]
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
        size = min(4096, last - block)
        here = ns[block : block + size]
        following = ns[block + 1 : block + 1 + size]
        for i in range(size):
            descents += here[i] > following[i]
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
