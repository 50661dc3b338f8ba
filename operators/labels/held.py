"""Rows that wait, in order: as they came, to be given out, and as the tables that kernels work on."""

from collections import deque
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.labels import places as at
from operators.sealed import RowKeys

ROWS_MIN: Final = 1024
SYMBOLS_MIN: Final = 16


class HeldRows:
    """The rows from ordinal `base` to before `end`.

    In the tables a row's column is its ordinal less `origin`; columns before the base are room.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.base = 0
        self.end = 0
        self.origin = 0
        self.whole: at.Whole = np.zeros((at.WHOLE_FIELDS, ROWS_MIN), np.int64)
        self.real: at.Real = np.zeros((at.REAL_FIELDS, ROWS_MIN))
        self.symbols: at.Whole = _no_symbols(SYMBOLS_MIN)
        self._schema = schema
        self._batches: deque[pa.RecordBatch] = deque()  # from the base on

    def begin(self, ordinal: int) -> None:
        """Be empty, with the first row to come at an ordinal."""
        assert self.base == self.end == 0, "there were rows already"
        self.base = self.end = self.origin = ordinal

    def add(self, rows: pa.RecordBatch, symbols: int) -> tuple[at.Whole, at.Real]:
        """Take rows; returns the parts of the tables that are theirs, to be written."""
        self._batches.append(rows)
        count = rows.num_rows
        if self.end + count - self.origin > self.whole.shape[1]:
            self._make_room(count)
        if symbols > self.symbols.shape[1]:
            grown = _no_symbols(symbols + symbols // 2)
            grown[:, : self.symbols.shape[1]] = self.symbols
            self.symbols = grown
        first = self.end - self.origin
        self.end += count
        return self.whole[:, first : first + count], self.real[:, first : first + count]

    def table(self, first: int, end: int) -> tuple[at.Whole, at.Real]:
        """The parts of the tables that belong to rows."""
        part = slice(first - self.origin, end - self.origin)
        return self.whole[:, part], self.real[:, part]

    def keys(self, first: int, end: int) -> RowKeys:
        """The keys of rows."""
        whole, _ = self.table(first, end)
        return RowKeys(whole[at.GROUP].astype(np.int32), whole[at.TIME_NS].copy(), whole[at.SESSION].copy())

    def rows(self, first: int, end: int) -> pa.RecordBatch:
        """Rows as they came, in one batch."""
        pieces, begin = [], self.base
        for batch in self._batches:
            lower, upper = max(first, begin), min(end, begin + batch.num_rows)
            if lower < upper:
                pieces.append(batch.slice(lower - begin, upper - lower))
            begin += batch.num_rows
            if begin >= end:
                break
        return _joined(self._schema, pieces)

    def drop(self, count: int) -> None:
        """Forget the first rows."""
        self.base += count
        while count:
            batch = self._batches.popleft()
            if batch.num_rows > count:
                self._batches.appendleft(batch.slice(count))
                return
            count -= batch.num_rows

    def _make_room(self, count: int) -> None:
        """Move rows to the front of the tables, which become larger where half of them would be full."""
        held = self.end - self.base
        kept = slice(self.base - self.origin, self.end - self.origin)
        size = self.whole.shape[1]
        if 2 * (held + count) > size:
            size = 2 * (held + count)
        whole, real = np.zeros((at.WHOLE_FIELDS, size), np.int64), np.zeros((at.REAL_FIELDS, size))
        whole[:, :held], real[:, :held] = self.whole[:, kept], self.real[:, kept]
        self.whole, self.real, self.origin = whole, real, self.base


def _no_symbols(count: int) -> at.Whole:
    symbols: npt.NDArray[np.int64] = np.full((at.SYMBOL_FIELDS, count), -1, np.int64)
    symbols[at.COUNT] = symbols[at.PENDING] = 0
    return symbols


def _joined(schema: pa.Schema, pieces: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(pieces) == 1:
        return pieces[0]
    (batch,) = pa.Table.from_batches(pieces, schema).combine_chunks().to_batches()
    return batch


def pieces_of(lower: int, upper: int, size: int) -> Iterator[tuple[int, int, int]]:
    """The blocks of so many ordinals that a range lies in: number, and which of the range is in it."""
    if lower >= upper:
        return
    for block in range(lower // size, -(-upper // size)):
        yield block, max(lower, block * size), min(upper, (block + 1) * size)
