"""The Avro default of a column, as the words or bytes a decoded value would be."""

import json
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from topics.avro.arrow_types import is_list
from topics.wire import CodecError


@dataclass(frozen=True, slots=True)
class DefaultValue:
    """What a column of older messages holds: null, or a value as the bytes Arrow has for it.

    Of lists it is the empty one, whose bytes are none.
    """

    column: int
    null: bool
    raw: bytes

    @property
    def words(self) -> tuple[int, int]:
        """The value as its low and its high 8 bytes."""
        whole = int.from_bytes(self.raw[:16], "little", signed=True)
        low = whole & (2**64 - 1)
        return low - 2**64 if low >= 2**63 else low, whole >> 64

    @property
    def address(self) -> int:
        """Where the bytes lie while this object lives."""
        return int(np.frombuffer(self.raw, dtype=np.uint8).ctypes.data) if self.raw else 0


def default_value(number: int, column: pa.Field, default: bytes | None) -> DefaultValue:
    """Return the default (JSON) of a column, or null for None.

    Raises CodecError where the default is no value of the column's type.
    """
    if default is None or json.loads(default) is None:
        return DefaultValue(number, null=True, raw=b"")
    declared = json.loads(default)
    if is_list(column.type):
        if declared != []:
            raise CodecError(
                f"column {column.name}: default {declared!r}: of lists, only [] and null can stand in for a "
                "field that a writer lacks"
            )
        return DefaultValue(number, null=False, raw=b"")
    try:
        value = pa.array([_as_arrow(declared, column.type)], type=column.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError, OverflowError) as broken:
        raise CodecError(
            f"column {column.name}: default {declared!r} is no {column.type}: {broken}"
        ) from None
    if pa.types.is_boolean(column.type):
        return DefaultValue(number, null=False, raw=bytes([declared]))
    data = value.buffers()[-1]
    return DefaultValue(number, null=False, raw=data.to_pybytes()[: _raw_size(value)] if data else b"")


def _as_arrow(declared: Any, plain: pa.DataType) -> Any:
    """Avro writes the default of bytes and fixed as text of the code points 0 to 255."""
    if pa.types.is_decimal(plain):
        unscaled = int.from_bytes(declared.encode("latin-1"), "big", signed=True)
        return Decimal(unscaled).scaleb(-plain.scale, Context(prec=2 * plain.precision))
    if plain == pa.uint64():
        return int.from_bytes(declared.encode("latin-1"), "little")
    if pa.types.is_string(plain) or pa.types.is_large_string(plain):
        return declared
    return declared.encode("latin-1") if isinstance(declared, str) else declared


def _raw_size(value: pa.Array) -> int:
    """The bytes of the one value."""
    plain = value.type
    if pa.types.is_binary(plain) or pa.types.is_string(plain):
        return int.from_bytes(value.buffers()[1].to_pybytes()[4:8], "little")
    if pa.types.is_large_binary(plain) or pa.types.is_large_string(plain):
        return int.from_bytes(value.buffers()[1].to_pybytes()[8:16], "little")
    return int(plain.byte_width)
