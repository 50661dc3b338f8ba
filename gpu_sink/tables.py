"""An aligned stream as one table: record batches of one schema, for whatever reads Arrow."""

from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa

from gpu_sink.columns.columns import read_as
from gpu_sink.contract import FrameError
from gpu_sink.errors import ColumnError, SourceError
from gpu_sink.frames import Frame
from gpu_sink.reading.source import FrameSource
from gpu_sink.segments.reads import SegmentRows

POLL_WAIT_S: Final = 0.1  # bounds how long an interruption waits


def require_bounded(source: FrameSource) -> None:
    """Raise SourceError for a stream that has no end, or that can be read only once."""
    if source.bounded is None:
        raise SourceError("frames that can be iterated once are no table, which is read again: give a list")
    if not source.bounded:
        raise SourceError(
            "a live stream has no end and so is no table: say until_end=True, or take its batches"
        )


def table_schema(source: FrameSource) -> pa.Schema:
    """The columns of the newest frames, those of the first that is asked first; every one is nullable.

    Where two of them have a column of one name the first decides its type.  Raises SourceError for a stream
    without frames, ColumnError for a column of two kinds.
    """
    fields: dict[str, pa.Field] = {}
    for schema in source.newest_schemas():
        for field in schema:
            known = fields.setdefault(field.name, field.with_nullable(True))
            if not _castable(field.type, known.type):
                raise ColumnError(
                    f"column {field.name} is {known.type} in one part of {source.name} and {field.type} in "
                    "another: read them apart"
                )
    if not fields:
        raise SourceError(f"{source.name} has no frame yet, so nobody knows its columns")
    return pa.schema(fields.values())


def read_batches(source: FrameSource, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a bounded stream as columns of the schema; raises SourceError and FrameError."""
    for frame in read_frames(source):
        yield fitted(frame, schema)


def read_frames(source: FrameSource) -> Iterator[Frame]:
    """Yield all frames of a source, their rows read; raises SourceError and FrameError."""
    reader = source.open(dict.fromkeys(source.partitions()))
    try:
        while not reader.ended:
            frame = reader.read(POLL_WAIT_S)
            if frame is not None:
                yield in_memory(frame)
    finally:
        reader.close()


def fitted(frame: Frame, schema: pa.Schema) -> pa.RecordBatch:
    """The frame's rows with the columns of the schema: null where the frame lacks one.

    Raises FrameError for a column that the schema lacks, or that is of another kind there.
    """
    rows = frame.rows
    if unknown := [name for name in rows.schema.names if name not in schema.names]:
        raise FrameError(
            f"{frame.place}: column {unknown[0]} is in no newest frame: a table has the columns of these; "
            'read batches with columns= and columns_missing="null"'
        )
    columns = [
        _as_type(frame, rows.column(field.name), field)
        if field.name in rows.schema.names
        else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def in_memory(frame: Frame) -> Frame:
    """The frame with its rows read."""
    if isinstance(frame.rows, SegmentRows):
        return Frame(frame.rows.to_arrow(), frame.headers, frame.place)
    return frame


def _as_type(frame: Frame, column: pa.Array, field: pa.Field) -> pa.Array:
    if column.type == field.type:
        return column
    try:
        if _castable(column.type, field.type):
            return column.cast(field.type)
        reason = "of another kind"
    except pa.ArrowInvalid as refused:
        reason = str(refused)
    raise FrameError(f"{frame.place}: column {field.name} is {column.type}, not {field.type}: {reason}")


def _castable(actual: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether values of one type are values of the other, written down in another way."""
    kinds: tuple[Any, ...] = (pa.types.is_integer, pa.types.is_floating)
    return bool(read_as(actual) == read_as(wanted)) or any(kind(actual) and kind(wanted) for kind in kinds)
