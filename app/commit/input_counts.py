"""Input counts: a commit holds only while every input has the partitions that its keys were spread over."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from app.errors import RunError
from app.process.away import wait_out
from app.words import copy_advice
from topics.bus import Admin, Bus, BusUnavailableError

ATTEMPTS: Final = 4  # with one client: a slow log-in may take longer than one question waits


class InputCounts:
    """Asks the broker how many partitions the inputs have, and stops where that is not what it was.

    Whoever adds partitions moves keys, so rows of one key lie in two of them from then on.  Asked after rows
    were read and before they are committed, the answer covers them all: what a producer wrote to a new
    partition came later than the evidence by which they were sealed.
    """

    def __init__(
        self,
        bus: Bus,
        topics: Sequence[str],
        partitions: int,
        on_wait: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`partitions` is how many each of `topics` must have; `on_wait` as in `wait_out`."""
        self._on_wait = on_wait
        self._bus = bus
        self._topics = list(topics)
        self._partitions = partitions
        self._admin: Admin | None = None
        self._failed = 0  # attempts in a row, with this client
        self._pending: Callable[[], Mapping[str, int]] | None = None

    def ask(self) -> None:
        """Send the question; nobody waits here."""
        if self._admin is None:
            self._admin = self._bus.admin()
        self._pending = self._admin.request_counts(self._topics)

    def require(self) -> None:
        """Wait for the answer to the last question, or ask; raise RunError where a count is another one.

        A broker that is away is waited for, with a new client now and then: the old one may have lost it for
        good.
        """
        wait_out(self._require, self._on_wait)

    def _require(self) -> None:
        if self._pending is None:
            self.ask()
        pending, self._pending = self._pending, None
        assert pending is not None
        try:
            counts = pending()
        except BusUnavailableError:
            self._failed += 1
            if self._failed == ATTEMPTS:
                self._admin, self._failed = None, 0
            raise
        self._failed = 0
        if wrong := [topic for topic in self._topics if counts[topic] != self._partitions]:
            raise RunError(counts_refused(counts, wrong, self._partitions))


def counts_refused(counts: Mapping[str, int], wrong: Sequence[str], partitions: int) -> str:
    """Why inputs with these partition counts are not joined, and what to do about the first that is wrong."""
    figures = ", ".join(f"{topic} has {count}" for topic, count in counts.items())
    return (
        f"the inputs are joined by partition number over bus.partitions = {partitions}, but {figures} "
        "partitions. Another count puts keys elsewhere, so nothing more is committed. "
        + copy_advice(wrong[0], partitions)
    )
