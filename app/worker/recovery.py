"""Recovery: how long tasks take from when they are opened until they have caught up."""

from collections.abc import Callable, Mapping

from app.metrics.catalogue import STATE_REBUILDS
from app.metrics.ledger import Ledger
from app.task.task import Task
from state.restore import Restored


class Recovery:
    """Notes tasks as they are opened, and measures those that have taken again all that was committed."""

    def __init__(self, ledger: Ledger, elapsed_ns: Callable[[], int]) -> None:
        self._ledger = ledger
        self._elapsed_ns = elapsed_ns
        self._begun_ns: dict[int, int] = {}  # by partition, of tasks that are not seen to have caught up

    def begin(self, number: int) -> None:
        """A task is about to be opened."""
        self._begun_ns[number] = self._elapsed_ns()

    def restored(self, state: Restored) -> None:
        """A task that has committed before is opened with this state."""
        if state.checkpoint is None:
            self._ledger.add(STATE_REBUILDS, "wiped" if state.reason.startswith("wiped") else "none")

    def forget(self, number: int) -> None:
        """A task was closed."""
        self._begun_ns.pop(number, None)

    def see(self, tasks: Mapping[int, Task]) -> None:
        """Measure the tasks that have caught up since the last look."""
        for number, begun_ns in list(self._begun_ns.items()):
            if tasks[number].operator.caught_up:
                self._ledger.recovery.add(self._elapsed_ns() - begun_ns)
                del self._begun_ns[number]
