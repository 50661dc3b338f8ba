"""The gathers: the matched right row's value for each left row, by its width and not by its type.

`positions` is int32, the matched right row of each left row or -1; `out` holds a value for each, and so does
whatever else belongs to the left.  Bitmaps have the least significant bit first, as Arrow's do.  The loops
count from 0: an index that cannot be negative needs no check, a third of their time.  Storing past the cache
was measured at 0.95 of the time for four columns: not worth instructions of one processor.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
Bytes = npt.NDArray[np.uint8]

BLOCK_ROWS = 64


@njit(nogil=True, cache=True)
def gather_values(source: Any, positions: Int32s, out: Any) -> None:
    """Copy one value of 1, 2, 4 or 8 bytes per row; zero where there is no match."""
    for i in range(positions.size):
        position = positions[i]
        if position >= 0:
            out[i] = source[position]
        else:
            out[i] = 0


@njit(nogil=True, cache=True)
def gather_wide(source: Any, positions: Int32s, out: Any) -> None:
    """Copy one row of a 2-D array per row: values of 16 bytes, 32, or any odd width as bytes."""
    width = out.shape[1]
    for i in range(positions.size):
        position = positions[i]
        for part in range(width):
            if position >= 0:
                out[i, part] = source[position, part]
            else:
                out[i, part] = 0


@njit(nogil=True, cache=True)
def gather_ages(
    left_ns: Int64s,
    left_scale: int,
    right_ns: Int64s,
    right_scale: int,
    positions: Int32s,
    out: Int64s,
) -> None:
    """Write left time minus matched time, in ns; each side's times are in units of its scale."""
    for i in range(positions.size):
        position = positions[i]
        if position >= 0:
            out[i] = left_ns[i] * left_scale - right_ns[position] * right_scale
        else:
            out[i] = 0


@njit(nogil=True, cache=True)
def gather_times(
    left_ns: Int64s,
    left_scale: int,
    right_ns: Int64s,
    right_scale: int,
    positions: Int32s,
    out: Int64s,
    out_times: Int64s,
) -> None:
    """Write ages as `gather_ages` does, and the matched times as they are beside them.

    That takes 0.75 of the time of two loops; two columns of values in one loop were measured at 1.25.
    """
    for i in range(positions.size):
        position = positions[i]
        if position >= 0:
            matched = right_ns[position]
            out[i] = left_ns[i] * left_scale - matched * right_scale
            out_times[i] = matched
        else:
            out[i] = 0
            out_times[i] = 0


@njit(nogil=True, cache=True)
def gather_bits(bits: Bytes, bit_offset: int, positions: Int32s, out: Bytes) -> int:
    """Copy one bit per row, 0 where there is no match; return how many are set."""
    count = 0
    for first in range(0, positions.size, 8):
        byte = 0
        for i in range(first, min(first + 8, positions.size)):
            position = positions[i]
            if position >= 0:
                at = position + bit_offset
                bit = (bits[at >> 3] >> (at & 7)) & 1
                byte |= bit << (i - first)
                count += bit
        out[first >> 3] = byte
    return count


@njit(nogil=True, cache=True)
def mark_matches(positions: Int32s, out: Bytes) -> int:
    """Set a bit for each matched row; return how many there are.

    Mostly all of 64 rows match, which their signs together tell by vector instructions.
    """
    count = 0
    for block in range(0, positions.size, BLOCK_ROWS):
        rows = positions[block : block + BLOCK_ROWS]
        marks = out[block >> 3 : (block + BLOCK_ROWS) >> 3]
        signs = np.int32(0)
        for i in range(rows.size):
            signs |= rows[i]
        if signs >= 0 and rows.size == BLOCK_ROWS:
            for k in range(marks.size):
                marks[k] = 255
            count += BLOCK_ROWS
        else:
            count += mark_each(rows, marks)
    return count


@njit(nogil=True, cache=True)
def mark_each(positions: Int32s, out: Bytes) -> int:
    """Do the same row by row."""
    count = 0
    for first in range(0, positions.size, 8):
        byte = 0
        for i in range(first, min(first + 8, positions.size)):
            if positions[i] >= 0:
                byte |= 1 << (i - first)
                count += 1
        out[first >> 3] = byte
    return count


@njit(nogil=True, cache=True)
def sum_sizes(offsets: Any, positions: Int32s, begin: int, end: int) -> int:
    """Return how many bytes the matched strings of a range hold."""
    total = 0
    for i in range(begin, end):
        position = positions[i]
        if position >= 0:
            total += int(offsets[position + 1]) - int(offsets[position])
    return total


@njit(nogil=True, cache=True)
def gather_bytes(
    offsets: Any,
    data: Bytes,
    positions: Int32s,
    begin: int,
    end: int,
    start: int,
    out_offsets: Any,
    out: Bytes,
) -> None:
    """Copy one string per row behind byte `start` of `out` and write where each one ends."""
    at = start
    for i in range(begin, end):
        position = positions[i]
        if position >= 0:
            first = int(offsets[position])
            size = int(offsets[position + 1]) - first
            for k in range(size):
                out[at + k] = data[first + k]
            at += size
        out_offsets[i + 1] = at
