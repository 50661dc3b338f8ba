"""Dispatch: each task gets its share of a block, and what it seals and sets aside is sent."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import structlog

from app.commit.commits import CommitCall
from app.commit.outbox import Outbox, Stamp, stamp_of
from app.errors import RunError
from app.metrics.catalogue import (
    BYTES_READ,
    DEAD_LETTERS,
    MESSAGES_READ,
    REASONS,
    ROWS_ASSUMED,
    ROWS_LATE,
    ROWS_READ,
    ROWS_SEALED,
    ROWS_UNMATCHED,
)
from app.metrics.ledger import Ledger
from app.metrics.phases import PUSH, SEAL, SEND
from app.process.clock import monotonic_ns, pause
from app.reading.models import ModelFeed
from app.settings.worker import WorkerSettings
from app.task.letters import Letter
from app.task.sink import Sink
from app.task.task import Task
from app.worker.idle import IdleWatch
from app.worker.shares import shares_of
from app.worker.tally import Tally
from operators.sealed import ALIGNED, Sealed
from schemas.batch import Int64s
from schemas.letters import DeadLetter
from topics.block import MessageBlock, TopicPartition
from topics.wire import RegistryUnavailableError

log = structlog.get_logger()

REGISTRY_WAIT_S: Final = 1.0  # between two attempts while the registry is away
REGISTRY_ATTEMPTS_MAX: Final = 200  # stays below max.poll.interval.ms, after which the group would expel us


class Dispatch:
    """Takes blocks, and says how many messages the next one may have."""

    def __init__(
        self,
        tasks: Mapping[int, Task],
        outbox: Outbox,
        idle: IdleWatch,
        settings: WorkerSettings,
        wall_ns: Callable[[], int],
        tally: Tally,
        ledger: Ledger,
        models: ModelFeed | None = None,
    ) -> None:
        """`wall_ns` stamps what is read, and is what `max_ahead_of = "wall"` measures times by.

        Exactly once nobody sees rows before their commit, so nodes may run just before it.  `models` is None
        for a graph without any.
        """
        self._nodes_now = settings.guarantee != "exactly_once"
        self._tasks = tasks
        self._outbox = outbox
        self._idle = idle
        self._settings = settings
        self._wall_ns = wall_ns
        self._tally = tally
        self._ledger = ledger
        self._models = models
        self._rows_per_message = 1.0

    def messages_max(self) -> int:
        """As many messages as hold about `poll_rows_max` rows, going by the last block's."""
        fitting = int(self._settings.poll_rows_max / self._rows_per_message)
        return max(1, min(self._settings.poll_messages_max, fitting))

    def take(self, block: MessageBlock) -> set[int]:
        """Take a block a task at a time, and seal and send each task's rows before the next one's turn.

        Messages of a task that is not open are passed over: opening it says where to read.  Returns the
        tasks that had a share.  Raises RunError where the registry is away for long.
        """
        if self._models is not None:
            self._models.follow()
        released_ns, rows = self._wall_ns(), 0
        shares = shares_of(block)
        touched = shares.keys() & self._tasks.keys()
        for number in sorted(touched):
            task = self._tasks[number]
            for source, messages in shares[number].messages:
                rows += self._take_share(task, source, block, messages, released_ns)
            for source, end in shares[number].ends:
                task.operator.inputs.read_to(task.readings[source.topic].stream, end)
                self._idle.ended(source, end)
            self.seal(task)
        if block.messages:
            self._rows_per_message = max(1.0, rows / block.messages)
        return touched

    def close(self) -> None:
        """Follow the models no more."""
        if self._models is not None:
            self._models.close()

    @property
    def warming(self) -> bool:
        """Whether nodes of any task have sealed rows to take again."""
        return any(task.warming is not None for task in self._tasks.values())

    def warm(self) -> tuple[set[int], int]:
        """Let nodes take some of the rows that they lack, a task after the other.

        Returns the tasks that are warm now, sealed as far as they can be, and how many messages were read.
        """
        cold = [number for number in sorted(self._tasks) if self._tasks[number].warming is not None]
        messages = sum(self._tasks[number].warm() for number in cold)
        if cold:
            self._ledger.phases.end(PUSH)
        warm = {number for number in cold if self._tasks[number].warming is None}
        for number in warm:
            self.seal(self._tasks[number])
        return warm, messages

    def seal(self, task: Task) -> None:
        """Send the rows of a task that are final now; exactly once, those for nodes wait for `run_nodes`."""
        parts = task.seal(nodes=self._nodes_now)
        self._ledger.phases.end(SEAL)
        self._send(task, parts, stamp_of(task))
        if task.operator.nodes.due:
            self._run_nodes(task)

    def before(self, commit: CommitCall) -> CommitCall:
        """The commit, with the rows that wait for nodes taken and what comes of them sent before it."""

        def committed(*args: Any) -> None:
            self.run_nodes()
            commit(*args)

        return committed

    def run_nodes(self) -> None:
        """Let the nodes of every task take the rows that wait for them, and send what comes of it."""
        for task in self._tasks.values():
            self._run_nodes(task)

    def finish(self, task: Task) -> None:
        """Send the rows of a task that still wait, for rows of a period that will not be read."""
        parts = task.finish()
        self._ledger.phases.end(SEAL)
        self._send(task, parts, stamp_of(task))

    def _run_nodes(self, task: Task) -> None:
        """Frames of rows that waited say when the first of them was let go: nobody's delay looks shorter."""
        stamp = stamp_of(task)._replace(released_ns=task.seen.waiting_ns or task.seen.released_ns)
        parts = task.run_nodes()
        self._ledger.phases.end(SEAL)
        self._send(task, parts, stamp)

    def _send(self, task: Task, parts: Iterator[tuple[Sink, Sealed]], stamp: Stamp) -> None:
        before = task.counts.rows_sealed
        for sink, sealed in parts:
            if sink.name == ALIGNED:
                self._count_sealed(task, sealed)
            self._outbox.send(sink, sealed, stamp)
        failed = task.operator.nodes.failures()
        task.counts.dead += len(failed)
        self._outbox.failed_tiles(failed, task.partition)
        self._tally.now.dead += len(failed)
        self._ledger.phases.end(SEND)
        self._tally.now.sealed += task.counts.rows_sealed - before

    def _count_sealed(self, task: Task, sealed: Sealed) -> None:
        """Count joined rows; all of a seal are as old, since the last message they needed came last."""
        assert sealed.rows is not None
        rows, ledger = sealed.rows.num_rows, self._ledger
        ledger.seal_latency.add(self._wall_ns() - task.seen.released_ns, rows)
        ledger.add_rows(ROWS_SEALED, by=rows)
        ledger.add_rows(ROWS_ASSUMED, by=sealed.assumed_rows)
        for stream, matched in sealed.matched_rows.items():
            ledger.add_rows(ROWS_UNMATCHED, stream, by=rows - matched)

    def _take_share(
        self, task: Task, source: TopicPartition, block: MessageBlock, messages: Int64s, released_ns: int
    ) -> int:
        """Take the messages of one input, and return how many rows they had."""
        reading = task.readings[source.topic]
        sizes = block.value_size[messages]
        self._ledger.add(MESSAGES_READ, reading.stream, by=int(sizes.size))
        self._ledger.add(BYTES_READ, reading.stream, by=int(sizes.sum()))
        before = reading.rows_in, task.counts.rows_new, reading.rows_late, task.counts.dead
        for attempt in range(REGISTRY_ATTEMPTS_MAX + 1):
            try:
                letters = list(task.take(source, block, messages, released_ns, self._ledger.phases))
                break
            except RegistryUnavailableError as away:
                if attempt == REGISTRY_ATTEMPTS_MAX:
                    raise RunError(f"{away} (waited {attempt * REGISTRY_WAIT_S:.0f} s)") from None
                if attempt == 0:
                    log.warning("waiting for the registry", reason=str(away))
                begun_ns = monotonic_ns()
                pause(REGISTRY_WAIT_S)
                self._ledger.waited("registry", monotonic_ns() - begun_ns)
        self._outbox.letters(letters, source.partition)
        self._idle.heard(source)
        self._ledger.add_rows(ROWS_READ, reading.stream, by=task.counts.rows_new - before[1])
        self._ledger.add_rows(ROWS_LATE, reading.stream, by=reading.rows_late - before[2])
        for reason, count in Counter(_reasons(letters)).items():
            self._ledger.add_rows(DEAD_LETTERS, reading.stream, reason, by=count)
        self._ledger.phases.end(SEND)
        self._tally.now.rows_in += task.counts.rows_new - before[1]
        self._tally.now.late += reading.rows_late - before[2]
        self._tally.now.dead += task.counts.dead - before[3]
        return reading.rows_in - before[0]


def _reasons(letters: Iterable[Letter]) -> Iterator[str]:
    """Why messages are dead, of the letters that are about dead ones."""
    for letter in letters:
        if isinstance(letter.about, DeadLetter):
            yield REASONS[letter.about.error]
