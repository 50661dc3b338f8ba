"""Nodes made warm: the aligned rows that they lack are read back, step by step, while the worker goes on.

A node remembers earlier rows, and its local state may be gone or behind the commit.  The rows it lacks lie in
the task's partition of the aligned topic.  Where they begin there is found by halving: frames say up to where
the output is complete with them, and that only rises.
"""

from collections.abc import Generator, Iterator
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import structlog

from app.errors import RunError, UsageError
from app.process.clock import monotonic_ns
from app.reading.aligned import fitted
from app.reading.last_frame import last_frame
from app.wiring.pipeline import Pipeline
from operators.graph.row_places import row_places
from operators.hashing.parity import Parity
from operators.inputs.progress import FIRST, RowPlace
from operators.operator import Missing, Nodes
from operators.sealed import ALIGNED
from schemas.clocks import NS_PER_S, clock_column
from schemas.frame import FrameError, FrameHeaders, decode_frame
from schemas.stream import Stream
from topics.avro.decode import Decoder
from topics.block import MessageBlock, TopicPartition

log = structlog.get_logger()

FRAMES_MAX: Final = 16  # of a step, behind which other tasks have their turn
ROWS_MAX: Final = 20_000  # ... where each message is a row
WAIT_MS: Final = 20
SAY_NS: Final = 5 * NS_PER_S


class GoneError(RunError):
    """Sealed rows are not there any more; `words` say which, for who is no worker."""

    def __init__(self, message: str, words: str) -> None:
        super().__init__(message)
        self.words = words


def warm_nodes(
    pipeline: Pipeline, partition: int, nodes: Nodes, rows_sealed: int, *, group: str
) -> Generator[int]:
    """Give nodes the rows they lack; yield how many messages each step has read, and end once all are warm.

    `rows_sealed` is how many rows the partition had at the commit; `group` only names the reader.  Raises
    RunError where the topic does not hold the rows any more.
    """
    missing = nodes.missing
    assert missing is not None, "every node is warm"
    begun_ns = reported_ns = monotonic_ns()
    reader = _Reader(pipeline, partition, missing, group)
    log.info("nodes take rows again", partition=partition, nodes=missing.nodes, since=_when(missing.start))
    try:
        yield from reader.find()
        while _is_cold(nodes):
            for rows in reader.read():
                nodes.warm(rows)
            if reader.ended and _is_cold(nodes):
                raise reader.gone("its rows end before the last one that was committed")
            if monotonic_ns() - reported_ns > SAY_NS:
                reported_ns = monotonic_ns()
                log.info("nodes take rows again", partition=partition, rows=nodes.warmed_rows)
            yield reader.messages
        if missing.start == FIRST and nodes.warmed_rows != rows_sealed:
            raise reader.gone(f"it has {nodes.warmed_rows} of the {rows_sealed} rows that were sealed")
    finally:
        reader.close()
    seconds = (monotonic_ns() - begun_ns) / NS_PER_S
    log.info("nodes are warm", partition=partition, rows=nodes.warmed_rows, seconds=round(seconds, 3))


def sealed_rows(
    pipeline: Pipeline, partition: int, missing: Missing, *, group: str
) -> Iterator[pa.RecordBatch]:
    """Yield the sealed rows of the join from those that are missing on, as many as there are by now.

    The first ones may lie before them.  Raises GoneError where the topic does not hold them any more.
    """
    reader = _Reader(pipeline, partition, missing, group)
    try:
        for _ in reader.find():
            pass
        while not reader.ended:
            yield from reader.read()
    finally:
        reader.close()


def count_missing(pipeline: Pipeline, partition: int, missing: Missing, *, group: str) -> int | None:
    """About how many rows `warm_nodes` would read, to a frame; None where rows are messages of their own.

    Raises RunError where the topic does not hold them any more.
    """
    reader = _Reader(pipeline, partition, missing, group)
    sink = pipeline.sinks(partition)[ALIGNED]
    try:
        for _ in reader.find():
            pass
        if sink.form == "avro":
            return None
        first = reader.first()
    finally:
        reader.close()
    last = last_frame(pipeline, sink.topic, partition, group=group)
    if first is None or last is None or not first.parity:
        return 0
    return last.rows - Parity.parse(first.parity).rows + first.rows


def _is_cold(nodes: Nodes) -> bool:
    return nodes.missing is not None


class _Look(NamedTuple):
    """A message, and the time that its rows reach at most."""

    offset: int
    upper_ns: int


class _Reader:
    """Reads aligned rows of one partition from those on that are missing.

    `messages` were read in the last step; `ended` says that there are no more.
    """

    def __init__(self, pipeline: Pipeline, partition: int, missing: Missing, group: str) -> None:
        sink = pipeline.sinks(partition)[ALIGNED]
        asof = pipeline.asof
        self.messages = 0
        self.ended = False
        self._source = TopicPartition(sink.topic, partition)
        self._missing = missing
        self._schema = sink.schema
        self._clock, self._sequence = clock_column(asof.clock), asof.left.sequence
        self._decoder = None
        if sink.form == "avro":
            stream = Stream(name=ALIGNED, schema=sink.schema, key=sink.key)
            self._decoder = Decoder(stream, asof.clock, pipeline.registry)
        self._at_begin = False  # whether the next row is the first one that the log keeps
        self._consumer = pipeline.bus.consumer(group=group, client_id=group, to_end=True)
        self._low, self._high = self._consumer.offsets(self._source)

    def find(self) -> Generator[int]:
        """Go to the first message that may have a missing row, by halving; yields after each look."""
        lower, upper, start = self._low, self._high, self._missing.start
        if start == FIRST:
            if lower:
                raise self.gone(f"retention has removed those below offset {lower}")
            upper = lower
        while lower < upper:
            middle = (lower + upper) // 2
            look = yield from self._look(middle)
            if look is None or look.upper_ns >= start[0]:
                upper = middle
            else:
                lower = look.offset + 1
        self._at_begin = lower == self._low > 0
        self._consumer.assign({self._source: lower})
        self.ended = lower >= self._high

    def read(self) -> list[pa.RecordBatch]:
        """The rows of the next messages; raises RunError where those before them are gone."""
        block = self._consumer.poll(messages_max=self._step, wait_ms=WAIT_MS)
        self.messages = block.messages
        if block.messages:
            self.ended = int(block.offset[-1]) >= self._high - 1
        self.ended = self.ended or any(end >= self._high for _, end in block.ends)
        batches = [rows for rows in self._rows(block) if rows.num_rows]
        if batches and self._at_begin:
            self._at_begin = False
            first = row_places(batches[0], self._clock, self._sequence).place(0)
            if first > self._missing.start:
                raise self.gone(f"retention has removed those before {_when(first)}")
        return batches

    def first(self) -> FrameHeaders | None:
        """The headers of the frame where `find` went; None behind the last one."""
        while not self.ended:
            block = self._consumer.poll(messages_max=1, wait_ms=WAIT_MS)
            if block.messages:
                return FrameHeaders.from_kafka(block.originals[0].headers)
            self.ended = any(end >= self._high for _, end in block.ends)
            del block
        return None

    def close(self) -> None:
        """Let the consumer go."""
        self._consumer.close()

    def gone(self, why: str) -> GoneError:
        """The error that rows are not there any more."""
        missing, source = self._missing, self._source
        span = f"{_when(missing.start)} to {_when(missing.through)}"
        return GoneError(
            f"{source.topic}[{source.partition}]: nodes ({', '.join(missing.nodes)}) have no state here and "
            f"need its rows from {span}, but {why}. Bring back the folder worker.state or the rows, or begin "
            "anew: `python -m app reset`",
            f"{source.topic}[{source.partition}]: rows from {span} are needed, but {why}",
        )

    @property
    def _step(self) -> int:
        return FRAMES_MAX if self._decoder is None else ROWS_MAX

    def _look(self, offset: int) -> Generator[int, None, _Look | None]:
        """The first message at or behind an offset; None where there is none."""
        self._consumer.assign({self._source: offset})
        while True:
            block = self._consumer.poll(messages_max=1, wait_ms=WAIT_MS)
            if block.messages:
                return _Look(int(block.offset[0]), self._upper_ns(block))
            if any(end >= self._high for _, end in block.ends):
                return None
            del block
            yield 0

    def _upper_ns(self, block: MessageBlock) -> int:
        """A time that no row of a block of one message lies beyond."""
        if self._decoder is not None:
            for rows in self._rows(block):
                return int(rows.column(self._clock)[-1].as_py())
            raise self._broken(block, 0, FrameError("it is no row"))
        try:
            return FrameHeaders.from_kafka(block.originals[0].headers).complete_ns
        except FrameError as broken:
            raise self._broken(block, 0, broken) from None

    def _rows(self, block: MessageBlock) -> list[pa.RecordBatch]:
        if self._decoder is not None:
            batch = self._decoder.decode(block, np.arange(block.messages, dtype=np.int64)).batch
            return [] if batch is None else [self._fit(batch.columns)]
        rows = []
        for message in range(block.messages):
            try:
                rows.append(self._fit(decode_frame(block.originals[message].value)))
            except FrameError as broken:
                raise self._broken(block, message, broken) from None
        return rows

    def _fit(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """The rows under the columns of now: null where a row is from before there was one."""
        known = [name for name in rows.schema.names if name in self._schema.names]
        try:
            return fitted(rows.select(known), self._schema)[0]
        except UsageError:
            raise self.gone("a column of them has another type now") from None

    def _broken(self, block: MessageBlock, message: int, broken: FrameError) -> RunError:
        where = f"{self._source.topic}[{self._source.partition}]@{int(block.offset[message])}"
        return RunError(f"{where}: {broken}; something else writes to that topic")


def _when(place: RowPlace) -> str:
    return "its beginning" if place == FIRST else f"{np.datetime64(place[0], 'ns')}"
