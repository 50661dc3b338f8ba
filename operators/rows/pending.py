"""Pending rows: those of one stream that still take part, sorted by (time, sequence, arrival)."""

from typing import Final

import numpy as np
import pyarrow as pa

from operators.rows.columns import new_room, with_room
from operators.rows.order_kernel import (
    ENDLESS_NS,
    append_in_order,
    count_below,
    first_waiting,
    merge_tail,
    pick_up_to,
    sort_rows,
)
from operators.rows.store import RowStore
from schemas.batch import Batch, Int32s, Int64s
from schemas.clocks import BEGINNING_NS

COMPACT_ROWS_MIN = 4096  # below this forgetting rows costs more than it frees
# A batch of at least this share of the waiting rows is sorted when its rows are needed, not when it arrives.
LOOSE_SHARE: Final = 1 / 8


class PendingRows:
    """A row store and the order of the rows in it that wait.  Rows taken stay readable until `forget`.

    Rows that settle wait on, but none comes before them any more: what is added sorts behind them.

    Few rows out of order are merged into the others as they come.  Of many, as blocks bring them, each merge
    would move most of the rows that wait: they stay loose, in the order they came, and are sorted once the
    bound of a question has passed them.  Each large batch scans the loose rows once; a batch is large if it
    is at least `LOOSE_SHARE` of the waiting rows, so the cost per row is constant.
    """

    def __init__(self, schema: pa.Schema, columns: tuple[str, ...]) -> None:
        self.store = RowStore(schema, columns)
        self._order: Int64s = new_room(np.int64)
        self._start = 0
        self._settled = 0
        self._stop = 0
        self._loose: Int64s = new_room(np.int64)
        self._loose_count = 0
        self._loose_oldest_ns = ENDLESS_NS
        self._looked_through = False  # the loose rows were, since the last of them came
        self._waits = new_room(np.uint8)  # by row: whether it does
        self._first = 0  # no row before it waits
        self._offsets_ascend = True  # whether rows came in the order of their offsets

    @property
    def rows(self) -> int:
        """How many rows wait."""
        return self._stop - self._start + self._loose_count

    @property
    def ids(self) -> Int64s:
        """The rows that wait, in order."""
        self._tighten(ENDLESS_NS)
        return self._order[self._start : self._stop]

    @property
    def ids_unordered(self) -> Int64s:
        """The rows that wait, in any order: costs no sorting."""
        return np.concatenate([self._order[self._start : self._stop], self._loose[: self._loose_count]])

    @property
    def size(self) -> int:
        """Bytes of the rows that wait, at the mean size of a row held."""
        return self.store.size * self.rows // max(1, self.store.rows)

    @property
    def oldest_ns(self) -> int:
        """The time of the first row that waits; only where one does."""
        assert self.rows
        if self._start == self._stop:
            return self._loose_oldest_ns
        return min(int(self.store.time_ns[self._order[self._start]]), self._loose_oldest_ns)

    def oldest_offset(self, otherwise: int) -> int:
        """The smallest offset of a waiting row, at most `otherwise`."""
        if not self._offsets_ascend:
            return int(self.store.offset[self.ids_unordered].min(initial=otherwise))
        self._first = int(first_waiting(self._waits, self._first, self.store.rows))
        if self._first == self.store.rows:
            return otherwise
        return min(otherwise, int(self.store.offset[self._first]))

    def add(self, batch: Batch, group: Int32s) -> None:
        """Take rows in arrival order.  What is in order already costs nothing, the rest is sorted once."""
        if batch.rows == 0:
            return
        store, first, before = self.store, self.store.rows, self.rows
        self._hold(batch, group, waits=True)
        is_many = batch.rows >= LOOSE_SHARE * before
        if self._loose_count and not is_many:
            self._tighten(ENDLESS_NS)
        placed = 0 if self._loose_count else self._append(first, batch.rows)
        if placed == batch.rows:
            return
        if is_many:
            self._loosen(first + placed, store.rows)
        else:
            self._merge(np.arange(first + placed, store.rows))

    def hold(self, batch: Batch, group: Int32s) -> Int64s:
        """Store rows that do not wait, for a caller that keeps their ids; return the ids."""
        first = self.store.rows
        self._hold(batch, group, waits=False)
        return np.arange(first, self.store.rows)

    def below(self, bound_ns: int) -> int:
        """How many waiting rows have a time below `bound_ns`."""
        if bound_ns == BEGINNING_NS:
            return 0
        self._tighten(bound_ns - 1)
        return int(count_below(self._order, self._start, self._stop, self.store.time_ns, bound_ns))

    def first(self, count: int) -> Int64s:
        """The first `count` rows in order, of those counted by `below`."""
        return self._order[self._start : self._start + count]

    def take(self, count: int) -> Int64s:
        """Take the first `count` rows, which wait no longer."""
        taken = self.first(count)
        self._start += count
        self._settled = max(self._settled, self._start)
        self._waits[taken] = 0
        return taken

    def settle(self, bound_ns: int) -> Int64s:
        """Settle the rows below `bound_ns` that have not yet, and return them in order."""
        first, self._settled = self._settled, max(self._settled, self._start + self.below(bound_ns))
        return self._order[first : self._settled]

    def worth_forgetting(self, kept_beside: int) -> bool:
        """Whether most rows held neither wait nor are among the `kept_beside` that somebody else needs."""
        return self.store.rows > max(COMPACT_ROWS_MIN, 2 * (self.rows + kept_beside))

    def forget(self, kept_beside: Int64s) -> Int64s:
        """Forget all rows but the waiting ones and `kept_beside`; return the new id of each, by its old id.

        A row forgotten has -1; those kept stay in their order.
        """
        kept = self._waits[: self.store.rows].view(np.bool_).copy()
        kept[kept_beside] = True
        ids = np.flatnonzero(kept)
        place = np.full(kept.size, -1, np.int64)
        place[ids] = np.arange(ids.size)
        self._waits[: ids.size] = self._waits[ids]
        self._first = 0
        self.store.keep(ids)
        offset = self.store.offset[: self.store.rows]
        self._offsets_ascend = bool((offset[1:] >= offset[:-1]).all())
        waiting = place[self._order[self._start : self._stop]]
        self._order[: waiting.size] = waiting
        self._start, self._settled, self._stop = 0, self._settled - self._start, waiting.size
        loose = self._loose[: self._loose_count]
        loose[:] = place[loose]
        return place

    def _hold(self, batch: Batch, group: Int32s, *, waits: bool) -> None:
        first = self.store.rows
        if first and batch.rows and batch.offset[0] < self.store.offset[first - 1]:
            self._offsets_ascend = False
        self.store.append(batch, group)
        self._waits = with_room(self._waits, first, batch.rows).view(np.uint8)
        self._waits[first : self.store.rows] = waits

    def _append(self, first: int, count: int) -> int:
        """Put as many rows from `first` on as are in order behind the last one; return how many were."""
        self._order = with_room(self._order, self._stop, count).view(np.int64)
        placed = append_in_order(
            self._order, self._settled, self._stop, first, count, self.store.time_ns, self.store.sequence
        )
        self._stop += placed
        return int(placed)

    def _merge(self, added: Int64s) -> None:
        """Sort rows and merge them into those in order."""
        store = self.store
        with np.errstate(over="ignore"):  # the loop's differences wrap, of which plain numpy would warn
            sort_rows(added, store.time_ns, store.sequence, *np.empty((3, added.size), np.int64))
        self._order = with_room(self._order, self._stop, added.size).view(np.int64)
        merge_tail(self._order, self._settled, self._stop, added, store.time_ns, store.sequence)
        self._stop += added.size

    def _loosen(self, first: int, stop: int) -> None:
        """Let these rows wait unsorted."""
        count, more = self._loose_count, stop - first
        self._loose = with_room(self._loose, count, more).view(np.int64)
        self._loose[count : count + more] = np.arange(first, stop)
        self._loose_count += more
        self._loose_oldest_ns = min(self._loose_oldest_ns, int(self.store.time_ns[first:stop].min()))
        self._looked_through = False

    def _tighten(self, newest_ns: int) -> None:
        """Sort the loose rows up to a time; sort all of them when called again before new ones arrive."""
        if self._loose_count == 0 or newest_ns < self._loose_oldest_ns:
            return
        picked = np.empty(self._loose_count, np.int64)
        count, self._loose_oldest_ns = pick_up_to(
            self._loose[: self._loose_count],
            self.store.time_ns,
            ENDLESS_NS if self._looked_through else newest_ns,
            picked,
        )
        self._looked_through = True
        self._loose_count -= count
        self._merge(picked[:count])
