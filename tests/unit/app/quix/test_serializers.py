"""Rows and blocks that an application of Quix Streams produces are what a worker reads."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from schemas.stream import Stream
from topics.avro.encode import RowEncoder
from topics.registry.folder import FileRegistry
from topics.wire import CodecError

quixstreams = pytest.importorskip(
    "quixstreams", reason="tests/broker/test_quix.py runs these in its own place"
)

from app.quix.serializers import BlockSerializer, RowSerializer  # noqa: E402

STREAM = Stream(
    name="trade",
    schema=pa.schema(
        [
            pa.field("symbol", pa.string(), nullable=False),
            pa.field("event_ns", pa.int64(), nullable=False),
            pa.field("price", pa.float64()),
        ]
    ),
)
ROWS = [{"symbol": "A", "event_ns": 2**62 + 1, "price": None}, {"symbol": "A", "event_ns": 7, "price": 0.5}]
CONTEXT = SimpleNamespace(topic="tidemark.trade")


def expected(folder: Path) -> tuple[list[bytes], bytes]:
    """Each row, and the block of both, as the publisher of days writes them."""
    encoder = RowEncoder(STREAM, FileRegistry(folder), CONTEXT.topic)
    batch = pa.RecordBatch.from_pylist(ROWS, STREAM.schema)
    records = [encoder.records(batch.slice(i, 1)).data.tobytes() for i in range(2)]
    return records, encoder.blocks(batch, pa.array([0, 2]).to_numpy()).data.tobytes()


def test_rows_and_blocks_are_the_bytes_of_a_publisher(tmp_path: Path) -> None:
    records, block = expected(tmp_path)
    by_row, by_block = RowSerializer(STREAM, str(tmp_path)), BlockSerializer(STREAM, str(tmp_path))
    assert [by_row(row, CONTEXT) for row in ROWS] == records
    assert by_block(ROWS, CONTEXT) == block
    assert by_block(pa.RecordBatch.from_pylist(ROWS, STREAM.schema), CONTEXT) == block


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "a block of trade without rows"),
        ([ROWS[0], {**ROWS[1], "symbol": "B"}], "rows of several keys: symbol differs"),
        ([{"symbol": "A"}], "has, or lacks, event_ns"),
        ([7], "a row of trade is a dict.*, not int"),
        ([{**ROWS[0], "price": "high"}], "a row of trade: "),
        ([{**ROWS[0], "event_ns": None}], "event_ns of trade holds null"),
    ],
)
def test_what_is_no_block_of_the_stream_is_refused(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(CodecError, match=message):
        BlockSerializer(STREAM, str(tmp_path))(value, CONTEXT)
