"""Late rows and dead letters: the original key and value, byte for byte, explained by headers.

Their value has no schema of its own, it is whatever the producer sent; the headers below say what became of
it.  All are UTF-8 text, so any Kafka client can read them.  The names of a dead letter's are those of Kafka
Connect, which tools for dead-letter topics know.

Where the whole would not fit the topic, the letter has the beginning of the value and says what was cut
(`schemas.letter_cut`).  More than 100 indexes are written as runs: `0-99,104`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from schemas.letter_cut import CUT_NAMES, WHOLE, Cut, own_begin
from schemas.letter_cut import Headers as Headers
from schemas.row_indexes import RowIndexes, runs_of

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
# A tile whose function raised: the topic is that of its node, the offset where the tile begins, in ns.
DEAD_FAILED_TILE: Final = "tidemark.FailedTile"


_LISTED_MAX: Final = 100  # indexes that are listed one by one
_RUN: Final = re.compile(r"(\d{1,10})(?:-(\d{1,10}))?")
INDEXES_MAX: Final = 1 << 20  # rows of a message that any decoder takes; more are text and no rows


class LetterError(ValueError):
    """A message is not a late row or a dead letter; the message names the header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LateLetter:
    """Why a message lies in the late topic.

    `indexes`      the rows of the message that were late, by their place in it, rising.
    `lateness_ns`  by how much the latest of them was late: the frontier it met minus its time.
    `frontier_ns`  the frontier which that row met.
    `cut`          what the letter leaves out of the message.
    """

    stream: str
    topic: str
    partition: int
    offset: int
    indexes: Sequence[int]
    lateness_ns: int
    frontier_ns: int
    cut: Cut = WHOLE

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
            *self.cut.to_kafka(),
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
            cut=reader.cut(LATE_STREAM),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """Why a message lies in the dead-letter topic.

    `indexes`  the rows of the message that could not be used, rising; empty where it was the whole message.
    `stage`    where it failed, in Kafka Connect's words; `error` the kind of failure; `reason` in words.
    `rule`     the rule of the stream that these rows broke; empty where they could not be read at all.
    `cut`      what the letter leaves out of the message.
    """

    topic: str
    partition: int
    offset: int
    reason: str
    error: str
    stage: str = DEAD_STAGE_DECODE
    indexes: Sequence[int] = ()
    rule: str = ""
    cut: Cut = WHOLE

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
            *self.cut.to_kafka(),
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
            cut=reader.cut(DEAD_TOPIC),
        )


def original_headers(headers: Headers) -> Headers:
    """The original headers of a dead letter: the last header of each of our names is removed.

    Those that say what was cut are ours from where our own begin.
    """
    own = set(DEAD_NAMES)
    begin = own_begin(headers, DEAD_TOPIC)
    kept: Headers = []
    for place, (name, value) in reversed(list(enumerate(headers))):
        if name in own:
            own.remove(name)
        elif place < begin or name not in CUT_NAMES:
            kept.append((name, value))
    return kept[::-1]


def _join(indexes: Sequence[int]) -> bytes:
    if len(indexes) <= _LISTED_MAX:
        return ",".join(map(str, indexes)).encode()
    runs = runs_of(indexes)
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs).encode()


class _HeaderReader:
    """The headers of one message, read with the name of the one that is wrong."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers
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
            number = int(text)
        except ValueError:
            raise LetterError(f"header {name} is no whole number: {text[:100]!r}") from None
        if not -(2**63) <= number < 2**63:
            raise LetterError(f"header {name} is beyond int64: {text[:100]!r}")
        return number

    def numbers(self, name: str) -> RowIndexes:
        text = self.text(name)
        runs: list[range] = []
        count = 0
        for word in text.split(",") if text else ():
            run = _RUN.fullmatch(word)
            lower, upper = (int(run[1]), int(run[2] or run[1])) if run else (1, 0)
            count += upper - lower + 1
            if lower > upper or count > INDEXES_MAX:
                raise LetterError(f"header {name} is no list of whole numbers: {text[:100]!r}")
            runs.append(range(lower, upper + 1))
        return RowIndexes(runs)

    def cut(self, first: str) -> Cut:
        try:
            return Cut.from_kafka(self._headers, first)
        except ValueError:
            raise LetterError(f"a header {', '.join(CUT_NAMES)} is no whole number") from None
