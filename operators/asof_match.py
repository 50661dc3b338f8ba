"""Which right row each left row matches: the settings as passes of the kernel, shared among threads."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.asof_gather_kernel import mark_matches
from operators.asof_kernel import Side, match_backward, match_forward
from operators.asof_settings import AsofSettings
from operators.asof_workers import Workers

Int32s = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Matches:
    """The matched right row of every left row.

    `positions`  int32, in left row order; -1 where there is no match.
    `count`      how many left rows have a match.
    `valid`      their Arrow validity bitmap, or None when all have one.
    """

    positions: Int32s
    count: int
    valid: pa.Buffer | None


def match(left: Side, right: Side, group_count: int, settings: AsofSettings, workers: Workers) -> Matches:
    """Find the match of every left row.

    Each thread takes a range of left rows in time order and starts from the last (or first) right row of each
    group at its edge, so the answer does not depend on the number of threads.
    """
    positions = np.empty(left.ns.size, np.int32)
    if left.rows < left.ns.size:
        positions.fill(-1)  # a left row without a time is never reached
    strict = 0 if settings.allow_exact else 1

    def match_range(begin: int, end: int) -> None:
        table = np.full(group_count, -1, np.int32)
        if settings.direction != "forward":
            match_backward(left, right, begin, end, strict, settings.tolerance_ns, table, positions)
        if settings.direction != "backward":
            table.fill(-1)
            nearest = settings.direction == "nearest"
            match_forward(left, right, begin, end, strict, settings.tolerance_ns, nearest, table, positions)

    # A table per thread: no more threads than keep all of them within 8 bytes a row.
    workers.over(left.rows, match_range, max(1, 2 * (left.rows + right.rows) // group_count))
    return marked(positions, workers)


def marked(positions: Int32s, workers: Workers) -> Matches:
    """Return positions with their validity."""
    valid = pa.allocate_buffer(-(-positions.size // 8))
    bits = np.frombuffer(valid, np.uint8)
    count = sum(workers.over(positions.size, lambda begin, end: mark_matches(positions, begin, end, bits)))
    return Matches(positions, count, None if count == positions.size else valid)
