"""How columns are held while they wait: types whose pieces may not fit together become wider or plain.

| a column of                                | is held, and comes out, as                |
|--------------------------------------------|-------------------------------------------|
| a dictionary with an index below 32 bits   | the dictionary with an int32 index        |
| `string_view`, `binary_view`               | `string`, `binary`                        |
| runs                                       | a value per row                           |
| any other type                             | what it is                                |

Each batch may bring words of its own, and nobody knows how many there will be.
"""

from dataclasses import replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from schemas.stream import Stream

_NARROW: Final = (pa.int8(), pa.uint8(), pa.int16(), pa.uint16())
_VIEWS: Final = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}


def held_type(kind: pa.DataType) -> pa.DataType:
    """Return the type that a column of this type is held as."""
    if pa.types.is_run_end_encoded(kind):
        return held_type(kind.value_type)
    if pa.types.is_dictionary(kind):
        index = pa.int32() if kind.index_type in _NARROW else kind.index_type
        return pa.dictionary(index, held_type(kind.value_type), kind.ordered)
    return _VIEWS.get(kind, kind)


def held_stream(stream: Stream) -> Stream:
    """Return the stream as its rows are held; the stream itself where nothing changes."""
    fields = [column.with_type(held_type(column.type)) for column in stream.schema]
    schema = pa.schema(fields, stream.schema.metadata)
    return stream if schema.equals(stream.schema) else replace(stream, schema=schema)


def held_rows(rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the columns of `schema`, which has the held types, as they are held.

    Columns that are of their type already are not copied.
    """
    if rows.schema.equals(schema):
        return rows
    columns = [_held(rows.column(field.name), field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _held(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if column.type == kind:
        return column
    if pa.types.is_run_end_encoded(column.type):
        return _held(pc.run_end_decode(column), kind)
    if pa.types.is_dictionary(kind):
        indices = column.indices.cast(kind.index_type)
        words = _held(column.dictionary, kind.value_type)
        return pa.DictionaryArray.from_arrays(indices, words, ordered=kind.ordered)
    return column.cast(kind)
