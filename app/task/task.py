"""A task: one partition number of all inputs, with decoders in front, an operator, and a store beside."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.task.letters import Letter, ahead_letters, dead_letters, late_letters
from app.task.metadata import Told
from app.task.row_rules import RowDecoder
from operators.hashing.parity import Parity
from operators.inputs.progress import InputProgress
from operators.operator import Operator, Snapshot
from schemas.batch import Batch, Int64s
from schemas.clocks import BEGINNING_NS
from state.checkpoint import Checkpoint
from state.store import TaskStore
from topics.block import MessageBlock, TopicPartition
from topics.wire import Decoded


@dataclass(slots=True)
class Counts:
    """Rows and messages of a task since it was opened."""

    rows_in: dict[str, int] = field(default_factory=dict)
    rows_late: dict[str, int] = field(default_factory=dict)
    rows_sealed: int = 0
    rows_assumed: int = 0  # of those sealed: by leaving an idle input out
    dead: int = 0  # unreadable, or too far ahead

    @property
    def rows(self) -> int:
        """Rows taken, over all inputs."""
        return sum(self.rows_in.values())


@dataclass(slots=True)
class Silence:
    """An input was read to `end`, the end of its log, and nothing has come since `since_ns` (monotonic)."""

    end: int
    since_ns: int
    idle: bool = False  # the operator has been told


@dataclass(slots=True, kw_only=True)
class Task:
    """Rows go in with `take`, sealed rows come out with `seal`; `progress` and `written` write it down.

    `inputs` gives, per topic, the stream and its decoder.  `released_ns` is this process's clock at the last
    message read, `newest_ns` the newest row time read on any input, in this life and not too far ahead;
    `parity` is the hash of all rows sent.  `opened` is the progress of each input, by stream, that the task
    took up.  `ahead_limit` says in words what bounds a time from above; where the inputs do, rows and
    progress are told `in_offset_order`.
    """

    partition: int
    operator: Operator
    inputs: Mapping[str, tuple[str, RowDecoder]]
    store: TaskStore
    identity: str
    opened: Mapping[str, InputProgress] = field(default_factory=dict)
    ahead_limit: str = ""
    in_offset_order: bool = False
    counts: Counts = field(default_factory=Counts)
    released_ns: int = 0
    newest_ns: int = BEGINNING_NS
    parity: Parity = field(default_factory=Parity)
    checkpointed_ns: int = 0  # monotonic
    checkpoint_took_ns: int = 0  # how long that took
    known_ns: int = 0  # monotonic: when its last-known entries were written
    paused: set[str] = field(default_factory=set)  # topics not delivered until the others catch up
    moved_ns: int = 0  # this process's clock when the frontier rose last
    newest_by: dict[str, int] = field(default_factory=dict)  # by topic: newest row time read
    read_by: dict[str, int] = field(default_factory=dict)  # by topic: our clock when a new row came last
    silent: dict[str, Silence] = field(default_factory=dict)  # topics that are read to their end
    # By topic: the offset reading began at, where it is, and up to where an earlier life had read.
    reread: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    def take(
        self, source: TopicPartition, block: MessageBlock, messages: Int64s, released_ns: int
    ) -> Iterator[Letter]:
        """Decode the block's `messages` of one partition into the operator; yield what is late or dead."""
        stream, decoder = self.inputs[source.topic]
        decoded = decoder.decode(block, messages)
        self._push(stream, decoded, released_ns)
        late, ahead = self.operator.late(stream), self.operator.ahead(stream)
        if decoded.batch is not None and decoded.batch.rows:
            if self.operator.caught_up:
                self.read_by[source.topic] = released_ns
            self.counts.rows_in[stream] = self.counts.rows_in.get(stream, 0) + decoded.batch.rows
            self._see_newest(source.topic, stream, decoded.batch, ahead)
        if late.num_rows:
            self.counts.rows_late[stream] = self.counts.rows_late.get(stream, 0) + late.num_rows
            yield from late_letters(late, stream, source, block, messages)
        self.operator.reached(stream, int(block.offset[messages[-1]]) + 1)
        if source.topic in self.reread:
            start, _, upto = self.reread[source.topic]
            self.reread[source.topic] = (start, int(block.offset[messages[-1]]) + 1, upto)
        dead = [row for row in decoded.dead if block.offset[row.message] >= self._judged_next(stream)]
        self.counts.dead += len(dead) + ahead.num_rows
        self.released_ns = released_ns
        yield from dead_letters(dead, source, block)
        if ahead.num_rows:
            yield from ahead_letters(ahead, self.ahead_limit, source, block, messages)

    def seal(self) -> pa.RecordBatch | None:
        """Return the rows that became final, or None."""
        before_ns = self.operator.frontier_ns
        rows = self.operator.seal()
        if self.operator.frontier_ns > before_ns:
            self.moved_ns = self.released_ns
        if rows is not None:
            self.counts.rows_sealed += rows.num_rows
            self.counts.rows_assumed += self.operator.assumed_rows
        return rows

    def finish(self) -> pa.RecordBatch | None:
        """Return the rows that still wait, for rows of a period that a bounded run will not read."""
        rows = self.operator.finish()
        if rows is not None:
            self.counts.rows_sealed += rows.num_rows
        return rows

    def progress(self) -> dict[str, InputProgress]:
        """How far each input has come, by topic."""
        return {topic: self.operator.progress(stream) for topic, (stream, _) in self.inputs.items()}

    def awaits_ended_inputs(self) -> bool:
        """Whether every input that is not paused has read its final record."""
        return all(told.final for topic, told in self.progress().items() if topic not in self.paused)

    def told(self, topic: str) -> Told:
        """What to tell people of one input with the commit."""
        stream, _ = self.inputs[topic]
        rows, size = self.operator.buffered(stream)
        return Told(
            rows=rows,
            size=size,
            paused=topic in self.paused,
            newest_ns=self.newest_by.get(topic, 0),
            read_ns=self.read_by.get(topic, 0),
            moved_ns=self.moved_ns,
            told_ns=self.released_ns,
            late=self.counts.rows_late.get(stream, 0),
            dead=self.counts.dead,
        )

    def written(self) -> "Written":
        """The state as it stands, for `checkpoint` once its offsets count; until then, no other."""
        snapshot = self.operator.snapshot()
        progress = {stream: self.operator.progress(stream) for stream, _ in self.inputs.values()}
        checkpoint = Checkpoint(
            identity=self.identity,
            frontier_ns=self.operator.frontier_ns,
            next_offsets={stream: told.next_offset for stream, told in progress.items()},
            watermarks_ns={stream: told.watermark_ns for stream, told in progress.items()},
        )
        return Written(self, checkpoint, snapshot)

    def checkpoint(self, written: "Written") -> None:
        """Write a state to the store; call it only when the offsets in it have been committed."""
        assert written.task is self, "the state of a task that is no more"
        self.store.write(written.checkpoint, written.snapshot.puts, written.snapshot.deletes)

    def close(self) -> None:
        """Release the store, so that the next owner can open it."""
        self.store.close()

    def _push(self, stream: str, decoded: Decoded, now_ns: int) -> None:
        batch, start = decoded.batch, 0
        if batch is not None and not (self.in_offset_order and decoded.progress):
            self.operator.push(stream, batch, now_ns=now_ns)
            batch = None
        for offset, progress in decoded.progress:
            if batch is not None:
                stop = int(np.searchsorted(batch.offset, offset))
                self.operator.push(stream, batch.between(start, stop), now_ns=now_ns)
                start = stop
            self.operator.advance(
                stream, progress.upper_ns, final=progress.final, offset=offset, now_ns=now_ns
            )
        if batch is not None:
            self.operator.push(stream, batch.between(start, batch.rows), now_ns=now_ns)

    def _see_newest(self, topic: str, stream: str, batch: Batch, ahead: pa.RecordBatch) -> None:
        time_ns, judged_next = batch.time_ns, self._judged_next(stream)
        if batch.offset[0] < judged_next:
            time_ns = time_ns[batch.offset >= judged_next]
        if ahead.num_rows:
            time_ns = time_ns[time_ns <= pc.min(ahead.column("bound_ns")).as_py()]
        newest_ns = int(time_ns.max(initial=BEGINNING_NS))
        self.newest_ns = max(self.newest_ns, newest_ns)
        self.newest_by[topic] = max(self.newest_by.get(topic, BEGINNING_NS), newest_ns)

    def _judged_next(self, stream: str) -> int:
        """Messages below this offset were judged in an earlier life."""
        return self.opened[stream].next_offset if stream in self.opened else 0


@dataclass(frozen=True, slots=True)
class Written:
    """The state of a task at one moment, for its store."""

    task: Task
    checkpoint: Checkpoint
    snapshot: Snapshot
