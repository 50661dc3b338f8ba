"""Copies strings of chosen rows into one run of bytes, as one plain loop."""

import numpy as np
import numpy.typing as npt
from numba import njit

from schemas.batch import Int64s

Bytes = npt.NDArray[np.uint8]


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
