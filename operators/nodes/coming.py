"""The rows of a batch that are about to run, symbol by symbol where a symbol has several."""

from typing import Final

import numpy as np

from operators.nodes import places as at
from operators.nodes.evaluate_kernel import BATCH
from operators.nodes.history_kernel import order_by_symbol
from operators.sealed import RowKeys

ROWS_OF_SYMBOL: Final = 2  # a batch with fewer of each runs in its own order


class Coming:
    """Group, time and session of rows, by place in the order in which they run, and what that order is.

    What a symbol's state lies in is brought near once for all its rows where they run one after another.
    """

    def __init__(self) -> None:
        self.rows = np.zeros((at.COMING_ROWS, BATCH), np.int64)
        self.is_ordered = False  # else they run in the order of the batch
        self._batch = np.zeros((at.ROW, BATCH), np.int64)
        self._behind = np.zeros(1, np.int64)  # of each symbol's rows, the place behind those so far
        order_by_symbol(self._batch, self.rows, self._behind, 0)  # no row has to wait for its kernel

    def take(self, keys: RowKeys, lower: int, rows: int, groups: int, *, exceed_cache: bool) -> None:
        """Take up `rows` of a batch from `lower` on; so many `groups` have been numbered.

        `exceed_cache` says that their states are more than a core's cache holds: else an order gains nothing.
        """
        self.is_ordered = exceed_cache and rows >= ROWS_OF_SYMBOL * groups
        taken = self._batch if self.is_ordered else self.rows
        for row, values in ((at.GROUP, keys.group), (at.TIME_NS, keys.time_ns), (at.SESSION, keys.session)):
            taken[row, :rows] = values[lower : lower + rows]
        if self.is_ordered:
            if self._behind.size != 1 + groups:
                self._behind = np.zeros(1 + groups, np.int64)
            order_by_symbol(self._batch, self.rows, self._behind, rows)
