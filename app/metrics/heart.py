"""The heart: a loop that turns beats, and so does one that waits; one that hangs does not."""

from collections.abc import Callable
from typing import Final

from app.process.clock import monotonic_ns, now_ns
from schemas.clocks import NS_PER_S

# Before the first turn: kernels are compiled, schemas and a free slot are waited for.
START_NS: Final = 600 * NS_PER_S
BEAT_NS: Final = 60 * NS_PER_S  # between two beats at most, where nothing waits longer


class Heart:
    """When the loop beat last, and whether that is recent enough."""

    def __init__(
        self,
        patience_ns: int = BEAT_NS,
        *,
        elapsed_ns: Callable[[], int] = monotonic_ns,
        wall_ns: Callable[[], int] = now_ns,
    ) -> None:
        """`patience_ns` is as long as a call of the bus may keep the loop, and a margin."""
        self.beaten_ns = 0  # wall clock of the last beat; 0 before the first
        self.on_beat: Callable[[], None] = _nothing
        self._elapsed_ns = elapsed_ns
        self._wall_ns = wall_ns
        self._patience_ns = patience_ns
        self._live_until_ns = elapsed_ns() + START_NS

    def beat(self) -> None:
        """Beat; from the loop, once a turn and while it waits for what is away."""
        self._live_until_ns = self._elapsed_ns() + self._patience_ns
        self.beaten_ns = self._wall_ns()
        self.on_beat()

    @property
    def is_live(self) -> bool:
        """Whether the last beat is recent; lag and what is away make no difference to it."""
        return self._elapsed_ns() <= self._live_until_ns


def _nothing() -> None:
    """Nobody listens."""
