"""Emitted rows on their way into an audit: gathered from small frames, with what each frame says."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from app.audit.findings import Findings
from operators.hashing.parity import Parity
from operators.hashing.row_hash_kernel import UInt64s

GATHERED_ROWS: Final = 16_384
GATHERED_SIZE: Final = 8 << 20  # bytes


class Seal(NamedTuple):
    """What a frame says of its rows; `parity` and `rule` are empty where it does not."""

    rows: int
    parity: str
    rule: str


class Seals:
    """Remembers what frames said until their rows are taken (`SealListener`)."""

    def __init__(self) -> None:
        self._seals: deque[Seal] = deque()

    def add_seal(self, rows: int, parity: str, rule: str) -> None:
        """Take what a frame says of the rows that come next."""
        self._seals.append(Seal(rows, parity, rule))

    def take(self, rows: int) -> list[Seal]:
        """What was said of the next `rows`, which are those of whole frames."""
        taken: list[Seal] = []
        while rows > 0:
            taken.append(self._seals.popleft())
            rows -= taken[-1].rows
        assert rows == 0, "rows are gathered by whole frames"
        return taken


def gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in larger batches: a step that takes a millisecond is too slow for frames of one row."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        full = rows + batch.num_rows > GATHERED_ROWS or size + batch.nbytes > GATHERED_SIZE
        if held and (full or not batch.schema.equals(held[0].schema)):
            yield _one(held)
            held, rows, size = [], 0, 0
        if batch.num_rows:
            held.append(batch)
            rows += batch.num_rows
            size += batch.nbytes
    if held:
        yield _one(held)


def _one(held: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(held) == 1:
        return held[0]
    (batch,) = pa.Table.from_batches(held).unify_dictionaries().combine_chunks().to_batches()
    return batch


def parts_by(seals: Sequence[Seal], kind: Callable[[Seal], bool]) -> Iterator[tuple[int, bool]]:
    """How many rows follow one another in frames of one kind, and of which."""
    for value, group in groupby(seals, kind):
        yield sum(seal.rows for seal in group), value


class ParityCheck:
    """Rolls the rows of a partition and holds each frame's header against them.

    With `repeats` some frames came again.  `roll` then gets only rows that were not there before, and a frame
    whose header counts other rows than these is not compared.
    """

    def __init__(self, *, repeats: bool = False) -> None:
        self.rolled = Parity()
        self._repeats = repeats
        self._begun = False
        self._first: pl.DataFrame | None = None

    def roll(self, hashes: UInt64s, told: str) -> None:
        """Take the rows of a frame, by their hashes, and the parity that it says."""
        self.rolled = self.rolled.roll(hashes)
        if not self._begun and told:
            self._begun = True
            # A frame that counts more rows than its own follows others that the topic keeps no more.
            count = told.partition("-")[0]
            if count.isdecimal() and int(count) > hashes.size:
                self.rolled = _parsed(told)
        if self._repeats and told.partition("-")[0] != str(self.rolled.rows):
            return
        if told and told != str(self.rolled) and self._first is None:
            self._first = pl.DataFrame({"frame": [told], "rows": [str(self.rolled)]})

    def report(self, findings: Findings) -> None:
        """Add the first frame whose header was wrong; those after it are wrong with it."""
        if self._first is not None:
            findings.add("wrong parity", self._first, _frame_words)


def _parsed(told: str) -> Parity:
    """The parity that a frame says, none of it where it says no such thing."""
    try:
        return Parity.parse(told)
    except ValueError:
        return Parity()


def _frame_words(row: dict[str, object]) -> str:
    return f"a frame says {row['frame']}, the rows up to it give {row['rows']}"


def beyond(rows: pl.DataFrame, last: pl.DataFrame | None, order: list[str]) -> pl.Series:
    """Which rows come behind `last`, one row, and those before them, in order of these integer columns."""
    everything = rows.select(order) if last is None else pl.concat([last.select(order), rows.select(order)])
    columns = [everything[name].to_numpy() for name in order]
    by_order = np.lexsort(columns[::-1])
    steps = np.zeros(everything.height, np.bool_)
    for column in columns:
        steps[1:] |= np.diff(column[by_order]) != 0
    rank = np.empty(everything.height, np.int64)
    rank[by_order] = np.cumsum(steps)
    before = np.concatenate([[-1], np.maximum.accumulate(rank)[:-1]])
    return pl.Series("beyond", (rank > before)[-rows.height :])
