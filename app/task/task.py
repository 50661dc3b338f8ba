"""A task: one partition number of all inputs, with a reading of each, an operator, and a store beside."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field

from app.metrics.phases import DECODE, PUSH, Phases
from app.task.letters import Letter, ahead_letters, dead_letters, late_letters
from app.task.metadata import InputReport
from app.task.reading import Reading
from app.task.record import TaskRecord
from app.task.sink import Sink
from operators.inputs.progress import TaskProgress
from operators.inputs.resuming import reaching_back
from operators.operator import Operator
from operators.sealed import ALIGNED, Sealed, Snapshot
from schemas.arrived import Arrived, ProgressRecord
from schemas.batch import Int64s
from schemas.clocks import BEGINNING_NS
from state.checkpoint import Checkpoint
from state.store import TaskStore
from topics.block import MessageBlock, TopicPartition


@dataclass(slots=True)
class Counts:
    """Rows of a task since it was opened, over all inputs."""

    rows_new: int = 0  # read, and by no earlier life
    rows_sealed: int = 0
    rows_assumed: int = 0  # of those sealed: by leaving an idle input out
    dead: int = 0  # rows and messages that are unreadable, break a rule, or lie too far ahead


@dataclass(frozen=True, slots=True)
class Life:
    """By which rule a task seals from when it was opened, and who has it; as text, for its commits.

    `rule_before` is the rule of the commit that it took up, `member` the worker (`app.wiring.slot`), and
    `program` its version.
    """

    rule: str = ""
    rule_before: str = ""
    member: str = ""
    program: str = ""


@dataclass(slots=True)
class Seen:
    """When, by this process's clock: anything was read last, the frontier rose last, and what lets rows wait
    for nodes was read; 0 where that has not been, or none wait.
    """

    released_ns: int = 0
    moved_ns: int = 0
    waiting_ns: int = 0


@dataclass(slots=True, kw_only=True)
class Task:
    """Rows go in with `take`, sealed rows come out with `seal`; `progress` and `state` write it down.

    `readings` are its inputs by topic, `sinks` its outputs by name.  `seen` says when what happened last.
    `ahead_limit` says in words what bounds a time from above.  `life` says who seals, and by which rule.
    `warming` gives nodes the sealed rows that they lack, a step whenever it is asked for one; None where they
    lack none.
    """

    partition: int
    operator: Operator
    readings: Mapping[str, Reading]
    sinks: Mapping[str, Sink]
    store: TaskStore
    identity: str
    ahead_limit: str = ""
    life: Life = Life()
    counts: Counts = field(default_factory=Counts)
    seen: Seen = field(default_factory=Seen)
    warming: Generator[int] | None = None

    @property
    def paused(self) -> set[str]:
        """The topics that are not delivered until the others catch up."""
        return {topic for topic, reading in self.readings.items() if reading.paused}

    def take(
        self,
        source: TopicPartition,
        block: MessageBlock,
        messages: Int64s,
        released_ns: int,
        phases: Phases,
    ) -> Iterator[Letter]:
        """Decode `messages` of one partition into the operator; yield late rows and dead letters.

        It runs only as it is iterated.  RegistryUnavailableError comes before anything is taken.
        So does RunError where a row's key belongs to another partition.
        """
        reading = self.readings[source.topic]
        stream, inputs = reading.stream, self.operator.inputs
        decoded = reading.decoder.decode(block, messages)
        if decoded.batch is not None:
            reading.placement.require(decoded.batch)
        phases.end(DECODE)
        records = [ProgressRecord(p.upper_ns, p.final, offset) for offset, p in decoded.progress]
        self.operator.push(stream, Arrived(decoded.batch, records), now_ns=released_ns)
        phases.end(PUSH)
        late, ahead = inputs.late(stream), inputs.ahead(stream)
        if decoded.batch is not None and decoded.batch.rows:
            if inputs.caught_up:
                reading.read_ns = released_ns
            self.counts.rows_new += reading.see(decoded.batch, ahead)
        if late.num_rows:
            reading.rows_late += late.num_rows
            yield from late_letters(late, stream, source, block, messages)
        reading.next_offset = int(block.offset[messages[-1]]) + 1
        inputs.read_to(stream, reading.next_offset)
        dead = [row for row in decoded.dead if block.offset[row.message] >= reading.judged_next]
        self.counts.dead += len(dead) + ahead.num_rows
        self.seen.released_ns = released_ns
        yield from dead_letters(dead, source, block)
        if ahead.num_rows:
            yield from ahead_letters(ahead, self.ahead_limit, source, block, messages)

    def warm(self) -> int:
        """Let nodes take some of the sealed rows that they lack; returns how many messages had them."""
        if self.warming is None:
            return 0
        messages = next(self.warming, None)
        if messages is None:
            self.warming = None
        return messages or 0

    def seal(self, *, nodes: bool = True) -> Iterator[tuple[Sink, Sealed]]:
        """Yield the rows that became final, by sink; none of sinks without any.

        Without `nodes` rows may wait for `run_nodes`.
        """
        before_ns = self.operator.inputs.frontier_ns
        sealed = self.operator.seal(nodes=nodes)
        if self.operator.inputs.frontier_ns > before_ns:
            self.seen.moved_ns = self.seen.released_ns
        self.seen.waiting_ns = 0 if nodes else self.seen.waiting_ns or self.seen.released_ns
        return self._with_rows(sealed)

    def run_nodes(self) -> Iterator[tuple[Sink, Sealed]]:
        """Yield what comes of the rows that wait for nodes, by sink; none of sinks without any."""
        self.seen.waiting_ns = 0
        return self._with_rows(self.operator.nodes.run())

    def finish(self) -> Iterator[tuple[Sink, Sealed]]:
        """Yield the rows that still wait, for rows of a period that a bounded run will not read."""
        return self._with_rows(self.operator.finish())

    def progress(self) -> TaskProgress:
        """How far the task and each of its inputs have come, for a commit.

        As long as that names the rule before, a restart may be by it again: it needs all rows that were read
        again so far, of which this rule needs fewer, and has to look up those set aside.
        """
        progress = self.operator.progress()
        if self.committed_rule in ("", self.life.rule):
            return progress
        needed = {reading.stream: reading.opened.needed_offset for reading in self.readings.values()}
        return reaching_back(progress, needed)

    @property
    def has_record(self) -> bool:
        """Whether there are outputs besides the aligned topic, whose record goes with each commit."""
        return len(self.sinks) > 1

    def record(self) -> TaskRecord:
        """What to commit of the outputs besides the aligned topic."""
        inputs = self.operator.inputs
        return TaskRecord(
            next_offsets={name: inputs.next_offset(name) for name in inputs.streams},
            parities={name: sink.parity for name, sink in self.sinks.items() if name != ALIGNED},
        )

    @property
    def committed_rule(self) -> str:
        """The rule that a commit names: the old one until a restart could do without knowing it."""
        return self.life.rule if self.operator.settled else self.life.rule_before

    def awaits_ended_inputs(self) -> bool:
        """Whether every input that is not paused has read its final record."""
        inputs = self.operator.progress().inputs
        return all(inputs[reading.stream].final for reading in self.readings.values() if not reading.paused)

    def report(self, topic: str) -> InputReport:
        """What people want to know of one input, for the commit."""
        reading = self.readings[topic]
        rows, size = self.operator.held(reading.stream)
        return InputReport(
            rows=rows,
            size=size,
            paused=reading.paused,
            newest_ns=0 if reading.newest_ns == BEGINNING_NS else reading.newest_ns,
            read_ns=reading.read_ns,
            moved_ns=self.seen.moved_ns,
            released_ns=self.seen.released_ns,
            late=reading.rows_late,
            dead=self.counts.dead,
        )

    def state(self) -> "TaskState":
        """The state as it stands, for `checkpoint` once its offsets count; until then, no other."""
        snapshot = self.operator.snapshot()
        progress = self.operator.progress()
        checkpoint = Checkpoint(
            identity=self.identity,
            frontier_ns=progress.frontier_ns,
            next_offsets={stream: one.next_offset for stream, one in progress.inputs.items()},
            watermarks_ns={stream: one.watermark_ns for stream, one in progress.inputs.items()},
        )
        return TaskState(self, checkpoint, snapshot)

    def checkpoint(self, state: "TaskState") -> None:
        """Write a state to the store; call it only when the offsets in it have been committed."""
        assert state.task is self, "the state of a task that is no more"
        self.store.write(state.checkpoint, state.snapshot.puts, state.snapshot.deletes)

    def close(self) -> None:
        """Release the store, so that the next owner can open it."""
        if self.warming is not None:
            self.warming.close()
        self.store.close()

    def _with_rows(self, sealed: Mapping[str, Sealed]) -> Iterator[tuple[Sink, Sealed]]:
        for name, part in sealed.items():
            if part.rows is None or part.rows.num_rows == 0:
                continue
            sink = self.sinks[name]
            if name == ALIGNED:
                self.counts.rows_sealed += part.rows.num_rows
                self.counts.rows_assumed += part.assumed_rows
            yield sink, part


@dataclass(frozen=True, slots=True)
class TaskState:
    """The state of a task at one moment, for its store."""

    task: Task
    checkpoint: Checkpoint
    snapshot: Snapshot
