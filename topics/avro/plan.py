"""A writer's Avro schema and a reader's columns, compiled into a table of instructions for a loop."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from schemas.batch import Bools, Int64s
from topics.avro.arrow_types import avro_type, is_list, item_field, plain_schema
from topics.avro.default import DefaultValue
from topics.avro.nested_kernel import LIST_WIDTH
from topics.avro.nested_plan import NestedProgram, match_fields, missing_value, require_present
from topics.avro.reader import ReaderColumn, reader_columns
from topics.avro.types import AvroRecord, flat_value, parse_record, smallest_sizes
from topics.avro.values import Symbols, kind_of, skip_instruction, value_of


@dataclass(frozen=True, slots=True)
class ColumnSlots:
    """Where the reader's columns are decoded to; the same for every writer's schema.

    `columns` says what is wanted for each.  `slot` is the first row of `words` (values of at most 8 bytes;
    decimals take two) or, where `spans[c]`, the first of two rows of addresses and sizes.  Where `whole[c]`,
    a column's values are its words as they stand.  `items[c]` lays out the items of a list column, which has
    LIST_WIDTH rows of spans, and is None for others.  `types` and `nullable` are the schema's, which makes
    an object each time it is asked.
    """

    schema: pa.Schema
    columns: tuple[ReaderColumn, ...]
    types: tuple[pa.DataType, ...]
    nullable: tuple[bool, ...]
    slot: tuple[int, ...]
    spans: Bools
    whole: tuple[bool, ...]
    items: tuple["ColumnSlots | None", ...]
    word_count: int
    span_count: int


@dataclass(frozen=True, slots=True)
class Conversion:
    """Rewrites a slot in place after decoding, for values whose written form is not the column's."""

    column: int
    convert: Callable[[Int64s], Int64s]


@dataclass(frozen=True, slots=True)
class SymbolColumn:
    """A column whose values come as an enum's indexes."""

    column: int
    symbols: Symbols


@dataclass(frozen=True, slots=True)
class FieldProgram:
    """How to decode messages of one writer's schema into one reader's columns.

    `instructions` is int64 [steps, INSTRUCTION_WIDTH], one step per field unless `nested`; `fields` the
    writer's name for each step, for messages; `missing` the columns the writer does not know; `row_size_min`
    the bytes of the smallest row, at least 1.  `memory` is what the instructions point at.
    """

    blocks: bool
    nested: bool
    fields: tuple[str, ...]
    instructions: Int64s
    row_size_min: int
    missing: tuple[DefaultValue, ...]
    conversions: tuple[Conversion, ...] = ()
    symbols: tuple[SymbolColumn, ...] = ()
    memory: tuple[object, ...] = ()


def column_slots(schema: pa.Schema) -> ColumnSlots:
    """Lay out where the columns are decoded to; raises CodecError for a column Avro cannot carry.

    A dictionary column is decoded as its values: `ColumnSlots.schema` says so.
    """
    schema = plain_schema(schema)
    slots, spans, whole = [], [], []
    items: list[ColumnSlots | None] = []
    word_count = span_count = 0
    for column in schema:
        kind = kind_of(avro_type(column))
        listed = column_slots(pa.schema([item_field(column.type)])) if is_list(column.type) else None
        decimal = pa.types.is_decimal(column.type)
        span = kind in ("array", "string", "bytes", "fixed") and column.type != pa.uint64() and not decimal
        slots.append(span_count if span else word_count)
        spans.append(span)
        whole.append(not span and not decimal and column.type.bit_width == 64)
        items.append(listed)
        span_count += (LIST_WIDTH if listed else 2) if span else 0
        word_count += 0 if span else 2 if decimal else 1
    return ColumnSlots(
        schema=schema,
        columns=reader_columns(schema),
        types=tuple(schema.types),
        nullable=tuple(column.nullable for column in schema),
        slot=tuple(slots),
        spans=np.array(spans, dtype=np.bool_),
        whole=tuple(whole),
        items=tuple(items),
        word_count=word_count,
        span_count=span_count,
    )


def compile_program(writer: str, slots: ColumnSlots, *, required: str | None = None) -> FieldProgram:
    """Compile a writer's schema (a record or an array of it) for a reader's columns, by Avro's rules.

    Fields are matched by name or the reader's aliases; those that no column wants are skipped, whatever their
    type; columns the writer lacks become their default or null; numbers may be promoted.  `required` must be
    on the wire, whatever its default.  Raises CodecError naming the field that cannot be read, and why.
    """
    record = parse_record(writer)
    taken, lacking = match_fields(record.fields, slots.columns, 0)
    require_present(record.name, required, lacking, 0)
    flat = all(flat_value(declared.type) is not None for declared in record.fields)
    if flat and all(len(want.steps) == 1 for wants in taken.values() for want in wants):
        return _flat_program(record, slots, {name: want for name, (want,) in taken.items()}, lacking)
    program = NestedProgram(record.type, slots.columns, slots.slot, slots.spans, required)
    return FieldProgram(
        blocks=record.blocks,
        nested=True,
        fields=program.names,
        instructions=program.instructions,
        row_size_min=_row_size_min(record),
        missing=_missing(record, program.missing),
        memory=program.memory,
    )


def _flat_program(
    record: AvroRecord,
    slots: ColumnSlots,
    taken: Mapping[str, ReaderColumn],
    lacking: Sequence[ReaderColumn],
) -> FieldProgram:
    """One instruction per field: `taken` are the columns of those that are wanted."""
    rows: list[Int64s] = []
    conversions: list[Conversion] = []
    symbols: list[SymbolColumn] = []
    for declared in record.fields:
        flat = flat_value(declared.type)
        assert flat is not None
        if declared.name not in taken:
            rows.append(skip_instruction(*flat))
            continue
        want = taken[declared.name]
        value = value_of(declared.name, *flat, want, slots.slot[want.number])
        rows.append(value.instruction)
        if value.convert is not None:
            conversions.append(Conversion(want.number, value.convert))
        if value.symbols is not None:
            symbols.append(SymbolColumn(want.number, value.symbols))
    return FieldProgram(
        blocks=record.blocks,
        nested=False,
        fields=tuple(declared.name for declared in record.fields),
        instructions=np.stack(rows),
        row_size_min=_row_size_min(record),
        missing=_missing(record, lacking),
        conversions=tuple(conversions),
        symbols=tuple(symbols),
    )


def _row_size_min(record: AvroRecord) -> int:
    # Rows without bytes have no time; counted as one byte each, a block promises no more than it has.
    return max(1, smallest_sizes(record.type)[id(record.type)])


def _missing(record: AvroRecord, lacking: Sequence[ReaderColumn]) -> tuple[DefaultValue, ...]:
    """What stands in for the columns the writer does not know."""
    return tuple(missing_value(record.name, want, 0) for want in lacking)
