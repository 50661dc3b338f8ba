"""The aligned topic as frames: what was committed, from where the reader says, to the end or for ever.

Messages are polled one by one: a frame holds thousands of rows, so an object per message is an object per
frame, and `consume` would hold back the first until the last is there.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa

from gpu_sink.errors import SourceError
from gpu_sink.frames import Frame
from gpu_sink.reading.kafka_reader import BoundedReader, KafkaReader, LiveReader
from gpu_sink.reading.source import Position

if TYPE_CHECKING:
    from confluent_kafka import Consumer

# Where to start: the offset per partition, or all of them at the ends that the log has then.
Offsets = Mapping[int, int] | Literal["end"]
METADATA_WAIT_S: Final = 10.0  # a broker that does not answer by then is said not to
METADATA_REFRESH_MS: Final = 10_000  # how soon a partition that the client lost sight of is found again
# How long a broker may hold a fetch at the end of a log that is read to its end: the answer tells of it, and
# the next partition's first fetch stands behind.  At the client's own 500 a partition took 0.8 s.
END_WAIT_MS: Final = 10
# What the client says while it looks for a broker, a line per try: for whoever wants it, with a handler.
LOGGER: Final = logging.getLogger("gpu_sink.reading.kafka")
LOGGER.addHandler(logging.NullHandler())
NAMED_MAX: Final = 5  # topics that an error names
NEWEST_MESSAGES: Final = (16, 4_096)  # how far back from its end a partition is searched for a frame
QUEUE_KIB: Final = (
    16_384  # what the client fetches ahead of the frames that are asked for, over all partitions
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaFrames:
    """Frames of some partitions; see `AlignedStream.from_kafka` for the fields."""

    bootstrap: str
    topic: str
    chosen: Sequence[int] | None
    offsets: Offsets
    until_end: bool
    layout: str | None
    decoded_size_max: int
    group: str | None
    settings: Mapping[str, str | int | bool]

    @property
    def name(self) -> str:
        """The topic."""
        return f"topic {self.topic}"

    @property
    def bounded(self) -> bool:
        """Whether reading stops at the ends of the partitions."""
        return self.until_end

    def partitions(self) -> list[int]:
        """The partitions to read, each of them known to exist; raises SourceError."""
        reported: list[str] = []
        consumer = self._client(reported)
        try:
            return self._existing(consumer, reported)
        finally:
            consumer.close()

    def newest_schemas(self) -> Iterator[pa.Schema]:
        """The columns of the last frame of each partition, as the log is now; raises SourceError."""
        for partition in self.partitions():
            frame = self._newest(partition)
            if frame is not None:
                yield frame.rows.schema

    def open(self, starts: Mapping[int, Position | None]) -> KafkaReader:
        """Open a consumer of these partitions, none of them shared by a group; raises SourceError."""
        consumer = self.connect()
        try:
            committed = self._committed(consumer, [p for p, start in starts.items() if start is None])
            places, ends = {}, {}
            for partition, start in starts.items():
                places[partition], ends[partition] = self._range(
                    consumer, partition, start or committed.get(partition)
                )
        except BaseException:
            consumer.close()
            raise
        if self.until_end:
            return BoundedReader(consumer, self, places, ends)
        return LiveReader(consumer, self, places)

    def connect(self) -> "Consumer":
        """A client of the broker that has no partitions yet; raises SourceError."""
        return self._client([])

    def _client(self, reported: list[str]) -> "Consumer":
        """A client that reports what first keeps it from a broker."""

        def note(error: Any) -> None:
            if not reported:
                reported.append(error.str())

        try:
            from confluent_kafka import Consumer, KafkaException
        except ImportError:
            raise SourceError(
                "reading a topic needs confluent-kafka: install tidemark-gpu-sink[kafka]"
            ) from None
        settings = {
            "queued.max.messages.kbytes": QUEUE_KIB,
            "topic.metadata.refresh.interval.ms": METADATA_REFRESH_MS,
            "enable.metrics.push": False,  # a broker may ask for figures of its clients (KIP-714)
            **({"fetch.wait.max.ms": END_WAIT_MS} if self.until_end else {}),
            **self.settings,
            "bootstrap.servers": self.bootstrap,
            "group.id": self.group or "tidemark-gpu-sink",  # required; without group= used for nothing
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "check.crcs": True,
            "error_cb": note,
        }
        try:
            return Consumer(settings, logger=LOGGER)
        except KafkaException as refused:
            raise SourceError(f"settings= of the client: {refused.args[0].str()}") from None

    def _newest(self, partition: int) -> Frame | None:
        """The last frame of a partition, None where it has none within reach."""
        consumer = self.connect()
        try:
            low, end = self._held(consumer, partition)
        finally:
            consumer.close()
        for back in NEWEST_MESSAGES:
            lower = Position(max(end - back, low), 0)
            newest: Frame | None = None
            reader = replace(self, until_end=True).open({partition: lower})
            try:
                while not reader.ended:
                    newest = reader.read(1.0) or newest
            finally:
                reader.close()
            if newest is not None or lower.offset == low:
                return newest
        return None

    def _existing(self, consumer: "Consumer", reported: list[str]) -> list[int]:
        from confluent_kafka import KafkaException

        try:
            metadata = consumer.list_topics(self.topic, timeout=METADATA_WAIT_S).topics[self.topic]
        except KafkaException as silent:
            consumer.poll(0)  # the client reports what it met from here
            cause = reported[0] if reported else silent.args[0].str()
            raise SourceError(
                f"no broker answers at {self.bootstrap} (waited {METADATA_WAIT_S:g} s): {cause}; is it "
                "there, and does settings= say how to log in?"
            ) from None
        if metadata.error is not None:
            raise SourceError(
                f"cannot read topic {self.topic} at {self.bootstrap}: {metadata.error.str()}"
                f"{_like(self.topic, consumer)}"
            )
        there = set(metadata.partitions)
        wanted = there if self.chosen is None else set(self.chosen)
        if unknown := (wanted | set(() if self.offsets == "end" else self.offsets)) - there:
            raise SourceError(
                f"topic {self.topic} has partitions 0 to {len(there) - 1}, not {_listed(unknown)}"
            )
        return sorted(wanted)

    def _committed(self, consumer: "Consumer", partitions: list[int]) -> dict[int, Position]:
        """What the group has committed; the row is in the commit's metadata."""
        from confluent_kafka import KafkaException, TopicPartition

        if self.group is None or not partitions:
            return {}
        places = [TopicPartition(self.topic, partition) for partition in partitions]
        try:
            answers = consumer.committed(places, timeout=METADATA_WAIT_S)
        except KafkaException as refused:
            raise SourceError(f"cannot read the offsets of group {self.group}: {refused}") from refused
        return {place.partition: self._position(place) for place in answers if place.offset >= 0}

    def _position(self, place: Any) -> Position:
        row = place.metadata or "0"
        if not row.isdecimal():
            raise SourceError(
                f"group {self.group} has committed {self.topic} [{place.partition}] with metadata {row!r}: "
                "another program shares the group; choose another"
            )
        return Position(place.offset, int(row))

    def _range(self, consumer: "Consumer", partition: int, start: Position | None) -> tuple[Position, int]:
        """Where to start and the end as it is now: the last stable offset, past every committed frame."""
        low, end = self._held(consumer, partition)
        offset = end if self.offsets == "end" else self.offsets.get(partition, low)
        place = start or Position(offset, 0)
        if not low <= place.offset <= end:
            raise SourceError(
                f"offset {place.offset} of {self.topic} [{partition}] is not in the log, "
                f"which holds {low} to {end}"
            )
        return place, end

    def _held(self, consumer: "Consumer", partition: int) -> tuple[int, int]:
        """The offsets that the log holds: the first, and the last stable one."""
        from confluent_kafka import KafkaException, TopicPartition

        try:
            low, end = consumer.get_watermark_offsets(
                TopicPartition(self.topic, partition), timeout=METADATA_WAIT_S
            )
        except KafkaException as refused:
            raise SourceError(f"cannot read {self.topic} [{partition}]: {refused}") from refused
        return low, end


def _like(topic: str, consumer: "Consumer") -> str:
    """Topics that may have been meant, in words: those called alike, or with this name behind a prefix."""
    from confluent_kafka import KafkaException

    try:
        there = list(consumer.list_topics(timeout=METADATA_WAIT_S).topics)
    except KafkaException:  # what is wrong with the topic is what matters
        return ""
    behind = [name for name in there if name.endswith(f".{topic.rpartition('.')[2]}")]
    near = list(dict.fromkeys([*get_close_matches(topic, there), *sorted(behind)]))
    return f"; there {'are' if len(near) > 1 else 'is'} {', '.join(near[:NAMED_MAX])}" if near else ""


def _listed(partitions: set[int]) -> str:
    return ", ".join(str(partition) for partition in sorted(partitions))
