"""Which types can be group keys, and what is compared: numbers as int64, everything else by its bytes."""

from typing import Final

import numpy as np
import pyarrow as pa

from operators.tables.settings import AsofError

FIXED_AS_INT64: Final = (
    pa.types.is_boolean,
    pa.types.is_date,
    pa.types.is_time,
    pa.types.is_timestamp,
    pa.types.is_duration,
)
BYTES: Final = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
    pa.types.is_decimal,
)


def key_values_type(name: str, left: pa.DataType, rights: dict[str, pa.DataType]) -> pa.DataType:
    """Return the type whose values are compared: int64 for numbers, large_binary for bytes, or null.

    Whole numbers compare across widths, text across its encodings (plain, large, dictionary); any other key
    needs the same type on both sides.  Raises AsofError naming the column and both types.
    """
    left_values = plain(left)
    for stream, kind in rights.items():
        if not comparable(left_values, plain(kind)):
            raise AsofError(
                f"{name} is {left} in the left table and {kind} in the right table {stream!r}: "
                "as a group column it needs one type"
            )
    for kind in (left_values, *map(plain, rights.values())):
        if not (is_number(kind) or is_bytes(kind) or pa.types.is_null(kind)):
            raise AsofError(
                f"{name} is {kind}, which cannot be a group column: expected text, binary or numbers"
            )
    if pa.types.is_null(left_values) or all(pa.types.is_null(plain(kind)) for kind in rights.values()):
        return pa.null()
    return pa.int64() if is_number(left_values) else pa.large_binary()


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
    return piece


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


def plain(kind: pa.DataType) -> pa.DataType:
    """Return the type of a dictionary's values, or the type itself."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def comparable(left: pa.DataType, right: pa.DataType) -> bool:
    """Whether equal keys of the two types are found equal."""
    if left == right or pa.types.is_null(left) or pa.types.is_null(right):
        return True
    if is_whole(left) and is_whole(right):
        # A uint64 is read as the int64 of the same bits, which only other unsigned numbers are not taken for.
        signed = pa.types.is_signed_integer(left) or pa.types.is_signed_integer(right)
        return not (signed and pa.uint64() in (left, right))
    return is_text(left) and is_text(right)


def is_whole(kind: pa.DataType) -> bool:
    """Whether values are whole numbers."""
    return bool(pa.types.is_integer(kind))


def is_text(kind: pa.DataType) -> bool:
    """Whether values are strings."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_fixed(kind: pa.DataType) -> bool:
    """Whether values are times, dates or flags, held in a number of fixed width."""
    return any(check(kind) for check in FIXED_AS_INT64)


def is_number(kind: pa.DataType) -> bool:
    """Whether keys are compared as 64-bit numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or is_fixed(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """Whether keys are compared byte by byte."""
    return any(check(kind) for check in BYTES)
