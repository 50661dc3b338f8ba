"""A task: one partition number of all inputs, with decoders in front, an operator, and a store beside."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from app.letters import Letter, dead_letters, late_letters
from operators.operator import InputProgress, Operator
from schemas.batch import Int64s
from schemas.clocks import BEGINNING_NS
from state.checkpoint import Checkpoint
from state.store import TaskStore
from topics.block import MessageBlock, TopicPartition
from topics.decode import Decoder


@dataclass(slots=True)
class Counts:
    """Rows and messages of a task since it was opened."""

    rows_in: dict[str, int] = field(default_factory=dict)
    rows_late: dict[str, int] = field(default_factory=dict)
    rows_sealed: int = 0
    dead: int = 0

    @property
    def rows(self) -> int:
        """Rows taken, over all inputs."""
        return sum(self.rows_in.values())


@dataclass(slots=True, kw_only=True)
class Task:
    """Rows go in with `take`, sealed rows come out with `seal`; `progress` and `checkpoint` write it down.

    `inputs` gives, per topic, the stream and its decoder.  `released_ns` is this process's clock at the last
    message read, `newest_ns` the newest row time read on any input.
    """

    partition: int
    operator: Operator
    inputs: Mapping[str, tuple[str, Decoder]]
    store: TaskStore
    identity: str
    counts: Counts = field(default_factory=Counts)
    released_ns: int = 0
    newest_ns: int = BEGINNING_NS
    checkpointed_ns: int = 0  # monotonic
    known_ns: int = 0  # monotonic: when its last-known entries were written
    paused: set[str] = field(default_factory=set)  # topics not delivered until the others catch up
    # By topic: the offset reading began at, where it is, and up to where an earlier life had read.
    reread: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    def take(
        self, source: TopicPartition, block: MessageBlock, messages: Int64s, released_ns: int
    ) -> Iterator[Letter]:
        """Decode the block's `messages` of one partition into the operator; yield what is late or dead."""
        stream, decoder = self.inputs[source.topic]
        decoded = decoder.decode(block, messages)
        if decoded.batch is not None and decoded.batch.rows:
            self.operator.push(stream, decoded.batch)
            self.counts.rows_in[stream] = self.counts.rows_in.get(stream, 0) + decoded.batch.rows
            self.newest_ns = max(self.newest_ns, int(decoded.batch.time_ns.max()))
            late = self.operator.late(stream)
            if late.num_rows:
                self.counts.rows_late[stream] = self.counts.rows_late.get(stream, 0) + late.num_rows
                yield from late_letters(late, stream, source, block, messages)
        for offset, progress in decoded.progress:
            self.operator.advance(stream, progress.upper_ns, final=progress.final, offset=offset)
        self.operator.reached(stream, int(block.offset[messages[-1]]) + 1)
        if source.topic in self.reread:
            start, _, upto = self.reread[source.topic]
            self.reread[source.topic] = (start, int(block.offset[messages[-1]]) + 1, upto)
        self.counts.dead += len(decoded.dead)
        self.released_ns = released_ns
        yield from dead_letters(decoded.dead, source, block)

    def seal(self) -> pa.RecordBatch | None:
        """Return the rows that became final, or None."""
        rows = self.operator.seal()
        if rows is not None:
            self.counts.rows_sealed += rows.num_rows
        return rows

    def progress(self) -> dict[str, InputProgress]:
        """How far each input has come, by topic."""
        return {topic: self.operator.progress(stream) for topic, (stream, _) in self.inputs.items()}

    def checkpoint(self) -> None:
        """Write the state as it stands; call it only when the offsets in it have been committed."""
        snapshot = self.operator.snapshot()
        progress = {stream: self.operator.progress(stream) for stream, _ in self.inputs.values()}
        self.store.write(
            Checkpoint(
                identity=self.identity,
                frontier_ns=self.operator.frontier_ns,
                next_offsets={stream: told.next_offset for stream, told in progress.items()},
                watermarks_ns={stream: told.watermark_ns for stream, told in progress.items()},
            ),
            snapshot.puts,
            snapshot.deletes,
        )

    def close(self) -> None:
        """Release the store, so that the next owner can open it."""
        self.store.close()
