"""The seal as one loop: walk left and right rows in time order, keeping the last right row of every group."""

import numpy as np
import numpy.typing as npt
from numba import njit

from schemas.batch import Bools, Int32s, Int64s

Flags = npt.NDArray[np.uint8]


@njit(nogil=True, cache=True)
def _within(row: int, right_ns: Int64s, time_ns: int, tolerance_ns: int) -> int:
    """Return the row if there is one and it is no more than `tolerance_ns` before `time_ns`, else -1.

    Times lie nearer to the epoch than 2**62, so their difference does not wrap.
    """
    return row if row >= 0 and time_ns - right_ns[row] <= tolerance_ns else -1


@njit(nogil=True, cache=True)
def match_backward(
    left: Int64s,
    left_ns: Int64s,
    left_group: Int32s,
    right: Int64s,
    right_ns: Int64s,
    right_group: Int32s,
    present: Flags,
    allow_exact: bool,
    tolerance_ns: int,
    last: Int64s,
    last_value: Int64s,
    match: Int64s,
    match_value: Int64s,
) -> int:
    """Write for each left row the last right row of its group at or before it, and move `last` past all.

    `left`, `right`      row ids in order; every right row is newer than the rows in `last`.
    `*_ns`, `*_group`    time and group by row id.
    `present`            uint8 (right.size, columns): where a right row has a value; no columns to carry rows.
    `last`               int64 by group: row id of the last right row so far, or -1.
    `last_value`         int64 (groups, columns): row id of the last right row with a value, or -1.
    `match`              int64 by place in `left`: row id, or -1 for none within `tolerance_ns`.
    `match_value`        int64 (columns, left.size): the same per column.

    Returns how many entries of `last` and `last_value` were -1 and are not any more.
    """
    columns = present.shape[1]
    filled = 0
    i = 0
    j = 0
    while i < left.size or j < right.size:
        left_next = i < left.size
        if left_next and j < right.size:
            time_ns, other_ns = left_ns[left[i]], right_ns[right[j]]
            left_next = other_ns > time_ns or (other_ns == time_ns and not allow_exact)
        if not left_next:
            row = right[j]
            group = right_group[row]
            if group >= 0:
                if last[group] < 0:
                    filled += 1
                last[group] = row
                for c in range(columns):
                    if present[j, c] != 0:
                        if last_value[group, c] < 0:
                            filled += 1
                        last_value[group, c] = row
            j += 1
        else:
            group = left_group[left[i]]
            time_ns = left_ns[left[i]]
            match[i] = _within(last[group] if group >= 0 else -1, right_ns, time_ns, tolerance_ns)
            for c in range(columns):
                row = last_value[group, c] if group >= 0 else -1
                match_value[c, i] = _within(row, right_ns, time_ns, tolerance_ns)
            i += 1
    return filled


@njit(nogil=True, cache=True)
def mark_groups(group: Int32s, one: Bools, other: Bools) -> None:
    """Set the flags of every group named; none is -1."""
    for i in range(group.size):
        one[group[i]] = True
        other[group[i]] = True


@njit(nogil=True, cache=True)
def oldest_offset(
    last: Int64s, last_value: Int64s, offset: Int64s, time_ns: Int64s, oldest_ns: int, otherwise: int
) -> int:
    """The smallest offset, at most `otherwise`, of the rows in `last` and `last_value` from `oldest_ns` on.

    The tables are `match_backward`'s; `offset` and `time_ns` are by row id.
    """
    oldest = otherwise
    for g in range(last.size):
        for c in range(-1, last_value.shape[1]):  # -1 is the row itself
            row = last[g] if c < 0 else last_value[g, c]
            if row >= 0 and offset[row] < oldest and time_ns[row] >= oldest_ns:
                oldest = offset[row]
    return oldest


@njit(nogil=True, cache=True)
def refresh_last(
    rows: Int64s,
    time_ns: Int64s,
    sequence: Int64s,
    offset: Int64s,
    index: Int32s,
    group: Int32s,
    present: Flags,
    last: Int64s,
    last_value: Int64s,
) -> int:
    """Put each row into `last` and `last_value` (see `match_backward`) where it is newer than what is there.

    Newer is by (time, sequence, offset, index), so a row that is read again displaces nothing.
    Returns how many entries were -1 and are not any more.
    """
    columns = present.shape[1]
    filled = 0
    for i in range(rows.size):
        row = rows[i]
        g = group[row]
        if g < 0:
            continue
        for c in range(-1, columns):  # -1 is the row itself
            if c >= 0 and present[i, c] == 0:
                continue
            old = last[g] if c < 0 else last_value[g, c]
            if old < 0:
                filled += 1
            elif time_ns[row] != time_ns[old]:
                if time_ns[row] < time_ns[old]:
                    continue
            elif sequence[row] != sequence[old]:
                if sequence[row] < sequence[old]:
                    continue
            elif offset[row] != offset[old]:
                if offset[row] < offset[old]:
                    continue
            elif index[row] <= index[old]:
                continue
            if c < 0:
                last[g] = row
            else:
                last_value[g, c] = row
    return filled
