"""A consumer and where it stands: to the ends one partition after another, or for ever as frames come."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from threading import Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol

from gpu_sink.errors import SourceError
from gpu_sink.frames import Frame, FrameDecoder, Place
from gpu_sink.reading.source import Position

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message

SILENT_S: Final = 30.0  # a partition of which nothing is heard for so long is asked about
ANSWER_S: Final = 2.0  # how long frames of other partitions may wait for that answer
_ABSENT: Final = frozenset({"UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION"})
# What a client is told while brokers start, stop and hand partitions over: it goes on by itself.
_PASSING: Final = _ABSENT | {
    "_ALL_BROKERS_DOWN",
    "_DESTROY_BROKER",
    "_NODE_UPDATE",
    "_RESOLVE",
    "_TIMED_OUT",
    "_TRANSPORT",
    "BROKER_NOT_AVAILABLE",
    "FENCED_LEADER_EPOCH",
    "KAFKA_STORAGE_ERROR",
    "LEADER_NOT_AVAILABLE",
    "NETWORK_EXCEPTION",
    "NOT_LEADER_FOR_PARTITION",
    "OFFSET_NOT_AVAILABLE",
    "REPLICA_NOT_AVAILABLE",
    "REQUEST_TIMED_OUT",
    "UNKNOWN_LEADER_EPOCH",
}


class Topic(Protocol):
    """The topic of a reader, and how to reach it."""

    @property
    def bootstrap(self) -> str: ...
    @property
    def topic(self) -> str: ...
    @property
    def layout(self) -> str | None: ...
    @property
    def decoded_size_max(self) -> int: ...
    @property
    def group(self) -> str | None: ...
    def connect(self) -> "Consumer": ...


class KafkaReader(ABC):
    """What both ways of reading share: polling through outages, decoding, pausing, committing.

    An outage of the broker may leave a client deaf (librdkafka 2.12): it returns no message and no error.  So
    the end of a silent partition's log is looked up, and if the client has not come so far, another client
    takes over.
    """

    ended = False

    def __init__(self, consumer: "Consumer", topic: Topic, starts: Mapping[int, Position]) -> None:
        self.starts = starts
        self._consumer = consumer
        self._topic = topic
        self._next = {partition: start.offset for partition, start in starts.items()}
        self._reported = dict(self._next)  # where each partition's log ended when the client last spoke of it
        self._heard_s = dict.fromkeys(self._next, monotonic())
        self._absent: set[int] = set()  # what the broker did not know of when last heard of
        self._decoder = FrameDecoder(topic.layout, topic.decoded_size_max)
        self._changing = Lock()  # `commit` is called in another thread than `read`

    @abstractmethod
    def read(self, wait_s: float) -> Frame | None:
        """Return the next frame, None if no frame came; raises SourceError and FrameError."""

    def pause(self) -> None:
        """Stop fetching; messages fetched ahead are dropped."""
        self._consumer.pause(self._places(self._assigned()))

    def resume(self) -> None:
        """Fetch again from the frame after the last one read.

        The partitions are assigned anew: a position of the client's own may stand behind an event that it
        counts as a message.
        """
        self._consumer.resume(self._places(self._assigned()))
        self._assign()

    def commit(self, positions: Mapping[int, Position]) -> None:
        """Commit positions to the group and wait for it; raises SourceError."""
        from confluent_kafka import KafkaException, TopicPartition

        if self._topic.group is None:
            raise SourceError(
                "this stream has no group to commit to: give group= to from_kafka, or keep state_dict()"
            )
        offsets = [
            TopicPartition(self._topic.topic, partition, position.offset, str(position.row))
            for partition, position in positions.items()
        ]
        try:
            with self._changing:
                self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as refused:
            raise SourceError(
                f"cannot commit to group {self._topic.group} at {self._topic.bootstrap}: {refused}"
            ) from refused

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()

    def _assigned(self) -> Iterable[int]:
        """The partitions that are read now."""
        return self._next

    def _places(self, partitions: Iterable[int]) -> list[Any]:
        from confluent_kafka import TopicPartition

        return [TopicPartition(self._topic.topic, each, self._next[each]) for each in partitions]

    def _assign(self) -> None:
        self._consumer.assign(self._places(self._assigned()))
        self._heard_s = dict.fromkeys(self._assigned(), monotonic())

    def _poll(self, wait_s: float) -> "Message | None":
        """The next message, or word of a partition's end; None where none came.  Raises SourceError."""
        message = self._consumer.poll(wait_s)
        if message is not None and not self._passes(message):
            partition, offset = message.partition(), message.offset()
            assert partition is not None
            assert offset is not None
            self._heard_s[partition], self._reported[partition] = monotonic(), offset
            self._absent.discard(partition)
            return message
        self._ask_about_the_silent()
        return None

    def _passes(self, message: "Message") -> bool:
        """Whether this is an error that is over by itself; raises SourceError for another one."""
        error: Any = message.error()
        if error is None or error.name() == "_PARTITION_EOF":
            return False
        self._doubt(message.partition(), error)
        return True

    def _ask_about_the_silent(self) -> None:
        """Take another client where a partition's log has more than the silent one has told of."""
        from confluent_kafka import KafkaException

        partition = min(self._heard_s, key=self._heard_s.__getitem__, default=None)
        if partition is None or monotonic() - self._heard_s[partition] < SILENT_S:
            return
        was_absent = partition in self._absent
        try:
            (place,) = self._places([partition])
            _, end = self._consumer.get_watermark_offsets(place, timeout=ANSWER_S)
        except KafkaException as refused:
            self._doubt(partition, refused.args[0])
            if was_absent and partition in self._absent:
                raise SourceError(f"{self._where(partition)}: {refused.args[0].str()}") from None
        else:
            self._absent.discard(partition)
            self._heard_s[partition] = monotonic()
            if end <= max(self._next[partition], self._reported[partition]):
                return
        with self._changing:
            deaf, self._consumer = self._consumer, self._topic.connect()
        Thread(target=deaf.close, name="gpu-sink-close", daemon=True).start()  # it may wait for ever
        self._assign()

    def _doubt(self, partition: int | None, error: Any) -> None:
        """Note what a partition's error says; raises SourceError for one that does not pass."""
        if error.name() not in _PASSING:
            raise SourceError(f"{self._where(partition)}: {error.str()}")
        if partition in self._heard_s and error.name() in _ABSENT:
            self._heard_s[partition] = monotonic()
            self._absent.add(partition)

    def _where(self, partition: int | None) -> str:
        return f"{self._topic.topic} [{partition}] at {self._topic.bootstrap}"

    def _frame(self, message: "Message") -> Frame:
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        place = Place(self._topic.topic, partition, offset)
        frame = self._decoder.decode(message.value(), message.headers() or [], place)
        self._next[partition] = offset + 1
        return frame


class LiveReader(KafkaReader):
    """All partitions' frames as they arrive, for ever."""

    def __init__(self, consumer: "Consumer", topic: Topic, starts: Mapping[int, Position]) -> None:
        super().__init__(consumer, topic, starts)
        self._assign()

    def read(self, wait_s: float) -> Frame | None:
        """Return the next frame of any partition."""
        message = self._poll(wait_s)
        if message is None or message.error() is not None:
            return None
        return self._frame(message)


class BoundedReader(KafkaReader):
    """One partition's frames up to its end, then the next one's; two such readings are equal."""

    def __init__(
        self, consumer: "Consumer", topic: Topic, starts: Mapping[int, Position], ends: Mapping[int, int]
    ) -> None:
        super().__init__(consumer, topic, starts)
        self._ends = ends
        self._left = sorted(starts, reverse=True)
        self._current: int | None = None
        self._turn()

    def read(self, wait_s: float) -> Frame | None:
        """Return the next frame; aborted messages and markers leave gaps in the offsets."""
        if self._current is None:
            return None
        message = self._poll(wait_s)
        if message is None:
            return None
        end, offset = self._ends[self._current], message.offset()
        ended = message.error() is not None  # the end of the partition
        assert offset is not None
        frame = None if ended or offset >= end else self._frame(message)
        if offset + (not ended) >= end:
            self._turn()
        return frame

    def _assigned(self) -> Iterable[int]:
        return () if self._current is None else (self._current,)

    def _turn(self) -> None:
        """Go on to the next partition that has anything."""
        while self._left:
            self._current = self._left.pop()
            if self._next[self._current] < self._ends[self._current]:
                self._assign()
                return
        self._current = None
        self.ended = True
