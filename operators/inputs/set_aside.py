"""Rows set aside that a restart must leave out: read again, they could be taken for rows that counted."""

from typing import Final

import numpy as np
import pyarrow as pa

from operators.inputs.progress import InputProgress
from operators.rows.store import RowStore
from schemas.batch import Batch, Bools, Int32s

ROWS_MAX: Final = 4096  # per input; beyond it the oldest are no longer named, and `whole_from` says so


class SetAside:
    """Rows of one input set aside that have to be named in each commit, and those named in the last one.

    The log does not say which rows were late or too far ahead: that hung on how far the frontier, the inputs
    or the wall clock had come when they arrived.

    `store`       the rows whose content is known, with the columns that say whether they still matter.
    `awaited`     (offset, index) of those an earlier life named that have not been read again yet.
    `whole_from`  every row that has to be named is, from this offset on.
    """

    def __init__(self, schema: pa.Schema, columns: tuple[str, ...]) -> None:
        self.store = RowStore(schema, columns)
        self.awaited: set[tuple[int, int]] = set()
        self.whole_from = 0

    def resume(self, progress: InputProgress, state_next: int) -> None:
        """Expect the rows that the commit names, except those of the local state, which lie below its end."""
        self.awaited = {row for row in progress.late if row[0] >= state_next}
        if progress.late_from > state_next:
            self.whole_from = progress.late_from

    def recognize(self, batch: Batch) -> Bools | None:
        """Which rows of a batch are awaited; they are not any more.  None where no row is."""
        if not self.awaited:
            return None
        named = np.zeros(batch.rows, np.bool_)
        offsets = np.array([offset for offset, _ in self.awaited], np.int64)
        for row in np.flatnonzero(np.isin(batch.offset, offsets)).tolist():
            place = (int(batch.offset[row]), int(batch.index[row]))
            if place in self.awaited:
                named[row] = True
                self.awaited.remove(place)
        return named if named.any() else None

    def add(self, batch: Batch, group: Int32s) -> None:
        """Remember rows set aside."""
        self.store.append(batch, group)

    def keep(self, rows: Bools) -> None:
        """Forget all but these rows of the store, and the oldest of too many."""
        offset = self.store.offset[: self.store.rows]
        if np.count_nonzero(rows) > ROWS_MAX:
            self.whole_from = max(self.whole_from, int(np.sort(offset[rows])[-ROWS_MAX - 1]) + 1)
            rows = rows & (offset >= self.whole_from)
        if not rows.all():
            self.store.keep(np.flatnonzero(rows))

    def named(self, needed_offset: int) -> tuple[tuple[int, int], ...]:
        """(offset, index), ascending, of every row to be named that a restart could read again."""
        held = self.store.rows
        known = zip(self.store.offset[:held].tolist(), self.store.index[:held].tolist(), strict=True)
        return tuple(sorted(row for row in {*known, *self.awaited} if row[0] >= needed_offset))
