"""Health: whether a worker is ready, which stays so, and whether it ends."""

from collections.abc import Callable
from typing import Final

STARTING: Final = "its start"
STOPPING: Final = "nothing: it stops"


class Health:
    """What a worker that is not ready yet waits for, in words; empty once it is ready.

    Readiness paces roll-outs.  An outage does not take it back: else nobody could drain a machine meanwhile.
    """

    def __init__(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """`on_ready` is called once, when the worker becomes ready."""
        self.awaits = STARTING
        self._on_ready = on_ready
        self._was_ready = False

    @property
    def was_ready(self) -> bool:
        """Whether it has been ready once: then only what cannot mend itself takes that back."""
        return self._was_ready

    @property
    def is_ready(self) -> bool:
        """Whether it is ready now."""
        return not self.awaits

    def look(self, awaits: str) -> None:
        """Note what the worker waits for; nothing makes it ready."""
        if self.awaits == STOPPING:
            return
        self.awaits = awaits
        if not awaits and not self._was_ready:
            self._was_ready = True
            self._on_ready()

    def stop(self) -> None:
        """The worker ends, be it that another one has its slot."""
        self.awaits = STOPPING
