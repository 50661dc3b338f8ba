"""Letters carry the original key and value of a message; their headers say which rows, and what happened.

The headers are ASCII or UTF-8 text, readable by any Kafka client.  Headers the message had come first.
"""

from dataclasses import dataclass
from typing import Final, Self

KafkaHeaders = list[tuple[str, bytes | None]]

INDEXES: Final = "tidemark-indexes"  # the rows in the message, comma-separated; empty for the whole message

LATE_STREAM: Final = "tidemark-stream"
LATE_TOPIC: Final = "tidemark-topic"
LATE_PARTITION: Final = "tidemark-partition"
LATE_OFFSET: Final = "tidemark-offset"
LATE_LATENESS: Final = "tidemark-lateness-ns"  # the largest of the rows named: frontier less row time
LATE_FRONTIER: Final = "tidemark-frontier-ns"  # when the rows arrived

# Kafka Connect's names, so that its tools read our dead letters.
DEAD_TOPIC: Final = "__connect.errors.topic"
DEAD_PARTITION: Final = "__connect.errors.partition"
DEAD_OFFSET: Final = "__connect.errors.offset"
DEAD_STAGE: Final = "__connect.errors.stage"
DEAD_REASON: Final = "__connect.errors.exception.message"


class LetterError(ValueError):
    """A message is not a letter; the text names the header that is missing or malformed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LateHeaders:
    """Rows that arrived below the frontier, which had passed `lateness_ns` beyond the latest of them."""

    stream: str
    topic: str
    partition: int
    offset: int
    indexes: tuple[int, ...]
    lateness_ns: int
    frontier_ns: int

    def to_kafka(self) -> KafkaHeaders:
        """The headers as a Kafka client takes them."""
        return [
            (LATE_STREAM, self.stream.encode()),
            (LATE_TOPIC, self.topic.encode()),
            (LATE_PARTITION, str(self.partition).encode()),
            (LATE_OFFSET, str(self.offset).encode()),
            (INDEXES, _joined(self.indexes)),
            (LATE_LATENESS, str(self.lateness_ns).encode()),
            (LATE_FRONTIER, str(self.frontier_ns).encode()),
        ]

    @classmethod
    def from_kafka(cls, headers: KafkaHeaders) -> Self:
        """Read the headers of a late letter; raises LetterError."""
        found = dict(headers)
        return cls(
            stream=_text(found, LATE_STREAM),
            topic=_text(found, LATE_TOPIC),
            partition=_number(found, LATE_PARTITION),
            offset=_number(found, LATE_OFFSET),
            indexes=_indexes(found),
            lateness_ns=_number(found, LATE_LATENESS),
            frontier_ns=_number(found, LATE_FRONTIER),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadHeaders:
    """A message, or the rows of it named by `indexes`, that could not be read, and why."""

    topic: str
    partition: int
    offset: int
    indexes: tuple[int, ...]
    reason: str
    stage: str = "VALUE_CONVERTER"

    def to_kafka(self) -> KafkaHeaders:
        """The headers as a Kafka client takes them."""
        return [
            (DEAD_TOPIC, self.topic.encode()),
            (DEAD_PARTITION, str(self.partition).encode()),
            (DEAD_OFFSET, str(self.offset).encode()),
            (DEAD_STAGE, self.stage.encode()),
            (DEAD_REASON, self.reason.encode()),
            (INDEXES, _joined(self.indexes)),
        ]

    @classmethod
    def from_kafka(cls, headers: KafkaHeaders) -> Self:
        """Read the headers of a dead letter; raises LetterError."""
        found = dict(headers)
        return cls(
            topic=_text(found, DEAD_TOPIC),
            partition=_number(found, DEAD_PARTITION),
            offset=_number(found, DEAD_OFFSET),
            indexes=_indexes(found),
            reason=_text(found, DEAD_REASON),
            stage=_text(found, DEAD_STAGE),
        )


def _joined(indexes: tuple[int, ...]) -> bytes:
    return ",".join(map(str, indexes)).encode()


def _text(found: dict[str, bytes | None], name: str) -> str:
    value = found.get(name)
    if value is None:
        raise LetterError(f"not a letter: header {name} is missing")
    return value.decode(errors="replace")


def _number(found: dict[str, bytes | None], name: str) -> int:
    text = _text(found, name)
    try:
        return int(text)
    except ValueError:
        raise LetterError(f"not a letter: header {name} is {text!r}, not a number") from None


def _indexes(found: dict[str, bytes | None]) -> tuple[int, ...]:
    text = _text(found, INDEXES)
    try:
        return tuple(int(part) for part in text.split(",") if part)
    except ValueError:
        raise LetterError(f"not a letter: header {INDEXES} is {text!r}, not numbers") from None
