"""The sealer: closes the left rows that no later row can change and builds their aligned rows in one go."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.inputs.progress import RowPlace
from operators.join.context import Matches, RightContext
from operators.join.forward import ForwardContext
from operators.join.settings import AsofSettings
from operators.rows.buffers import fixed_array
from operators.rows.pending import PendingRows
from operators.sealed import RowKeys
from schemas.batch import Bools, Int32s, Int64s
from schemas.clocks import BEGINNING_NS, END_NS


def reaches(settings: AsofSettings) -> bool:
    """Whether a left row is sealed as soon as the frontier reaches its time, and need not pass it."""
    return not settings.allow_exact and settings.left.sequence is None


class Sealer:
    """Cost is in proportion to the rows a seal closes, not to the rows that wait nor to the groups.

    `left`     the left rows that wait.
    `rights`   the context of each right stream.
    `through`  the place of the last left row sealed, None before the first: rows are sealed in order, so it
               says of every left row whether it was.
    `held_ns`  by the rule of an earlier life left rows may wait so far behind the frontier.
    """

    def __init__(self, settings: AsofSettings, left: PendingRows, rights: tuple[RightContext, ...]) -> None:
        self.through: RowPlace | None = None
        self.held_ns = 0
        self.left = left
        self.rights = rights
        self._schema = settings.aligned_schema()
        # A strict match cannot change any more once the frontier reaches the left time itself.  Where a
        # sequence orders equal times another left row of that time may still have to come first, so it waits.
        self._reaches = reaches(settings)

    def left_bound(self, frontier_ns: int) -> int:
        """Left rows below it are sealed once the frontier stands at `frontier_ns`."""
        return frontier_ns + 1 if self._reaches and BEGINNING_NS < frontier_ns < END_NS else frontier_ns

    def seal(self, frontier_ns: int, groups: int) -> tuple[pa.RecordBatch | None, RowKeys | None, list[int]]:
        """Seal up to the frontier; return the aligned rows, their keys, and by right stream the matches."""
        rows, matches = self._close(frontier_ns, groups)
        aligned = keys = None
        if rows.size:
            left_ns = self.left.store.time_ns[rows]
            aligned = self._aligned(rows, left_ns, matches)
            keys = RowKeys(self.left.store.group[rows], left_ns)
            self.through = self._place(int(rows[-1]))
        floor_ns = self.floor_ns(frontier_ns)
        if self.left.worth_forgetting(0):
            self.left.forget(np.empty(0, np.int64))
        for right in self.rights:
            right.compact(floor_ns)
        return aligned, keys, [int(np.count_nonzero(match.row >= 0)) for match in matches]

    def floor_ns(self, frontier_ns: int) -> int:
        """The time below which no left row waits or is still to be accepted."""
        left = self.left
        return min(frontier_ns, left.oldest_ns) if left.rows else frontier_ns

    def pass_over(self, through: RowPlace | None) -> None:
        """Drop the waiting left rows that an earlier life sealed: those up to `through`."""
        self.through = through
        if through is not None:
            left, store = self.left, self.left.store
            rows = left.first(left.below(through[0] + 1))
            behind = self.unsealed(
                store.time_ns[rows], store.sequence[rows], store.offset[rows], store.index[rows]
            )
            left.take(int(np.count_nonzero(~behind)))

    def unsealed(self, time_ns: Int64s, sequence: Int64s, offset: Int64s, index: Int32s) -> Bools:
        """Which accepted left rows are not sealed yet: those behind the last sealed row in output order."""
        if self.through is None:
            return np.ones(time_ns.size, np.bool_)
        behind = np.zeros(time_ns.size, np.bool_)
        decided = behind.copy()
        for own, sealed in zip(
            (time_ns, sequence, offset, index.astype(np.int64)), self.through, strict=True
        ):
            behind |= ~decided & (own > sealed)
            decided |= own != sealed
        return behind

    def _close(self, frontier_ns: int, groups: int) -> tuple[Int64s, list[Matches]]:
        """The left rows that are final, in order, and their matches in each right stream."""
        rows = self.left.take(self.left.below(self.left_bound(frontier_ns)))
        return rows, [right.match(self.left, rows, frontier_ns, groups) for right in self.rights]

    def _place(self, row: int) -> RowPlace:
        store = self.left.store
        return (
            int(store.time_ns[row]),
            int(store.sequence[row]),
            int(store.offset[row]),
            int(store.index[row]),
        )

    def _aligned(self, rows: Int64s, left_ns: Int64s, matches: list[Matches]) -> pa.RecordBatch:
        left = self.left.store
        columns = [left.gather(name, rows) for name in left.names]
        for right, match in zip(self.rights, matches, strict=True):
            columns += _looked_up(right, match)
            columns += _times(right, match.row, left_ns)
        columns.append(pa.array(left.offset[rows]))
        columns.append(pa.array(left.index[rows]))
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)


class ForwardSealer(Sealer):
    """Seals left rows that wait for later right rows: in order, up to the first one that may still change.

    A row that is final thus waits for those before it, yet no longer than they do: each is final once the
    frontier is a tolerance beyond it.
    """

    def __init__(self, settings: AsofSettings, left: PendingRows, rights: tuple[ForwardContext, ...]) -> None:
        super().__init__(settings, left, rights)
        self._reaches = False
        self._ahead = rights

    def _close(self, frontier_ns: int, groups: int) -> tuple[Int64s, list[Matches]]:
        count = min(right.look_ahead(self.left, frontier_ns, groups) for right in self._ahead)
        rows = self.left.take(count)
        floor_ns = self.floor_ns(frontier_ns)
        for right in self._ahead:
            right.fold_pending(floor_ns)
        return rows, [right.take_matches(count) for right in self._ahead]


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
