"""Captures topics into the history, each row once, whoever else tries and whatever dies.

The steps of a turn, as `app.commit` has its own:
1. `begin` opens each table and reads the next offset of each partition from it; the consumer goes there.
2. The offsets of live parts must reach up to it without hole or overlap.
3. Rows are decoded and held, up to `held_size_max` bytes or `held_ns_max`.
4. They are written as parts, invisible so far.
5. One commit per table adds the parts and moves the next offsets.  Another in our place: drop all, go to 1.
6. The group's offsets follow, for those who watch its lag.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa

from replay.capture.dead import dead_rows, part_without_key
from replay.capture.writer import TableWriter
from replay.errors import FencedCommitError, HistoryError
from replay.store.places import with_places
from schemas.batch import Batch
from topics.block import MessageBlock, TopicPartition
from topics.bus import AbortableError, Bus, Position
from topics.decoder import RowDecoder

HELD_SIZE_MAX: Final = 64 * 2**20
HELD_NS_MAX: Final = 60_000_000_000
MESSAGES_MAX: Final = 10_000
WAIT_MS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureInput:
    """One topic to capture: what decodes it, and what writes its rows and its dead letters."""

    topic: str
    partitions: Sequence[int]
    decoder: RowDecoder
    rows: TableWriter
    dead: TableWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureLimits:
    """When what is held is written: bytes over all tables, and nanoseconds since the last commit."""

    held_size_max: int = HELD_SIZE_MAX
    held_ns_max: int = HELD_NS_MAX


@dataclass(slots=True)
class CaptureCounts:
    """What a capture has done: rows and dead letters committed by topic, and how often it began anew."""

    rows: dict[str, int] = field(default_factory=dict)
    dead: dict[str, int] = field(default_factory=dict)
    fenced: int = 0
    lag_unknown: int = 0  # commits of the group's offsets that were refused: its lag is out of date


class Capture:
    """Reads topics and writes their tables; one thread, whose clock is the caller's."""

    def __init__(
        self,
        *,
        bus: Bus,
        inputs: Sequence[CaptureInput],
        group: str,
        limits: CaptureLimits,
        accepts_gaps: bool = False,
        now_ns: int = 0,
    ) -> None:
        """Begin: raises HistoryError where a log begins behind what is to be captured next."""
        self._inputs = {source.topic: source for source in inputs}
        self._consumer = bus.consumer(group=group, client_id=group)
        self._limits, self._accepts_gaps = limits, accepts_gaps
        self.counts = CaptureCounts()
        self._position: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}  # the ends of logs that were met
        self.begin_again(now_ns)

    def turn(self, now_ns: int, *, wait_ms: int = WAIT_MS) -> int:
        """Read once, commit when that is due; returns how many messages were read.  `now_ns` never falls."""
        block = self._consumer.poll(messages_max=MESSAGES_MAX, wait_ms=wait_ms)
        self._take(block)
        held_size = sum(writer.held_size for writer in self._writers())
        if held_size >= self._limits.held_size_max or now_ns - self._since_ns >= self._limits.held_ns_max:
            self.commit(now_ns)
        return block.messages

    def commit(self, now_ns: int) -> None:
        """Write and commit what is held; where another has, forget it and read on from what is there."""
        self._since_ns = now_ns
        try:
            for topic, source in self._inputs.items():
                # Dead letters first: their table leaves out what it has, should the rows' commit not be made.
                for counts, writer in ((self.counts.dead, source.dead), (self.counts.rows, source.rows)):
                    counts[topic] = counts.get(topic, 0) + writer.commit()
        except FencedCommitError:
            self.counts.fenced += 1
            self.begin_again(now_ns)
            return
        self._tell_group()

    def has_reached(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether each of these logs has been read up to an offset; what lies there may be no message."""
        return all(max(self._ends.get(place, 0), self._position[place]) >= end for place, end in ends.items())

    def close(self) -> None:
        """Leave; what is held and not committed is read again by whoever comes next."""
        self._consumer.close()

    def begin_again(self, now_ns: int) -> None:
        """Forget what is held, and read on from what the tables have."""
        self._since_ns = now_ns
        starts: dict[TopicPartition, int] = {}
        for topic, source in self._inputs.items():
            of_dead = source.dead.begin(source.partitions)
            for number, following in source.rows.begin(source.partitions).items():
                place = TopicPartition(topic, number)
                starts[place] = start = self._start(source.rows, place, following)
                for writer, known in ((source.rows, following), (source.dead, of_dead[number])):
                    if known is None:
                        writer.start_at(number, start)
        self._position, self._ends = dict(starts), {}  # ends are met again: rows before them are read again
        self._consumer.assign(starts)

    def _start(self, writer: TableWriter, place: TopicPartition, following: int | None) -> int:
        """Where to read a partition from; raises HistoryError where rows between are gone."""
        low, high = self._consumer.offsets(place)
        where = f"{place.topic}[{place.partition}]"
        if following is None:
            return low
        if following > high:
            raise HistoryError(
                f"{where} ends at offset {high} and was captured up to {following}: it was made anew; "
                "capture it as another stream"
            )
        if following >= low:
            return following
        if not self._accepts_gaps:
            raise HistoryError(
                f"{where} begins at offset {low} and was captured up to {following}: its rows between are "
                "lost; --accept-gap goes on behind them and notes it"
            )
        writer.accept_gap(place.partition, low)
        return low

    def _writers(self) -> list[TableWriter]:
        return [writer for source in self._inputs.values() for writer in (source.dead, source.rows)]

    def _take(self, block: MessageBlock) -> None:
        upper = block.next_offsets()
        self._ends.update(block.ends)
        for number, place in enumerate(block.sources):
            source = self._inputs[place.topic]
            messages = np.flatnonzero(block.source == number).astype(np.int64)
            decoded = source.decoder.decode(block, messages)
            dead = list(decoded.dead)
            if decoded.batch is not None:
                rows, refused = part_without_key(block, messages, decoded.batch, source.rows.key)
                source.rows.take(place.partition, _placed(rows, place.partition), upper[place])
                dead += refused
            if dead:
                source.dead.take(place.partition, dead_rows(block, place.partition, dead), upper[place])
            self._position[place] = upper[place]

    def _tell_group(self) -> None:
        offsets: Mapping[TopicPartition, Position] = {
            place: Position(offset=offset) for place, offset in self._position.items()
        }
        try:
            self._consumer.commit(offsets)
        except AbortableError:
            self.counts.lag_unknown += 1


def _placed(batch: Batch, partition: int) -> pa.RecordBatch:
    return with_places(batch.columns, batch.offset, batch.index, partition)
