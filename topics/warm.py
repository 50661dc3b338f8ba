"""Compiles or loads the codec's kernels, so that no message has to wait for them."""

from collections.abc import Collection, Sequence
from pathlib import Path

import llvmlite
import llvmlite.binding
import numba
import numpy as np
import pyarrow as pa

from schemas.stream import Stream
from topics.avro.decode import Decoder
from topics.avro.encode import RowEncoder
from topics.block import MessageBlock, TopicPartition
from topics.bus import TopicSpec
from topics.memory.bus import MemoryBus
from topics.placement import home_partitions
from topics.times import TimeForm, to_ns
from topics.values import FieldPath
from topics.wire import Encoded, SchemaRegistry, UnknownSchemaError

_ROWS = pa.record_batch(
    {
        "event_ns": pa.array([1, 2], pa.int64()),
        "symbol": pa.array(["a", "b"]),
        "price": pa.array([1.0, None], pa.float64()),
        "flag": pa.array([True, None], pa.bool_()),
        "marks": pa.array([["a", None], None], pa.list_(pa.string())),
    }
)


def warm(formats: Collection[str] = ()) -> None:
    """Encode two rows as records and as a block, send them through an embedded bus, decode and place them.

    `formats` are those besides Avro whose kernels are wanted too, "json" and "protobuf"; with any of them
    come those that read times.
    """
    stream = Stream(name="warm", schema=_ROWS.schema)
    registry = _Registry()
    messages = [
        encoded.data[lower:upper].tobytes()
        for encoded in _encoded(stream, registry)
        for lower, upper in zip(encoded.starts[:-1], encoded.starts[1:], strict=True)
    ]
    block = _block(messages)
    decoded = Decoder(stream, "event", registry).decode(block, np.arange(block.messages, dtype=np.int64))
    assert decoded.batch is not None
    assert decoded.batch.rows == 2 * _ROWS.num_rows
    assert home_partitions(decoded.batch.keys, 1).tolist() == [0]
    if formats:
        for form in (TimeForm(form="ms"), TimeForm(form="iso", zone="UTC")):
            to_ns(pa.array(["0", "1970-01-01T00:00Z"]), form)
    if "json" in formats:
        _warm_json()
    if "protobuf" in formats:
        _warm_protobuf()


def _warm_json() -> None:
    """Read JSON as most is, JSON that must be looked at more closely, and what is none."""
    from topics.json.decode import JsonValues  # here and below: who reads none does not load it

    block = _block([b'{"symbol":"a","price":1.5}', b'[{"symbol":"a"},{"symbol":"a","symbol":"b"}]', b"{"])
    columns = [FieldPath(_ROWS.schema.field(name), (name,)) for name in ("symbol", "price")]
    read = JsonValues(columns).read(block, np.arange(block.messages, dtype=np.int64))
    assert read.rows_of.tolist() == [1, 2, 0]


def _warm_protobuf() -> None:
    """Compile the kernels of Protobuf for no message, which needs no message type."""
    from topics.protobuf import framing, kernel

    kernel.warm()
    framing.warm()


def _block(values: Sequence[bytes]) -> MessageBlock:
    """These values as messages of one partition, keyed, as a poll brings them."""
    bus = MemoryBus()
    bus.admin().create([TopicSpec(name="warm", partitions=1, configs={})])
    producer = bus.producer()
    for value in values:
        producer.produce("warm", partition=0, key=b"a", value=value)
    consumer = bus.consumer(group="warm")
    consumer.assign({TopicPartition("warm", 0): 0})
    return consumer.poll(messages_max=len(values), wait_ms=0)


def warm_encoder() -> None:
    """Encode two rows, for whoever only publishes."""
    _encoded(Stream(name="warm", schema=_ROWS.schema), _Registry())


def compiler() -> str:
    """What compiled kernels depend on beside their source: versions and the processor."""
    processor = llvmlite.binding.get_host_cpu_name()
    return f"numba {numba.__version__} llvmlite {llvmlite.__version__} {processor}"


def cache_folder() -> Path | None:
    """Where the kernels of these sources are kept, None where they are not kept or not compiled."""
    folder: str = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    return Path(folder) if folder and not numba.config.DISABLE_JIT else None  # type: ignore[attr-defined]


def _encoded(stream: Stream, registry: SchemaRegistry) -> tuple[Encoded, Encoded]:
    encoder = RowEncoder(stream, registry, "warm")
    return encoder.records(_ROWS), encoder.blocks(_ROWS, np.array([0, 2], dtype=np.int64))


class _Registry:
    """The two schemas of the rows above, in memory."""

    def __init__(self) -> None:
        self._schemas: list[str] = []

    def register(self, subject: str, schema: str) -> int:
        """Number a schema."""
        self._schemas.append(schema)
        return len(self._schemas) - 1

    def schema(self, schema_id: int) -> str:
        """Return the schema of a number."""
        if schema_id >= len(self._schemas):
            raise UnknownSchemaError(f"no schema {schema_id}")
        return self._schemas[schema_id]

    def latest(self, subject: str) -> tuple[int, str] | None:
        """Nothing asks for it here."""
        return None

    def ids(self, subject: str) -> frozenset[int]:
        """Nothing asks for them here."""
        return frozenset()


if __name__ == "__main__":
    warm()
