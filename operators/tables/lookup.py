"""What a pass looks up for one right table, and the columns of the result that come of it."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.tables.fill import AgeColumn, Filling, Validity, ValueColumn, is_filled_by_value
from operators.tables.gather import filled, gather_column
from operators.tables.passes import Target
from operators.tables.threads import Workers
from operators.tables.times import Times
from operators.tables.walk import Matches, Side, mark

Int32s = npt.NDArray[np.int32]


class Lookup:
    """The matches of one right side, and the columns to be gathered by them.

    Values of fixed width that lie in one piece are gathered tile by tile, if the left rows stand in order.
    What is not (strings, nested values, pieces to be put together) is gathered column by column after the
    pass, from positions that lie in the memory of the ages meanwhile: many tables keep them at no cost.
    """

    def __init__(
        self, right: Side, left: Times, columns: Mapping[str, pa.ChunkedArray], ages: Times | None, on: str
    ) -> None:
        rows = left.ns.size
        self._columns = columns
        self._validity = Validity(rows)
        self._in_order = left.order is None
        self._ages: AgeColumn | None = None
        self._on: str | None = None  # the time column, where it is filled with the ages
        if ages is not None:
            self._on = on if on in columns and columns[on].num_chunks == 1 else None
            beside = None if self._on is None else columns[on].type
            self._ages = AgeColumn(left, ages, self._validity, beside)
        self._by_tile = {
            name: ValueColumn(column.chunk(0), self._validity)
            for name, column in columns.items()
            if self._in_order and is_filled_in_place(column) and name != self._on
        }
        self._kept: Int32s | None = None
        filling: list[Filling] = [self._validity, *self._by_tile.values()] if self._in_order else []
        if keeps_positions(left, columns):
            self._kept = empty_positions(left, None if self._ages is None else self._ages.room())
        elif self._ages is not None:
            filling.append(self._ages)
        self.target = Target(right, filling, self._kept)

    def finish(self, workers: Workers) -> dict[str, pa.ChunkedArray]:
        """Return the columns after the pass, the ages as `age_ns` where they were asked for."""
        matches = self._matches(workers)
        results = {}
        for name, column in self._columns.items():
            if name in self._by_tile:
                results[name] = pa.chunked_array([self._by_tile[name].array()], column.type)
            elif name != self._on:
                assert matches is not None
                results[name] = gather_column(column, matches, workers)
        if self._ages is not None:
            ages = self._ages.array() if matches is None else filled(self._ages, matches, workers)
            results["age_ns"] = pa.chunked_array([ages])
            if self._on is not None:
                results[self._on] = pa.chunked_array([self._ages.times()])
        return results

    def _matches(self, workers: Workers) -> Matches | None:
        """Return the positions that were kept, out of the way of the ages."""
        if self._kept is None:
            return None
        kept = positions = self._kept
        if self._ages is not None:
            positions = np.empty(kept.size, np.int32)
            workers.over(kept.size, lambda begin, end: np.copyto(positions[begin:end], kept[begin:end]))
        if not self._in_order:
            mark(self._validity, positions, workers)
        return Matches(positions, self._validity)


def empty_positions(left: Times, room: Int32s | None = None) -> Int32s:
    """Return an element per left row, in the given memory; -1 where it has no time and is never reached."""
    positions = np.empty(left.ns.size, np.int32) if room is None else room
    if left.count < left.ns.size:
        positions.fill(-1)
    return positions


def keeps_positions(left: Times, columns: Mapping[str, pa.ChunkedArray]) -> bool:
    """Whether some column can only be gathered after the pass."""
    return left.order is not None or not all(is_filled_in_place(column) for column in columns.values())


def is_filled_in_place(column: pa.ChunkedArray) -> bool:
    """Whether a column's values can be gathered tile by tile from where they lie."""
    return column.num_chunks == 1 and is_filled_by_value(column.type)
