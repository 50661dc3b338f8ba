"""Local state follows the commits at its own pace: not too often, and never for most of the time."""

from collections.abc import Callable, Mapping
from typing import Final

from app.errors import RunError
from app.process.failpoints import CHECKPOINT, reach
from app.settings.worker import WorkerSettings
from app.task.task import Task, Written
from schemas.clocks import NS_PER_MS
from state.errors import StateError

# Half a million rows that wait take 0.4 s to write: a worker that catches up would do little else.
SHARE_MAX: Final = 0.05


class LocalState:
    """Says which tasks' state is to be written with a commit, and writes it once that counts."""

    def __init__(self, settings: WorkerSettings, elapsed_ns: Callable[[], int]) -> None:
        self._settings = settings
        self._elapsed_ns = elapsed_ns

    def due(self, tasks: Mapping[int, Task]) -> list[int]:
        """The tasks whose state is to follow this commit: a share of all, so that no commit takes long.

        Each is due again after as long as was asked for, or later, so that writing takes no more than its
        share of the time.
        """
        writing_ns = sum(task.checkpoint_took_ns for task in tasks.values())
        asked_ns = self._settings.checkpoint_interval_ms * NS_PER_MS
        interval_ns = max(asked_ns, int(writing_ns / SHARE_MAX))
        due_ns = self._elapsed_ns() - interval_ns
        ready = [n for n, t in tasks.items() if t.checkpointed_ns <= due_ns and t.operator.caught_up]
        share = -(-len(tasks) * self._settings.commit_interval_ms * NS_PER_MS // interval_ns)
        return sorted(ready, key=lambda number: tasks[number].checkpointed_ns)[:share]

    def written(self, task: Task) -> Written:
        """The state of a task as it stands."""
        begun_ns = self._elapsed_ns()
        written = task.written()
        task.checkpoint_took_ns = self._elapsed_ns() - begun_ns
        return written

    def keep(self, written: Written) -> None:
        """Write a state whose offsets count; raises RunError where the disk refuses."""
        begun_ns = self._elapsed_ns()
        try:
            written.task.checkpoint(written)
        except StateError as failed:
            raise RunError(
                f"{failed}; nothing is lost: committed work stands, restart when mended"
            ) from failed
        written.task.checkpointed_ns = self._elapsed_ns()
        written.task.checkpoint_took_ns += written.task.checkpointed_ns - begun_ns
        reach(CHECKPOINT)
