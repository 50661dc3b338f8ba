"""One Arrow type as one Avro type, and back."""

import re
from typing import Any, Final

import pyarrow as pa

from topics.avro.types import NULL_FIRST, NULL_SECOND, AvroType, flat_value
from topics.wire import CodecError

_UNITS: Final = {"ms": "millis", "us": "micros", "ns": "nanos"}
_PER_DAY: Final = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_DECIMAL_DIGITS_MAX: Final = 38
_LARGE_LIST: Final = "large_list"

# The Arrow types a kind of Avro value can be, beyond its own, by the text Arrow gives them.
_TEXTS: Final[dict[str, re.Pattern[str]]] = {
    "int": re.compile(r"int8|int16|int32|uint8|uint16|date32\[day\]|time32\[(s|ms)\]"),
    "long": re.compile(
        r"int64|uint32|date64\[ms\]|time64\[(us|ns)\]|duration\[(s|ms|us|ns)\]|"
        r"timestamp\[(?P<unit>s|ms|us|ns)(, tz=(?P<zone>.+))?\]"
    ),
    "float": re.compile("float"),
    "double": re.compile("double"),
    "boolean": re.compile("bool"),
    "string": re.compile("string|large_string"),
    "enum": re.compile("string|large_string"),
    "bytes": re.compile("binary|large_binary"),
    "fixed": re.compile("uint64"),
}
# Arrow prints some types otherwise than it reads them.
_SPELLINGS: Final = {
    "date32[day]": pa.date32(),
    "date64[ms]": pa.date64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "large_string": pa.large_string(),
    "large_binary": pa.large_binary(),
}


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return the columns as Avro brings them back: a dictionary column as its values."""
    return pa.schema(
        [
            column.with_type(column.type.value_type) if pa.types.is_dictionary(column.type) else column
            for column in schema
        ]
    )


def avro_type(column: pa.Field) -> Any:
    """Return the Avro type (as JSON values) of a column's values, nulls aside.

    A list is an array of its items.  Raises CodecError for other nested columns and for types Avro cannot
    carry without loss.
    """
    plain = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if is_list(plain):
        return _array(column.name, plain)
    declared = _declare(column.name, plain)
    kind = declared["type"]
    native = arrow_type(column.name, AvroType(kind, size=declared.get("size", 0), properties=declared))
    if native != plain:
        declared["arrowType"] = str(plain)
    return declared if len(declared) > 1 else kind


def is_list(plain: pa.DataType) -> bool:
    """Whether values are lists, as an Avro array holds them."""
    return bool(pa.types.is_list(plain) or pa.types.is_large_list(plain))


def item_field(plain: pa.DataType) -> pa.Field:
    """Return the items of a list as a column of their own, named `item`."""
    return pa.field("item", plain.value_type, nullable=plain.value_field.nullable)


def _array(name: str, plain: pa.DataType) -> dict[str, Any]:
    item = item_field(plain)
    if pa.types.is_dictionary(item.type) or is_list(item.type):
        raise _refusal(name, plain)
    try:
        kind = avro_type(item.with_name(name))
    except CodecError:
        raise _refusal(name, plain) from None
    if item.type == pa.binary(0):
        raise _refusal(name, plain)  # a message of nine bytes could promise 2^62 of them
    declared = {"type": "array", "items": ["null", kind] if item.nullable else kind}
    return declared | ({"arrowType": _LARGE_LIST} if pa.types.is_large_list(plain) else {})


def _declare(name: str, plain: pa.DataType) -> dict[str, Any]:
    if pa.types.is_timestamp(plain):
        local = "local-" if plain.tz is None else ""
        unit = _UNITS.get(plain.unit)
        return {"type": "long"} | ({"logicalType": f"{local}timestamp-{unit}"} if unit else {})
    if pa.types.is_decimal128(plain):
        decimal = {"precision": plain.precision, "scale": plain.scale}
        return {"type": "bytes", "logicalType": "decimal", **decimal}
    if pa.types.is_fixed_size_binary(plain):
        return _fixed(name, plain.byte_width)
    if plain == pa.uint64():
        return _fixed(name, 8)  # little endian: Avro's long is signed
    logical = {"date32[day]": "date", "time32[ms]": "time-millis", "time64[us]": "time-micros"}
    for kind, texts in _TEXTS.items():
        if kind != "enum" and texts.fullmatch(str(plain)):
            return {"type": kind} | ({"logicalType": logical[str(plain)]} if str(plain) in logical else {})
    raise _refusal(name, plain)


def _refusal(name: str, plain: pa.DataType) -> CodecError:
    if pa.types.is_nested(plain):
        advice = "make it lists of plain values, split it into one column per value, or leave it out"
    elif plain == pa.null():
        advice = "it holds no value yet: cast it to the type its values will have"
    else:
        advice = "cast it to int64, double, decimal128, string, binary or timestamp"
    return CodecError(f"column {name} is {plain}, which an Avro record cannot carry: {advice}")


def _fixed(name: str, size: int) -> dict[str, Any]:
    # A fixed needs a name of its own, and the column's is the only one that is unique here.
    return {"type": "fixed", "name": name, "namespace": "tidemark.fixed", "size": size}


def arrow_type(name: str, declared: AvroType) -> pa.DataType:
    """Return the Arrow type of a field's values: its `arrowType` where it has one, else Avro's own meaning.

    Unknown logical types are ignored, as Avro demands.  Raises CodecError where `arrowType` does not go with
    the Avro type beneath it.
    """
    text = declared.properties.get("arrowType")
    if declared.kind == "array":
        return _list_type(name, declared, text)
    if text is not None:
        return _named_type(name, declared, str(text))
    logical = str(declared.properties.get("logicalType"))
    if declared.kind == "int":
        return {"date": pa.date32(), "time-millis": pa.time32("ms")}.get(logical, pa.int32())
    if declared.kind == "long":
        return _long_type(logical)
    if declared.kind in ("bytes", "fixed") and logical == "decimal":
        return _decimal_type(name, declared)
    if declared.kind == "fixed":
        return pa.binary(declared.size)
    return {
        "float": pa.float32(),
        "double": pa.float64(),
        "boolean": pa.bool_(),
        "string": pa.string(),
        "enum": pa.string(),
        "bytes": pa.binary(),
    }[declared.kind]


def _list_type(name: str, declared: AvroType, text: object) -> pa.DataType:
    """An array of plain values, each with null or without."""
    assert declared.items is not None
    flat = flat_value(declared.items)
    if flat is None:
        raise CodecError(
            f"field {name} is an array of {declared.items.shape}: a list holds plain values; "
            "split it into one field per value, or leave it out"
        )
    leaf, union = flat
    if leaf.kind == "fixed" and leaf.size == 0:
        raise CodecError(f"field {name} is an array of values without bytes: leave it out")
    if text not in (None, _LARGE_LIST):
        raise CodecError(f"field {name}: arrowType {text!r} does not go with Avro array")
    item = pa.field("item", arrow_type(name, leaf), nullable=union in (NULL_FIRST, NULL_SECOND))
    return pa.large_list(item) if text == _LARGE_LIST else pa.list_(item)


def _long_type(logical: str) -> pa.DataType:
    if logical == "time-micros":
        return pa.time64("us")
    for unit, word in _UNITS.items():
        if logical == f"timestamp-{word}":
            return pa.timestamp(unit, tz="UTC")
        if logical == f"local-timestamp-{word}":
            return pa.timestamp(unit)
    return pa.int64()


def _decimal_type(name: str, declared: AvroType) -> pa.DataType:
    precision, scale = declared.properties.get("precision"), declared.properties.get("scale", 0)
    if not isinstance(precision, int) or not isinstance(scale, int) or not 0 <= scale <= precision:
        raise CodecError(f"field {name}: decimal({precision}, {scale}) is no decimal type")
    if not 0 < precision <= _DECIMAL_DIGITS_MAX:
        raise CodecError(
            f"field {name}: {precision} digits; at most {_DECIMAL_DIGITS_MAX} fit a decimal column"
        )
    return pa.decimal128(precision, scale)


def _named_type(name: str, declared: AvroType, text: str) -> pa.DataType:
    match = _TEXTS[declared.kind].fullmatch(text)
    if not match or (declared.kind == "fixed" and declared.size != 8):
        raise CodecError(f"field {name}: arrowType {text!r} does not go with Avro {declared.kind}")
    if text.startswith("timestamp"):
        return pa.timestamp(match["unit"], tz=match["zone"])
    return _SPELLINGS.get(text) or pa.type_for_alias(text)


def whole_number_bounds(declared: pa.DataType, kind: str) -> tuple[int, int]:
    """Return the lowest and highest number that a column of this type may hold, read from Avro `kind`."""
    bits = 32 if kind == "int" else 64
    lower, upper = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    if pa.types.is_time(declared):
        return 0, _PER_DAY[declared.unit] - 1
    if pa.types.is_unsigned_integer(declared):
        return 0, min(upper, 2**declared.bit_width - 1)
    if pa.types.is_signed_integer(declared):
        width = declared.bit_width
        return max(lower, -(2 ** (width - 1))), min(upper, 2 ** (width - 1) - 1)
    return lower, upper
