"""Where sealed rows stand in their output: for rows that are read back."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from operators.inputs.progress import RowPlace
from schemas.batch import Bools, Int64s
from schemas.frame import LEFT_INDEX, LEFT_OFFSET


class RowPlaces(NamedTuple):
    """The place of each row, in the order in which rows are sealed: one value per row, int64.

    `offset` and `row` say where its left row stood: the message, and which row of it.
    """

    time_ns: Int64s
    sequence: Int64s
    offset: Int64s
    row: Int64s

    def place(self, row: int) -> RowPlace:
        """The place of one row."""
        time_ns, sequence, offset, index = (int(column[row]) for column in self)
        return time_ns, sequence, offset, index

    def count_up_to(self, place: RowPlace, lower: int, upper: int) -> int:
        """How many of the rows from `lower` to before `upper`, all in order, lie at or before a place."""
        ahead = np.zeros(upper - lower, np.bool_)
        decided = ahead.copy()
        for column, bound in zip(self, place, strict=True):
            own = column[lower:upper]
            ahead |= ~decided & (own > bound)
            decided |= own != bound
        return upper - lower - int(np.count_nonzero(ahead))

    def stretches(self) -> list[int]:
        """The rows at which the order begins anew, first and end included: what was sent twice goes back."""
        rows = self.time_ns.size
        back = np.zeros(max(rows - 1, 0), np.bool_)
        decided: Bools = back.copy()
        for column in self:
            back |= ~decided & (column[1:] < column[:-1])
            decided |= column[1:] != column[:-1]
        back |= ~decided  # the same row once more
        return [0, *(np.flatnonzero(back) + 1).tolist(), rows]


def row_places(rows: pa.RecordBatch, clock: str, sequence: str | None) -> RowPlaces:
    """The places of joined rows; `sequence` is the column that orders left rows of one time, if any."""
    times, offsets, indices = (_int64s(rows, name) for name in (clock, LEFT_OFFSET, LEFT_INDEX))
    numbers = np.zeros(rows.num_rows, np.int64) if sequence is None else _int64s(rows, sequence)
    return RowPlaces(times, numbers, offsets, indices)


def _int64s(rows: pa.RecordBatch, name: str) -> Int64s:
    """A column as whole numbers; a null counts as 0, as where rows of one time are put in order."""
    column = rows.column(name).cast(pa.int64())
    return np.asarray(column.fill_null(0).to_numpy(zero_copy_only=False), np.int64)
