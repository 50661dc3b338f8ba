"""Figures of a reader as plain numbers: what it handed over, what was missing, and what it waited for."""

from bisect import bisect_left
from collections.abc import Mapping
from time import monotonic_ns, time_ns
from typing import Final, Literal, NamedTuple

# Upper bounds of the buckets, inclusive; a last one without a bound has what is above.
EDGES_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_EDGES_NS: Final = tuple(int(edge_s * 1e9) for edge_s in EDGES_S)

Wait = Literal["frame", "slot", "consumer", "copy"]
Refusal = Literal["frame", "gap", "column"]


class SinkFigures(NamedTuple):
    """What a reader has done in all its iterations so far.

    `rows`, `batches`  handed over; `copied_bytes` of slots that a copy engine took to another memory.
    `rows_missing`     before frames that were read, as their parities count; `rows_repeated` came again.
    `frame_errors`     frames that ended an iteration: "frame" broken, "gap" not to be gone over, "column" of
                       a type or value that does not fit.
    `wait_ns`          time waited by the filling side for a "frame" and for a free "slot", by the consumer
                       for a filled slot ("consumer"), and for a "copy" to be done.
    `latency_counts`   batches by time from sealed to handed over, a count for each of `EDGES_S` and one for
                       what is above; `latency_ns` is their sum.  The newest frame of a batch counts.
    """

    rows: int
    batches: int
    copied_bytes: int
    rows_missing: int
    rows_repeated: int
    frame_errors: Mapping[Refusal, int]
    wait_ns: Mapping[Wait, int]
    latency_counts: tuple[int, ...]
    latency_ns: int


class Waits:
    """Nanoseconds waited, by what for; each kind has one thread that adds to it."""

    def __init__(self) -> None:
        self.wait_ns: dict[Wait, int] = {"frame": 0, "slot": 0, "consumer": 0, "copy": 0}

    def add(self, kind: Wait, begun_ns: int) -> None:
        """Add the time since `begun_ns` (monotonic)."""
        self.wait_ns[kind] += monotonic_ns() - begun_ns


class Counts:
    """What is counted as batches are handed over, by the thread that takes them."""

    def __init__(self) -> None:
        self.waits = Waits()
        self.rows = self.batches = self.copied_bytes = self.latency_ns = 0
        self.frame_errors: dict[Refusal, int] = {"frame": 0, "gap": 0, "column": 0}
        self.latency_counts = [0] * (len(EDGES_S) + 1)

    def handed_over(self, rows: int, sealed_ns: int | None, copied_size: int) -> None:
        """A batch of so many rows goes out, whose newest frame was sealed at `sealed_ns` (None: a file)."""
        self.rows += rows
        self.batches += 1
        self.copied_bytes += copied_size
        if sealed_ns is not None:
            elapsed_ns = max(0, time_ns() - sealed_ns)
            self.latency_counts[bisect_left(_EDGES_NS, elapsed_ns)] += 1
            self.latency_ns += elapsed_ns

    def figures(self, *, rows_missing: int, rows_repeated: int) -> SinkFigures:
        """All of it as it stands."""
        return SinkFigures(
            self.rows,
            self.batches,
            self.copied_bytes,
            rows_missing,
            rows_repeated,
            dict(self.frame_errors),
            dict(self.waits.wait_ns),
            tuple(self.latency_counts),
            self.latency_ns,
        )
