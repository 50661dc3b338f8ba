"""One consumer and where it stands: to the ends one partition after another, or for ever as frames come."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from gpu_sink.errors import SourceError
from gpu_sink.frames import Frame, FrameDecoder, Place
from gpu_sink.reading import Position

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message


class Topic(Protocol):
    """What a reader is told of the topic it reads."""

    @property
    def bootstrap(self) -> str: ...
    @property
    def topic(self) -> str: ...
    @property
    def layout(self) -> str | None: ...
    @property
    def group(self) -> str | None: ...


class KafkaReader(ABC):
    """What both ways of reading share: decoding, going on after a pause, committing."""

    ended = False

    def __init__(self, consumer: "Consumer", topic: Topic, starts: Mapping[int, Position]) -> None:
        self.starts = starts
        self._consumer = consumer
        self._topic = topic
        self._next = {partition: start.offset for partition, start in starts.items()}
        self._decoder = FrameDecoder(topic.layout)

    @abstractmethod
    def read(self, wait_s: float) -> Frame | None:
        """Return the next frame, None where none came; raises SourceError and FrameError."""

    def pause(self) -> None:
        """Stop fetching; what was fetched ahead is dropped."""
        self._consumer.pause(self._assigned())

    def resume(self) -> None:
        """Fetch again from the frame after the last one read.

        The partitions are assigned anew: a position of the client's own may stand behind an event that it
        counts as a message.
        """
        self._consumer.resume(self._assigned())
        self._assign(self._assigned())

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
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as refused:
            raise SourceError(
                f"cannot commit to group {self._topic.group} at {self._topic.bootstrap}: {refused}"
            ) from refused

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()

    def _assigned(self) -> list[Any]:
        return self._places(self._next)

    def _places(self, offsets: Mapping[int, int]) -> list[Any]:
        from confluent_kafka import TopicPartition

        return [TopicPartition(self._topic.topic, partition, at) for partition, at in offsets.items()]

    def _assign(self, places: list[Any]) -> None:
        self._consumer.assign(places)

    def _is_end(self, message: "Message") -> bool:
        """Whether this only says that a partition's end was reached; raises SourceError for an error."""
        error: Any = message.error()
        if error is None:
            return False
        if error.name() == "_PARTITION_EOF":
            return True
        where = f"{self._topic.topic} [{message.partition()}] at {self._topic.bootstrap}"
        raise SourceError(f"{where}: {error.str()}")

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
        self._assign(self._assigned())

    def read(self, wait_s: float) -> Frame | None:
        """Return the next frame of any partition."""
        message = self._consumer.poll(wait_s)
        if message is None or self._is_end(message):
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
        message = self._consumer.poll(wait_s)
        if message is None:
            return None
        end, offset = self._ends[self._current], message.offset()
        ended = self._is_end(message)
        assert offset is not None
        frame = None if ended or offset >= end else self._frame(message)
        if offset + (not ended) >= end:
            self._turn()
        return frame

    def _assigned(self) -> list[Any]:
        if self._current is None:
            return []
        return self._places({self._current: self._next[self._current]})

    def _turn(self) -> None:
        """Go on to the next partition that has anything."""
        while self._left:
            self._current = self._left.pop()
            if self._next[self._current] < self._ends[self._current]:
                self._assign(self._assigned())
                return
        self._current = None
        self.ended = True
