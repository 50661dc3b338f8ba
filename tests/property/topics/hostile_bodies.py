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


LISTS = Stream(
    name="quote",
    schema=pa.schema(
        [
            pa.field("event_ns", pa.int64(), nullable=False),
            pa.field("symbol", pa.string()),
            pa.field("conditions", pa.list_(pa.string())),
            pa.field("sizes", pa.list_(pa.field("item", pa.int16(), nullable=False)), nullable=False),
            pa.field("tags", pa.large_list(pa.binary(2))),
            pa.field("flags", pa.list_(pa.bool_()), nullable=False),
        ]
    ),
)

ROWS_WITH_LISTS = pa.RecordBatch.from_pylist(
    [
        {"event_ns": 1_700_000_000_000_000_000, "conditions": ["@", None, "F" * 70]}
        | {"sizes": [1, -300], "flags": []},
        {"event_ns": 2, "sizes": [], "tags": [b"ab", None], "flags": [True, None]},
        {"event_ns": 3, "conditions": [], "sizes": [7] * 40, "tags": [], "flags": [False] * 3},
        {"event_ns": 4, "conditions": ["né"], "sizes": [0], "tags": [b"\0\xff"], "flags": [None] * 9},
    ],
    schema=LISTS.schema,
)
# Records that are flat, and others: two programs of the decoder.
CASES = ((STREAM, ROWS), (LISTS, ROWS_WITH_LISTS))


def bodies(*, blocks: bool, stream: Stream = STREAM, rows: pa.RecordBatch = ROWS) -> list[bytes]:
    encoder = RowEncoder(stream, DictRegistry(), "t")
    encoded = encoder.blocks(rows, np.array([0, 1, 4])) if blocks else encoder.records(rows)
    return [bytes(encoded.data[start + HEADER_SIZE : stop]) for start, stop in pairwise(encoded.starts)]
