"""Which types can be group keys, and whose values can be equal: one answer for tables and for streams."""

from typing import Final

import pyarrow as pa

_FIXED: Final = (
    pa.types.is_boolean,
    pa.types.is_date,
    pa.types.is_time,
    pa.types.is_timestamp,
    pa.types.is_duration,
)
_BYTES: Final = (pa.types.is_fixed_size_binary, pa.types.is_decimal)
_TEXT: Final = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_BINARY: Final = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)


def plain(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values, however they are held: in a dictionary, in runs, or as an extension."""
    if isinstance(kind, pa.BaseExtensionType):
        return plain(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return plain(kind.value_type)
    return kind


def can_be_key(kind: pa.DataType) -> bool:
    """Whether values of this Arrow type can be a group key: they have a text, and are equal or are not."""
    values = plain(kind)
    return is_number(values) or is_bytes(values) or pa.types.is_null(values)


def comparable(left: pa.DataType, right: pa.DataType) -> bool:
    """Whether keys of the two types can be equal.

    Whole numbers compare across widths, text and binary across the ways they are held (plain, large, views,
    dictionaries, runs).  Any other key needs one type: of two units, zones, scales or precisions, who is
    equal to whom is a guess.  A column of nulls matches nothing, and goes with every type.
    """
    left, right = plain(left), plain(right)
    if left == right or pa.types.is_null(left) or pa.types.is_null(right):
        return True
    if is_whole(left) and is_whole(right):
        # The join of tables reads a uint64 as the int64 of the same bits, for which it could be taken.
        signed = pa.types.is_signed_integer(left) or pa.types.is_signed_integer(right)
        return not (signed and pa.uint64() in (left, right))
    return (is_text(left) and is_text(right)) or (is_binary(left) and is_binary(right))


def is_whole(kind: pa.DataType) -> bool:
    """Whether values are whole numbers."""
    return bool(pa.types.is_integer(kind))


def is_text(kind: pa.DataType) -> bool:
    """Whether values are strings."""
    return any(check(kind) for check in _TEXT)


def is_binary(kind: pa.DataType) -> bool:
    """Whether values are bytes of any length."""
    return any(check(kind) for check in _BINARY)


def is_number(kind: pa.DataType) -> bool:
    """Whether values are numbers, or times, dates or flags, which a number of fixed width holds."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or any(check(kind) for check in _FIXED)
    )


def is_bytes(kind: pa.DataType) -> bool:
    """Whether keys are compared byte by byte."""
    return is_text(kind) or is_binary(kind) or any(check(kind) for check in _BYTES)
