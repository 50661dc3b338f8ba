"""What a Kafka client hands out in place of a message: an error or an end of partition, and where."""

from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from topics.block import TopicPartition
from topics.bus import BusError, FencedError, OffsetRangeError
from topics.kafka.errors import OUT_OF_RANGE, bus_error


class Event(NamedTuple):
    """`topic` is None and `partition` below 0 where it concerns none; `error` is the client's own object."""

    topic: str | None
    partition: int
    offset: int
    error: Any

    @classmethod
    def of(cls, message: Any) -> "Event":
        """Read the client's message object, which carries an error."""
        partition, offset = message.partition(), message.offset()
        return cls(
            message.topic(),
            -1 if partition is None else partition,
            -1 if offset is None else offset,
            message.error(),
        )

    @property
    def place(self) -> TopicPartition:
        """The partition it concerns."""
        return TopicPartition(self.topic or "", self.partition)

    @property
    def fenced(self) -> bool:
        """Whether the broker takes another client for this one, which is of no use any more."""
        return bool(self.error.name() == "_FATAL" and "fenced" in self.error.str())

    def raise_error(self, group: object, offsets: Callable[[TopicPartition], tuple[int, int]]) -> NoReturn:
        """Raise what it means to a reader of `group`; `offsets` are those of a partition's log."""
        error, topic = self.error, self.topic
        where = f"reading {topic}" if self.partition < 0 else f"reading {topic}[{self.partition}]"
        if not topic or error.name() == "GROUP_AUTHORIZATION_FAILED":
            where = f"reading as group {group}"
        if self.fenced:
            raise FencedError(f"{where}: another client took over: {error.str()}")
        if error.name() in OUT_OF_RANGE:
            low, high = offsets(self.place)
            raise OffsetRangeError(
                f"offset {self.offset} of {topic}[{self.partition}] is not in the log, "
                f"which has {low} (low) to {high} (high): {error.str()}"
            )
        if error.name() in ("UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC"):
            absent = f"topic {topic} does not exist" if topic else error.str()
            raise BusError(f"{where}: {absent}: create it first")
        raise bus_error(error, where)
