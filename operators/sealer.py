"""The sealer: closes the left rows the frontier has passed and builds their aligned rows in one go."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.arrow_buffers import fixed_array
from operators.context import Matches, RightContext
from operators.pending import PendingRows
from operators.settings import AsofSettings
from schemas.batch import Bools, Int64s
from schemas.clocks import BEGINNING_NS


class Sealer:
    """Cost is in proportion to the rows a seal closes, not to the rows that wait nor to the groups."""

    def __init__(self, settings: AsofSettings, left: PendingRows, rights: tuple[RightContext, ...]) -> None:
        self._left = left
        self._rights = rights
        self._schema = settings.aligned_schema()
        # A strict match cannot change any more once the frontier reaches the left time itself.  Where a
        # sequence orders equal times another left row of that time may still have to come first, so it waits.
        self._reaches = not settings.allow_exact and settings.left.sequence is None

    def left_bound(self, frontier_ns: int) -> int:
        """Left rows below it are sealed once the frontier stands at `frontier_ns`."""
        return frontier_ns + 1 if self._reaches and frontier_ns > BEGINNING_NS else frontier_ns

    def seal(self, frontier_ns: int, groups: int) -> tuple[pa.RecordBatch | None, list[int]]:
        """Seal up to the frontier; return the aligned rows and, per right stream, how many matched."""
        left = self._left
        rows = left.take(left.below(self.left_bound(frontier_ns)))
        matches = [right.match(left, rows, frontier_ns, groups) for right in self._rights]
        aligned = self._aligned(rows, matches) if rows.size else None
        if left.worth_forgetting(0):
            left.forget(np.empty(0, np.int64))
        for right in self._rights:
            right.compact(frontier_ns)
        return aligned, [int(np.count_nonzero(match.row >= 0)) for match in matches]

    def _aligned(self, rows: Int64s, matches: list[Matches]) -> pa.RecordBatch:
        left = self._left.store
        columns = [left.gather(name, rows) for name in left.names]
        left_ns = left.time_ns[rows]
        for right, match in zip(self._rights, matches, strict=True):
            columns += _looked_up(right, match)
            columns += _times(right, match.row, left_ns)
        columns.append(pa.array(left.offset[rows]))
        columns.append(pa.array(left.index[rows]))
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)


def _looked_up(right: RightContext, match: Matches) -> list[pa.Array]:
    store = right.pending.store
    if match.value.shape[0]:
        return [
            store.gather(name, rows, rows >= 0) for name, rows in zip(store.names, match.value, strict=True)
        ]
    present = _present(match.row)
    return [store.gather(name, match.row, present) for name in store.names]


def _times(right: RightContext, rows: Int64s, left_ns: Int64s) -> list[pa.Array]:
    present = _present(rows)
    matched_ns: npt.NDArray[np.int64] = right.pending.store.time_ns.take(rows, mode="clip")
    age_ns = left_ns - matched_ns
    if present is not None:
        matched_ns[~present] = 0
        age_ns[~present] = 0
    return [fixed_array(pa.int64(), matched_ns, present), fixed_array(pa.int64(), age_ns, present)]


def _present(rows: Int64s) -> Bools | None:
    present = rows >= 0
    return None if present.all() else present
