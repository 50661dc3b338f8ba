"""Dead letters for a person: a line each, a count for each reason, and one letter in full."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType

from app.dead.letter import letter_in_full, record_time_words
from app.reading.dead import kind_of
from app.reading.letters import StoredLetter
from app.words import table_lines
from schemas.letters import DeadLetter
from topics.decoder import RowDecoder

INDEXES_MAX = 5  # rows of a message that a line names


@dataclass(slots=True)
class ReasonCount:
    """The letters of one topic and reason; `first` and `last` are record times, `ms` since the epoch."""

    topic: str
    reason: str
    letters: int = 0
    first_ms: int = 0
    last_ms: int = 0
    first: str = ""
    last: str = ""

    def add(self, stored: StoredLetter[DeadLetter]) -> None:
        """Count one letter."""
        at_ms = stored.original.timestamp_ms
        if not self.letters or at_ms < self.first_ms:
            self.first_ms, self.first = at_ms, record_time_words(stored)
        if not self.letters or at_ms > self.last_ms:
            self.last_ms, self.last = at_ms, record_time_words(stored)
        self.letters += 1


def as_json(stored: StoredLetter[DeadLetter], *, sent: bool) -> dict[str, Any]:
    """One letter as plain values."""
    letter = stored.letter
    return {
        "place": str(stored.place),
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "rows": list(letter.indexes),
        "reason": letter.reason,
        "rule": letter.rule,
        "timestamp_ms": stored.original.timestamp_ms,
        "size": stored.size,
        "cut": bool(letter.cut),
        "replayed": sent,
    }


def count_reasons(letters: Iterable[StoredLetter[DeadLetter]]) -> list[ReasonCount]:
    """The letters counted by topic and reason, the most frequent first."""
    counts: dict[tuple[str, str], ReasonCount] = {}
    for stored in letters:
        topic, reason = stored.letter.topic, kind_of(stored.letter)
        counts.setdefault((topic, reason), ReasonCount(topic, reason)).add(stored)
    return sorted(counts.values(), key=lambda count: -count.letters)


def listing(shown: Iterable[tuple[StoredLetter[DeadLetter], bool]], total: int) -> list[str]:
    """A line for each letter, with whether it was sent back, and how many there are beside those shown."""
    rows = []
    for stored, sent in shown:
        rows.append(
            (
                str(stored.place),
                stored.source,
                record_time_words(stored),
                index_words(stored.letter.indexes) or "all",
                "replayed" if sent else "",
                one_line(stored.letter.reason),
            )
        )
    lines = table_lines(("letter", "came from", "record time (UTC)", "rows", "", "reason"), rows)
    newest = f", the newest {len(rows):,} shown" if len(rows) < total else ""
    return [*lines, f"{total:,} dead letters{newest}; `dead summary` counts them by reason"]


def summary(counts: Iterable[ReasonCount]) -> list[str]:
    """A line for each topic and reason."""
    header = ("letters", "topic", "first (UTC)", "last (UTC)", "reason")
    rows = [
        (f"{count.letters:,}", count.topic, count.first, count.last, one_line(count.reason))
        for count in counts
    ]
    return table_lines(header, rows, right=("letters",))


def index_words(indexes: Sequence[int]) -> str:
    """The first rows of a message by their index."""
    return ",".join(map(str, indexes[:INDEXES_MAX])) + ("..." if len(indexes) > INDEXES_MAX else "")


def one_line(text: str) -> str:
    """The text without line breaks: a reason may quote what somebody sent."""
    return " ".join(text.split())


def in_full(
    stored: StoredLetter[DeadLetter], decoder: RowDecoder | None, *, sent: bool, missing: str = ""
) -> RenderableType:
    """One letter with its headers, its bytes and, where it can be decoded now, its rows.

    `missing` says why a message that was cut for its letter is not here whole.
    """
    return letter_in_full(
        stored,
        f"letter {stored.place}: {stored.source}, {stored.letter.reason}",
        [f"replayed    {'yes' if sent else 'no'}"],
        decoder,
        lambda _: "good now",
        missing=missing,
    )
