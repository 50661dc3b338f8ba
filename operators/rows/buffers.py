"""Arrow arrays as numpy arrays and back: values, validity, the spans of strings; no copy where possible."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import types

from schemas.batch import Bools, Int64s

Bytes = npt.NDArray[np.uint8]


def is_fixed(kind: pa.DataType) -> bool:
    """Whether a value of this type has one width, so that a column is one plain buffer."""
    return bool(
        types.is_boolean(kind)
        or types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_temporal(kind)
        or types.is_decimal(kind)
        or types.is_fixed_size_binary(kind)
    )


def is_bytes(kind: pa.DataType) -> bool:
    """Whether this is a string or binary type with offsets into one data buffer."""
    return bool(
        types.is_string(kind)
        or types.is_binary(kind)
        or types.is_large_string(kind)
        or types.is_large_binary(kind)
    )


def fixed_dtype(kind: pa.DataType) -> np.dtype[np.generic]:
    """The dtype a fixed-width column is held in: unsigned words, raw bytes beyond 8, a byte per boolean."""
    size = 1 if types.is_boolean(kind) else kind.bit_width // 8
    return np.dtype(f"u{size}") if size in (1, 2, 4, 8) else np.dtype(f"V{size}")


def valid_of(array: pa.Array) -> Bools | None:
    """One bool per row, or None where there is no null."""
    if array.null_count == 0:
        return None
    bits = array.buffers()[0]
    return None if bits is None else _unpack(bits, array.offset, len(array))


def fixed_values(array: pa.Array, dtype: np.dtype[np.generic]) -> npt.NDArray[np.generic]:
    """The values as `dtype`, which is `fixed_dtype`, read-only; what stands at a null is arbitrary."""
    data = array.buffers()[1]
    if data is None or len(array) == 0:
        return np.zeros(len(array), dtype)
    if dtype.itemsize == 1 and types.is_boolean(array.type):
        return _unpack(data, array.offset, len(array)).view(np.uint8)
    return np.frombuffer(data, dtype, len(array), array.offset * dtype.itemsize)


def fixed_array(kind: pa.DataType, values: npt.NDArray[np.generic], valid: Bools | None) -> pa.Array:
    """Build an array of `kind` around `values` (`fixed_dtype`)."""
    if types.is_boolean(kind):
        data = pa.py_buffer(np.packbits(values.view(np.bool_), bitorder="little"))
    else:
        data = pa.py_buffer(values.view(np.uint8) if values.dtype.kind == "V" else values)
    return pa.Array.from_buffers(kind, values.size, [_pack(valid), data], _nulls(valid))


def byte_spans(array: pa.Array) -> tuple[Bytes, Int64s]:
    """The data bytes and `len + 1` bounds into them; a null spans nothing or arbitrary bytes."""
    _, offsets, data = array.buffers()
    large = types.is_large_string(array.type) or types.is_large_binary(array.type)
    if len(array) == 0:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    dtype = np.dtype(np.int64 if large else np.int32)
    bounds = np.frombuffer(offsets, dtype, len(array) + 1, array.offset * dtype.itemsize).astype(np.int64)
    held = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return held[bounds[0] : bounds[-1]], bounds - bounds[0]


def bytes_array(kind: pa.DataType, data: Bytes, bounds: Int64s, valid: Bools | None) -> pa.Array:
    """Build a string or binary array of `kind` from data and `rows + 1` bounds."""
    large = types.is_large_string(kind) or types.is_large_binary(kind)
    assert large or bounds[-1] < 2**31, f"{bounds[-1]} bytes do not fit one array of {kind}"
    offsets = pa.py_buffer(bounds if large else bounds.astype(np.int32))
    return pa.Array.from_buffers(
        kind, bounds.size - 1, [_pack(valid), offsets, pa.py_buffer(data)], _nulls(valid)
    )


def _unpack(bits: pa.Buffer, offset: int, rows: int) -> Bools:
    first = offset // 8
    held = np.frombuffer(bits, np.uint8, (offset + rows + 7) // 8 - first, first)
    return np.unpackbits(held, count=offset % 8 + rows, bitorder="little")[offset % 8 :].view(np.bool_)


def _pack(valid: Bools | None) -> pa.Buffer | None:
    return None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))


def _nulls(valid: Bools | None) -> int:
    return 0 if valid is None else int(valid.size - np.count_nonzero(valid))
