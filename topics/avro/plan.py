"""A writer's Avro schema and a reader's columns, compiled into a table of instructions for a loop."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from schemas.batch import Bools, Int64s
from topics.avro import decode_kernel as kernel
from topics.avro.arrow_types import arrow_type, avro_type, plain_schema, whole_number_bounds
from topics.avro.default import DefaultValue, default_value
from topics.avro.schema import DEFAULT_METADATA
from topics.avro.types import NO_UNION, AvroField, parse_record
from topics.wire import CodecError

# Avro's promotions: what a reader may make of what was written.
_PROMOTIONS: Final = {
    ("int", "long"),
    ("int", "float"),
    ("int", "double"),
    ("long", "float"),
    ("long", "double"),
    ("float", "double"),
    ("string", "bytes"),
    ("bytes", "string"),
    ("enum", "string"),
}
_OPERATIONS: Final = {
    "int": kernel.VARINT,
    "long": kernel.VARINT,
    "float": kernel.HALF,
    "double": kernel.WORD,
    "boolean": kernel.BOOLEAN,
    "string": kernel.TEXT,
    "bytes": kernel.BYTES,
    "fixed": kernel.FIXED,
    "enum": kernel.SYMBOL,
}
_SIZES_MIN: Final = {"float": 4, "double": 8}
_LOW_WORD: Final = 2**64 - 1


@dataclass(frozen=True, slots=True)
class ColumnSlots:
    """Where the reader's columns are decoded to; the same for every writer's schema.

    `slot` is the first row of `words` (values of at most 8 bytes; decimals take two) or, where `spans[c]`,
    the first of two rows of addresses and sizes.  Where `whole[c]`, a column's values are its words as they
    stand.  `types` and `nullable` are the schema's, which makes an object each time it is asked.
    """

    schema: pa.Schema
    types: tuple[pa.DataType, ...]
    nullable: tuple[bool, ...]
    slot: tuple[int, ...]
    spans: Bools
    whole: tuple[bool, ...]
    word_count: int
    span_count: int


@dataclass(frozen=True, slots=True)
class Conversion:
    """Rewrites a slot in place after decoding, for values whose written form is not the column's."""

    column: int
    convert: Callable[[Int64s], Int64s]


@dataclass(frozen=True, slots=True)
class Symbols:
    """The symbols of an enum as bytes that can be pointed at: `address` and `size` by index."""

    column: int
    address: Int64s
    size: Int64s
    memory: bytes


@dataclass(frozen=True, slots=True)
class FieldProgram:
    """How to decode messages of one writer's schema into one reader's columns.

    `instructions` is int64 [fields, INSTRUCTION_WIDTH]; `fields` the writer's names, for messages;
    `missing` the columns the writer does not know; `row_size_min` the bytes of the smallest row.
    """

    blocks: bool
    fields: tuple[str, ...]
    instructions: Int64s
    row_size_min: int
    missing: tuple[DefaultValue, ...]
    conversions: tuple[Conversion, ...]
    symbols: tuple[Symbols, ...]


def column_slots(schema: pa.Schema) -> ColumnSlots:
    """Lay out where the columns are decoded to; raises CodecError for a column Avro cannot carry.

    A dictionary column is decoded as its values: `ColumnSlots.schema` says so.
    """
    schema = plain_schema(schema)
    slots, spans, whole = [], [], []
    word_count = span_count = 0
    for column in schema:
        kind = _kind(avro_type(column))
        decimal = pa.types.is_decimal(column.type)
        span = kind in ("string", "bytes", "fixed") and column.type != pa.uint64() and not decimal
        slots.append(span_count if span else word_count)
        spans.append(span)
        whole.append(not span and not decimal and column.type.bit_width == 64)
        span_count += 2 if span else 0
        word_count += 0 if span else 2 if decimal else 1
    return ColumnSlots(
        schema=schema,
        types=tuple(schema.types),
        nullable=tuple(column.nullable for column in schema),
        slot=tuple(slots),
        spans=np.array(spans, dtype=np.bool_),
        whole=tuple(whole),
        word_count=word_count,
        span_count=span_count,
    )


def compile_program(writer: str, slots: ColumnSlots, *, required: str | None = None) -> FieldProgram:
    """Compile a writer's schema (a flat record or an array of it) for a reader's columns, by Avro's rules.

    Fields are matched by name; those the reader lacks are skipped, columns the writer lacks become their
    default or null, numbers may be promoted.  `required` must be on the wire, whatever its default.
    Raises CodecError naming the field that cannot be read, and why.
    """
    record = parse_record(writer)
    schema = slots.schema
    table = np.zeros((len(record.fields), kernel.INSTRUCTION_WIDTH), dtype=np.int64)
    conversions: list[Conversion] = []
    symbols: list[Symbols] = []
    for number, declared in enumerate(record.fields):
        column = schema.get_field_index(declared.name)
        table[number, kernel.OPERATION] = _OPERATIONS[declared.kind]
        table[number, kernel.UNION] = declared.union
        table[number, kernel.SIZE] = declared.size
        table[number, kernel.LOWER : kernel.UPPER + 1] = _bounds(declared, None)
        if column < 0:
            _skip(table[number])
            continue
        target = schema.field(column)
        _require_compatible(declared, target)
        table[number, kernel.SLOT] = slots.slot[column]
        table[number, kernel.VALID] = column if target.nullable else kernel.REQUIRED
        _aim(table[number], declared, target.type)
        convert = _conversion(declared.kind, target.type)
        if convert is not None:
            conversions.append(Conversion(column, convert))
        if declared.kind == "enum":
            symbols.append(_symbols(column, declared.symbols))
    written = {declared.name for declared in record.fields}
    if required is not None and required not in written:
        raise CodecError(f"record {record.name} has no field {required}, which orders the rows")
    return FieldProgram(
        blocks=record.blocks,
        fields=tuple(declared.name for declared in record.fields),
        instructions=table,
        row_size_min=sum(_size_min(declared) for declared in record.fields),
        missing=tuple(
            _missing(record.name, number, column)
            for number, column in enumerate(schema)
            if column.name not in written
        ),
        conversions=tuple(conversions),
        symbols=tuple(symbols),
    )


def _kind(declared: Any) -> str:
    return str(declared["type"] if isinstance(declared, dict) else declared)


def _skip(instruction: Int64s) -> None:
    """Read past a field the reader does not have."""
    instruction[kernel.SLOT] = kernel.NOWHERE
    instruction[kernel.VALID] = kernel.NOWHERE


def _aim(instruction: Int64s, declared: AvroField, target: pa.DataType) -> None:
    """Fit the operation to the column the value goes to."""
    if pa.types.is_decimal(target):
        fixed = declared.kind == "fixed"
        instruction[kernel.OPERATION] = kernel.FIXED_DECIMAL if fixed else kernel.DECIMAL
        limit = 10**target.precision - 1
        instruction[kernel.LOWER] = -limit >> 64
        instruction[kernel.UPPER] = limit >> 64
        instruction[kernel.LOWER_LOW] = _signed(-limit & _LOW_WORD)
        instruction[kernel.UPPER_LOW] = _signed(limit & _LOW_WORD)
    elif target == pa.uint64():
        instruction[kernel.OPERATION] = kernel.WORD
    elif declared.kind in ("string", "bytes"):
        text = pa.types.is_string(target) or pa.types.is_large_string(target)
        instruction[kernel.OPERATION] = kernel.TEXT if text else kernel.BYTES
    elif declared.kind in ("int", "long"):
        instruction[kernel.LOWER : kernel.UPPER + 1] = _bounds(declared, target)


def _signed(word: int) -> int:
    return word - 2**64 if word >= 2**63 else word


def _bounds(declared: AvroField, target: pa.DataType | None) -> tuple[int, int]:
    if declared.kind == "enum":
        return 0, len(declared.symbols) - 1
    if target is not None and not pa.types.is_floating(target):
        return whole_number_bounds(target, declared.kind)
    return whole_number_bounds(pa.int64(), declared.kind)


def _size_min(declared: AvroField) -> int:
    """The bytes of the smallest value: the shorter branch of a union is one byte."""
    if declared.nullable:
        return 1
    size = declared.size if declared.kind == "fixed" else _SIZES_MIN.get(declared.kind, 1)
    return size if declared.union == NO_UNION else size + 1


def _require_compatible(declared: AvroField, target: pa.Field) -> None:
    """Raise CodecError unless the column can hold what the field says it is."""
    source = arrow_type(declared)
    plain = target.type
    if source == plain:
        return
    advice = "publish it as the stream's type, or change the stream's column"
    refusal = f"field {declared.name} is written as {source}, which column {target} cannot hold: {advice}"
    wanted = _kind(avro_type(target))
    if declared.kind != wanted and (declared.kind, wanted) not in _PROMOTIONS:
        raise CodecError(refusal)
    if pa.types.is_decimal(source) or pa.types.is_decimal(plain):
        if not (pa.types.is_decimal(source) and pa.types.is_decimal(plain) and source.scale == plain.scale):
            raise CodecError(refusal)
        return
    if wanted == "fixed" and (pa.uint64() in (source, plain) or declared.size != plain.byte_width):
        raise CodecError(refusal)
    if _meaning(source) == _meaning(plain):
        return
    # A bare number takes the reader's meaning; a number of nanoseconds may lose its name, another unit not.
    bare_source = _meaning(source) == ("number",)
    bare_plain = plain == pa.int64() and _meaning(source) in (("timestamp", "ns", True), ("duration", "ns"))
    if not bare_source and not bare_plain:
        raise CodecError(refusal)


def _meaning(plain: pa.DataType) -> tuple[object, ...]:
    """What a number stands for; two types of one meaning hold the same numbers."""
    if pa.types.is_timestamp(plain):
        return "timestamp", plain.unit, plain.tz is not None
    if pa.types.is_duration(plain):
        return "duration", plain.unit
    if pa.types.is_time(plain):
        return "time", plain.unit
    if pa.types.is_date(plain):
        return ("date", str(plain))
    return ("number",)


def _conversion(kind: str, target: pa.DataType) -> Callable[[Int64s], Int64s] | None:
    """How a promoted number's word becomes the column's word."""
    if kind in ("int", "long") and target == pa.float64():
        return lambda words: words.astype(np.float64).view(np.int64)
    if kind in ("int", "long") and target == pa.float32():
        return lambda words: words.astype(np.float32).view(np.int32).astype(np.int64)
    if kind == "float" and target == pa.float64():
        return lambda words: words.astype(np.uint32).view(np.float32).astype(np.float64).view(np.int64)
    return None


def _symbols(column: int, symbols: tuple[str, ...]) -> Symbols:
    memory = "".join(symbols).encode()
    size = np.array([len(symbol.encode()) for symbol in symbols], dtype=np.int64)
    start = np.frombuffer(memory, dtype=np.uint8).ctypes.data
    return Symbols(column, start + np.cumsum(size) - size, size, memory)


def _missing(record: str, number: int, column: pa.Field) -> DefaultValue:
    """What stands in for a column the writer does not know."""
    default = (column.metadata or {}).get(DEFAULT_METADATA)
    if default is None and not column.nullable:
        raise CodecError(
            f"record {record} has no field {column.name}, which the stream requires: "
            "give the column a default or let it be null"
        )
    return default_value(number, column, default)
