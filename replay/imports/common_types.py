"""One type for a column that files hold in several: the narrowest that has every value of both, or none."""

from functools import reduce
from typing import Final

import pyarrow as pa

_UNITS: Final = ("s", "ms", "us", "ns")
_DIGITS_MAX: Final = 38
_SIGNED: Final = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}


def common_type(kinds: list[pa.DataType]) -> pa.DataType | None:
    """Return the type of a column that is each of these somewhere, None where they differ in meaning.

    Whole numbers widen, and so do floats, decimals and units of time; text and binary have one meaning in
    every encoding; a column without a value is of any type; lists are as their items.  Numbers never become
    floats, nor a time without a zone one with it.
    """

    def step(one: pa.DataType | None, other: pa.DataType) -> pa.DataType | None:
        return None if one is None else _common(one, other)

    return reduce(step, kinds[1:], kinds[0])


def _common(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if _is_text(one) and _is_text(other):
        return pa.large_string()
    if _is_bytes(one) and _is_bytes(other):
        return pa.large_binary()
    if pa.types.is_integer(one) and pa.types.is_integer(other):
        return _integer(one, other)
    if pa.types.is_floating(one) and pa.types.is_floating(other):
        return pa.float64()
    if pa.types.is_decimal(one) and pa.types.is_decimal(other):
        return _decimal(one, other)
    if pa.types.is_list(one) and pa.types.is_list(other):
        item = _common(one.value_type, other.value_type)
        return None if item is None else pa.list_(item)
    return _temporal(one, other)


def is_list_of_nothing(kind: pa.DataType) -> bool:
    """Whether values are lists that never had an item."""
    return bool(pa.types.is_list(kind) and pa.types.is_null(kind.value_type))


def _temporal(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if pa.types.is_timestamp(one) and pa.types.is_timestamp(other):
        if (one.tz is None) != (other.tz is None):
            return None
        return pa.timestamp(_finer(one, other), one.tz if one.tz == other.tz else "UTC")
    if pa.types.is_duration(one) and pa.types.is_duration(other):
        return pa.duration(_finer(one, other))
    if pa.types.is_time(one) and pa.types.is_time(other):
        unit = _finer(one, other)
        return pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)
    return None


def _finer(one: pa.DataType, other: pa.DataType) -> str:
    return max(str(one.unit), str(other.unit), key=_UNITS.index)


def _integer(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if pa.types.is_signed_integer(one) == pa.types.is_signed_integer(other):
        return one if one.bit_width > other.bit_width else other
    signed, unsigned = (one, other) if pa.types.is_signed_integer(one) else (other, one)
    return _SIGNED.get(max(signed.bit_width, 2 * unsigned.bit_width))


def _decimal(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    scale = max(one.scale, other.scale)
    digits = max(one.precision - one.scale, other.precision - other.scale) + scale
    return pa.decimal128(digits, scale) if digits <= _DIGITS_MAX else None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
