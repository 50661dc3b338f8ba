"""Sends dead letters back to where they came from: the original bytes, exactly once, and never twice.

What has been sent is the committed position of a group of its own, `PREFIX-dead-replay`, and is committed in
the transaction that sends it: a call that dies half-way leaves nothing half done, and the next one goes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from app.config import Settings
from app.errors import UsageError
from app.reading.dead import Wanted, headers_of, read_letters
from app.reading.letters import StoredLetter, with_original
from app.task.metadata import METADATA_SIZE_MAX, from_position
from app.wiring.pipeline import Pipeline
from schemas.clocks import BEGINNING_NS
from schemas.letters import REPLAYED_FROM, DeadLetter
from topics.block import Headers, TopicPartition
from topics.bus import Bus, Consumer, MessageLimit, Position, Producer
from topics.message_size import message_size

LETTERS_MAX: Final = 500  # of one transaction, which has ten seconds
LETTERS_SIZE_MAX: Final = 32 << 20  # ... or so many bytes, which are held until they are sent


class Sent:
    """Which letters of one partition have been sent: everything below `next_offset`, and ranges above it.

    A range is [lower, upper); offsets in it that hold no letter do not matter.
    """

    def __init__(self, position: Position | None, low: int) -> None:
        """Raise UsageError where another program committed to the group."""
        self.next_offset = max(low, position.offset) if position else low
        self._ranges: list[tuple[int, int]] = []
        try:
            for word in position.metadata.split() if position else ():
                lower, upper = word.split("-")
                self._ranges.append((int(lower), int(upper)))
        except ValueError:
            raise UsageError(
                f"the group that counts replayed letters holds {word!r}, which this program did not write: "
                "delete the group, if you know what has been replayed"
            ) from None

    def __contains__(self, offset: int) -> bool:
        return offset < self.next_offset or any(lower <= offset < upper for lower, upper in self._ranges)

    def add(self, lower: int, upper: int) -> None:
        """Note that every letter in [lower, upper) has been sent."""
        merged: list[tuple[int, int]] = []
        for begin, end in sorted([*self._ranges, (lower, upper)]):
            if merged and begin <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((begin, end))
        while merged and merged[0][0] <= self.next_offset:
            self.next_offset = max(self.next_offset, merged.pop(0)[1])
        self._ranges = merged

    def position(self) -> Position:
        """What to commit; raises UsageError where the sent letters are too scattered to be written down."""
        metadata = " ".join(f"{lower}-{upper}" for lower, upper in self._ranges)
        if len(metadata) > METADATA_SIZE_MAX:
            raise UsageError(
                f"{len(self._ranges):,} separate stretches of replayed letters do not fit in a commit: "
                "replay what lies between them first, with a wider filter or none"
            )
        return Position(self.next_offset, metadata)


@dataclass(slots=True)
class Replay:
    """What a replay did, or with `dry_run` would do; lists hold a line per letter that was left out.

    `late` counts letters with a row below the frontier of their task, which will be late.
    """

    sent: list[str] = field(default_factory=list)
    before: int = 0
    left_out: list[str] = field(default_factory=list)
    late: int = 0


def replay_group(settings: Settings) -> str:
    """The group whose positions say which letters were sent; it is the sender's transactional id too."""
    return f"{settings.pipeline.prefix}-dead-replay"


def sent_places(bus: Bus, settings: Settings) -> dict[int, Sent]:
    """The letters sent already, by partition of the dead-letter topic."""
    committed = bus.admin().group(replay_group(settings)).committed
    topic = settings.topic("dead")
    numbers = range(settings.bus.partitions)
    return {number: Sent(committed.get(TopicPartition(topic, number)), 0) for number in numbers}


def replay(pipeline: Pipeline, wanted: Wanted, *, dry_run: bool = False) -> Replay:
    """Send the wanted letters that have not been sent, in the order of their topic.

    A letter about some rows of a message whose other rows were used is left out: its message again would
    double those.  Raises what the bus raises; what was committed until then stays sent.
    """
    report = Replay()
    group = replay_group(pipeline.settings)
    # Made before the positions are read: it ends what an earlier one left open, and fences one at work.
    producer = None if dry_run else pipeline.bus.producer(transactional_id=group, client_id=group)
    consumer = pipeline.bus.consumer(group=group, client_id=group)
    try:
        judge = _Judge(pipeline, wanted, report)
        for number in range(pipeline.settings.bus.partitions):
            source = TopicPartition(pipeline.settings.topic("dead"), number)
            low, _ = consumer.offsets(source)
            sent = Sent(consumer.committed([source])[source], low)
            outgoing: list[tuple[StoredLetter[DeadLetter], int]] = []
            size = 0
            lower = low  # of the stretch that ends with this letter: no other letter lies in it
            for stored in read_letters(pipeline.bus, pipeline.settings, number):
                if (due := judge.due(stored, sent)) is not None:
                    outgoing.append((due, lower))
                    size += due.size
                lower = stored.place.offset + 1
                if len(outgoing) == LETTERS_MAX or size >= LETTERS_SIZE_MAX:
                    _send(producer, consumer, source, outgoing, sent, judge.limits)
                    outgoing, size = [], 0
            _send(producer, consumer, source, outgoing, sent, judge.limits)
    finally:
        consumer.close()
        if producer is not None:
            producer.close()
    return report


class _Judge:
    """Decides which letters are sent, and notes what becomes of the others."""

    def __init__(self, pipeline: Pipeline, wanted: Wanted, report: Replay) -> None:
        self.limits = pipeline.bus.message_limits(list(pipeline.input_topics))
        self._pipeline = pipeline
        self._wanted = wanted
        self._report = report
        self._decoders = {topic: decoder for topic, (_, decoder) in pipeline.decoders().items()}
        committed = pipeline.bus.admin().group(pipeline.settings.pipeline.prefix).committed
        self._frontiers: dict[int, int] = {}
        for place, position in committed.items():
            if place.topic in self._decoders:
                frontier_ns = from_position(position, f"{place.topic}[{place.partition}]").frontier_ns
                self._frontiers[place.partition] = max(
                    frontier_ns, self._frontiers.get(place.partition, BEGINNING_NS)
                )

    def due(self, stored: StoredLetter[DeadLetter], sent: Sent) -> StoredLetter[DeadLetter] | None:
        """The letter, its message whole, if it is to be sent now."""
        report, letter = self._report, stored.letter
        if not self._wanted.has(stored):
            return None
        if stored.place.offset in sent:
            report.before += 1
            return None
        decoder = self._decoders.get(letter.topic)
        if decoder is None:
            report.left_out.append(f"{stored.place}: {letter.topic} is no input of this pipeline")
            return None
        stored, why = with_original(self._pipeline.bus, self._pipeline.settings, stored)
        limit = self.limits[letter.topic]
        if not why and (size := _message_size(stored, headers_of(stored))) > limit.size:
            taken = f"{limit.size:,} now ({limit.setting})"
            why = f"{stored.source} has {size:,} bytes, and its topic takes {taken}"
        if why:
            report.left_out.append(f"{stored.place}: {why}")
            return None
        decoded = decoder.decode(stored.block, np.array([stored.message], dtype=np.int64))
        good = decoded.batch.rows if decoded.batch is not None else 0
        rows = good + sum(row.index >= 0 for row in decoded.dead)
        if letter.indexes and len(letter.indexes) < rows:
            used = rows - len(letter.indexes)
            report.left_out.append(
                f"{stored.place}: {used} other rows of {stored.source} are not in this letter; "
                "sent again they would be doubled"
            )
            return None
        if decoded.batch is not None:
            frontier_ns = self._frontiers.get(letter.partition, BEGINNING_NS)
            report.late += int(decoded.batch.time_ns.min()) < frontier_ns
        report.sent.append(f"{stored.place}: {stored.source}, {letter.reason}")
        return stored


def _send(
    producer: Producer | None,
    consumer: Consumer,
    source: TopicPartition,
    outgoing: Sequence[tuple[StoredLetter[DeadLetter], int]],
    sent: Sent,
    limits: Mapping[str, MessageLimit],
) -> None:
    """Send letters and note that they are sent, in one transaction; without a producer nothing happens.

    A message that would be too large with a header more goes without it.
    """
    if producer is None or not outgoing:
        return
    producer.begin()
    for stored, lower in outgoing:
        place = f"{source.topic}[{source.partition}]@{stored.place.offset}"
        own = [pair for pair in headers_of(stored) if pair[0] != REPLAYED_FROM]
        named = [*own, (REPLAYED_FROM, place.encode())]
        fits = _message_size(stored, named) <= limits[stored.letter.topic].size
        producer.produce(
            stored.letter.topic,
            partition=stored.letter.partition,
            key=stored.original.key,
            value=stored.original.value,
            headers=named if fits else own,
            timestamp_ms=stored.original.timestamp_ms,
        )
        sent.add(lower, stored.place.offset + 1)
    try:
        producer.send_offsets({source: sent.position()}, consumer)
    except UsageError:
        producer.abort()
        raise
    producer.commit()


def _message_size(stored: StoredLetter[DeadLetter], headers: Headers) -> int:
    return message_size(stored.original.key, stored.original.value, headers)
