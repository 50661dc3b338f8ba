"""Serializers of Quix Streams for the inputs of a pipeline: a row a message, or many rows of one key."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from quixstreams.models.serializers import Serializer

from schemas.stream import Stream
from topics.avro.encode import RowEncoder
from topics.registry.open import open_registry
from topics.wire import CodecError, Encoded


class RowSerializer(Serializer):
    """A dict of one row as Avro in the Confluent wire format; the first message registers its schema."""

    def __init__(
        self, stream: Stream, schema_registry: str, registry_settings: Mapping[str, str] | None = None
    ) -> None:
        """`schema_registry` is the URL of a registry, or a folder that serves as one."""
        self._stream = stream
        self._registry = open_registry(schema_registry, registry_settings or {})
        self._encoders: dict[str, RowEncoder] = {}

    def __call__(self, value: Any, ctx: Any) -> bytes:
        """The value of a message; raises CodecError where the row is not of the stream."""
        return _only(self._encoder(ctx.topic).records(self._batch([value])))

    def _encoder(self, topic: str) -> RowEncoder:
        if topic not in self._encoders:
            self._encoders[topic] = RowEncoder(self._stream, self._registry, topic)
        return self._encoders[topic]

    def _batch(self, rows: Sequence[Any]) -> pa.RecordBatch:
        schema = self._stream.schema
        for row in rows:
            if not isinstance(row, Mapping):
                raise CodecError(
                    f"a row of {self._stream.name} is a dict of its columns, not {type(row).__name__}"
                )
            if other := sorted(set(row) ^ set(schema.names)):
                raise CodecError(f"a row of {self._stream.name} has, or lacks, {other[0]}: see its schema")
        try:
            return pa.RecordBatch.from_pylist(list(rows), schema)
        except (pa.ArrowException, ValueError, TypeError) as wrong:
            raise CodecError(f"a row of {self._stream.name}: {wrong}") from None


class BlockSerializer(RowSerializer):
    """Many rows as one message: a list of dicts, or a `pyarrow.RecordBatch`, in order and all of one key.

    The message's key has to be that of its rows.
    """

    def __call__(self, value: Any, ctx: Any) -> bytes:
        """The value of a message; raises CodecError where rows are not of the stream, or there are none."""
        rows = value if isinstance(value, pa.RecordBatch) else self._batch(value)
        if rows.num_rows == 0:
            raise CodecError(f"a block of {self._stream.name} without rows")
        for name in self._stream.key:
            if len(rows.column(name).unique()) != 1:
                raise CodecError(f"a block of {self._stream.name} has rows of several keys: {name} differs")
        return _only(self._encoder(ctx.topic).blocks(rows, np.array([0, rows.num_rows], np.int64)))


def _only(encoded: Encoded) -> bytes:
    return encoded.data.tobytes()
