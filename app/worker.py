"""The worker: poll, decode, push, seal, send, commit, over all its tasks, in one loop and one thread."""

from collections.abc import Callable, Iterator

import numpy as np
import structlog

from app.clock import monotonic_ns, now_ns, pause
from app.commit import commit
from app.errors import RunError
from app.outbox import Outbox
from app.ownership import Ownership
from app.progress_metadata import from_position
from app.task import Task
from app.wiring import Pipeline
from schemas.batch import Int64s
from schemas.clocks import NS_PER_MS
from state.errors import StateError
from topics.block import MessageBlock, TopicPartition
from topics.bus import AbortableError, Producer, UnknownOutcomeError
from topics.wire import RegistryUnavailableError

log = structlog.get_logger()

REGISTRY_WAIT_S = 1.0  # between two attempts while the registry is away
REGISTRY_ATTEMPTS_MAX = 200  # stays below max.poll.interval.ms, after which the group would expel us anyway
UNDONE_MAX = 10  # more is no passing trouble
FINAL_CHECK_INTERVAL_NS = 200 * NS_PER_MS


class Worker:
    """One member of the consumer group, and the only writer of its tasks' partitions of the aligned topic."""

    def __init__(
        self, pipeline: Pipeline, *, until_final: bool = False, elapsed_ns: Callable[[], int] = monotonic_ns
    ) -> None:
        """Join the group.  `elapsed_ns` paces commits and checks, and decides nothing about rows."""
        self._elapsed_ns = elapsed_ns
        self._pipeline = pipeline
        self._settings = pipeline.settings.worker
        group = pipeline.settings.pipeline.prefix
        self._transactional_id = f"{group}-{self._settings.slot}"
        self._outbox = Outbox(pipeline.settings, self._producer(), pipeline.registry)
        self.consumer = pipeline.bus.consumer(group=group, client_id=self._transactional_id)
        # Asks how far the group is, for a bounded run.  The member itself cannot while it waits to join, as a
        # static member does for a session timeout when another one has ended.
        self._observer = (
            pipeline.bus.consumer(group=group, client_id=f"{self._transactional_id}-observer")
            if until_final
            else None
        )
        self._ownership = Ownership(pipeline, self.consumer, self._commit_before_revoke)
        self._committed_ns = self._elapsed_ns()
        self._dirty = False
        self._failed = False
        self._undone = 0  # transactions in a row
        self._rows_taken = 0
        self._rows_per_message = 1.0
        self._final_checked_ns = 0
        self.consumer.subscribe(list(pipeline.input_topics), self._ownership)

    @property
    def tasks(self) -> dict[int, Task]:
        """The tasks owned now, by partition."""
        return self._ownership.tasks

    def run(self, stopping: Callable[[], bool]) -> None:
        """Turn until told to stop, or, when bounded, until every input of the group is final."""
        while not stopping() and not self.finished():
            self.turn()

    def turn(self) -> int:
        """Do what one poll brings and return the number of messages; waits a moment if there are none."""
        block = self.consumer.poll(messages_max=self._messages_max(), wait_ms=self._wait_ms())
        released_ns = now_ns()
        try:
            touched = self._take(block, released_ns)
            if block.messages:
                self._rows_per_message = max(1.0, self._rows_taken / block.messages)
            for number in touched:
                rows = self.tasks[number].seal()
                if rows is not None and rows.num_rows:
                    self._outbox.aligned(self.tasks[number], rows)
            self._dirty = self._dirty or bool(touched)
            self._relieve(touched)
            if self._commit_due():
                self.commit()
        except (AbortableError, UnknownOutcomeError) as undone:
            self._rewind(undone)
        return block.messages

    def commit(self) -> None:
        """Commit what is sealed (see `app.commit`), then let local state follow at its own pace."""
        commit(self._outbox, self.consumer, self.tasks)
        self._dirty = False
        self._undone = 0
        self._committed_ns = self._elapsed_ns()
        self._final_checked_ns = self._committed_ns - FINAL_CHECK_INTERVAL_NS  # it may have been the last one
        due = self._committed_ns - self._settings.checkpoint_interval_ms * NS_PER_MS
        for task in self.tasks.values():
            if task.checkpointed_ns <= due and task.operator.caught_up:
                self._checkpoint(task)

    def finished(self) -> bool:
        """Whether the run is bounded and the whole group has committed its final record on every input."""
        if self._observer is None or self._dirty:
            return False
        if not all(task.operator.final for task in self.tasks.values()):
            return False
        if self._elapsed_ns() - self._final_checked_ns < FINAL_CHECK_INTERVAL_NS and self.tasks:
            return False
        self._final_checked_ns = self._elapsed_ns()
        partitions = self._pipeline.settings.bus.partitions
        sources = [TopicPartition(t, n) for t in self._pipeline.input_topics for n in range(partitions)]
        committed = self._observer.committed(sources)
        return all(
            position is not None and from_position(position, f"{source.topic}[{source.partition}]")[0].final
            for source, position in committed.items()
        )

    def close(self, *, failed: bool = False) -> None:
        """Leave the group, with what is sealed committed and the state written down.

        After a failure nothing more is committed: the restart meets what failed again.
        """
        self._failed = failed
        try:
            self.consumer.close()
        finally:
            if self._observer is not None:
                self._observer.close()
            self._ownership.close()
            self._outbox.producer.close()

    def _take(self, block: MessageBlock, released_ns: int) -> set[int]:
        touched = set()
        self._rows_taken = 0
        for source, messages in _by_source(block):
            task = self.tasks.get(source.partition)
            if task is None:
                continue
            before = task.counts.rows
            for attempt in range(REGISTRY_ATTEMPTS_MAX + 1):
                try:
                    letters = list(task.take(source, block, messages, released_ns))
                    break
                except RegistryUnavailableError as away:
                    if attempt == REGISTRY_ATTEMPTS_MAX:
                        raise RunError(f"{away} (waited {attempt * REGISTRY_WAIT_S:.0f} s)") from None
                    if attempt == 0:
                        log.warning("waiting for the registry", reason=str(away))
                    pause(REGISTRY_WAIT_S)
            self._rows_taken += task.counts.rows - before
            self._outbox.letters(letters, source.partition)
            touched.add(source.partition)
        for source, end in block.ends:
            if (task := self.tasks.get(source.partition)) is not None:
                task.operator.reached(self._pipeline.input_topics[source.topic], end)
                touched.add(source.partition)
        return touched

    def _relieve(self, touched: set[int]) -> None:
        for number in touched:
            task = self.tasks[number]
            for topic, (stream, _) in task.inputs.items():
                source = TopicPartition(topic, number)
                full = task.operator.full(stream)
                if full and topic not in task.paused:
                    self.consumer.pause([source])
                    task.paused.add(topic)
                    log.info("paused", topic=topic, partition=number)
                elif topic in task.paused and not full:
                    self.consumer.resume([source])
                    task.paused.discard(topic)
                    log.info("resumed", topic=topic, partition=number)

    def _messages_max(self) -> int:
        """As many messages as hold about `poll_rows_max` rows, going by the last turn's."""
        fitting = int(self._settings.poll_rows_max / self._rows_per_message)
        return max(1, min(self._settings.poll_messages_max, fitting))

    def _commit_due(self) -> bool:
        if not self._dirty:
            return False
        elapsed_ns = self._elapsed_ns() - self._committed_ns
        return (
            elapsed_ns >= self._settings.commit_interval_ms * NS_PER_MS
            or self._outbox.rows >= self._settings.commit_rows_max
        )

    def _wait_ms(self) -> int:
        if not self._dirty:
            return self._settings.poll_wait_ms_max
        elapsed_ms = (self._elapsed_ns() - self._committed_ns) // NS_PER_MS
        return max(0, min(self._settings.poll_wait_ms_max, self._settings.commit_interval_ms - elapsed_ms))

    def _commit_before_revoke(self) -> None:
        if self._failed:
            return
        if not self._dirty and not self._outbox.open:
            self._checkpoint_all()
            return
        try:
            commit(self._outbox, self.consumer, self.tasks)
        except (AbortableError, UnknownOutcomeError) as undone:  # fenced: the slot is another's, so stop
            log.warning(
                "commit before a rebalance failed; the next owner does this work again", reason=str(undone)
            )
            self._renew_producer(undone)
        else:
            self._dirty = False
            self._checkpoint_all()

    def _rewind(self, undone: Exception) -> None:
        self._undone += 1
        if self._undone > UNDONE_MAX:
            raise RunError(f"{self._undone} transactions in a row came to nothing, the last one: {undone}")
        log.warning("transaction undone; going back to the last commit", reason=str(undone))
        self._renew_producer(undone)
        paused = [TopicPartition(topic, n) for n, task in self.tasks.items() for topic in task.paused]
        for source, start in self._ownership.open(sorted(self.tasks)).items():
            self.consumer.seek(source, start)
        self.consumer.resume(paused)
        self._dirty = False

    def _renew_producer(self, undone: Exception) -> None:
        if isinstance(undone, AbortableError):
            self._outbox.producer.abort()
        else:
            self._outbox.producer.close()
            self._outbox.producer = self._producer()
        self._outbox.done()

    def _producer(self) -> Producer:
        return self._pipeline.bus.producer(
            transactional_id=self._transactional_id, client_id=self._transactional_id
        )

    def _checkpoint_all(self) -> None:
        for task in self.tasks.values():
            if task.operator.caught_up:
                self._checkpoint(task)

    def _checkpoint(self, task: Task) -> None:
        try:
            task.checkpoint()
        except StateError as failed:
            raise RunError(
                f"{failed}; nothing is lost: committed work stands, restart when mended"
            ) from failed
        task.checkpointed_ns = self._elapsed_ns()


def _by_source(block: MessageBlock) -> Iterator[tuple[TopicPartition, Int64s]]:
    """Each partition in the block with the indexes of its messages, in offset order."""
    if block.messages == 0:
        return
    # Two bytes are sorted by counting, ten times as fast as four; there are never so many partitions.
    narrow = block.source.astype(np.int16) if len(block.sources) < 2**15 else block.source
    order = np.argsort(narrow, kind="stable")
    cuts = np.flatnonzero(np.diff(block.source[order])) + 1
    for messages in np.split(order, cuts):
        yield block.sources[int(block.source[messages[0]])], messages.astype(np.int64, copy=False)
