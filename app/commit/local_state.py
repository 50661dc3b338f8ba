"""Local state follows the commits at its own pace: not too often, and never for most of the time."""

from collections.abc import Callable, Mapping
from typing import Final

from app.errors import RunError
from app.process.failpoints import CHECKPOINT, reach
from app.settings.worker import WorkerSettings
from app.task.task import Task, TaskState
from schemas.clocks import NS_PER_MS
from state.errors import StateError

# Half a million rows that wait take 0.4 s to write: a worker that catches up would do little else.
SHARE_MAX: Final = 0.05


class LocalState:
    """Says which tasks' state is to be written with a commit, and writes it once that counts."""

    def __init__(self, settings: WorkerSettings, elapsed_ns: Callable[[], int]) -> None:
        self._settings = settings
        self._elapsed_ns = elapsed_ns
        self._written_ns: dict[int, int] = {}  # by partition: when a task's state was written last
        self._took_ns: dict[int, int] = {}  # and how long that took

    def due(self, tasks: Mapping[int, Task]) -> list[int]:
        """The tasks whose state is to follow this commit: a share of all, so that no commit takes long.

        Each is due again after as long as was asked for, or later, so that writing takes no more than its
        share of the time.
        """
        asked_ns = self._settings.checkpoint_interval_ms * NS_PER_MS
        interval_ns = max(asked_ns, int(sum(self._took_ns.values()) / SHARE_MAX))
        due_ns = self._elapsed_ns() - interval_ns
        written_ns = {number: self._written_ns.get(number, 0) for number in tasks}
        ready = [n for n, task in tasks.items() if written_ns[n] <= due_ns and task.operator.caught_up]
        share = -(-len(tasks) * self._settings.commit_interval_ms * NS_PER_MS // interval_ns)
        return sorted(ready, key=written_ns.__getitem__)[:share]

    def state_of(self, task: Task) -> TaskState:
        """The state of a task as it stands."""
        begun_ns = self._elapsed_ns()
        state = task.state()
        self._took_ns[task.partition] = self._elapsed_ns() - begun_ns
        return state

    def keep(self, state: TaskState) -> None:
        """Write a state whose offsets count; raises RunError where the disk refuses."""
        number, begun_ns = state.task.partition, self._elapsed_ns()
        try:
            state.task.checkpoint(state)
        except StateError as failed:
            raise RunError(
                f"{failed}; nothing is lost: committed work stands, restart when mended"
            ) from failed
        self._written_ns[number] = self._elapsed_ns()
        self._took_ns[number] += self._written_ns[number] - begun_ns
        reach(CHECKPOINT)

    def forget(self, number: int) -> None:
        """A task was closed; opened anew, its state is due at once."""
        self._written_ns.pop(number, None)
        self._took_ns.pop(number, None)
