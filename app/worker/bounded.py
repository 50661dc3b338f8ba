"""A bounded run: it ends once the whole group has committed that every task is complete."""

from collections.abc import Callable, Mapping
from typing import Final

import structlog

from app.commit.commits import Commits
from app.task.task import Task
from app.wiring.pipeline import Pipeline
from app.worker.dispatch import Dispatch
from app.worker.group_end import group_is_done
from app.worker.relief import Relief
from schemas.clocks import NS_PER_MS
from topics.bus import BusUnavailableError, Consumer

log = structlog.get_logger()

FINAL_CHECK_INTERVAL_NS: Final = 200 * NS_PER_MS


class BoundedRun:
    """Seals what waits for a period that will not be read, and says when the group is done."""

    def __init__(
        self,
        pipeline: Pipeline,
        observer: Consumer,
        tasks: Mapping[int, Task],
        dispatch: Dispatch,
        commits: Commits,
        relief: Relief,
        elapsed_ns: Callable[[], int],
    ) -> None:
        """`observer` reads how far the group has committed, and is no member of it."""
        self._pipeline = pipeline
        self._observer = observer
        self._tasks = tasks
        self._dispatch = dispatch
        self._commits = commits
        self._relief = relief
        self._elapsed_ns = elapsed_ns
        self._checked_ns = 0
        self._checked_count = 0  # commits by then

    def finish_ended(self) -> None:
        """Seal, once everything there is has been read, the rows that wait for a later period.

        A paused input that waits for others whose period has ended would wait for ever: its own end is read.
        """
        for task in self._tasks.values():
            self._relief.read_on(task)
            if task.operator.inputs.ended and task.operator.caught_up and not task.operator.final:
                self._dispatch.finish(task)
                self._commits.mark_dirty()

    def finished(self) -> bool:
        """Whether the whole group has committed that every task is complete.

        What lies beyond the commit belongs to it: a final record ends a period only while nothing follows.
        A worker with tasks asks after each commit, and else at intervals, since other workers commit, too.
        """
        if not self._commits.settled:
            return False
        if not all(task.operator.final for task in self._tasks.values()):
            return False
        now_ns, count = self._elapsed_ns(), self._commits.count
        if (
            self._tasks
            and count == self._checked_count
            and now_ns - self._checked_ns < FINAL_CHECK_INTERVAL_NS
        ):
            return False
        self._checked_ns, self._checked_count = now_ns, count
        try:
            return group_is_done(self._pipeline, self._observer)
        except BusUnavailableError as away:
            log.warning("whether the run is done is asked again", reason=str(away))
            return False

    def close(self) -> None:
        """Let the observer go."""
        self._observer.close()
