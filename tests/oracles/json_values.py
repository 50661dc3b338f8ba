"""JSON messages read the slow and obvious way: Python's json, one value at a time."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from topics.values import FieldPath

DEPTH_MAX = 64
Row = list[Any]


class Unfit(Exception):
    """The message cannot be read."""


class Number(str):
    """A number, as it is written."""


class Members(dict[str, Any]):
    """An object; `depth` counts what nests in it, also in values that a later key replaced."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.depth = 1 + max((depth_of(value) for _, value in pairs), default=0)


def depth_of(value: Any) -> int:
    """How deep a value nests, 0 where it does not."""
    if isinstance(value, list):
        return 1 + max((depth_of(item) for item in value), default=0)
    return value.depth if isinstance(value, Members) else 0


def parse(text: str) -> Any:
    """Return a JSON text's value; raises Unfit where it is none or nests too deep."""
    try:
        value = json.loads(
            text, object_pairs_hook=Members, parse_int=Number, parse_float=Number, parse_constant=Number
        )
    except (ValueError, RecursionError) as wrong:
        raise Unfit(str(wrong)) from None
    if depth_of(value) > DEPTH_MAX:
        raise Unfit("too deep")
    return value


def read_slowly(message: bytes | None, fields: Sequence[FieldPath], *, prefixed: bool = False) -> list[Row]:
    """Return the rows of a message, a list of values each; raises Unfit where it has none to give."""
    if message is None:
        raise Unfit("null")
    if prefixed:
        if len(message) < 5 or message[0] != 0:
            raise Unfit("no header")
        message = message[5:]
    try:
        text = message.decode("utf-8", "strict")
    except UnicodeDecodeError as wrong:
        raise Unfit(str(wrong)) from None
    value = parse(text.removeprefix("\ufeff"))
    items = value if isinstance(value, list) else [value]
    return [[_column(item, field) for field in fields] for item in items]


def _column(item: Any, field: FieldPath) -> Any:
    if not isinstance(item, Members):
        raise Unfit("no object")
    value: Any = item
    for key in field.path:
        if value is None:
            return None
        if not isinstance(value, Members):
            raise Unfit(f"{key} is within no object")
        value = value.get(key)
    return None if value is None else _read(value, field)


def _read(value: Any, field: FieldPath) -> Any:
    kind = field.column.type
    if pa.types.is_boolean(kind):
        return _require(value, isinstance(value, bool))
    if kind in (pa.string(), pa.large_string()):
        _require(value, isinstance(value, str) and (field.token or not isinstance(value, Number)))
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Unfit("half of a surrogate pair") from None
        return str(value)
    _require(value, isinstance(value, str))
    if not isinstance(value, Number):
        inner = parse(value)
        # White space around it would be lost on the way.
        value = _require(inner, isinstance(inner, Number) and str(inner) == value)
    if pa.types.is_floating(kind):
        number = float(value)
        if kind == pa.float32():
            with np.errstate(over="ignore"):
                number = float(np.float32(number))
        return _require(number, value.endswith("Infinity") or abs(number) != float("inf"))
    return _exact(value, kind)


def _exact(text: str, kind: pa.DataType) -> Any:
    _require(text, text not in ("NaN", "Infinity", "-Infinity"))
    scale = kind.scale if pa.types.is_decimal(kind) else 0
    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)
    number, shift = int("".join(map(str, digits))), exponent + scale
    if number == 0:
        shift = 0
    _require(number, shift < 100)
    if shift >= 0:
        number *= 10**shift
    else:
        stripped = str(number).rstrip("0")
        _require(number, len(str(number)) - len(stripped) >= -shift)
        number //= 10**-shift
    number = -number if sign else number
    if pa.types.is_decimal(kind):
        _require(number, abs(number) < 10**kind.precision)
        return Decimal((int(number < 0), tuple(map(int, str(abs(number)))), -scale))
    bits = kind.bit_width
    lower, upper = (
        (0, 2**bits - 1) if pa.types.is_unsigned_integer(kind) else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    )
    return _require(number, lower <= number <= upper)


def _require(value: Any, fits: bool) -> Any:
    if not fits:
        raise Unfit(f"{value!r} does not fit")
    return value
