"""Late rows and dead letters: the original key and value, byte for byte, explained by headers.

Their value has no schema of its own, it is whatever the producer sent; the headers below say what became of
it.  All are UTF-8 text, so any Kafka client can read them.  The names of a dead letter's are those of Kafka
Connect, which tools for dead-letter topics know.
"""

from dataclasses import dataclass
from typing import Final

Headers = list[tuple[str, bytes | None]]

LATE_STREAM: Final = "tidemark-stream"
LATE_TOPIC: Final = "tidemark-topic"
LATE_PARTITION: Final = "tidemark-partition"
LATE_OFFSET: Final = "tidemark-offset"
LATE_INDEXES: Final = "tidemark-indexes"
LATE_LATENESS: Final = "tidemark-lateness-ns"
LATE_FRONTIER: Final = "tidemark-frontier-ns"

DEAD_TOPIC: Final = "__connect.errors.topic"
DEAD_PARTITION: Final = "__connect.errors.partition"
DEAD_OFFSET: Final = "__connect.errors.offset"
DEAD_STAGE: Final = "__connect.errors.stage"
DEAD_CLASS: Final = "__connect.errors.exception.class.name"
DEAD_REASON: Final = "__connect.errors.exception.message"
DEAD_INDEXES: Final = "tidemark-indexes"
DEAD_RULE: Final = "tidemark-rule"

DEAD_NAMES: Final = (
    DEAD_TOPIC,
    DEAD_PARTITION,
    DEAD_OFFSET,
    DEAD_STAGE,
    DEAD_CLASS,
    DEAD_REASON,
    DEAD_INDEXES,
    DEAD_RULE,
)

# The stage of Kafka Connect in which a value could not be read, and the one in which one was not taken.
DEAD_STAGE_DECODE: Final = "VALUE_CONVERTER"
DEAD_STAGE_JUDGE: Final = "TRANSFORMATION"
# A dead letter that was sent back to its topic says which one it was: `tidemark.dead[3]@17`.
REPLAYED_FROM: Final = "tidemark-replayed-from"

DEAD_UNREADABLE: Final = "tidemark.DeadRow"
DEAD_BROKEN_RULE: Final = "tidemark.BrokenRule"
DEAD_AHEAD: Final = "tidemark.AheadRow"


class LetterError(ValueError):
    """A message is not a late row or a dead letter; the message names the header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LateLetter:
    """Why a message lies in the late topic.

    `indexes`      the rows of the message that were late, by their place in it, rising.
    `lateness_ns`  by how much the latest of them was late: the frontier it met minus its time.
    `frontier_ns`  the frontier which that row met.
    """

    stream: str
    topic: str
    partition: int
    offset: int
    indexes: tuple[int, ...]
    lateness_ns: int
    frontier_ns: int

    def to_kafka(self) -> Headers:
        """The headers as a Kafka client takes them; put them after the message's own."""
        return [
            (LATE_STREAM, self.stream.encode()),
            (LATE_TOPIC, self.topic.encode()),
            (LATE_PARTITION, str(self.partition).encode()),
            (LATE_OFFSET, str(self.offset).encode()),
            (LATE_INDEXES, _join(self.indexes)),
            (LATE_LATENESS, str(self.lateness_ns).encode()),
            (LATE_FRONTIER, str(self.frontier_ns).encode()),
        ]

    @classmethod
    def from_kafka(cls, headers: Headers) -> "LateLetter":
        """Read the headers; of two with one name the last counts.  Raises LetterError."""
        reader = _HeaderReader(headers)
        return cls(
            stream=reader.text(LATE_STREAM),
            topic=reader.text(LATE_TOPIC),
            partition=reader.number(LATE_PARTITION),
            offset=reader.number(LATE_OFFSET),
            indexes=reader.numbers(LATE_INDEXES),
            lateness_ns=reader.number(LATE_LATENESS),
            frontier_ns=reader.number(LATE_FRONTIER),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """Why a message lies in the dead-letter topic.

    `indexes`  the rows of the message that could not be used, rising; empty where it was the whole message.
    `stage`    where it failed, in Kafka Connect's words; `error` the kind of failure; `reason` in words.
    `rule`     the rule of the stream that these rows broke; empty where they could not be read at all.
    """

    topic: str
    partition: int
    offset: int
    reason: str
    error: str
    stage: str = DEAD_STAGE_DECODE
    indexes: tuple[int, ...] = ()
    rule: str = ""

    def to_kafka(self) -> Headers:
        """The headers as a Kafka client takes them; put them after the message's own."""
        return [
            (DEAD_TOPIC, self.topic.encode()),
            (DEAD_PARTITION, str(self.partition).encode()),
            (DEAD_OFFSET, str(self.offset).encode()),
            (DEAD_STAGE, self.stage.encode()),
            (DEAD_CLASS, self.error.encode()),
            (DEAD_REASON, self.reason.encode()),
            (DEAD_INDEXES, _join(self.indexes)),
            (DEAD_RULE, self.rule.encode()),
        ]

    @classmethod
    def from_kafka(cls, headers: Headers) -> "DeadLetter":
        """Read the headers; of two with one name the last counts.  Raises LetterError."""
        reader = _HeaderReader(headers)
        return cls(
            topic=reader.text(DEAD_TOPIC),
            partition=reader.number(DEAD_PARTITION),
            offset=reader.number(DEAD_OFFSET),
            stage=reader.text(DEAD_STAGE),
            error=reader.text(DEAD_CLASS),
            reason=reader.text(DEAD_REASON),
            indexes=reader.numbers(DEAD_INDEXES),
            rule=reader.text(DEAD_RULE),
        )


def original_headers(headers: Headers) -> Headers:
    """The original headers of a dead letter: the last header of each of our names is removed."""
    own = set(DEAD_NAMES)
    kept: Headers = []
    for name, value in reversed(headers):
        if name in own:
            own.remove(name)
        else:
            kept.append((name, value))
    return kept[::-1]


def _join(indexes: tuple[int, ...]) -> bytes:
    return ",".join(str(index) for index in indexes).encode()


class _HeaderReader:
    """The headers of one message, read with the name of the one that is wrong."""

    def __init__(self, headers: Headers) -> None:
        self._values = dict(headers)

    def text(self, name: str) -> str:
        value = self._values.get(name)
        if value is None:
            raise LetterError(f"header {name} is missing")
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise LetterError(f"header {name} is not UTF-8: {value!r}") from None

    def number(self, name: str) -> int:
        text = self.text(name)
        try:
            return int(text)
        except ValueError:
            raise LetterError(f"header {name} is no whole number: {text!r}") from None

    def numbers(self, name: str) -> tuple[int, ...]:
        text = self.text(name)
        try:
            return tuple(int(number) for number in text.split(",") if text)
        except ValueError:
            raise LetterError(f"header {name} is no list of whole numbers: {text!r}") from None
