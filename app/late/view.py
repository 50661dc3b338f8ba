"""Late rows as lines and as plain values: how late each was, and which frontier it met."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType

from app.dead.letter import letter_in_full, record_time_words
from app.dead.view import index_words
from app.reading.letters import StoredLetter
from app.watch.words import clock_words
from app.words import duration, table_lines
from schemas.letters import LateLetter
from topics.decoder import RowDecoder


@dataclass(slots=True)
class StreamCount:
    """The late rows of one stream; `first` and `last` are the frontiers met, ns since the epoch."""

    stream: str
    rows: int = 0
    letters: int = 0
    lateness_ns_max: int = 0
    first_ns: int = 0
    last_ns: int = 0

    def add(self, letter: LateLetter) -> None:
        """Count the rows of one letter."""
        self.first_ns = min(self.first_ns, letter.frontier_ns) if self.letters else letter.frontier_ns
        self.last_ns = max(self.last_ns, letter.frontier_ns) if self.letters else letter.frontier_ns
        self.lateness_ns_max = max(self.lateness_ns_max, letter.lateness_ns)
        self.rows += len(letter.indexes)
        self.letters += 1


def as_json(stored: StoredLetter[LateLetter]) -> dict[str, Any]:
    """One letter as plain values; times are int64 ns UTC."""
    letter = stored.letter
    return {
        "place": str(stored.place),
        "stream": letter.stream,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "rows": list(letter.indexes),
        "lateness_ns": letter.lateness_ns,
        "frontier_ns": letter.frontier_ns,
        "timestamp_ms": stored.original.timestamp_ms,
        "size": stored.size,
        "cut": bool(letter.cut),
    }


def count_streams(letters: Iterable[StoredLetter[LateLetter]]) -> list[StreamCount]:
    """The late rows counted by stream, the most frequent first."""
    counts: dict[str, StreamCount] = {}
    for stored in letters:
        counts.setdefault(stored.letter.stream, StreamCount(stored.letter.stream)).add(stored.letter)
    return sorted(counts.values(), key=lambda count: -count.rows)


def listing(shown: Iterable[StoredLetter[LateLetter]], letters: int, rows: int) -> list[str]:
    """A line for each letter, and how many letters and rows there are beside those shown."""
    header = ("letter", "stream", "came from", "rows", "late by", "frontier (UTC)", "record time (UTC)")
    table = [
        (
            str(stored.place),
            stored.letter.stream,
            stored.source,
            index_words(stored.letter.indexes),
            duration(stored.letter.lateness_ns),
            clock_words(stored.letter.frontier_ns, 0),
            record_time_words(stored),
        )
        for stored in shown
    ]
    newest = f", the newest {len(table):,} shown" if len(table) < letters else ""
    return [
        *table_lines(header, table, right=("late by",)),
        f"{rows:,} late rows in {letters:,} letters{newest}; `late summary` counts them by stream",
    ]


def summary(counts: Iterable[StreamCount]) -> list[str]:
    """A line for each stream."""
    header = ("stream", "rows", "letters", "late by, at most", "first frontier (UTC)", "last frontier (UTC)")
    rows = [
        (
            count.stream,
            f"{count.rows:,}",
            f"{count.letters:,}",
            duration(count.lateness_ns_max),
            clock_words(count.first_ns, 0),
            clock_words(count.last_ns, 0),
        )
        for count in counts
    ]
    return table_lines(header, rows, right=header[1:4])


def in_full(
    stored: StoredLetter[LateLetter], decoder: RowDecoder | None, *, missing: str = ""
) -> RenderableType:
    """One letter with its headers, its bytes and its rows; which of them were late and which came in time.

    `missing` says why a message that was cut for its letter is not here whole.
    """
    letter = stored.letter
    late = set(letter.indexes)
    words = clock_words(letter.frontier_ns, 0)
    return letter_in_full(
        stored,
        f"letter {stored.place}: {stored.source}, {len(late):,} rows late, "
        f"at most by {duration(letter.lateness_ns)}",
        [f"stream      {letter.stream}", f"frontier    {words} UTC, which the latest of them met"],
        decoder,
        lambda index: "late" if index in late else "in time",
        missing=missing,
    )
