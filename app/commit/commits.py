"""Commits: what is dirty, what is due and what is under way, exactly once and at least once."""

from collections.abc import Callable, Collection, Mapping
from enum import Enum, auto
from functools import partial
from typing import Final

import structlog

from app.commit.input_counts import InputCounts
from app.commit.later_commit import WATCH_MS, LaterCommit
from app.commit.local_state import LocalState
from app.commit.outbox import Outbox
from app.commit.schedule import Along, CommitSchedule, KeptSchedules
from app.errors import RunError
from app.metrics.catalogue import COMMITS
from app.metrics.ledger import Ledger
from app.metrics.phases import COMMIT, STATE
from app.settings.worker import WorkerSettings
from app.task.task import Task
from topics.block import TopicPartition
from topics.bus import AbortableError, BusUnavailableError, Consumer, FencedError, UnknownOutcomeError

log = structlog.get_logger()

UNDONE_MAX: Final = 10  # more is no passing trouble
# What sends the tasks back to the last commit.  Not FencedError: the slot is another worker's then, so stop.
UNDONE: Final = (AbortableError, UnknownOutcomeError, BusUnavailableError)

CommitCall = Callable[
    [Outbox, Consumer, InputCounts, Mapping[int, Task], Collection[int], Collection[int]], None
]


class State(Enum):
    """Whether what was read and sent since the last commit may be committed.

    OPEN -> LOST    tasks went without a commit: what they had sent was undone, and so was that of all others
    LOST -> OPEN    the tasks that stayed have gone back to the last commit
    any -> FAILED   the worker ends, and its restart is to meet what failed again
    """

    OPEN = auto()
    LOST = auto()
    FAILED = auto()


class Commits:
    """Commits what the tasks have sealed, and lets last-known entries and local state go along when due."""

    def __init__(
        self,
        tasks: Mapping[int, Task],
        outbox: Outbox,
        consumer: Consumer,
        counts: InputCounts,
        settings: WorkerSettings,
        elapsed_ns: Callable[[], int],
        commit: CommitCall,
        ledger: Ledger | None = None,
    ) -> None:
        """`tasks` are those owned now, by partition; `commit` takes the steps of `app.commit.commit`."""
        self.state = State.OPEN
        self._ledger = ledger or Ledger(())
        self._tasks = tasks
        self._outbox = outbox
        self._elapsed_ns = elapsed_ns
        self._consumer = consumer
        self._commit = partial(commit, outbox, consumer, counts)
        self._later = LaterCommit(outbox, consumer, counts)
        self._local_state = LocalState(settings, elapsed_ns)
        self._schedule = CommitSchedule(settings, elapsed_ns)
        self._kept = KeptSchedules(settings, elapsed_ns)
        self._undone = 0  # transactions in a row

    @property
    def count(self) -> int:
        """Commits that count by now."""
        return self._ledger.totals[COMMITS, "done"]

    @property
    def settled(self) -> bool:
        """Whether everything read and sealed is committed."""
        return not self._schedule.dirty and not self._later.open

    def mark_dirty(self) -> None:
        """Something was read or sealed that no commit holds yet."""
        self._schedule.dirty = True
        self._kept.mark_behind()

    def wait_ms(self) -> int:
        """How long a poll may wait for messages: until the next step of a commit."""
        if self._later.open:
            return min(self._schedule.wait_ms_max, WATCH_MS)
        return self._schedule.wait_ms()

    def go_on(self) -> None:
        """Move on a commit that is under way, and commit when due.

        At least once nobody waits for it, but for what needs a transaction, or where rows are far ahead.
        """
        self._advance()
        if not self._schedule.due(self._outbox.rows):
            return
        kept = any(self._kept.due(self._tasks))
        if self._outbox.producers.exactly_once or kept or self._has_records():
            self.commit()
        else:
            self._begin_later()

    def commit(self) -> None:
        """Commit what is sealed (see `app.commit.commit`), then let local state follow at its own pace."""
        begun_ns = self._elapsed_ns()
        self._advance(wait=True)
        self._commit_now(self._kept.due(self._tasks))
        self._schedule.end(begun_ns)
        for number in self._local_state.due(self._tasks):
            self._keep_state(self._tasks[number])

    def before_revoke(self) -> None:
        """Commit what is sealed, and let the state of all tasks follow, while they are ours.

        Where that fails the next owner does the work again.
        """
        if self.state is not State.OPEN:
            return
        try:
            self._advance(wait=True)
            if self._schedule.dirty or self._outbox.producers.open or self._kept.behind:
                self._commit_now(self._kept.able(self._tasks))
        except UNDONE as undone:
            log.warning(
                "commit before a rebalance failed; the next owner does this work again", reason=str(undone)
            )
            self._outbox.undo(undone)
            self._ledger.undo(outcome_of(undone))
            if self._tasks:
                self.state = State.LOST
            return
        for task in self._tasks.values():
            if task.operator.caught_up:
                self._keep_state(task)

    def after_lost(self) -> None:
        """Undo what is sent and not committed: another worker has lost tasks and sends their rows, too."""
        if self._outbox.producers.open or self._later.open:
            self._later.drop()
            self._outbox.undo(AbortableError("tasks lost"), lost=True)
            self._ledger.undo("aborted")
            if self.state is State.OPEN:
                self.state = State.LOST
        self._schedule.dirty = False

    def require_slot(self, source: TopicPartition) -> None:
        """Raise FencedError where another worker has the slot; only from `Rebalance.rejoining`."""
        self._outbox.producers.require_slot(self._consumer, source)

    def undo(self, undone: Exception) -> None:
        """Undo everything since the last commit, to which all tasks go back now.

        Raises RunError where that comes to happen again and again.
        """
        self._undone += 1
        if self._undone > UNDONE_MAX:
            raise RunError(f"{self._undone} transactions in a row came to nothing, the last one: {undone}")
        log.warning("transaction undone; going back to the last commit", reason=str(undone))
        self._later.drop()
        self._outbox.undo(undone)
        if self.state is not State.LOST:  # which has been counted
            self._ledger.undo(outcome_of(undone))
        self._schedule.dirty = False
        self.state = State.OPEN

    def fail(self) -> None:
        """Commit nothing more: the restart is to meet what failed again."""
        self.state = State.FAILED

    def forget(self, number: int) -> None:
        """A task was closed."""
        self._local_state.forget(number)
        self._kept.forget(number)

    def _commit_now(self, along: Along) -> None:
        self._ledger.commit_begins()
        try:
            self._commit(self._tasks, *along)
        except FencedError:
            self._ledger.undo("fenced")
            raise
        self._kept.record(along, self._tasks)
        self._schedule.dirty = False
        self._done()

    def _begin_later(self) -> None:
        if self._later.open:
            if not self._schedule.crowded(self._outbox.rows):
                return
            self._advance(wait=True)
        due = self._local_state.due(self._tasks)
        states = {number: self._local_state.state_of(self._tasks[number]) for number in due}
        self._ledger.commit_begins()
        self._later.begin(self._tasks, states)
        self._schedule.begin()

    def _advance(self, *, wait: bool = False) -> None:
        """Move on a commit that is under way, and let local state follow one that counts now."""
        states = self._later.advance(wait=wait)
        if states is None:
            return
        self._done()
        for state in states.values():
            self._local_state.keep(state)
        self._ledger.phases.end(STATE)

    def _has_records(self) -> bool:
        return any(task.has_record for task in self._tasks.values())

    def _done(self) -> None:
        self._ledger.commit_done()
        self._ledger.phases.end(COMMIT)
        self._undone = 0

    def _keep_state(self, task: Task) -> None:
        self._local_state.keep(self._local_state.state_of(task))
        self._ledger.phases.end(STATE)


def outcome_of(undone: Exception) -> str:
    """What became of a commit that did not count, as far as is known."""
    return "aborted" if isinstance(undone, AbortableError) else "unknown"
