"""Rows of an output as the Parquet that people open: moments as timestamps, whole numbers whole in pandas.

In frames and in the core a clock is int64 nanoseconds.  pandas would make a float64 of such a column where a
row has no match, and round it by up to 128 ns; a timestamp keeps every nanosecond in every reader.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.clocks import AVAILABLE_NS, EVENT_NS, KNOWN_NS, SOURCE, ZONE

MOMENT: Final = pa.timestamp("ns", tz="UTC")
WORDS_SIZE_MAX: Final = 64 << 10  # bytes of different values, beyond which a column's are written as they are
CLOCKS: Final = (EVENT_NS, KNOWN_NS, AVAILABLE_NS)  # how their names end
KIND: Final = b"tidemark.type"  # of a column: what it is in frames, where that is another type
_PANDAS: Final = b"pandas"  # of the schema: what `pandas.read_parquet` makes of columns

Metadata = Mapping[bytes, bytes]


def file_schema(
    schema: pa.Schema, rights: Iterable[str], sources: Mapping[str, Metadata] | None = None
) -> pa.Schema:
    """The columns of a file for rows of `schema`: the clocks, of `rights` too, as timestamp[ns, UTC].

    `sources` has further metadata by column.  pandas reads whole numbers and booleans that can be null as its
    nullable types (Int64 and the like), in which a row without a value changes no other.
    """
    of_rights = (f"{right}_{clock}" for right in rights for clock in (EVENT_NS, KNOWN_NS))
    clocks = {EVENT_NS, KNOWN_NS, AVAILABLE_NS, *of_rights}
    fields = []
    for column in schema:
        metadata = {**(column.metadata or {}), **(sources or {}).get(column.name, {})}
        if column.name in clocks and column.type == pa.int64():
            column, metadata = column.with_type(MOMENT), metadata | {KIND: b"int64"}
        fields.append(column.with_metadata(metadata) if metadata else column)
    return pa.schema(fields, metadata={_PANDAS: _pandas_metadata(fields)})


def open_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Open a file for rows of a file's schema.

    Values that repeat are written once and numbered: not moments and counts, of which nearly every row has
    another.  A column of floats shows within some thousand values whether its values repeat.  By Parquet's
    defaults the aligned rows of a day took 1.9 times the time to write, and 1.2 times the room.
    """
    words = [field.name for field in schema if not _is_many(field.type)]
    return pq.ParquetWriter(path, schema, use_dictionary=words, dictionary_pagesize_limit=WORDS_SIZE_MAX)


def _is_many(kind: pa.DataType) -> bool:
    """Whether a column of this type has hardly two rows of one value."""
    return bool(
        pa.types.is_int64(kind)
        or pa.types.is_uint64(kind)
        or pa.types.is_timestamp(kind)
        or pa.types.is_duration(kind)
    )


def source_metadata(schema: pa.Schema) -> dict[str, Metadata]:
    """What a day's schema says of its clocks' sources, by column."""
    sources: dict[str, Metadata] = {}
    for column in schema:
        metadata = column.metadata or {}
        if kept := {key: metadata[key] for key in (SOURCE, ZONE) if key in metadata}:
            sources[column.name] = kept
    return sources


def as_in_frames(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of a file with the types that they have in frames; those of an older file, of int64, as they are.

    Where another program has written the file again, and no column says its type, names tell.
    """
    schema = schema_in_frames(rows.schema)
    return pa.RecordBatch.from_arrays(_cast(rows, schema), schema=schema)


def as_in_files(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows of frames as a file of this schema has them."""
    return pa.Table.from_arrays(_cast(rows, schema), schema=schema)


def schema_in_frames(schema: pa.Schema) -> pa.Schema:
    """The schema of such rows, without metadata."""
    marked = any(KIND in (column.metadata or {}) for column in schema)
    fields = []
    for column in schema:
        is_clock = KIND in (column.metadata or {}) if marked else column.name.endswith(CLOCKS)
        if is_clock and column.type == MOMENT:
            column = column.with_type(pa.int64())
        fields.append(column.remove_metadata())
    return pa.schema(fields)


def read_rows(folder: Path) -> pa.Table:
    """All rows of a folder of such files, file after file, with the types that they have in frames."""
    return pa.concat_tables([_read(file) for file in sorted(folder.glob("*.parquet"))])


def _read(file: Path) -> pa.Table:
    with pq.ParquetFile(file) as opened:
        rows = opened.read()
    schema = schema_in_frames(rows.schema)
    return pa.Table.from_arrays(_cast(rows, schema), schema=schema)


def _cast(rows: pa.Table | pa.RecordBatch, schema: pa.Schema) -> list[pa.ChunkedArray | pa.Array]:
    """The columns, those of other types cast; others are not touched, since not every type can be."""
    return [
        column if column.type == field.type else column.cast(field.type)
        for column, field in zip(rows.columns, schema, strict=True)
    ]


def _pandas_metadata(fields: Iterable[pa.Field]) -> bytes:
    """What pandas itself would write of these columns, for those that it would not read as they are."""
    columns = []
    for column in fields:
        if not column.nullable:
            continue
        if pa.types.is_boolean(column.type):
            kind = "boolean"
        elif pa.types.is_integer(column.type):
            kind = str(column.type).replace("int", "Int").replace("uI", "UI")
        else:
            continue
        columns.append(
            {
                "name": column.name,
                "field_name": column.name,
                "pandas_type": kind.lower(),
                "numpy_type": kind,
                "metadata": None,
            }
        )
    description = {
        "index_columns": [],
        "column_indexes": [],
        "columns": columns,
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    return json.dumps(description).encode()
