"""A histogram of times in plain integers: a count for each bucket, and the sum."""

from bisect import bisect_left

from app.metrics.catalogue import EDGES_MS, EDGES_NS
from schemas.clocks import NS_PER_S


class Histogram:
    """Counts of elapsed times by bucket (`EDGES_NS`); one thread adds, another may read meanwhile."""

    __slots__ = ("counts", "sum_ns")

    def __init__(self) -> None:
        self.counts = [0] * (len(EDGES_NS) + 1)
        self.sum_ns = 0

    def add(self, elapsed_ns: int, times: int = 1) -> None:
        """Count an elapsed time, below 0 as 0, so many times: once for all rows of a batch."""
        elapsed_ns = max(0, elapsed_ns)
        self.counts[bisect_left(EDGES_NS, elapsed_ns)] += times
        self.sum_ns += elapsed_ns * times

    def buckets(self) -> tuple[list[tuple[str, float]], float]:
        """Upper bounds in seconds, as text, each with the count up to it; and the sum in seconds."""
        counts, sum_ns = list(self.counts), self.sum_ns
        bounds = [*(str(edge_ms / 1_000) for edge_ms in EDGES_MS), "+Inf"]
        below, cumulative = 0, []
        for bound, count in zip(bounds, counts, strict=True):
            below += count
            cumulative.append((bound, float(below)))
        return cumulative, sum_ns / NS_PER_S
