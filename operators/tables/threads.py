"""Threads that share the rows of one join: one range of rows each, the first in the caller's own thread."""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

import numba

Result = TypeVar("Result")

ROWS_PER_THREAD_MIN = 16_384  # below it, handing work to a thread costs more than the work
ROWS_MULTIPLE = 512  # ranges begin here, so that no two threads write to one cache line, not even of a bitmap


class Workers:
    """At most `threads` threads, started when first needed and ended with the `with` block."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def over(
        self, rows: int, function: Callable[[int, int], Result], ranges_max: int | None = None
    ) -> list[Result]:
        """Call `function(begin, end)` for ranges that cover [0, rows), and return the results in order.

        There is at least one range, empty when there are no rows.
        """
        ranges = cut(rows, min(self.threads, ranges_max or self.threads))
        if len(ranges) == 1:
            return [function(*ranges[0])]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads - 1)
        futures = [self._pool.submit(function, begin, end) for begin, end in ranges[1:]]
        first = function(*ranges[0])
        return [first, *(future.result() for future in futures)]


def threads_default() -> int:
    """Return how many threads this process may use at once; NUMBA_NUM_THREADS sets it."""
    return int(numba.get_num_threads())


def cut(rows: int, ranges_max: int) -> list[tuple[int, int]]:
    """Cut [0, rows) into at most `ranges_max` ranges of about equal length."""
    count = max(1, min(ranges_max, rows // ROWS_PER_THREAD_MIN))
    length = -(-rows // (count * ROWS_MULTIPLE)) * ROWS_MULTIPLE
    bounds = [min(k * length, rows) for k in range(count)] + [rows]
    return list(itertools.pairwise(bounds))
