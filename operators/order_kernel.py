"""Keeps row ids sorted by (time, sequence, arrival): a plain append for rows in order, a merge for others."""

from numba import njit

from schemas.batch import Int64s


@njit(nogil=True, cache=True)
def append_in_order(
    order: Int64s, start: int, stop: int, first: int, count: int, time_ns: Int64s, sequence: Int64s
) -> int:
    """Append ids `first ..` at `order[stop:]` while each row is not before the last; return how many were.

    `order[start:stop]` is sorted; `order` has room for `count` more.
    """
    for i in range(count):
        row = first + i
        if stop + i > start:
            last = order[stop + i - 1]
            if time_ns[row] < time_ns[last] or (
                time_ns[row] == time_ns[last] and sequence[row] < sequence[last]
            ):
                return i
        order[stop + i] = row
    return count


@njit(nogil=True, cache=True)
def merge_tail(
    order: Int64s, start: int, stop: int, added: Int64s, time_ns: Int64s, sequence: Int64s
) -> None:
    """Merge sorted ids `added` into sorted `order[start:stop]`, from the back; equal rows keep arrival order.

    `order` has room for `added` after `stop`.  Touches only the rows behind the first added one.
    """
    i = stop - 1
    j = added.size - 1
    place = stop + added.size - 1
    while j >= 0:
        new = added[j]
        if i >= start:
            old = order[i]
            if time_ns[old] > time_ns[new] or (
                time_ns[old] == time_ns[new] and sequence[old] > sequence[new]
            ):
                order[place] = old
                i -= 1
                place -= 1
                continue
        order[place] = new
        j -= 1
        place -= 1


@njit(nogil=True, cache=True)
def count_below(order: Int64s, start: int, stop: int, time_ns: Int64s, bound_ns: int) -> int:
    """Count the rows of sorted `order[start:stop]` with a time below `bound_ns`, by bisection."""
    low = start
    high = stop
    while low < high:
        middle = (low + high) // 2
        if time_ns[order[middle]] < bound_ns:
            low = middle + 1
        else:
            high = middle
    return low - start
