"""Ownership: which tasks are this worker's, opened where the last commit left them."""

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import structlog

from app.commit.input_counts import InputCounts
from app.errors import RunError
from app.metrics.catalogue import REBALANCES, REPLACED
from app.metrics.ledger import Ledger
from app.metrics.phases import STATE
from app.process.away import wait_out
from app.process.failpoints import RECALL, RESTORE, REVOKE, reach
from app.process.meter import Meter
from app.process.version import program_version
from app.reading.last_known import last_known_entries
from app.reading.partition import require_settled
from app.reading.warming import warm_nodes
from app.task.metadata import Committed, LogIds
from app.task.reading import Reading
from app.task.task import Life, Task
from app.wiring.logs import read_positions, require_same_logs
from app.wiring.pipeline import Pipeline
from app.wiring.slot import member_id
from app.worker.committed import task_progress
from app.worker.local_state import restored
from app.worker.node_state import needed_behind, read_for_nodes, recall_nodes
from app.worker.outputs import sinks_at
from app.worker.recovery import Recovery
from app.worker.rule_change import read_back, rule_change
from app.worker.set_aside import with_all_late
from operators.entries import SnapshotError
from operators.inputs.progress import InputProgress, TaskProgress
from operators.inputs.resuming import ResumePlan, needs_kept, plan_resume
from operators.operator import Keeps, Nodes
from operators.sealed import ALIGNED
from schemas.clocks import BEGINNING_NS, NS_PER_S
from topics.block import TopicPartition
from topics.bus import AbortableError, Consumer, LogId
from topics.catalogue import LAST_KNOWN

log = structlog.get_logger()

OPENED = "task opened"  # what the log says of each; `app.day` waits for it
PARTIAL_MAX_NS = 60 * NS_PER_S  # longer than other members take to let go of a partition


class Committer(Protocol):
    """What commits for the tasks, as Ownership needs it."""

    def before_revoke(self) -> None:
        """Commit what is sealed, while the tasks are ours."""
        ...

    def mark_dirty(self) -> None:
        """There is something to commit."""
        ...

    def after_lost(self) -> None:
        """Undo what was sent of tasks that are another worker's already."""
        ...

    def require_slot(self, source: TopicPartition) -> None:
        """Raise FencedError where another worker has the slot of this one; `source` is one of its inputs."""
        ...


class Ownership:
    """Opens a task when all its inputs are assigned, and gives it up when the group takes it."""

    def __init__(
        self,
        pipeline: Pipeline,
        consumer: Consumer,
        counts: InputCounts,
        tasks: dict[int, Task],
        meter: Meter,
        elapsed_ns: Callable[[], int],
        commits: Committer,
        on_close: Callable[[int], None],
        ledger: Ledger | None = None,
    ) -> None:
        """`tasks` holds the tasks that are open, by partition number; nobody else changes it.

        `on_close` hears of each task that is closed.
        """
        self.tasks = tasks
        self._pipeline = pipeline
        self._consumer = consumer
        self._counts = counts
        self._commits = commits
        self._on_close = on_close
        self._meter = meter
        self._elapsed_ns = elapsed_ns
        self._ledger = ledger or Ledger(())
        self._recovery = Recovery(self._ledger, elapsed_ns)
        self._assigned: set[TopicPartition] = set()  # tasks open once all their inputs are here
        self._partial_ns: int | None = None  # since when one waits for some of them

    def assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Open the tasks whose inputs are all here now and return where to read each input from.

        The classic protocol deals all partitions at once: an input without the others then is a group that
        was set up wrongly.  The consumer protocol may bring them one by one, as others let go of them.
        Raises RunError, with the figures, where the inputs have other partition counts than they should.
        """
        self._counts.ask()
        self._counts.require()
        self._assigned |= set(partitions)
        starts: dict[TopicPartition, int] = {}
        whole = []
        for number in sorted({source.partition for source in partitions}):
            inputs = {TopicPartition(topic, number) for topic in self._pipeline.input_topics}
            if inputs <= self._assigned:
                whole.append(number)
                continue
            if self._pipeline.settings.bus.group_protocol == "classic":
                raise RunError(self._unequal(number))
            log.info("waiting for the other inputs of a task", partition=number)
            starts |= {source: self._consumer.offsets(source)[1] for source in inputs & set(partitions)}
        self._ledger.add(REBALANCES, "assigned", by=len(whole))
        return starts | self.open(whole)

    def incomplete(self) -> str | None:
        """A message about tasks that have only some of their inputs; None if every task is complete."""
        numbers = {source.partition for source in self._assigned} - set(self.tasks)
        return self._unequal(min(numbers)) if numbers else None

    def require_whole(self) -> None:
        """Stop where the group leaves a task without some of its inputs for long: it would never seal."""
        why = self.incomplete()
        if why is None:
            self._partial_ns = None
        elif self._partial_ns is None:
            self._partial_ns = self._elapsed_ns()
        elif self._elapsed_ns() - self._partial_ns > PARTIAL_MAX_NS:
            raise RunError(f"{why} (waited {PARTIAL_MAX_NS // NS_PER_S} s)")

    @property
    def partial_ns(self) -> int:
        """How long the group has left a task without some of its inputs; 0 where it has not."""
        return 0 if self._partial_ns is None else self._elapsed_ns() - self._partial_ns

    def partial_tasks(self) -> int:
        """How many tasks have only some of their inputs; from any thread."""
        return len({source.partition for source in list(self._assigned)} - set(self.tasks))

    def see_caught_up(self) -> None:
        """Note how long tasks took that have taken again all that was committed."""
        self._recovery.see(self.tasks)

    def has_place(self) -> bool:
        """Whether this worker has its place in the group; raises FencedError where another has it.

        The proof is to commit the committed positions again: this changes nothing, and only the member that
        has the place may do it.  Without tasks there is no proof, and no transaction to open.
        """
        if not self.tasks:
            return False
        sources = [TopicPartition(topic, n) for n in self.tasks for topic in self._pipeline.input_topics]
        committed = self._consumer.committed(sources)
        try:
            self._consumer.commit({source: at for source, at in committed.items() if at is not None})
        except AbortableError as absent:
            log.info("this worker has no place in its group until it joins again", reason=str(absent))
            return False
        return True

    def _unequal(self, number: int) -> str:
        inputs = {TopicPartition(topic, number) for topic in self._pipeline.input_topics}
        there, missing = (
            ", ".join(sorted(source.topic for source in sources))
            for sources in (inputs & self._assigned, inputs - self._assigned)
        )
        return (
            f"the group gave this worker partition {number} of {there} without {missing}: inputs must have "
            'equal partition counts and every member the "range" assignor'
        )

    def open(self, numbers: Sequence[int]) -> dict[TopicPartition, int]:
        """(Re)open tasks at the committed offsets; returns where to read each input from."""
        starts = wait_out(lambda: self._open(numbers), partial(self._ledger.waited, "broker"))
        self._ledger.phases.end(STATE)
        return starts

    def _open(self, numbers: Sequence[int]) -> dict[TopicPartition, int]:
        sources = [TopicPartition(topic, n) for n in numbers for topic in self._pipeline.input_topics]
        positions = self._consumer.committed(sources)
        logs = self._pipeline.log_ids()
        kept = [self._pipeline.settings.topic(name) for name in self._pipeline.settings.restart_topics]
        kept += [self._pipeline.settings.topic(ALIGNED)] if self._pipeline.remembers else []
        require_settled(self._pipeline.bus, [TopicPartition(topic, n) for n in numbers for topic in kept])
        starts: dict[TopicPartition, int] = {}
        for number in numbers:
            self._drop(number)
        for number in numbers:
            committed = read_positions((one for one in sources if one.partition == number), positions)
            require_same_logs(committed, logs, self._pipeline.settings)
            self._recovery.begin(number)
            starts |= self._open_task(number, committed, logs)
        return starts

    def _open_task(
        self, number: int, positions: Mapping[TopicPartition, Committed | None], logs: Mapping[str, LogId]
    ) -> dict[TopicPartition, int]:
        resumed = None not in positions.values()
        committed, newest = task_progress(self._committed_by(positions))
        identity, member = self._pipeline.identity(number, logs), member_id(self._pipeline.settings)
        next_offsets = {name: one.next_offset for name, one in committed.inputs.items()} if resumed else {}
        reread = rule_change(number, newest.rule, committed.frontier_ns, self._pipeline)
        needed = read_back(number, committed, reread, self._pipeline, self._consumer.offsets)
        state, operator = restored(self._pipeline, number, identity, next_offsets, self._consumer.offsets)
        try:
            reach(RESTORE)
            kept_from = None if state.checkpoint is None else state.checkpoint.next_offsets
            if resumed and state.checkpoint is None and operator.nodes.remembers:
                self._recall_nodes(number, operator.nodes, committed)
            recalled: Mapping[str, int] = {}
            void: Collection[bytes] = ()
            if resumed and operator.keeps is not None:
                if not reread.keeps:
                    void = self._last_known(number).keys()
                elif needs_kept(needed, kept_from):
                    recalled = self._recall(number, operator.keeps, committed.frontier_ns)
            if resumed:
                needed = self._with_rows_of_nodes(number, operator.nodes, needed, kept_from)
            plan = with_all_late(number, plan_resume(needed, kept_from, recalled), self._pipeline)
            operator.resume(replace(plan, held_ns=reread.held_ns, void=void))
            starts = {
                TopicPartition(topic, number): plan.read_from[stream]
                for topic, stream in self._pipeline.input_topics.items()
            }
            self._require_in_log(starts, plan.committed.inputs)
            sinks = sinks_at(self._pipeline, number, newest.parity, next_offsets)
        except BaseException:
            state.store.close()  # or the next to open it would find it locked
            raise
        self.tasks[number] = Task(
            partition=number,
            operator=operator,
            readings=self._readings(number, plan, logs),
            sinks=sinks,
            store=state.store,
            identity=identity,
            ahead_limit=self._pipeline.ahead_limit(),
            life=Life(str(self._pipeline.rule), newest.rule, member, program_version()),
            warming=self._warming(number, operator.nodes, newest),
        )
        if resumed:
            self._recovery.restored(state)
        if resumed and (newest.rule, newest.member) != (str(self._pipeline.rule), member):
            self._commits.mark_dirty()  # so that the commit names rule and worker soon, in a quiet task too
        log.info(
            OPENED,
            partition=number,
            frontier_ns=committed.frontier_ns,
            state=state.reason,
            nodes={what: names for what, names in operator.nodes.standing._asdict().items() if names},
            starts={source.topic: start for source, start in starts.items()},
        )
        return starts

    def _committed_by(self, positions: Mapping[TopicPartition, Committed | None]) -> dict[str, Committed]:
        """What is committed of each input, by stream; of one without a commit, that its log begins."""
        committed_by: dict[str, Committed] = {}
        for source, one in positions.items():
            if one is None:
                low, _ = self._consumer.offsets(source)
                one = Committed(InputProgress(low, low, BEGINNING_NS), BEGINNING_NS)
            committed_by[self._pipeline.input_topics[source.topic]] = one
        return committed_by

    def _recall_nodes(self, number: int, nodes: Nodes, committed: TaskProgress) -> None:
        """Give nodes back what they remembered at a commit."""
        recall_nodes(self._pipeline, number, nodes, committed, group=self._reader, meter=self._meter)

    def _with_rows_of_nodes(
        self, number: int, nodes: Nodes, needed: TaskProgress, kept_from: Mapping[str, int] | None
    ) -> TaskProgress:
        """The progress with the rows needed that nodes lack; local state, if any, goes on at `kept_from`."""
        if kept_from is not None:
            return needed_behind(needed, {name: kept_from[name] for name in nodes.streams})
        begins_ns = nodes.begins_ns(needed)
        return read_for_nodes(number, needed, begins_ns, self._pipeline, self._consumer.offsets)

    def _warming(self, number: int, nodes: Nodes, newest: Committed) -> Generator[int] | None:
        """What gives nodes the sealed rows that they lack; None where they lack none."""
        if nodes.missing is None:
            return None
        return warm_nodes(self._pipeline, number, nodes, newest.parity.rows, group=self._reader)

    def _readings(self, number: int, plan: ResumePlan, logs: Mapping[str, LogId]) -> dict[str, Reading]:
        """Each input of a task, by topic, at where it is read from."""
        settings = self._pipeline.settings
        last_known = logs.get(settings.topic(LAST_KNOWN), LogId("", ""))
        return {
            topic: Reading(
                stream=stream,
                decoder=decoder,
                placement=self._pipeline.placement(stream, number),
                opened=plan.committed.inputs[stream],
                start=plan.read_from[stream],
                log=LogIds(*logs[topic], last_known.topic),
            )
            for topic, (stream, decoder) in self._pipeline.decoders().items()
        }

    def _recall(self, number: int, keeps: Keeps, frontier_ns: int) -> Mapping[str, int]:
        """Give back the last rows that need not be read again; return from where on others do."""
        settings = self._pipeline.settings
        entries = self._last_known(number)
        reach(RECALL)
        try:
            older = keeps.recall(entries.items(), frontier_ns)
        except SnapshotError as unusable:
            raise RunError(
                f"{settings.topic(LAST_KNOWN)}[{number}]: {unusable}. Rows before the restart offsets are "
                "nowhere else: run with what it was kept for, or choose another pipeline.prefix"
            ) from None
        log.info("last rows read back", partition=number, entries=len(entries))
        if older:
            log.warning(
                "last rows kept with other columns or too large: their inputs are read again",
                partition=number,
                offsets=dict(older),
            )
        return older

    def _last_known(self, number: int) -> dict[bytes, bytes]:
        return last_known_entries(self._pipeline, number, group=self._reader, meter=self._meter)

    @property
    def _reader(self) -> str:
        """What names our readers of topics beside the group's."""
        settings = self._pipeline.settings
        return f"{settings.pipeline.prefix}-{settings.worker.slot}"

    def _require_in_log(
        self, starts: Mapping[TopicPartition, int], inputs: Mapping[str, InputProgress]
    ) -> None:
        for source, start in starts.items():
            low, high = self._consumer.offsets(source)
            if not low <= start <= high:
                progress = inputs[self._pipeline.input_topics[source.topic]]
                raise RunError(
                    f"{source.topic}[{source.partition}]: offset {start} is needed but the log holds {low} "
                    f"(low) to {high} (high), committed is {progress.needed_offset} (read up to "
                    f"{progress.next_offset}): retention removed rows that sealing still depends on. Restore "
                    "them, or join what is left once more from the start of the log: `python -m app reset`"
                )

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Commit and give up the tasks of these partitions."""
        self._assigned -= set(partitions)
        numbers = {source.partition for source in partitions} & set(self.tasks)
        if not numbers:
            return
        reach(REVOKE)
        self._commits.before_revoke()
        for number in sorted(numbers):
            self._drop(number)
        self._ledger.add(REBALANCES, "revoked", by=len(numbers))
        log.info("tasks revoked", partitions=sorted(numbers))

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Forget the tasks of these partitions: they are another worker's already."""
        self._assigned -= set(partitions)
        numbers = {source.partition for source in partitions}
        self._ledger.add(REBALANCES, "lost", by=len(numbers & set(self.tasks)))
        for number in numbers:
            self._drop(number)
        self._commits.after_lost()
        log.warning("tasks lost", partitions=sorted(numbers))

    def rejoining(self) -> None:
        """Stop where another worker was put in the place of this one: to join again would stop that one."""
        self._commits.require_slot(TopicPartition(min(self._pipeline.input_topics), 0))

    def replaced(self, reason: str) -> None:
        """Count a client of the consumer that was thrown away."""
        self._ledger.add(REPLACED, "consumer", reason)

    def close(self) -> None:
        """Give up everything without committing."""
        for number in list(self.tasks):
            self._drop(number)

    def _drop(self, number: int) -> None:
        task = self.tasks.pop(number, None)
        self._recovery.forget(number)
        if task is not None:
            task.close()
            self._on_close(number)
