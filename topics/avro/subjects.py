"""Which schema says the columns of a topic's rows, where records and blocks have subjects of their own."""

import json
from dataclasses import dataclass

import pyarrow as pa

from topics.avro.encode import value_subjects
from topics.avro.header import HEADER_SIZE
from topics.avro.plan import column_slots, compile_program
from topics.avro.schema import record_columns
from topics.avro.types import parse_record
from topics.wire import CodecError, SchemaRegistry


@dataclass(frozen=True, slots=True)
class RowSchema:
    """The newest schema of a topic's rows: an Avro record (JSON), and the id and subject it stands under."""

    record: str
    schema_id: int
    subject: str


def newest_row_schema(registry: SchemaRegistry, topic: str) -> RowSchema | None:
    """Return the schema that says the columns of a topic's rows, None where neither subject has one.

    Where only blocks are registered, it is that of their rows.  Where both are, it is the record's, unless
    blocks have all its columns and more, and records can be read with these: then the stream has grown since
    somebody wrote records.  Raises CodecError for a newest schema that is no Avro.
    """
    records, blocks = value_subjects(topic)
    record, block = registry.latest(records), registry.latest(blocks)
    if block is not None:
        rows = _rows_of(block[1])
        if record is None or _has_grown(record[1], rows):
            return RowSchema(rows, block[0], blocks)
    return None if record is None else RowSchema(record[1], record[0], records)


def _rows_of(schema: str) -> str:
    """The record of a block's rows; a record that somebody registered for blocks is taken as it is."""
    return json.dumps(json.loads(schema)["items"]) if parse_record(schema).blocks else schema


def _has_grown(old: str, new: str) -> bool:
    """Whether `new` has all columns of `old` and more, and messages of `old` can be read as its rows."""
    try:
        wide = _columns(new)
        if not set(_columns(old).names) < set(wide.names):
            return False
        compile_program(old, column_slots(wide))
    except CodecError:
        return False
    return True


def _columns(schema: str) -> pa.Schema:
    return pa.schema(record_columns(schema, stream="", needed=()))


def named_schema(value: bytes | None) -> int | None:
    """Return the id that a message's first bytes name, None where they name none; ids begin at 1."""
    if value is None or len(value) < HEADER_SIZE or value[0] != 0:
        return None
    return int.from_bytes(value[1:HEADER_SIZE], "big") or None
