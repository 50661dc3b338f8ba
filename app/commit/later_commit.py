"""A commit at least once that nobody waits for: the steps of `app.commit.commit`, while rows are sealed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.commit.commit import positions_of
from app.commit.input_counts import InputCounts
from app.commit.outbox import Outbox
from app.process.failpoints import COMMIT_BEGIN, COMMIT_END, COMMIT_STATE, reach
from app.task.task import Task, TaskState
from topics.block import TopicPartition
from topics.bus import AbortableError, Consumer, Position

WATCH_MS: Final = 5  # how often a worker with nothing to read looks how far a commit is


@dataclass(slots=True)
class _Begun:
    """What is to count once all rows up to `mark` are acknowledged, and the state that follows."""

    mark: int
    positions: Mapping[TopicPartition, Position]
    states: Mapping[int, TaskState]
    sent: bool = False  # the offsets are on their way


class LaterCommit:
    """At most one commit under way, moved on by `advance`.

    Offsets and local state are written down as they stand when it begins: what is sealed meanwhile belongs
    to the next one.  Offsets are sent only once every row sealed before is acknowledged, and the state is
    handed back to be kept only once the offsets count.
    """

    def __init__(self, outbox: Outbox, consumer: Consumer, counts: InputCounts) -> None:
        self._outbox = outbox
        self._counts = counts
        self._consumer = consumer
        self._begun: _Begun | None = None

    @property
    def open(self) -> bool:
        """Whether one is under way."""
        return self._begun is not None

    def begin(self, tasks: Mapping[int, Task], states: Mapping[int, TaskState]) -> None:
        """Begin to commit everything sealed so far, and `states` of some tasks as they stand now."""
        assert self._begun is None, "one commit at a time"
        reach(COMMIT_BEGIN)
        self._counts.ask()
        positions = positions_of(tasks)
        self._begun = _Begun(self._outbox.mark(), positions, states)

    def advance(self, *, wait: bool = False) -> Mapping[int, TaskState] | None:
        """Do what can be done now, or all of it; returns the state to keep once the commit counts.

        Raises what the bus raises, and RunError where an input has another number of partitions by now;
        nothing is under way then.
        """
        begun = self._begun
        if begun is None:
            return None
        try:
            if wait and not begun.sent:
                self._outbox.producers.acknowledged()
                self._counts.require()
                reach(COMMIT_END)
                self._consumer.commit(begun.positions)
            elif self._under_way(begun, wait=wait):
                return None
        except BaseException:
            self._begun = None
            raise
        self._begun = None
        reach(COMMIT_STATE)
        return begun.states

    def _under_way(self, begun: _Begun, *, wait: bool) -> bool:
        if not begun.sent:
            if not self._outbox.producers.reached(begun.mark):
                return True
            self._counts.require()
            reach(COMMIT_END)
            self._consumer.commit_soon(begun.positions)
            begun.sent = True
        return self._consumer.committing(wait=wait)

    def drop(self) -> None:
        """Cancel the pending commit; an answer in flight is waited for, lest it overtake the next request."""
        begun, self._begun = self._begun, None
        if begun is not None and begun.sent:
            try:
                self._consumer.committing(wait=True)
            except AbortableError:
                return  # it did not count, which is what forgetting says
