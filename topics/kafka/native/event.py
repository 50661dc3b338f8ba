"""What a Kafka client hands out in place of a message: an error or an end of partition, and where."""

from typing import Any, NamedTuple

from topics.block import TopicPartition


class Event(NamedTuple):
    """An error, or an end of partition; one of the client alone has no topic and a partition below 0."""

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
        """Whether another client took this one's place at the broker; this one cannot go on."""
        return bool(self.error.name() == "_FATAL" and "fenced" in self.error.str())
