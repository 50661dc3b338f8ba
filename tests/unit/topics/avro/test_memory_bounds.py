"""The decoder never reads beyond a message: each message here ends where memory may no longer be read."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from schemas.stream import Stream
from tests.stage.blocks import block_of
from tests.stage.fakes import DictRegistry
from tests.stage.guarded import guarded_page
from topics.avro.decode import Decoder
from topics.avro.encode import RowEncoder

STREAM = Stream(
    name="quote",
    schema=pa.schema(
        [
            pa.field("event_ns", pa.int64(), nullable=False),
            pa.field("symbol", pa.string()),
            pa.field("fee", pa.decimal128(38, 2)),
            pa.field("price", pa.float32()),
            pa.field("raw", pa.binary(3), nullable=False),
            pa.field("last", pa.bool_(), nullable=False),
        ]
    ),
)
ROW = {"event_ns": 1_700_000_000_000_000_000, "symbol": "ABCDEFGHIJ", "fee": 1, "price": 2.5}
ROWS = pa.RecordBatch.from_pylist(
    [{**ROW, "raw": b"abc", "last": True}, {**ROW, "symbol": "é", "raw": b"xyz", "last": False}],
    schema=STREAM.schema,
)


def test_no_prefix_of_a_message_is_read_beyond_its_end() -> None:
    registry = DictRegistry()
    encoder = RowEncoder(STREAM, registry, "t")
    decoder = Decoder(STREAM, "event", registry)
    whole = [encoder.records(ROWS.slice(0, 1)), encoder.blocks(ROWS, np.array([0, 2]))]
    with guarded_page() as page:
        for encoded in whole:
            value = encoded.data.tobytes()
            for size in range(1, len(value) + 1):
                block = replace(block_of([(b"K", value[:size], 0)]), value=page.at_the_edge(value[:size]))
                decoded = decoder.decode(block, np.arange(1))
                assert (decoded.batch is not None) == (size == len(value))
                assert len(decoded.dead) == (size < len(value))


def test_no_key_is_read_beyond_its_end() -> None:
    registry = DictRegistry()
    value = RowEncoder(STREAM, registry, "t").records(ROWS.slice(0, 1)).data.tobytes()
    decoder = Decoder(STREAM, "event", registry)
    with guarded_page() as page:
        for size in range(20):
            key = bytes(range(size))
            address = np.repeat(page.at_the_edge(key), 2)
            block = replace(block_of([(key, value, 0), (key, value, 1)]), key=address)
            batch = decoder.decode(block, np.arange(2)).batch
            assert batch is not None
            assert batch.keys.to_pylist() == [key]
