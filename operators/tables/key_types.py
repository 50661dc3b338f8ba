"""What is compared of group keys: numbers as int64, everything else by its bytes."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from operators.tables.settings import AsofError
from schemas.key_types import can_be_key, comparable, is_number, is_whole, plain

VIEWS = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}


def key_values_type(name: str, left: pa.DataType, rights: dict[str, pa.DataType]) -> pa.DataType:
    """Return the type whose values are compared: int64 for numbers, large_binary for bytes, or null.

    `schemas.key_types` says which keys can be equal.  Raises AsofError naming the column and both types.
    """
    for stream, kind in rights.items():
        if not comparable(left, kind):
            raise AsofError(
                f"{name} is {left} in the left table and {kind} in the right table {stream!r}: "
                "as a group column it needs one type"
            )
    for kind in (left, *rights.values()):
        if not can_be_key(kind):
            raise AsofError(
                f"{name} is {plain(kind)}, which cannot be a group column: expected text, binary or numbers"
            )
    if pa.types.is_null(plain(left)) or all(pa.types.is_null(plain(kind)) for kind in rights.values()):
        return pa.null()
    return pa.int64() if is_number(plain(left)) else pa.large_binary()


def readable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a group column as its storage, with a value per row where it lies in runs, and no views."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return readable(pa.chunked_array([piece.storage for piece in column.chunks], kind.storage_type))
    if pa.types.is_run_end_encoded(kind):
        return readable(
            pa.chunked_array([pc.run_end_decode(piece) for piece in column.chunks], kind.value_type)
        )
    return column.cast(VIEWS[kind]) if kind in VIEWS else column


def as_key_values(piece: pa.Array, values: pa.DataType) -> pa.Array:
    """Return an array whose buffers the key table reads: 64-bit numbers, or strings."""
    kind = piece.type
    if pa.types.is_int64(values):
        return as_int64(piece)
    if pa.types.is_fixed_size_binary(kind) or pa.types.is_decimal(kind):
        width = kind.bit_width // 8
        starts = pa.array(np.arange(piece.offset, piece.offset + len(piece) + 1, dtype=np.int64) * width)
        return pa.Array.from_buffers(
            pa.large_binary(), len(piece), [None, starts.buffers()[1], piece.buffers()[1]]
        )
    return piece.cast(VIEWS[kind]) if kind in VIEWS else piece


def as_int64(piece: pa.Array) -> pa.Array:
    """Return numbers as int64: the bit patterns of floats (with one NaN and one zero) and of uint64."""
    kind = piece.type
    if pa.types.is_floating(kind):
        values = np.asarray(piece.cast(pa.float64()).fill_null(0.0)) + 0.0
        values[np.isnan(values)] = np.nan
        return pa.array(values.view(np.int64))
    if pa.types.is_boolean(kind) or (is_whole(kind) and kind != pa.uint64()):
        return piece.cast(pa.int64())
    return piece.view(pa.int64()) if kind.bit_width == 64 else piece.view(pa.int32()).cast(pa.int64())
