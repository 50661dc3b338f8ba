"""Bounds that follow the rows: each row that is taken may let the next one lie further ahead."""

from typing import Final

from numba import njit

from schemas.batch import Int64s
from schemas.clocks import BEGINNING_NS

LATEST_NS: Final = 2**63 - 1


@njit(nogil=True, cache=True)
def rolling_bounds(time_ns: Int64s, newest_ns: int, max_ahead_ns: int, bound_ns: Int64s) -> None:
    """Write for each row the latest time that is taken there: `max_ahead_ns` beyond the newest taken before.

    `time_ns`    int64, rows in the order they are judged; one beyond its bound is not taken.
    `newest_ns`  the newest time taken before all of them; `BEGINNING_NS` where none was: the first is taken.
    `bound_ns`   int64 by row, to be written; it ends at `LATEST_NS`.
    """
    for i in range(time_ns.size):
        if newest_ns == BEGINNING_NS or newest_ns > LATEST_NS - max_ahead_ns:
            bound_ns[i] = LATEST_NS
        else:
            bound_ns[i] = newest_ns + max_ahead_ns
        if time_ns[i] <= bound_ns[i]:
            newest_ns = max(newest_ns, time_ns[i])
