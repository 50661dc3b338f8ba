"""Aligned rows as plain Avro records, `format = "avro"`: one message per row, for those who want that."""

import pyarrow as pa

from topics.avro.encode import RowEncoder
from topics.avro.schema import RowLayout
from topics.wire import Encoded, SchemaRegistry


class AvroRows:
    """Encodes any rows of one schema as Avro records under a record name.

    A dictionary column is written as its values, a list as an array.  Other nested columns are refused with a
    CodecError when the encoder is made: frames carry them.
    """

    def __init__(self, name: str, schema: pa.Schema, registry: SchemaRegistry, topic: str) -> None:
        self._encoder = RowEncoder(RowLayout(name, schema), registry, topic)

    def encode(self, rows: pa.RecordBatch) -> Encoded:
        """Return one message per row; raises CodecError for rows of another schema."""
        return self._encoder.records(rows)
