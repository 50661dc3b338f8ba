"""Phases: where the time of a worker's loop goes, each stretch of it in one phase."""

from collections.abc import Callable
from typing import Final

from app.metrics.catalogue import VALUES
from app.process.clock import monotonic_ns

WAIT, DECODE, PUSH, SEAL, SEND, COMMIT, STATE = range(7)
NAMES: Final = VALUES["phase"]


class Phases:
    """Nanoseconds by phase.  They add up to the time since it was made: each begins with the last."""

    __slots__ = ("_elapsed_ns", "_since_ns", "spent_ns")

    def __init__(self, elapsed_ns: Callable[[], int] = monotonic_ns) -> None:
        self.spent_ns = [0] * len(NAMES)
        self._elapsed_ns = elapsed_ns
        self._since_ns = elapsed_ns()

    def end(self, phase: int) -> None:
        """All that was done since the last call was of this phase."""
        now_ns = self._elapsed_ns()
        self.spent_ns[phase] += now_ns - self._since_ns
        self._since_ns = now_ns
