"""Progress records: the heartbeat a producer writes into every partition of a stream's topic.

Their schema has its own subject, and a reader knows them by the record's name, `tidemark.Progress`.
"""

import io
import json
from typing import Any, Final

import fastavro
import pyarrow as pa

from topics.avro.header import HEADER_SIZE, message_header
from topics.avro.plan import column_slots
from topics.avro.schema import arrow_schema, shipped_schema
from topics.wire import Progress, SchemaRegistry

PROGRESS_SUBJECT: Final = "tidemark.Progress"
PROGRESS_SCHEMA: Final = shipped_schema("progress")
PROGRESS_SLOTS: Final = column_slots(arrow_schema(PROGRESS_SCHEMA))


def register_progress(registry: SchemaRegistry) -> int:
    """Return the id of the schema of progress records, registered where it was not."""
    return registry.register(PROGRESS_SUBJECT, PROGRESS_SCHEMA)


def encode_progress(registry: SchemaRegistry, progress: Progress) -> bytes:
    """Return the value of a progress record, in the Confluent wire format."""
    schema_id = register_progress(registry)
    value = io.BytesIO()
    value.write(message_header(schema_id))
    record = {
        "stream": progress.stream,
        "upper_ns": progress.upper_ns,
        "final": progress.final,
        "run": progress.run,
    }
    fastavro.schemaless_writer(value, _PARSED, record)
    return value.getvalue()


def decode_progress(value: bytes) -> Progress:
    """Return what `encode_progress` wrote."""
    record: Any = fastavro.schemaless_reader(io.BytesIO(value[HEADER_SIZE:]), _PARSED, None)
    return Progress(**record)


def progress_of(rows: pa.RecordBatch) -> list[Progress]:
    """Return decoded progress records, a few per poll, as objects."""
    return [Progress(**row) for row in rows.to_pylist()]


_PARSED: Final = fastavro.parse_schema(json.loads(PROGRESS_SCHEMA))
