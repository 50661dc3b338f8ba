"""What a turn leaves for those who watch the worker: a beat, counts made true, and whether it is ready."""

from collections.abc import Callable
from typing import Final

from pyarrow.fs import FileSelector, LocalFileSystem

from app.commit.commits import Commits
from app.metrics.health import Health
from app.metrics.ledger import Ledger
from app.metrics.phases import WAIT
from app.metrics.standing import Standing
from app.task.task import Task
from app.worker.ownership import Ownership
from app.worker.tally import Tally
from schemas.clocks import NS_PER_S

STANDBY_NS: Final = 10 * NS_PER_S  # who has no task after so long is there for when another worker ends
DISK: Final = LocalFileSystem()
PARTIAL_NS: Final = 10 * NS_PER_S  # inputs of a task may come one by one


class TurnWatch:
    """Follows the turns of one worker; the only one of its parts that says whether it is ready."""

    def __init__(
        self,
        tally: Tally,
        ledger: Ledger,
        health: Health,
        ownership: Ownership,
        commits: Commits,
        elapsed_ns: Callable[[], int],
    ) -> None:
        self.tally = tally
        self._ledger = ledger
        self._health = health
        self._ownership = ownership
        self._commits = commits
        self._elapsed_ns = elapsed_ns
        self._begun_ns = elapsed_ns()
        self._opened: set[int] = set()  # ids of the tasks that were there at the last look
        self._opened_count = 0  # commits by then

    def polled(self) -> None:
        """A poll has returned: what it did of the group's moves is committed or given up."""
        self._ledger.phases.end(WAIT)
        self.follow()

    def follow(self) -> None:
        """Take counts for true that a commit made true."""
        self.tally.follow(self._commits.count)

    def ended(self) -> None:
        """A turn has ended."""
        self._ledger.heart.beat()
        self._ownership.see_caught_up()
        self._health.look(self._awaits())

    def stop(self) -> None:
        """The worker ends: note what waits, before the tasks are given up."""
        self._health.stop()
        self.tally.stop(self._ownership.tasks.values())

    def standing(self) -> Standing:
        """How the tasks stand now; from any thread."""
        tasks = list(self._ownership.tasks.values())
        rereading = sum(not task.operator.caught_up for task in tasks)
        size = sum(_size_of(task) for task in tasks)
        return Standing(len(tasks), rereading, self._ownership.partial_tasks(), size)

    def _awaits(self) -> str:
        """What the worker has to do before it is ready; empty where it is, which stays."""
        if self._ownership.partial_ns > PARTIAL_NS:
            return "the other inputs of a task, which the group has not given it"
        if self._health.was_ready:
            return ""
        tasks = self._ownership.tasks
        if not tasks:
            waited_ns = self._elapsed_ns() - self._begun_ns
            return "" if waited_ns >= STANDBY_NS else "tasks, or to have none for a while"
        behind = [number for number, task in tasks.items() if not task.operator.caught_up]
        if behind:
            return f"{len(behind)} of {len(tasks)} tasks to have caught up"
        opened = {id(task) for task in tasks.values()}
        if not opened <= self._opened:
            self._opened, self._opened_count = opened, self._commits.count
        # One comes in a quiet night as well: that the ends of the logs were seen is committed.
        return "" if self._commits.count > self._opened_count else "a commit"


def _size_of(task: Task) -> int:
    """The bytes of a task's local state on disk; files that go meanwhile count as none.

    One call that lets go of Python's lock once: a scrape waits for the worker's loop after each such call.
    """
    files = DISK.get_file_info(FileSelector(str(task.store.path), allow_not_found=True))
    return sum(file.size or 0 for file in files)
