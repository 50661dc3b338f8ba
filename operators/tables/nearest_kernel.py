"""The nearest match as one walk: the row before is known, the row after is the next one of its group."""

import numpy as np
import numpy.typing as npt
from numba import njit

from operators.tables.match_kernel import count_up_to, fill_before

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]

FAR_NS = 2**63 - 1  # farther than any row


@njit(nogil=True, cache=True)
def link_groups(
    right_code: Int32s | None, right_order: Int32s | None, right_rows: int, first: Int32s, following: Int32s
) -> None:
    """Write for each right row the next one of its group in time order, or -1, and each group's first.

    `first` holds a row per group and is all -1; `following` holds one per right row.
    """
    for at in range(right_rows - 1, -1, -1):
        row = at if right_order is None else right_order[at]
        group = 0 if right_code is None else right_code[row]
        if 0 <= group < first.size:
            following[row] = first[group]
            first[group] = row


@njit(nogil=True, cache=True)
def stand(
    group: int,
    row: int,
    right_ns: Int64s,
    following: Int32s,
    latest: Int32s,
    later: Int32s,
    latest_ns: Int64s,
    later_ns: Int64s,
) -> None:
    """Let a right row be the one before in its group, and its follower the one after."""
    latest[group] = row
    latest_ns[group] = right_ns[row]
    after = following[row]
    later[group] = after
    if after >= 0:
        later_ns[group] = right_ns[after]


@njit(nogil=True, cache=True)
def stand_first(
    right_ns: Int64s,
    following: Int32s,
    latest: Int32s,
    later: Int32s,
    latest_ns: Int64s,
    later_ns: Int64s,
) -> None:
    """Complete the tables for a first tile: `latest` is known, `later` holds each group's first row."""
    for group in range(latest.size):
        if latest[group] >= 0:
            stand(group, latest[group], right_ns, following, latest, later, latest_ns, later_ns)
        elif later[group] >= 0:
            later_ns[group] = right_ns[later[group]]


@njit(nogil=True, cache=True)
def match_nearest(
    left_ns: Int64s,
    left_code: Int32s | None,
    left_order: Int32s | None,
    right_ns: Int64s,
    right_code: Int32s | None,
    right_order: Int32s | None,
    right_rows: int,
    strict: int,
    following: Int32s,
    at: int,
    latest: Int32s,
    later: Int32s,
    latest_ns: Int64s,
    later_ns: Int64s,
    positions: Int32s,
) -> int:
    """Write for each left row the right row closest in time, or -1; of two equally far the one before.

    The walk of `match_kernel.match_backward`, which says what the arguments are and what is returned.
    `following` is from `link_groups`.  The four tables hold per group the row before and the row after, and
    their times, so that a left row reads nothing else; for a first tile `latest` is all -1 and `later` holds
    each group's first row.  A walk back, a walk ahead and a choice between them took 1.2 times as long, the
    whole join counted.
    """
    left_rows = left_ns.size if left_order is None else left_order.size
    if left_rows == 0:
        return at
    groups = latest.size
    if at < 0:
        start = 0 if left_order is None else left_order[0]
        at = count_up_to(right_ns, right_order, right_rows, left_ns[start] - strict)
        fill_before(right_code, right_order, at, latest)
        stand_first(right_ns, following, latest, later, latest_ns, later_ns)
    for i in range(left_rows):
        row = i if left_order is None else left_order[i]
        row_ns = left_ns[row]
        while at < right_rows:
            candidate = at if right_order is None else right_order[at]
            if right_ns[candidate] > row_ns - strict:
                break
            group = 0 if right_code is None else right_code[candidate]
            if 0 <= group < groups:
                stand(group, candidate, right_ns, following, latest, later, latest_ns, later_ns)
            at += 1
        group = 0 if left_code is None else left_code[row]
        if group < 0 or group >= groups:
            positions[row] = -1
            continue
        before, after, after_ns = latest[group], later[group], later_ns[group]
        while after >= 0 and after_ns - row_ns < strict:  # of equal time, where none may match
            after = following[after]
            after_ns = right_ns[after] if after >= 0 else after_ns
        before_by_ns = row_ns - latest_ns[group] if before >= 0 else FAR_NS
        after_by_ns = after_ns - row_ns if after >= 0 else FAR_NS
        # A row after may be as far away as no row at all before.
        positions[row] = before if before >= 0 and before_by_ns <= after_by_ns else after
    return at
