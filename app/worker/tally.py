"""The tally: what this worker has done, as a line now and then, and as its last one."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from app.task.task import Task
from schemas.clocks import NS_PER_S
from topics.block import TopicPartition
from topics.bus import Admin, Bus, BusUnavailableError

log = structlog.get_logger()

REPORT_INTERVAL_NS: Final = 60 * NS_PER_S
LATE_PERCENT_MAX: Final = 1  # of the rows read; more is told once


@dataclass(slots=True)
class Figures:
    """Rows read for the first time, sealed and late, and what is dead: rows and unreadable messages."""

    rows_in: int = 0
    sealed: int = 0
    late: int = 0
    dead: int = 0

    def since(self, before: "Figures") -> "Figures":
        """What came to these after `before`."""
        return Figures(
            self.rows_in - before.rows_in,
            self.sealed - before.sealed,
            self.late - before.late,
            self.dead - before.dead,
        )


class Tally:
    """Counts over all tasks that this worker has had; what a commit did not make true is taken back.

    Every minute a log line says what was done since the last one.  A warning, once, says that more than 1 %
    of the rows were late.
    """

    def __init__(self, bus: Bus, left: str, elapsed_ns: Callable[[], int]) -> None:
        """`left` is the stream whose rows wait and are sealed."""
        self.now = Figures()
        self.committed = Figures()
        self.waiting = 0  # left rows of the tasks that were owned as the worker stopped
        self._bus = bus
        self._left = left
        self._elapsed_ns = elapsed_ns
        self._admin: Admin | None = None
        self._commits = 0  # as far as they are followed
        self._reported = Figures()
        self._reported_ns = elapsed_ns()
        self._warned = False

    def follow(self, commits: int) -> None:
        """Take what was counted for true if there are more commits than before."""
        if commits != self._commits:
            self._commits = commits
            self.committed = replace(self.now)

    def undo(self) -> None:
        """Go back to the last commit, as the tasks do."""
        self.now = replace(self.committed)

    def stop(self, tasks: Collection[Task]) -> None:
        """Note what waits, before the tasks are given up."""
        self.waiting = sum(task.operator.held(self._left)[0] for task in tasks)

    def report_when_due(self, tasks: Collection[Task]) -> None:
        """Log a line where the last one is a minute old."""
        elapsed_ns = self._elapsed_ns() - self._reported_ns
        if elapsed_ns < REPORT_INTERVAL_NS:
            return
        # A rewind takes back what an earlier line counted: it is counted again, and not below zero.
        done = self.now.since(self._reported)
        sources = {
            TopicPartition(topic, task.partition): reading.next_offset
            for task in tasks
            for topic, reading in task.readings.items()
        }
        log.info(
            "at work",
            seconds=elapsed_ns // NS_PER_S,
            tasks=len(tasks),
            rows_in=max(0, done.rows_in),
            sealed=max(0, done.sealed),
            late=max(0, done.late),
            dead=max(0, done.dead),
            waiting=sum(task.operator.held(self._left)[0] for task in tasks),
            unread=self._unread(list(sources), sum(sources.values())),
            frontier_ns=min((task.operator.inputs.frontier_ns for task in tasks), default=None),
        )
        self._reported, self._reported_ns = replace(self.now), self._elapsed_ns()
        self.warn_of_late(self.now)

    def warn_of_late(self, figures: Figures) -> None:
        """Warn, once in a worker's life, where more than 1 % of the rows were late."""
        if self._warned or figures.late * 100 <= LATE_PERCENT_MAX * figures.rows_in:
            return
        self._warned = True
        log.warning(
            f"more than {LATE_PERCENT_MAX} % of the rows were late: `python -m app late summary` says which "
            "stream's and by how much; a larger grace_ns waits for them, but not for a day that is published "
            "a second time: `python -m app reset` has it joined once more",
            late=figures.late,
            rows_in=figures.rows_in,
        )

    def closing_words(self, *, finished: bool) -> str:
        """The last line of a worker that ends well: what it made true, and what waits for the next one."""
        done = self.committed
        dead = f", {done.dead:,} dead" if done.dead else ""
        rows = "1 row" if done.sealed == 1 else f"{done.sealed:,} rows"
        wait = "1 waits" if self.waiting == 1 else f"{self.waiting:,} wait"
        words = f"{rows} sealed, {done.late:,} late{dead}, {wait}"
        return f"{'done' if finished else 'stopped'}: {words}"

    def _unread(self, sources: Sequence[TopicPartition], read_to: int) -> int | None:
        """Offsets that no task has read, markers of transactions among them; None where nobody answers."""
        try:
            if self._admin is None:
                self._admin = self._bus.admin()
            ranges = self._admin.ranges(sources)
        except BusUnavailableError:
            self._admin = None
            return None
        return max(0, sum(log_range.stable for log_range in ranges.values()) - read_to)
