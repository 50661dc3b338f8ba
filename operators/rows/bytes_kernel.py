"""Copies what chosen rows hold, and sections of many values, to where they are wanted, as plain loops."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from schemas.batch import Int64s

Bytes = npt.NDArray[np.uint8]
Int64s2 = npt.NDArray[np.int64]  # of two dimensions


@njit(nogil=True, cache=True)
def copy_spans(data: Bytes, first: Int64s, rows: Int64s, bounds: Int64s, out: Bytes) -> None:
    """Fill `out[bounds[i]:bounds[i + 1]]` from `data` at `first[rows[i]]`, for each row in turn.

    `bounds` has `rows.size + 1` elements; a row of -1 has an empty span and is never looked up.
    """
    for i in range(rows.size):
        size = bounds[i + 1] - bounds[i]
        if size > 0:
            source = first[rows[i]]
            for j in range(size):
                out[bounds[i] + j] = data[source + j]


@njit(nogil=True, cache=True)
def move_down(values: Any, rows: Int64s) -> None:
    """Move the values of `rows`, which ascend, to the front of `values`, a one-dimensional array."""
    for i in range(rows.size):
        values[i] = values[rows[i]]


@njit(nogil=True, cache=True)
def interleave(data: Bytes, cuts: Int64s2, out: Bytes) -> None:
    """Fill `out` with `data[cuts[j, i]:cuts[j, i + 1]]`, for each run `i` its sections `j` in turn."""
    to = 0
    for i in range(cuts.shape[1] - 1):
        for j in range(cuts.shape[0]):
            for place in range(cuts[j, i], cuts[j, i + 1]):
                out[to] = data[place]
                to += 1
