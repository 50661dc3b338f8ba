"""The aligned topic as frames: what was committed, from where the reader says, to the end or for ever.

Messages are polled one by one: a frame holds thousands of rows, so an object per message is an object per
frame, and `consume` would hold back the first until the last is there.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from gpu_sink.errors import SourceError
from gpu_sink.frames import Frame, Place, decode_frame

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message

METADATA_WAIT_S: Final = 10.0  # a broker that does not answer by then is said not to
POLL_WAIT_S: Final = 1.0  # bounds how long an interrupt waits


class KafkaFrames:
    """Frames of some partitions; every iteration opens a consumer of its own and closes it."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        *,
        partitions: Sequence[int] | None,
        offsets: Mapping[int, int],
        until_end: bool,
        layout: str | None,
        settings: Mapping[str, str | int | bool],
    ) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._partitions = partitions
        self._offsets = offsets
        self._until_end = until_end
        self._layout = layout
        self._settings = settings

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames; raises SourceError for the broker's reasons and FrameError for a broken frame."""
        consumer = self._open()
        try:
            ranges = {p: self._range(consumer, p) for p in self._chosen(consumer)}
            if self._until_end:
                for partition, (start, end) in ranges.items():
                    yield from self._bounded(consumer, partition, start, end)
            else:
                yield from self._live(consumer, {p: start for p, (start, _) in ranges.items()})
        finally:
            consumer.close()

    def _open(self) -> "Consumer":
        try:
            from confluent_kafka import Consumer
        except ImportError as missing:
            raise SourceError(
                "reading a topic needs confluent-kafka: install tidemark-gpu-sink[kafka]"
            ) from missing
        return Consumer(
            {
                **self._settings,
                "bootstrap.servers": self._bootstrap,
                "group.id": "tidemark-gpu-sink",  # required by the client, used for nothing
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "check.crcs": True,
            }
        )

    def _chosen(self, consumer: "Consumer") -> list[int]:
        """The partitions to read, ascending, each of them known to exist."""
        from confluent_kafka import KafkaException

        try:
            found = consumer.list_topics(self._topic, timeout=METADATA_WAIT_S).topics[self._topic]
        except KafkaException as silent:
            raise SourceError(f"no broker answers at {self._bootstrap}: {silent}") from silent
        if found.error is not None:
            raise SourceError(f"cannot read topic {self._topic} at {self._bootstrap}: {found.error.str()}")
        there = set(found.partitions)
        asked = there if self._partitions is None else set(self._partitions)
        if unknown := (asked | set(self._offsets)) - there:
            raise SourceError(
                f"topic {self._topic} has partitions 0 to {len(there) - 1}, not {_listed(unknown)}"
            )
        return sorted(asked)

    def _range(self, consumer: "Consumer", partition: int) -> tuple[int, int]:
        """Where to start and the end as it is now: the last stable offset, past every committed frame."""
        from confluent_kafka import KafkaException, TopicPartition

        try:
            low, end = consumer.get_watermark_offsets(
                TopicPartition(self._topic, partition), timeout=METADATA_WAIT_S
            )
        except KafkaException as refused:
            raise SourceError(f"cannot read {self._topic} [{partition}]: {refused}") from refused
        start = self._offsets.get(partition, low)
        if not low <= start <= end:
            raise SourceError(
                f"offset {start} of {self._topic} [{partition}] is not in the log, which holds {low} to {end}"
            )
        return start, end

    def _bounded(self, consumer: "Consumer", partition: int, start: int, end: int) -> Iterator[Frame]:
        """One partition's frames in [start, end); aborted messages and markers leave gaps in the offsets."""
        if start >= end:
            return
        self._assign(consumer, {partition: start})
        while True:
            message = consumer.poll(POLL_WAIT_S)
            if message is None:
                continue
            ended = self._is_end(message)
            if message.offset() >= end:
                return
            if not ended:
                yield self._frame(message)
                if message.offset() + 1 >= end:
                    return

    def _live(self, consumer: "Consumer", starts: Mapping[int, int]) -> Iterator[Frame]:
        """All partitions' frames as they arrive."""
        self._assign(consumer, starts)
        while True:
            message = consumer.poll(POLL_WAIT_S)
            if message is not None and not self._is_end(message):
                yield self._frame(message)

    def _assign(self, consumer: "Consumer", starts: Mapping[int, int]) -> None:
        from confluent_kafka import TopicPartition

        consumer.assign([TopicPartition(self._topic, p, offset) for p, offset in starts.items()])

    def _is_end(self, message: "Message") -> bool:
        """Whether this only says that a partition's end was reached; raises SourceError for an error."""
        error: Any = message.error()
        if error is None:
            return False
        if error.name() == "_PARTITION_EOF":
            return True
        raise SourceError(f"{self._topic} [{message.partition()}] at {self._bootstrap}: {error.str()}")

    def _frame(self, message: "Message") -> Frame:
        place = Place(self._topic, message.partition(), message.offset())
        return decode_frame(message.value(), message.headers() or [], place, self._layout)


def _listed(partitions: set[int]) -> str:
    return ", ".join(str(partition) for partition in sorted(partitions))
