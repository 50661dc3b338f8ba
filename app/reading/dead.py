"""The dead-letter topic read back: each letter with where it lies, where it came from and why it is there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from app.config import Settings
from app.reading.original import is_original, message_at
from app.reading.partition import read_partition, require_settled
from app.wiring.pipeline import Pipeline
from schemas.letters import DEAD_AHEAD, DeadLetter, LetterError, original_headers
from topics.block import Headers, MessageBlock, Original, TopicPartition
from topics.bus import Bus, BusError, BusUnavailableError

_ROW = re.compile(r"^row \d+, ")


class Place(NamedTuple):
    """Where a letter lies in the dead-letter topic; written `partition@offset`."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}@{self.offset}"


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """One letter; `block` and `message` say where its value can be decoded while the reading stands there.

    With `fetched` they and `original` are of the message itself, as its topic has it.
    """

    place: Place
    letter: DeadLetter
    original: Original
    block: MessageBlock
    message: int
    fetched: bool = False

    @property
    def source(self) -> str:
        """Where the message came from: `tidemark.quote[3]@17`."""
        return f"{self.letter.topic}[{self.letter.partition}]@{self.letter.offset}"

    @property
    def whole(self) -> bool:
        """Whether everything of the message is here."""
        return self.fetched or not self.letter.cut

    @property
    def headers(self) -> Headers:
        """The headers that the message had."""
        return self.original.headers if self.fetched else original_headers(self.original.headers)

    @property
    def size(self) -> int:
        """The bytes of the message's value, here or not."""
        size = self.letter.cut.value_size
        return len(self.original.value or b"") if size is None else size


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which letters are wanted; a field that is None or empty does not restrict them.

    `topic` the one the message came from; `reason` is part of the reason or the name of the rule; `since_ms`
    the earliest time of the message, which is its rows' event time; `places` these and no others.
    """

    topic: str | None = None
    reason: str | None = None
    since_ms: int | None = None
    places: frozenset[Place] = frozenset()

    def has(self, stored: StoredLetter) -> bool:
        """Whether a letter is one of them."""
        letter = stored.letter
        return (
            (self.topic is None or letter.topic == self.topic)
            and (self.reason is None or self.reason in letter.reason or self.reason == letter.rule)
            and (self.since_ms is None or stored.original.timestamp_ms >= self.since_ms)
            and (not self.places or stored.place in self.places)
        )


def read_letters(bus: Bus, settings: Settings, partition: int) -> Iterator[StoredLetter]:
    """Yield the letters of one partition, oldest first; a message that is no dead letter is passed over."""
    source = TopicPartition(settings.topic("dead"), partition)
    for block in read_partition(bus, source, group=f"{settings.pipeline.prefix}-dead"):
        for message in range(block.messages):
            original = block.originals[message]
            try:
                letter = DeadLetter.from_kafka(original.headers)
            except LetterError:
                continue
            yield StoredLetter(Place(partition, int(block.offset[message])), letter, original, block, message)


def with_original(bus: Bus, settings: Settings, stored: StoredLetter) -> tuple[StoredLetter, str]:
    """The letter with its message whole, and nothing; or the letter as it is, and why that cannot be had.

    A message that was cut for its letter is fetched from the topic that it came from.
    """
    if stored.whole:
        return stored, ""
    letter = stored.letter
    source = TopicPartition(letter.topic, letter.partition)
    kept = f"the letter keeps {len(stored.original.value or b''):,} of {stored.size:,} bytes"
    try:
        block = message_at(bus, source, letter.offset, group=f"{settings.pipeline.prefix}-dead")
    except BusUnavailableError:
        raise
    except BusError as absent:
        return stored, f"{kept}, and {stored.source} cannot be fetched: {absent}"
    if block is None:
        return stored, f"{kept}, and {stored.source} is no longer in its topic: retention has deleted it"
    original = block.originals[0]
    if not is_original(original, letter.cut, stored.original):
        return stored, f"{kept}, and {stored.source} holds another message: the topic was made anew"
    return replace(stored, original=original, block=block, message=0, fetched=True), ""


def kind_of(letter: DeadLetter) -> str:
    """The reason without the row it names, so that equal troubles count together."""
    return _ROW.sub("", letter.reason)


def ahead_places(pipeline: Pipeline, partition: int) -> dict[str, list[tuple[int, int]]]:
    """The committed rows of one partition that were too far ahead, per stream as (offset, index).

    They come in the order of the topic; progress records are left out, they are no rows.  With
    `worker.dead = "drop"` the topic is empty.
    """
    require_settled(pipeline.bus, [TopicPartition(pipeline.settings.topic("dead"), partition)])
    places: dict[str, list[tuple[int, int]]] = {name: [] for name in pipeline.settings.stream_names}
    for stored in read_letters(pipeline.bus, pipeline.settings, partition):
        letter = stored.letter
        if letter.error == DEAD_AHEAD:
            places[pipeline.input_topics[letter.topic]] += [(letter.offset, i) for i in letter.indexes]
    return places
