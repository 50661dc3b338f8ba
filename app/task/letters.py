"""Letters: messages passed on whole, because a row came too late, lies too far ahead or could not be read."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final, Literal

import numpy as np
import pyarrow as pa

from schemas.batch import Int32s, Int64s
from schemas.letters import (
    DEAD_AHEAD,
    DEAD_BROKEN_RULE,
    DEAD_STAGE_JUDGE,
    DEAD_UNREADABLE,
    DeadLetter,
    LateLetter,
)
from topics.block import Headers, MessageBlock, Original, TopicPartition
from topics.wire import DeadRow

RUNS_MAX: Final = 30_000  # runs of rows that one letter names: half a megabyte of a header, at most


@dataclass(frozen=True, slots=True)
class Letter:
    """The original message, and what became of which of its rows."""

    kind: Literal["late", "dead"]
    source: TopicPartition
    offset: int
    original: Original
    about: LateLetter | DeadLetter
    reason: str
    rule: str = ""  # of a dead letter: the rule its rows broke; empty where they could not be read

    @property
    def headers(self) -> Headers:
        """The headers of the original, and those that say what became of it."""
        return [*self.original.headers, *self.about.to_kafka()]

    def describe(self) -> str:
        """One line for an error or a log."""
        return f"{self.source.topic}[{self.source.partition}]@{self.offset} is {self.kind}: {self.reason}"


def late_letters(
    late: pa.RecordBatch, stream: str, source: TopicPartition, block: MessageBlock, messages: Int64s
) -> Iterator[Letter]:
    """One letter per message with late rows; `late` has the operator's LATE_SCHEMA, oldest offset first.

    A message has several where its late rows are too scattered to be named in one.
    """
    offset, index, lateness, frontier = (
        late.column(name).to_numpy() for name in ("offset", "index", "lateness_ns", "frontier_ns")
    )
    uniques, firsts = np.unique(offset, return_index=True)
    at = messages[np.searchsorted(block.offset[messages], uniques)]
    for message, first, end in zip(at, firsts, [*firsts[1:], offset.size], strict=True):
        original = block.originals[int(message)]
        for lower, upper in _stretches(index[first:end], int(first)):
            about = LateLetter(
                stream=stream,
                topic=source.topic,
                partition=source.partition,
                offset=int(offset[lower]),
                indexes=tuple(index[lower:upper].tolist()),
                lateness_ns=int(lateness[lower:upper].max()),
                frontier_ns=int(frontier[lower]),
            )
            reason = f"{upper - lower} rows, up to {about.lateness_ns} ns below the frontier"
            yield Letter("late", source, int(offset[lower]), original, about, reason)


def ahead_letters(
    ahead: pa.RecordBatch, limit: str, source: TopicPartition, block: MessageBlock, messages: Int64s
) -> Iterator[Letter]:
    """A letter per message with rows too far ahead, or that is a progress record so far ahead.

    `ahead` has the operator's AHEAD_SCHEMA; `limit` says what its bound is, with the clock.
    """
    rows = sorted(zip(*(ahead.column(name).to_pylist() for name in ahead.schema.names), strict=True))
    for offset, told in groupby(rows, key=lambda row: row[0]):
        of_message = list(told)
        original = block.originals[int(messages[np.searchsorted(block.offset[messages], offset)])]
        _, index, time_ns, bound_ns = max(of_message, key=lambda row: row[2])
        what = "progress record up to" if index < 0 else f"{len(of_message)} rows too far ahead, up to"
        reason = f"{what} {time_ns} ns: beyond {bound_ns} ns, {limit}"
        about = DeadLetter(
            topic=source.topic,
            partition=source.partition,
            offset=offset,
            reason=reason,
            error=DEAD_AHEAD,
            stage=DEAD_STAGE_JUDGE,
            indexes=tuple(row[1] for row in of_message if row[1] >= 0),
        )
        yield from _letters_about(about, source, original)


def dead_letters(dead: Sequence[DeadRow], source: TopicPartition, block: MessageBlock) -> Iterator[Letter]:
    """One letter per message with dead rows and reason."""
    for (message, reason, rule), rows in groupby(dead, key=lambda row: (row.message, row.reason, row.rule)):
        original = block.originals[message]
        about = DeadLetter(
            topic=source.topic,
            partition=source.partition,
            offset=int(block.offset[message]),
            reason=reason,
            error=DEAD_BROKEN_RULE if rule else DEAD_UNREADABLE,
            indexes=tuple(row.index for row in rows if row.index >= 0),
            rule=rule,
        )
        yield from _letters_about(about, source, original)


def _letters_about(about: DeadLetter, source: TopicPartition, original: Original) -> Iterator[Letter]:
    """The letter about a message, or several where its dead rows are too scattered to be named in one."""
    for lower, upper in _stretches(np.array(about.indexes, np.int64), 0) or [(0, 0)]:
        part = replace(about, indexes=about.indexes[lower:upper])
        yield Letter("dead", source, about.offset, original, part, about.reason, about.rule)


def _stretches(index: Int64s | Int32s, first: int) -> list[tuple[int, int]]:
    """Bounds, counted from `first`, of stretches of rising indexes that have at most RUNS_MAX runs each."""
    begins = np.flatnonzero(np.diff(index, prepend=index[:1] - 2) != 1)[::RUNS_MAX]
    return list(itertools.pairwise([*(first + begins).tolist(), first + index.size]))
