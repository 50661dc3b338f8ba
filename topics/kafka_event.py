"""What a Kafka client hands out in place of a message: an error or an end of partition, and where."""

from typing import Any, NamedTuple


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
