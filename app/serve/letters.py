"""Late rows and dead letters: the newest of each partition, and one in full with its bytes."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from app.config import Settings
from app.errors import UsageError
from app.reading.dead import kind_of
from app.reading.letters import Place
from app.reading.original import message_at
from app.serve.bounded import read_stretch, stretch_before
from schemas.letters import DeadLetter, LateLetter, LetterError
from topics.block import Headers, Original, TopicPartition
from topics.bus import Bus

LETTERS_MAX: Final = 500  # of each partition that are looked at
SHOWN: Final = 200
BYTES_SHOWN: Final = 4_096
REASON_LENGTH_MAX: Final = 300

_Letter = TypeVar("_Letter", DeadLetter, LateLetter)


class LetterReader:
    """Reads the ends of the late and the dead-letter topic; every answer is bounded."""

    def __init__(self, settings: Settings, bus: Bus) -> None:
        self._settings = settings
        self._bus = bus
        self._group = f"{settings.pipeline.prefix}-page"

    def view(self) -> dict[str, Any]:
        """The newest letters of both topics, and counts over those that were looked at."""
        late = list(self._newest("late", LateLetter.from_kafka))
        dead = list(self._newest("dead", DeadLetter.from_kafka))
        return {
            "looked_at_most": LETTERS_MAX,
            "partitions": self._settings.bus.partitions,
            "late": [_late(place, letter, original) for place, letter, original in late[:SHOWN]],
            "late_ns": [letter.lateness_ns for _, letter, _ in late],
            "late_streams": dict(Counter(letter.stream for _, letter, _ in late)),
            "dead": [_dead(place, letter, original) for place, letter, original in dead[:SHOWN]],
            "dead_reasons": [
                {"topic": topic, "reason": _short(reason), "letters": count}
                for (topic, reason), count in Counter(
                    (letter.topic, kind_of(letter)) for _, letter, _ in dead
                ).most_common()
            ],
        }

    def letter(self, kind: str, text: str) -> dict[str, Any]:
        """One letter in full; raises UsageError where there is none at this place."""
        if kind not in ("late", "dead"):
            raise UsageError("a letter is late or dead")
        place = Place.parse(text, kind)
        source = TopicPartition(self._settings.topic(kind), place.partition)
        block = None
        if place.partition < self._settings.bus.partitions:
            block = message_at(self._bus, source, place.offset, group=self._group)
        if block is None:
            raise UsageError(f"there is no {kind} letter {place}")
        original = block.originals[0]
        parse: Callable[[Headers], DeadLetter | LateLetter] = (
            LateLetter.from_kafka if kind == "late" else DeadLetter.from_kafka
        )
        try:
            letter = parse(original.headers)
        except LetterError as other:
            raise UsageError(f"{place} of {source.topic} is no letter: {other}") from None
        value = original.value
        return {
            **(
                _late(place, letter, original)
                if isinstance(letter, LateLetter)
                else _dead(place, letter, original)
            ),
            "headers": [[name, _text(content)] for name, content in original.headers],
            "key": _text(original.key),
            "bytes": None if value is None else value[:BYTES_SHOWN].hex(" "),
            "bytes_cut": value is not None and len(value) > BYTES_SHOWN,
            "command": f"python -m app dead replay {place}" if kind == "dead" else "",
        }

    def _newest(
        self, kind: str, parse: Callable[[Headers], _Letter]
    ) -> Iterator[tuple[Place, _Letter, Original]]:
        """The last letters of all partitions, the newest by record time first."""
        letters: list[tuple[Place, _Letter, Original]] = []
        for partition in range(self._settings.bus.partitions):
            source = TopicPartition(self._settings.topic(kind), partition)
            stretch = stretch_before(self._bus, source, None, LETTERS_MAX)
            for block in read_stretch(self._bus, source, stretch, group=self._group):
                for message in range(block.messages):
                    original = block.originals[message]
                    try:
                        letter = parse(original.headers)
                    except LetterError:
                        continue  # somebody else's message
                    letters.append((Place(partition, int(block.offset[message])), letter, original))
                del block
        yield from sorted(letters, key=lambda one: (one[2].timestamp_ms, one[0]), reverse=True)


def _late(place: Place, letter: LateLetter, original: Original) -> dict[str, Any]:
    return {
        "place": str(place),
        "stream": letter.stream,
        "source": f"{letter.topic}[{letter.partition}]@{letter.offset}",
        "rows": len(letter.indexes),
        "lateness_ns": letter.lateness_ns,
        "frontier_ns": letter.frontier_ns,
        "timestamp_ms": original.timestamp_ms,
    }


def _dead(place: Place, letter: DeadLetter, original: Original) -> dict[str, Any]:
    return {
        "place": str(place),
        "source": f"{letter.topic}[{letter.partition}]@{letter.offset}",
        "rows": len(letter.indexes),
        "rule": letter.rule,
        "reason": _short(letter.reason),
        "timestamp_ms": original.timestamp_ms,
    }


def _short(reason: str) -> str:
    words = " ".join(reason.split())
    return words if len(words) <= REASON_LENGTH_MAX else f"{words[:REASON_LENGTH_MAX]}..."


def _text(value: bytes | None) -> str | None:
    return None if value is None else value[:BYTES_SHOWN].decode(errors="backslashreplace")
