"""Letters read back from a topic of their own: where each lies, what it is about, and its message whole."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from heapq import nlargest
from typing import Generic, NamedTuple, TypeVar

from app.config import Settings
from app.errors import UsageError
from app.reading.original import is_original, message_at
from app.reading.partition import read_partition
from schemas.letters import DeadLetter, LateLetter, LetterError
from topics.block import Headers, MessageBlock, Original, TopicPartition
from topics.bus import Bus, BusError, BusUnavailableError

AnyLetter = TypeVar("AnyLetter", DeadLetter, LateLetter)


class Place(NamedTuple):
    """Where a letter lies in its topic; written `partition@offset`."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}@{self.offset}"

    @classmethod
    def parse(cls, text: str, kind: str) -> "Place":
        """Read a place; raises UsageError that names the command which lists letters of this kind."""
        partition, _, offset = text.partition("@")
        if not (partition.isdecimal() and offset.isdecimal()):
            raise UsageError(
                f"{text!r} names no {kind} letter; write partition@offset, as `{kind} list` does"
            )
        return cls(int(partition), int(offset))


@dataclass(frozen=True, slots=True)
class StoredLetter(Generic[AnyLetter]):
    """One letter; `block` and `message` say where its value can be decoded while the reading stands there.

    With `fetched` they and `original` are of the message itself, as its topic has it.
    """

    place: Place
    letter: AnyLetter
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
    def size(self) -> int:
        """The bytes of the message's value, here or not."""
        size = self.letter.cut.value_size
        return len(self.original.value or b"") if size is None else size


@dataclass(slots=True)
class Tally:
    """Counts letters that are passed on, and the rows of theirs that it was about."""

    letters: int = 0
    rows: int = 0

    def of(self, letters: Iterable[StoredLetter[AnyLetter]]) -> Iterator[StoredLetter[AnyLetter]]:
        """Count and yield each."""
        for stored in letters:
            self.letters += 1
            self.rows += len(stored.letter.indexes)
            yield stored


def newest(
    letters: Iterable[StoredLetter[AnyLetter]], limit: int | None
) -> Iterable[StoredLetter[AnyLetter]]:
    """Those with the newest record times, the oldest of them first; without a limit all, as they come.

    Partitions may follow each other: what is newest is so by record time, and by offset within a partition.
    """
    if limit is None:
        return letters
    return nlargest(limit, letters, key=_age)[::-1]


def _age(stored: StoredLetter[DeadLetter] | StoredLetter[LateLetter]) -> tuple[int, Place]:
    return stored.original.timestamp_ms, stored.place


def read_stored(
    bus: Bus, source: TopicPartition, parse: Callable[[Headers], AnyLetter], *, group: str
) -> Iterator[StoredLetter[AnyLetter]]:
    """Yield the letters of one partition, oldest first; a message that is no such letter is passed over.

    `group` only names the reader.
    """
    for block in read_partition(bus, source, group=group):
        for message in range(block.messages):
            original = block.originals[message]
            try:
                letter = parse(original.headers)
            except LetterError:
                continue
            place = Place(source.partition, int(block.offset[message]))
            yield StoredLetter(place, letter, original, block, message)


def with_original(
    bus: Bus, settings: Settings, stored: StoredLetter[AnyLetter]
) -> tuple[StoredLetter[AnyLetter], str]:
    """The letter with its message whole, and nothing; or the letter as it is, and why that cannot be had.

    A message that was cut for its letter is fetched from the topic that it came from.
    """
    if stored.whole:
        return stored, ""
    letter = stored.letter
    source = TopicPartition(letter.topic, letter.partition)
    kept = f"the letter keeps {len(stored.original.value or b''):,} of {stored.size:,} bytes"
    try:
        block = message_at(bus, source, letter.offset, group=f"{settings.pipeline.prefix}-letters")
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
