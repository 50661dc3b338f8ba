"""Columns of the result while they are filled: any range of left rows at a time, by any thread, in any order.

A range begins at a multiple of 8 rows, so that no two of them share a byte of a bitmap.
"""

from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.rows.views import Array, Bytes, frozen, validity_bits, value_view
from operators.tables.gather_kernel import (
    gather_ages,
    gather_bits,
    gather_times,
    gather_values,
    gather_wide,
    mark_matches,
)
from operators.tables.times import Times

Int32s = npt.NDArray[np.int32]

UNSIGNED: Final = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


class Filling(Protocol):
    """Something of the result with room for every left row."""

    def fill(self, begin: int, end: int, positions: Int32s) -> None:
        """Write the rows [begin, end), whose matched right rows are `positions`."""


class Column(Filling, Protocol):
    """A column of the result."""

    def array(self) -> pa.Array:
        """Return the column once all rows are filled, each of them once."""


class Validity:
    """Which rows are valid: those with a match, or of them those where the matched value is not null.

    `bits` is a bitmap of the right rows and the bit of the first, or None where no value is null.
    """

    def __init__(self, rows: int, bits: tuple[Bytes, int] | None = None) -> None:
        self.rows = rows
        self._bits = bits
        self._data = pa.allocate_buffer(-(-rows // 8))
        self._out = np.frombuffer(self._data, np.uint8)
        self._counts: list[int] = []  # of the ranges; threads append to it

    def fill(self, begin: int, end: int, positions: Int32s) -> None:
        """Mark the rows [begin, end)."""
        out = self._out[begin // 8 : -(-end // 8)]
        if self._bits is None:
            self._counts.append(mark_matches(positions, out))
        else:
            self._counts.append(gather_bits(*self._bits, positions, out))

    def result(self) -> tuple[pa.Buffer | None, int]:
        """Return the bitmap, None when all is valid, and how many rows are valid."""
        count = sum(self._counts)
        return (None if count == self.rows else self._data), count


class ValueColumn:
    """Values of fixed width, the indices of a dictionary, or booleans.

    `matched` is the validity of the matches; columns without nulls share it, and it is filled by itself.
    """

    def __init__(self, source: pa.Array, matched: Validity) -> None:
        self._source = source
        bits = validity_bits(source)
        if bits is None or (pa.types.is_dictionary(source.type) and source.indices.null_count == 0):
            self._own, self._validity = False, matched
        else:
            self._own, self._validity = True, Validity(matched.rows, bits)
        rows, width = matched.rows, value_bits(source.type)
        self._data = pa.allocate_buffer(-(-rows * width // 8))
        if width == 1:
            self._values, self._out = flag_view(source), np.frombuffer(self._data, np.uint8)
        elif width // 8 in UNSIGNED:
            kind = UNSIGNED[width // 8]
            self._values, self._out = value_view(source, kind), np.frombuffer(self._data, kind)
        else:
            self._values, self._out = wide_views(source, self._data, width // 8, rows)

    def fill(self, begin: int, end: int, positions: Int32s) -> None:
        """Write the rows [begin, end)."""
        if self._own:
            self._validity.fill(begin, end, positions)
        if pa.types.is_boolean(self._source.type):
            out = self._out[begin // 8 : -(-end // 8)]
            gather_bits(self._values, self._source.offset, positions, out)
        elif self._out.ndim == 1:
            gather_values(self._values, positions, self._out[begin:end])
        else:
            gather_wide(self._values, positions, self._out[begin:end])

    def array(self) -> pa.Array:
        """Return the column."""
        kind, rows = self._source.type, self._validity.rows
        valid, count = self._validity.result()
        buffers = [valid, self._data]
        if pa.types.is_dictionary(kind):
            dictionary = self._source.dictionary
            return pa.DictionaryArray.from_buffers(kind, rows, buffers, dictionary, rows - count)
        return pa.Array.from_buffers(kind, rows, buffers, rows - count)


class AgeColumn:
    """Left time minus matched time, int64 nanoseconds; with `beside`, the matched times are filled as well.

    `beside` is the type of the right time column, whose own memory `right.raw` then is.  Until it is filled,
    the first half of the ages' memory can keep the matched row of every left row: see `room`.
    """

    def __init__(self, left: Times, right: Times, matched: Validity, beside: pa.DataType | None) -> None:
        self._left, self._right, self._matched = left, right, matched
        self._data = pa.allocate_buffer(8 * matched.rows)
        self._out = np.frombuffer(self._data, np.int64)
        self._beside = beside
        self._time_data = None if beside is None else pa.allocate_buffer(8 * matched.rows)
        self._time_out = np.frombuffer(b"" if self._time_data is None else self._time_data, np.int64)

    def room(self) -> Int32s:
        """Return int32 per left row in the memory of the ages; copy what it holds before filling them."""
        return np.frombuffer(self._data, np.int32)[: self._matched.rows]

    def fill(self, begin: int, end: int, positions: Int32s) -> None:
        """Write the rows [begin, end)."""
        left, right = self._left, self._right
        sides = left.raw[begin:end], left.scale, right.raw, right.scale
        if self._beside is None:
            gather_ages(*sides, positions, self._out[begin:end])
        else:
            gather_times(*sides, positions, self._out[begin:end], self._time_out[begin:end])

    def array(self) -> pa.Array:
        """Return the ages."""
        return self._array(pa.int64(), self._data)

    def times(self) -> pa.Array:
        """Return the matched times."""
        return self._array(self._beside, self._time_data)

    def _array(self, kind: pa.DataType, data: pa.Buffer) -> pa.Array:
        valid, count = self._matched.result()  # a matched row has a time
        rows = self._matched.rows
        return pa.Array.from_buffers(kind, rows, [valid, data], rows - count)


def value_bits(kind: pa.DataType) -> int:
    """Return how many bits a value takes, the index of a dictionary."""
    return int((kind.index_type if pa.types.is_dictionary(kind) else kind).bit_width)


def flag_view(source: pa.Array) -> Array:
    """Return the bytes that hold a boolean array's values."""
    return frozen(np.frombuffer(source.buffers()[1] or b"", np.uint8))


def wide_views(source: pa.Array, data: pa.Buffer, width: int, rows: int) -> tuple[Array, Array]:
    """Return values of any width, and room for `rows` of them, as rows of 64-bit words or of bytes."""
    word: np.dtype[Any] = np.dtype(np.uint64 if width % 8 == 0 else np.uint8)
    words = width // word.itemsize
    stop = (source.offset + len(source)) * width
    values = np.frombuffer(source.buffers()[1] or b"", np.uint8)[:stop].view(word)
    out = np.frombuffer(data, word).reshape(rows, words)
    return frozen(values.reshape(source.offset + len(source), words)[source.offset :]), out


def is_filled_by_value(kind: pa.DataType) -> bool:
    """Whether values have one width and nothing beside it but a dictionary."""
    return bool(
        pa.types.is_dictionary(kind)
        or pa.types.is_primitive(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_interval(kind)
    )
