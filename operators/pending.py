"""Pending rows: those of one stream that still take part, sorted by (time, sequence, arrival)."""

import numpy as np
import pyarrow as pa

from operators.columns import CAPACITY_MIN, with_room
from operators.order_kernel import append_in_order, count_below, merge_tail
from operators.rows import RowStore
from schemas.batch import Batch, Int32s, Int64s

COMPACT_ROWS_MIN = 4096  # below this forgetting rows costs more than it frees


class PendingRows:
    """A row store and the order of the rows in it that wait.  Rows taken stay readable until `forget`.

    Rows that settle wait on, but none comes before them any more: what is added sorts behind them.
    """

    def __init__(self, schema: pa.Schema, columns: tuple[str, ...]) -> None:
        self.store = RowStore(schema, columns)
        self._order: Int64s = np.empty(CAPACITY_MIN, np.int64)
        self._start = 0
        self._settled = 0
        self._stop = 0

    @property
    def rows(self) -> int:
        """How many rows wait."""
        return self._stop - self._start

    @property
    def ids(self) -> Int64s:
        """The rows that wait, in order."""
        return self._order[self._start : self._stop]

    @property
    def size(self) -> int:
        """Bytes of the rows that wait, at the mean size of a row held."""
        return self.store.size * self.rows // max(1, self.store.rows)

    def add(self, batch: Batch, group: Int32s) -> None:
        """Take rows in arrival order.  What is in order already costs nothing, the rest one merge."""
        store, first = self.store, self.store.rows
        store.append(batch, group)
        self._order = with_room(self._order, self._stop, batch.rows).view(np.int64)
        placed = append_in_order(
            self._order, self._settled, self._stop, first, batch.rows, store.time_ns, store.sequence
        )
        self._stop += placed
        if placed < batch.rows:
            added = np.arange(first + placed, first + batch.rows)
            added = added[_by_time(store.time_ns[added], store.sequence[added])]
            merge_tail(self._order, self._settled, self._stop, added, store.time_ns, store.sequence)
            self._stop += added.size

    def below(self, bound_ns: int) -> int:
        """How many waiting rows have a time below `bound_ns`."""
        return int(count_below(self._order, self._start, self._stop, self.store.time_ns, bound_ns))

    def take(self, count: int) -> Int64s:
        """The first `count` rows in order, which wait no longer."""
        self._start += count
        self._settled = max(self._settled, self._start)
        return self._order[self._start - count : self._start]

    def settle(self, bound_ns: int) -> Int64s:
        """Settle the rows below `bound_ns` that have not yet, and return them in order."""
        first = self._settled
        self._settled += int(count_below(self._order, first, self._stop, self.store.time_ns, bound_ns))
        return self._order[first : self._settled]

    def worth_forgetting(self, kept_beside: int) -> bool:
        """Whether most rows held neither wait nor are among the `kept_beside` that somebody else needs."""
        return self.store.rows > max(COMPACT_ROWS_MIN, 2 * (self.rows + kept_beside))

    def forget(self, kept_beside: Int64s) -> Int64s:
        """Forget all rows but the waiting ones and `kept_beside`; return the new id of each, by its old id.

        A row forgotten has -1; those kept stay in their order.
        """
        kept = np.zeros(self.store.rows, np.bool_)
        kept[self.ids] = True
        kept[kept_beside] = True
        ids = np.flatnonzero(kept)
        place = np.full(kept.size, -1, np.int64)
        place[ids] = np.arange(ids.size)
        waiting = place[self.ids]
        self.store.keep(ids)
        self._order = np.empty(max(CAPACITY_MIN, 2 * waiting.size), np.int64)
        self._order[: waiting.size] = waiting
        self._start, self._settled, self._stop = 0, self._settled - self._start, waiting.size
        return place


def _by_time(time_ns: Int64s, sequence: Int64s) -> Int64s:
    """The order of rows by (time, sequence), ties as they came; one sort where nobody has a sequence."""
    if (sequence == sequence[0]).all():
        return np.argsort(time_ns, kind="stable")
    return np.lexsort((sequence, time_ns))
