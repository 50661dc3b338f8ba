"""Rows on disk as sorted runs, so that a stream of any size is read a tile of time at a time.

A run is a Parquet file of as many rows as fit in memory, sorted.  A tile reads from each run the row groups
that overlap it, and sorts what it got; a stream that came nearly in order has one or two such runs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

LAST_NS: Final = 2**63 - 1
MEMORY_SIZE_MIN: Final = 16 << 20
# Held at once is a run being sorted, three times its size, or a tile of all streams with its join and what it
# is compared with, about eight times.
RUN_SHARE: Final = 8
TILE_SHARE: Final = 16
GROUP_SIZE: Final = 1 << 20  # bytes of a row group, about; cursors into a run cost no more than that
GROUP_ROWS_MAX: Final = 16_384


@dataclass(frozen=True, slots=True)
class Tile:
    """A time range read at once, both ends inclusive."""

    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class _Run:
    path: Path
    first_ns: int
    last_ns: int


class Runs:
    """One stream's rows: `add` them in any order, then `read` any range of times in order.

    `order` are the columns that rows are sorted by, the time column first; ties stay as they came.
    """

    def __init__(self, folder: Path, name: str, order: Sequence[str], memory_size_max: int) -> None:
        assert memory_size_max >= MEMORY_SIZE_MIN, f"{memory_size_max} bytes are too few to audit with"
        self.rows = 0
        self.marks: list[tuple[int, int]] = []  # a time and the bytes from it on to the next one
        self._stem = folder / name
        self._order = list(order)
        self._run_size = memory_size_max // RUN_SHARE
        self._held: list[pl.DataFrame] = []
        self._held_size = 0
        self._runs: list[_Run] = []
        self._schema: pl.Schema | None = None

    @property
    def schema(self) -> pl.Schema:
        """The columns; known only once a batch was added, even an empty one."""
        assert self._schema is not None
        return self._schema

    def add(self, rows: pl.DataFrame) -> None:
        """Take rows; they go to disk when a run is full."""
        if self._schema is None:
            self._schema = rows.schema
        if rows.height == 0:
            return
        self.rows += rows.height
        self._held.append(rows)
        self._held_size += int(rows.estimated_size())
        if self._held_size >= self._run_size:
            self.end()

    def end(self) -> None:
        """Write what is held; before the first `read`."""
        if not self._held:
            return
        rows = pl.concat(self._held).sort(self._order, maintain_order=True)
        size = max(1, int(rows.estimated_size()) // rows.height)
        self._held, self._held_size = [], 0
        times = rows[self._order[0]]
        path = Path(f"{self._stem}-{len(self._runs):06d}.parquet")
        group_rows = max(1, min(GROUP_ROWS_MAX, GROUP_SIZE // size))
        rows.write_parquet(path, compression="lz4", row_group_size=group_rows, statistics=True)
        for lower in range(0, rows.height, group_rows):
            self.marks.append((times[lower], size * min(group_rows, rows.height - lower)))
        self._runs.append(_Run(path, times[0], times[-1]))

    def read(self, first_ns: int, last_ns: int) -> pl.DataFrame:
        """The rows from `first_ns` to `last_ns`, both inclusive, in order."""
        moment = pl.col(self._order[0])
        paths = [run.path for run in self._runs if run.first_ns <= last_ns and run.last_ns >= first_ns]
        if not paths:
            return pl.DataFrame(schema=self._schema)
        found = pl.scan_parquet(paths, low_memory=True).filter(
            moment.is_between(first_ns, min(last_ns, LAST_NS))
        )
        return found.collect().sort(self._order, maintain_order=True)


def tiles(streams: Sequence[Runs], memory_size_max: int) -> Iterator[Tile]:
    """Cut time so that each tile holds about a `TILE_SHARE` of the memory, all streams together.

    Rows of one nanosecond are never parted, however many they are.
    """
    size_max = memory_size_max // TILE_SHARE
    marks = sorted(mark for stream in streams for mark in stream.marks)
    if not marks:
        return
    first_ns, size = marks[0][0], 0
    for mark_ns, mark_size in marks:
        if size + mark_size > size_max and mark_ns > first_ns:
            yield Tile(first_ns, mark_ns - 1)
            first_ns, size = mark_ns, 0
        size += mark_size
    yield Tile(first_ns, LAST_NS)
