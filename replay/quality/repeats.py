"""Rows that are there twice: of one symbol, time and sequence, or from one place of a log."""

import numpy as np

from schemas.batch import Int64s


class Repeats:
    """Counts rows that equal an earlier one in all their columns of numbers.

    The first column is the time, which does not fall: rows of the newest time alone are remembered.
    """

    def __init__(self, columns: int) -> None:
        self._held = np.empty((columns, 0), np.int64)
        self._count = 0

    def add(self, *columns: Int64s) -> None:
        """Take the next rows."""
        rows = np.concatenate([self._held, np.array(columns)], axis=1)
        if rows.shape[1] == 0:
            return
        done = int(np.searchsorted(rows[0], rows[0, -1]))
        self._count += _repeated(rows[:, :done])
        self._held = rows[:, done:]

    @property
    def count(self) -> int:
        """How many such rows have passed."""
        return self._count + _repeated(self._held)


def _repeated(rows: Int64s) -> int:
    """How many of these columns of a matrix equal one before them."""
    ordered = rows[:, np.lexsort(rows[::-1])]
    return int(np.count_nonzero(np.all(ordered[:, 1:] == ordered[:, :-1], axis=0)))
