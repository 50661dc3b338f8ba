"""Arrow columns as the kernels read them: numpy views of their buffers, nothing copied."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]


def frozen(array: Array) -> Array:
    """Return the array marked read-only: numba compiles a loop once per such mark, and inputs share one."""
    array.flags.writeable = False
    return array


def buffer_view(buffer: pa.Buffer | None, dtype: npt.DTypeLike) -> Array:
    """Return the whole buffer as a read-only array; an absent buffer is an empty one."""
    if buffer is None:
        return frozen(np.empty(0, dtype))
    itemsize = np.dtype(dtype).itemsize
    return frozen(np.frombuffer(buffer, dtype, count=buffer.size // itemsize))


def value_view(array: pa.Array, dtype: npt.DTypeLike) -> Array:
    """Return the values of a fixed-width array; where it is null they are whatever the buffer holds."""
    return buffer_view(array.buffers()[1], dtype)[array.offset : array.offset + len(array)]


def offset_view(array: pa.Array) -> tuple[Array, Bytes]:
    """Return the offsets (one more than rows) and the bytes of a string or binary array."""
    large = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    dtype = np.int64 if large else np.int32
    _, offsets, data = array.buffers()
    if offsets is None or len(array) == 0:
        return frozen(np.zeros(len(array) + 1, dtype)), buffer_view(None, np.uint8)
    return buffer_view(offsets, dtype)[array.offset : array.offset + len(array) + 1], buffer_view(
        data, np.uint8
    )


def word_view(data: Bytes) -> Array:
    """Return the eight bytes from each byte on as uint64, in place: the words overlap, most lie unaligned."""
    return frozen(np.ndarray(max(0, data.size - 7), np.uint64, data, strides=(1,)))


def validity_bits(array: pa.Array) -> tuple[Bytes, int] | None:
    """Return the validity bitmap and the bit of the first row, or None where no row is null.

    A dictionary may hold its null among its values, where the bitmap does not show it.
    """
    if pa.types.is_dictionary(array.type) and array.dictionary.null_count > 0:
        valid = array.is_valid()
        return buffer_view(valid.buffers()[1], np.uint8), valid.offset
    if array.null_count == 0 or array.buffers()[0] is None:
        return None
    return buffer_view(array.buffers()[0], np.uint8), array.offset


def combined(column: pa.ChunkedArray) -> pa.Array:
    """Return the column as one array; a column of several pieces is copied, one of a single piece is not."""
    if column.num_chunks == 1:
        return column.chunk(0)
    if column.num_chunks == 0:
        return pa.array([], column.type)
    array = column.combine_chunks()
    assert isinstance(array, pa.Array), f"a {column.type} column did not combine into one array"
    return array
