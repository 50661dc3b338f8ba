"""The dead-letter topic read back: each letter with where it lies, where it came from and why it is there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from app.config import Settings
from app.reading.letters import Place, StoredLetter, read_stored
from app.reading.partition import require_settled
from app.wiring.pipeline import Pipeline
from schemas.letters import DEAD_AHEAD, DEAD_FAILED_TILE, DeadLetter, original_headers
from topics.block import Headers, TopicPartition
from topics.bus import Bus

_ROW = re.compile(r"^row \d+, ")
_TILE = re.compile(r", tile -?\d+ to -?\d+ with [\d,]+ rows")


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

    def has(self, stored: StoredLetter[DeadLetter]) -> bool:
        """Whether a letter is one of them."""
        letter = stored.letter
        return (
            (self.topic is None or letter.topic == self.topic)
            and (self.reason is None or self.reason in letter.reason or self.reason == letter.rule)
            and (self.since_ms is None or stored.original.timestamp_ms >= self.since_ms)
            and (not self.places or stored.place in self.places)
        )


def read_letters(bus: Bus, settings: Settings, partition: int) -> Iterator[StoredLetter[DeadLetter]]:
    """Yield the dead letters of one partition, oldest first; what is no dead letter is passed over."""
    source = TopicPartition(settings.topic("dead"), partition)
    return read_stored(bus, source, DeadLetter.from_kafka, group=f"{settings.pipeline.prefix}-dead")


def headers_of(stored: StoredLetter[DeadLetter]) -> Headers:
    """The headers that the message had."""
    return stored.original.headers if stored.fetched else original_headers(stored.original.headers)


def kind_of(letter: DeadLetter) -> str:
    """The reason without the row and the times it names, so that equal troubles count together."""
    if letter.error == DEAD_AHEAD:
        return "too far ahead: beyond pipeline.max_ahead_ns"
    if letter.error == DEAD_FAILED_TILE:
        return _TILE.sub("", letter.reason)
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
