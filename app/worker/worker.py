"""The worker: poll, decode, push, seal, send, commit, over all its tasks, in one loop and one thread."""

from collections.abc import Callable, Iterable

import structlog

from app.commit.commit import commit
from app.commit.later_commit import WATCH_MS, LaterCommit
from app.commit.local_state import LocalState
from app.commit.outbox import Outbox
from app.commit.producers import Producers
from app.errors import RunError
from app.process.away import wait_out
from app.process.clock import monotonic_ns, now_ns, pause
from app.process.failpoints import SEALED, reach
from app.process.memory import Leftovers
from app.process.meter import Meter
from app.task.task import Task
from app.wiring.pipeline import Pipeline
from app.worker.group_end import group_is_done
from app.worker.idle import IdleWatch
from app.worker.ownership import Ownership
from app.worker.rereading import Rereading
from app.worker.shares import shares_of
from schemas.batch import Int64s
from schemas.clocks import NS_PER_MS, NS_PER_S
from topics.block import MessageBlock, TopicPartition
from topics.bus import AbortableError, BusUnavailableError, UnknownOutcomeError
from topics.wire import RegistryUnavailableError

log = structlog.get_logger()

REGISTRY_WAIT_S = 1.0  # between two attempts while the registry is away
REGISTRY_ATTEMPTS_MAX = 200  # stays below max.poll.interval.ms, after which the group would expel us anyway
UNDONE_MAX = 10  # more is no passing trouble
PARTIAL_MAX_NS = 60 * NS_PER_S  # longer than other members take to let go of a partition
FINAL_CHECK_INTERVAL_NS = 200 * NS_PER_MS
# What sends the tasks back to the last commit.  Not FencedError: the slot is another worker's then, so stop.
UNDONE = (AbortableError, UnknownOutcomeError, BusUnavailableError)


class Worker:
    """One member of the consumer group, and the only writer of its tasks' partitions of the aligned topic."""

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        until_final: bool = False,
        elapsed_ns: Callable[[], int] = monotonic_ns,
        wall_ns: Callable[[], int] = now_ns,
    ) -> None:
        """Join the group.

        `elapsed_ns` paces commits and checks and says how long an input has been silent; `wall_ns` stamps,
        and is what `max_ahead_of = "wall"` measures times by.  Nothing else about rows hangs on either.
        """
        self._elapsed_ns = elapsed_ns
        self._wall_ns = wall_ns
        self._pipeline = pipeline
        self._settings = pipeline.settings.worker
        group = pipeline.settings.pipeline.prefix
        self._transactional_id = f"{group}-{self._settings.slot}"
        producers = Producers(
            pipeline.bus,
            self._transactional_id,
            lambda: wait_out(self._has_place),
            exactly_once=self._settings.guarantee == "exactly_once",
        )
        self._outbox = Outbox(pipeline.settings, producers, pipeline.registry)
        self.consumer = pipeline.bus.consumer(group=group, client_id=self._transactional_id)
        self._observer = (  # asks how far the group is, for a bounded run
            pipeline.bus.consumer(group=group, client_id=f"{self._transactional_id}-observer")
            if until_final
            else None
        )
        self._later = LaterCommit(self._outbox, self.consumer)
        self._local_state = LocalState(self._settings, elapsed_ns)
        self._idle = IdleWatch(pipeline.settings, self.consumer, elapsed_ns)
        meter = Meter()
        self._rereading = Rereading(meter)
        self._ownership = Ownership(
            pipeline, self.consumer, meter, self._commit_before_revoke, self._undo_lost
        )
        self._committed_ns = self._elapsed_ns()
        self._leftovers = Leftovers(elapsed_ns)
        self._dirty = False
        self._known_behind = False  # rows have come since the last-known entries were written
        self._partial_ns: int | None = None  # since when a task waits for some of its inputs
        self._failed = False
        self._lost = False  # tasks went without a commit, and what they had sent must not be committed
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
        released_ns = self._wall_ns()
        try:
            if self._lost:
                self._lost = False
                raise AbortableError("the group took tasks away while their rows were in a transaction")
            touched = self._take(block, released_ns)
            if block.messages:
                self._rows_per_message = max(1.0, self._rows_taken / block.messages)
            left_out = self._idle.leave_out(self.tasks)
            for number in left_out:
                self._seal(self.tasks[number])
            touched |= left_out
            reach(SEALED)
            self._dirty = self._dirty or bool(touched)
            self._known_behind = self._known_behind or bool(touched)
            if self._observer is not None and not block.messages:
                self._finish_ended()
            self._relieve(touched)
            self._rereading.show(self.tasks.values())
            self._advance_commit()
            if self._commit_due():
                self._commit_when_due()
            self._require_whole_tasks()
            self._leftovers.give_back_when_due()
        except UNDONE as undone:
            self._rewind(undone)
        return block.messages

    def commit(self) -> None:
        """Commit what is sealed (see `app.commit.commit`), then let local state follow at its own pace."""
        begun_ns = self._elapsed_ns()
        self._advance_commit(wait=True)
        self._commit(self._last_known_due())
        ended_ns = self._elapsed_ns()
        # Rows become visible this often, however long a commit takes; but half of the time is for rows.
        self._committed_ns = max(begun_ns, ended_ns - self._settings.commit_interval_ms * NS_PER_MS // 2)
        self._final_checked_ns = ended_ns - FINAL_CHECK_INTERVAL_NS  # it may have been the last one
        for number in self._local_state.due(self.tasks):
            self._local_state.keep(self._local_state.written(self.tasks[number]))

    def finished(self) -> bool:
        """Whether the run is bounded, and the whole group has committed that every task is complete.

        What lies beyond the commit belongs to it: a final record ends a period only while nothing follows.
        """
        if self._observer is None or self._dirty or self._later.open:
            return False
        if not all(task.operator.final for task in self.tasks.values()):
            return False
        if self._elapsed_ns() - self._final_checked_ns < FINAL_CHECK_INTERVAL_NS and self.tasks:
            return False
        self._final_checked_ns = self._elapsed_ns()
        try:
            return group_is_done(self._pipeline, self._observer)
        except BusUnavailableError as away:
            log.warning("whether the run is done is asked again", reason=str(away))
            return False

    def close(self, *, failed: bool = False) -> None:
        """Leave the group, with what is sealed committed and the state written down.

        After a failure nothing more is committed: the restart meets what failed again.
        """
        self._failed = failed
        self._rereading.close()
        try:
            self.consumer.close()
        finally:
            if self._observer is not None:
                self._observer.close()
            self._ownership.close()
            self._outbox.producers.close()

    def _commit(self, last_known: Iterable[int]) -> None:
        operators = {number: self.tasks[number].operator for number in last_known}
        known = [n for n, operator in operators.items() if operator.keeps_last_known and operator.caught_up]
        commit(self._outbox, self.consumer, self.tasks, known)
        for number in known:
            self.tasks[number].known_ns = self._elapsed_ns()
        keeping = {n for n, task in self.tasks.items() if task.operator.keeps_last_known}
        if keeping <= set(known):
            self._known_behind = False
        self._dirty = False
        self._undone = 0

    def _last_known_due(self) -> list[int]:
        due = self._elapsed_ns() - self._settings.last_known_interval_ms * NS_PER_MS
        return [n for n, task in self.tasks.items() if task.known_ns <= due]

    def _commit_when_due(self) -> None:
        """Commit; at least once without waiting, but for what needs a transaction, or when far behind."""
        keeping = any(self.tasks[number].operator.keeps_last_known for number in self._last_known_due())
        if self._outbox.producers.exactly_once or keeping:
            self.commit()
            return
        if self._later.open:
            if self._outbox.rows < self._settings.commit_rows_max:
                return
            self._advance_commit(wait=True)
        due = self._local_state.due(self.tasks)
        states = {number: self._local_state.written(self.tasks[number]) for number in due}
        self._later.begin(self.tasks, states)
        self._committed_ns = self._elapsed_ns()
        self._dirty = False

    def _advance_commit(self, *, wait: bool = False) -> None:
        """Move on a commit that is under way, and let local state follow one that counts now."""
        states = self._later.advance(wait=wait)
        if states is None:
            return
        self._undone = 0
        self._final_checked_ns = self._elapsed_ns() - FINAL_CHECK_INTERVAL_NS
        for written in states.values():
            self._local_state.keep(written)

    def _take(self, block: MessageBlock, released_ns: int) -> set[int]:
        """Take the block a task at a time, and seal and send each task's rows before the next one's turn."""
        self._rows_taken = 0
        shares = shares_of(block)
        touched = shares.keys() & self.tasks.keys()
        for number in sorted(touched):
            task = self.tasks[number]
            for source, messages in shares[number].messages:
                self._take_share(task, source, block, messages, released_ns)
            for source, end in shares[number].ends:
                task.operator.reached(self._pipeline.input_topics[source.topic], end)
                self._idle.ended(task, source.topic, end)
            self._seal(task)
        return touched

    def _take_share(
        self, task: Task, source: TopicPartition, block: MessageBlock, messages: Int64s, released_ns: int
    ) -> None:
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
        self._idle.heard(task, source.topic)

    def _seal(self, task: Task) -> None:
        rows = task.seal()
        if rows is not None and rows.num_rows:
            self._outbox.aligned(task, rows)

    def _finish_ended(self) -> None:
        """Seal, in a bounded run that has read everything, the rows that wait for a later period.

        A paused input that waits for others whose period has ended would wait for ever: its own end is read.
        """
        for task in self.tasks.values():
            if task.paused and task.awaits_ended_inputs():
                self.consumer.resume([TopicPartition(topic, task.partition) for topic in task.paused])
                task.paused.clear()
            if task.operator.ended and not task.operator.final:
                rows = task.finish()
                if rows is not None and rows.num_rows:
                    self._outbox.aligned(task, rows)
                self._dirty = True

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

    def _require_whole_tasks(self) -> None:
        """Stop where the group leaves a task without some of its inputs for long: it would never seal."""
        why = self._ownership.incomplete()
        if why is None:
            self._partial_ns = None
        elif self._partial_ns is None:
            self._partial_ns = self._elapsed_ns()
        elif self._elapsed_ns() - self._partial_ns > PARTIAL_MAX_NS:
            raise RunError(f"{why} (waited {PARTIAL_MAX_NS // NS_PER_S} s)")

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
        wait_ms = self._settings.poll_wait_ms_max
        if self._later.open:
            return min(wait_ms, WATCH_MS)
        if not self._dirty:
            return wait_ms
        elapsed_ms = (self._elapsed_ns() - self._committed_ns) // NS_PER_MS
        return max(0, min(wait_ms, self._settings.commit_interval_ms - elapsed_ms))

    def _commit_before_revoke(self) -> None:
        if self._failed:
            return
        self._leftovers.came()
        try:
            self._advance_commit(wait=True)
            if self._dirty or self._outbox.producers.open or self._known_behind:
                self._commit(self.tasks)
        except UNDONE as undone:
            log.warning(
                "commit before a rebalance failed; the next owner does this work again", reason=str(undone)
            )
            self._outbox.undo(undone)
            self._lost = bool(self.tasks)
        else:
            for task in self.tasks.values():
                if task.operator.caught_up:
                    self._local_state.keep(self._local_state.written(task))

    def _undo_lost(self) -> None:
        """Abort what lost tasks have sent: another worker sends it too.  The tasks that stay go back."""
        if self._outbox.producers.open or self._later.open:
            self._later.drop()
            self._outbox.undo(AbortableError("tasks lost"))
            self._lost = True
        self._dirty = False
        self._leftovers.came()

    def _rewind(self, undone: Exception) -> None:
        self._undone += 1
        if self._undone > UNDONE_MAX:
            raise RunError(f"{self._undone} transactions in a row came to nothing, the last one: {undone}")
        log.warning("transaction undone; going back to the last commit", reason=str(undone))
        self._later.drop()
        paused = [TopicPartition(topic, n) for n, task in self.tasks.items() for topic in task.paused]
        self._outbox.undo(undone)
        for source, start in self._ownership.open(sorted(self.tasks)).items():
            self.consumer.seek(source, start)
        self.consumer.resume(paused)
        self._dirty = False
        self._leftovers.came()

    def _has_place(self) -> bool:
        """Whether this worker has its place in the group; raises FencedError where another has it.

        Committing again what is committed changes nothing, and only who has the place may.  Without tasks
        there is nothing to prove it by, and no transaction to open.
        """
        if not self.tasks:
            return False
        sources = [TopicPartition(topic, n) for n in self.tasks for topic in self._pipeline.input_topics]
        committed = self.consumer.committed(sources)
        try:
            self.consumer.commit({place: told for place, told in committed.items() if told is not None})
        except AbortableError as absent:
            log.info("this worker has no place in its group until it joins again", reason=str(absent))
            return False
        return True
