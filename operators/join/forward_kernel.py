"""Forward and nearest as loops over settled rows: a chain per group, and pointers in it that only advance.

A right row settles when the frontier has passed it: none comes before it any more, so it goes to the end of
its group's chain.  A pointer per group says how far left rows have got in it, so a row is passed once by
each pointer, however many left rows there are, and no row of another group is looked at.

    following  int64 by right row: the next row of its group, -1 for none yet
    tail       int64 by group: the last row of its chain, or -1
    heads      int64 (pointers, groups): the first row not passed, -1 where all settled ones are;
               heads[0] passes rows up to the left time, less those that may match at it (forward, exact);
               heads[1], nearest only, passes rows that may stand before the left row
    before     int64 by group: the last row that heads[1] passed, -1 where `last` holds it
    last       int64 by group: the last row of those released, or -1
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from schemas.batch import Int32s, Int64s

Table = npt.NDArray[np.int64]  # two dimensions

FAR_NS = 2**63 - 1  # farther than any row


@njit(nogil=True, cache=True)
def settle(rows: Int64s, group: Int32s, following: Int64s, tail: Int64s, heads: Table) -> None:
    """Put rows, in order, at the ends of their groups' chains."""
    for i in range(rows.size):
        row = rows[i]
        g = group[row]
        if tail[g] >= 0:
            following[tail[g]] = row
        following[row] = -1
        tail[g] = row
        for pointer in range(heads.shape[0]):
            if heads[pointer, g] < 0:
                heads[pointer, g] = row


@njit(nogil=True, cache=True)
def release(
    rows: Int64s, group: Int32s, following: Int64s, tail: Int64s, heads: Table, before: Int64s
) -> None:
    """Take rows, in order, off the beginnings of their groups' chains; no pointer names them afterwards.

    Rows that never settled are in no chain and are left as they are.
    """
    for i in range(rows.size):
        row = rows[i]
        g = group[row]
        for pointer in range(heads.shape[0]):
            if heads[pointer, g] == row:
                heads[pointer, g] = following[row]
                if pointer == 1:
                    before[g] = -1
        if tail[g] == row:
            tail[g] = -1


@njit(nogil=True, cache=True)
def match_forward(
    left: Int64s,
    left_ns: Int64s,
    left_group: Int32s,
    through_ns: int,
    strict: int,
    tolerance_ns: int,
    right_ns: Int64s,
    following: Int64s,
    heads: Table,
    match: Int64s,
) -> int:
    """Write for each left row the first settled row of its group at or after it; stop where it may change.

    `left` are row ids in order, all up to `through_ns`, the last time below the frontier; `strict` is 1 where
    an equal time may not match, else 0.  `match` gets a row id, or -1 for none within `tolerance_ns`.
    Returns how many left rows are final: a row that was found lies below the frontier, so nothing can come
    before it, and a miss is final once the frontier is more than the tolerance beyond the left row.

    Times lie nearer to the epoch than 2**62 and `tolerance_ns` is at most that: no sum or difference wraps.
    """
    for i in range(left.size):
        time_ns = left_ns[left[i]]
        g = left_group[left[i]]
        later = -1
        if g >= 0:
            later = heads[0, g]
            while later >= 0 and right_ns[later] - time_ns < strict:
                later = following[later]
            heads[0, g] = later
        if later >= 0:
            match[i] = later if right_ns[later] - time_ns <= tolerance_ns else -1
        elif through_ns >= time_ns + tolerance_ns:
            match[i] = -1
        else:
            return i
    return int(left.size)


@njit(nogil=True, cache=True)
def match_nearest(
    left: Int64s,
    left_ns: Int64s,
    left_group: Int32s,
    through_ns: int,
    strict: int,
    tolerance_ns: int,
    right_ns: Int64s,
    following: Int64s,
    heads: Table,
    before: Int64s,
    last: Int64s,
    match: Int64s,
) -> int:
    """Write for each left row the closest settled row of its group, of two equally far the one before.

    As `match_forward`.  A left row is final once the frontier is farther beyond it than its match, or than
    the tolerance where it has none; a row after it that has settled says that it is.
    """
    for i in range(left.size):
        time_ns = left_ns[left[i]]
        g = left_group[left[i]]
        earlier = later = -1
        if g >= 0:
            unpassed = heads[1, g]
            while unpassed >= 0 and right_ns[unpassed] <= time_ns - strict:
                before[g] = unpassed
                unpassed = following[unpassed]
            heads[1, g] = unpassed
            earlier = before[g] if before[g] >= 0 else last[g]
            later = heads[0, g]
            while later >= 0 and right_ns[later] <= time_ns:
                later = following[later]
            heads[0, g] = later
        before_by_ns = time_ns - right_ns[earlier] if earlier >= 0 else FAR_NS
        after_by_ns = right_ns[later] - time_ns if later >= 0 else FAR_NS
        if later < 0 and through_ns < time_ns + min(before_by_ns, tolerance_ns):
            return i
        closest = earlier if before_by_ns <= after_by_ns else later
        match[i] = closest if min(before_by_ns, after_by_ns) <= tolerance_ns else -1
    return int(left.size)
