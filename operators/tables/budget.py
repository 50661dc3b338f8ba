"""How many lookups share a pass over the left rows, so that a join keeps to its memory.

Beyond its inputs and its result a join takes less than 25 bytes per left row and 25 per right row: at most 16
for times, order and group codes, and 8 for what is planned here.  Two things may exceed
that: the tables of a single lookup with about as many groups as rows, and in small joins each thread's tile.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

SCRATCH_SIZE_PER_ROW: Final = 8  # what the lookups of one pass may take, by the rows of all tables


@dataclass(frozen=True, slots=True)
class Scratch:
    """How many bytes a lookup takes beyond the result while its pass lasts: once, and for each thread."""

    once: int
    per_thread: int


@dataclass(frozen=True, slots=True)
class Pass:
    """Which lookups share a pass, by their numbers, and among how many threads at most."""

    numbers: range
    threads_max: int


def passes(lookups: Sequence[Scratch], row_count: int, threads: int) -> Iterator[Pass]:
    """Yield the passes of a join whose tables have `row_count` rows.

    All lookups share one among all threads, unless they would take too much: then each pass has as many as
    it can, and a lookup that takes too much by itself is shared among fewer threads, down to one.
    """
    size_max = SCRATCH_SIZE_PER_ROW * row_count
    first, size = 0, 0
    for number, lookup in enumerate(lookups):
        own = lookup.once + threads * lookup.per_thread
        if number > first and size + own > size_max:
            yield Pass(range(first, number), threads_within(lookups[first:number], size_max, threads))
            first, size = number, 0
        size += own
    if first < len(lookups):
        yield Pass(range(first, len(lookups)), threads_within(lookups[first:], size_max, threads))


def threads_within(lookups: Sequence[Scratch], size_max: int, threads: int) -> int:
    """Return how many threads may share a pass, at least one."""
    once = sum(lookup.once for lookup in lookups)
    per_thread = sum(lookup.per_thread for lookup in lookups)
    return max(1, min(threads, (size_max - once) // max(1, per_thread)))
