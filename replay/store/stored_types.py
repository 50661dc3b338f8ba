"""How Arrow columns are stored: as types that Delta tables keep whole, and given back as they came.

Delta would cut nanoseconds to microseconds without a word, and has no unsigned numbers; so times are stored
as the numbers they are, and unsigned numbers as the next wider signed ones.
"""

import base64
from typing import Final

import pyarrow as pa

from replay.errors import HistoryError

# The next type that Delta has and that holds every value.
_WIDER: Final = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
    pa.float16(): pa.float32(),
    pa.date64(): pa.int64(),
    pa.null(): pa.string(),
    pa.large_string(): pa.string(),
    pa.string_view(): pa.string(),
    pa.large_binary(): pa.binary(),
    pa.binary_view(): pa.binary(),
}
_DIGITS_MAX: Final = 38  # of a decimal in Delta
_LISTS: Final = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)


def stored_schema(schema: pa.Schema) -> pa.Schema:
    """Return the columns as they are stored, all nullable; raises HistoryError naming one that cannot be."""
    fields = []
    for field in schema:
        try:
            fields.append(pa.field(field.name, stored_type(field.type)))
        except HistoryError as wrong:
            raise HistoryError(f"column {field.name} {wrong}") from None
    return pa.schema(fields)


def stored_type(kind: pa.DataType) -> pa.DataType:
    """Return the type in which values of this one are stored; raises HistoryError where there is none."""
    if kind in _WIDER:
        return _WIDER[kind]
    if isinstance(kind, pa.BaseExtensionType):
        return stored_type(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return stored_type(kind.value_type)
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind) or pa.types.is_time64(kind):
        return pa.int64()
    if pa.types.is_time32(kind):
        return pa.int32()
    if pa.types.is_fixed_size_binary(kind):
        return pa.binary()
    if pa.types.is_decimal(kind) and kind.precision <= _DIGITS_MAX:
        return pa.decimal128(kind.precision, kind.scale)
    if any(is_list(kind) for is_list in _LISTS):
        return pa.list_(stored_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, stored_type(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(stored_type(kind.key_type), stored_type(kind.item_type))
    if pa.types.is_union(kind) or pa.types.is_interval(kind) or pa.types.is_decimal(kind):
        raise HistoryError(f"is {kind}, which a history cannot keep: leave it out, or cast it before")
    return kind


def to_stored(rows: pa.RecordBatch, stored: pa.Schema) -> pa.RecordBatch:
    """Return rows as they are stored, with the columns of `stored`; one that `rows` lack is null."""
    columns = [
        _stored(rows.column(field.name), field.type)
        if field.name in rows.schema.names
        else pa.nulls(rows.num_rows, field.type)
        for field in stored
    ]
    return pa.RecordBatch.from_arrays(columns, schema=stored)


def from_stored(rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return stored rows with the columns of `schema` in their own types; one that `rows` lack is null."""
    columns = [
        _original(rows.column(field.name), field.type)
        if field.name in rows.schema.names
        else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _stored(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if isinstance(column.type, pa.BaseExtensionType):
        return _stored(column.storage, kind)
    if pa.types.is_dictionary(column.type):
        return _stored(column.dictionary_decode(), kind)
    if pa.types.is_run_end_encoded(column.type):
        return _stored(pa.compute.run_end_decode(column), kind)
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), kind)
    return column if column.type == kind else column.cast(kind)


def _original(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if column.type == kind:
        return column
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, _original(column, kind.storage_type))
    if pa.types.is_dictionary(kind):
        values = column.dictionary_encode() if not pa.types.is_dictionary(column.type) else column
        return values.cast(kind)
    if pa.types.is_run_end_encoded(kind):
        return pa.compute.run_end_encode(_original(column, kind.value_type), run_end_type=kind.run_end_type)
    if pa.types.is_null(kind):
        return pa.nulls(len(column))
    return column.cast(kind)


def schema_text(schema: pa.Schema) -> str:
    """A schema as text, for the property of a table."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def schema_of(text: str) -> pa.Schema:
    """The schema of such a text."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))
