"""Bodies of messages that nobody would write."""

from itertools import pairwise

import numpy as np
import pyarrow as pa

from schemas.stream import Stream
from tests.stage.fakes import DictRegistry
from topics.avro.encode import RowEncoder
from topics.avro.header import HEADER_SIZE

STREAM = Stream(
    name="quote",
    schema=pa.schema(
        [
            pa.field("event_ns", pa.int64(), nullable=False),
            pa.field("symbol", pa.string()),
            pa.field("price", pa.float64()),
            pa.field("size", pa.int16()),
            pa.field("crossed", pa.bool_(), nullable=False),
            pa.field("fee", pa.decimal128(6, 2)),
            pa.field("tag", pa.binary(2)),
            pa.field("raw", pa.binary(), nullable=False),
        ]
    ),
)

ROWS = pa.RecordBatch.from_pylist(
    [
        {"event_ns": 1_700_000_000_000_000_000 + i, "symbol": symbol, "price": price, "size": i - 2}
        | {"crossed": i == 1, "fee": None, "tag": b"ab", "raw": bytes(i)}
        for i, (symbol, price) in enumerate([("AAPL", 1.5), (None, None), ("Zürich", -0.0), ("x" * 70, 2.0)])
    ],
    schema=STREAM.schema,
)


def bodies(*, blocks: bool) -> list[bytes]:
    encoder = RowEncoder(STREAM, DictRegistry(), "t")
    encoded = encoder.blocks(ROWS, np.array([0, 1, 4])) if blocks else encoder.records(ROWS)
    return [bytes(encoded.data[start + HEADER_SIZE : stop]) for start, stop in pairwise(encoded.starts)]
