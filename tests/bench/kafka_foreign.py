"""The bench's rows as other people publish them: JSON objects, and Protobuf messages without a prefix."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from schemas.stream import Stream
from topics.wire import Encoded

_KINDS: Final = {pa.int64(): "TYPE_INT64", pa.float64(): "TYPE_DOUBLE", pa.string(): "TYPE_STRING"}


def foreign_settings(stream: Stream, shape: str, folder: Path) -> dict[str, Any]:
    """What the table of a stream says of its messages; a descriptor file is written to the folder."""
    if shape == "json":
        return {"format": "json", "fields": {column.name: str(column.type) for column in stream.schema}}
    if shape == "protobuf":
        file = folder / f"{stream.name}.desc"
        folder.mkdir(parents=True, exist_ok=True)
        files = descriptor_pb2.FileDescriptorSet(file=[_descriptor(stream.schema)])
        file.write_bytes(files.SerializeToString())
        return {"format": "protobuf", "schema_file": str(file)}
    return {}


def foreign_messages(rows: pa.RecordBatch, shape: str) -> Encoded:
    """Each row as a message of its own."""
    if shape == "json":
        frame = pl.from_arrow(rows)
        assert isinstance(frame, pl.DataFrame)
        return _end_to_end(frame.select(pl.struct(pl.all()).struct.json_encode()).to_series().to_list())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_descriptor(rows.schema))
    message_of: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("bench.Row"))
    return _end_to_end([message_of(**row).SerializeToString() for row in rows.to_pylist()])


def _descriptor(schema: pa.Schema) -> descriptor_pb2.FileDescriptorProto:
    message = descriptor_pb2.DescriptorProto(name="Row")
    for number, column in enumerate(schema, 1):
        kind = descriptor_pb2.FieldDescriptorProto.Type.Value(_KINDS[column.type])
        message.field.add(name=column.name, number=number, type=kind, label=1)
    file = descriptor_pb2.FileDescriptorProto(name="row.proto", package="bench", syntax="proto3")
    file.message_type.append(message)
    return file


def _end_to_end(values: Sequence[str | bytes]) -> Encoded:
    joined = pa.array(values, pa.large_binary())
    _, starts, data = joined.buffers()
    return Encoded(np.frombuffer(data, np.uint8), np.frombuffer(starts, np.int64)[: len(values) + 1])
