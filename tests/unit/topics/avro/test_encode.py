"""What the encoder writes, byte for byte, and what it refuses."""

import numpy as np
import pyarrow as pa
import pytest

from schemas.stream import Stream
from tests.stage.fakes import DictRegistry
from topics.avro.encode import RowEncoder
from topics.avro.rows import AvroRows
from topics.wire import CodecError

COLUMNS = [pa.field("event_ns", pa.int64(), nullable=False), ("symbol", pa.string()), ("price", pa.float64())]
STREAM = Stream(name="trade", schema=pa.schema(COLUMNS))
ROWS = pa.RecordBatch.from_pylist(
    [
        {"event_ns": 1_704_067_200_000_000_000, "symbol": "IBM", "price": 1.5},
        {"event_ns": -1, "symbol": None, "price": None},
    ],
    schema=STREAM.schema,
)
# 2024-01-01T00:00:00Z as a zigzag varint of nine bytes; union branch 1 and "IBM"; branch 1 and 1.5.
FIRST = bytes.fromhex("8080a896e08588a62f02 06 49424d02 000000000000f83f")
SECOND = bytes.fromhex("01 00 00")


def test_records_are_these_bytes() -> None:
    encoded = RowEncoder(STREAM, DictRegistry(), "trades").records(ROWS)
    assert encoded.messages == 2
    assert encoded.data.tobytes() == b"\0\0\0\0\1" + FIRST + b"\0\0\0\0\1" + SECOND
    assert encoded.starts.tolist() == [0, 5 + len(FIRST), 10 + len(FIRST) + len(SECOND)]


def test_a_block_is_these_bytes() -> None:
    encoded = RowEncoder(STREAM, DictRegistry(), "trades").blocks(ROWS, np.array([0, 2]))
    assert encoded.data.tobytes() == b"\0\0\0\0\1\x04" + FIRST + SECOND + b"\0"


def test_records_and_blocks_have_subjects_of_their_own() -> None:
    registry = DictRegistry()
    encoder = RowEncoder(STREAM, registry, "trades")
    assert registry.subjects == {}
    encoder.records(ROWS)
    assert list(registry.subjects) == ["trades-value"]
    encoder.blocks(ROWS, np.array([0, 2]))
    assert registry.subjects == {"trades-value": [1], "trades-value-block": [2]}


def test_no_rows_are_no_messages() -> None:
    encoder = RowEncoder(STREAM, DictRegistry(), "trades")
    empty = pa.RecordBatch.from_pylist([], schema=STREAM.schema)
    assert encoder.records(empty).messages == 0
    assert encoder.blocks(empty, np.array([0])).messages == 0
    assert encoder.blocks(empty, np.array([0, 0])).data.tobytes() == b"\0\0\0\0\2\0"


def test_a_dictionary_column_is_written_as_its_values() -> None:
    plain = RowEncoder(STREAM, DictRegistry(), "trades").records(ROWS)
    coded = ROWS.set_column(1, "symbol", ROWS.column("symbol").dictionary_encode())
    assert RowEncoder(STREAM, DictRegistry(), "trades").records(coded).data.tobytes() == plain.data.tobytes()


def test_rows_of_other_columns_are_refused() -> None:
    encoder = RowEncoder(STREAM, DictRegistry(), "trades")
    with pytest.raises(CodecError, match="have the columns symbol, price; expected event_ns, symbol, price"):
        encoder.records(ROWS.select(["symbol", "price"]))
    with pytest.raises(CodecError, match="column price of trade is float, expected double"):
        encoder.records(ROWS.set_column(2, "price", ROWS.column("price").cast(pa.float32())))


def test_a_null_where_none_may_be_is_refused() -> None:
    encoder = RowEncoder(STREAM, DictRegistry(), "trades")
    with pytest.raises(CodecError, match="column event_ns of trade holds null"):
        encoder.records(ROWS.set_column(0, "event_ns", pa.nulls(2, pa.int64())))


def test_columns_of_nothing_but_nulls_are_written() -> None:
    rows = ROWS.set_column(1, "symbol", pa.nulls(2, pa.string())).set_column(
        2, "price", pa.nulls(2, pa.float64())
    )
    data = RowEncoder(STREAM, DictRegistry(), "trades").records(rows).data.tobytes()
    assert data.endswith(b"\0\0\0\0\1" + SECOND)


def test_aligned_rows_need_no_clock() -> None:
    rows = pa.RecordBatch.from_pylist([{"left_offset": 3, "quote_age_ns": None}])
    rows = rows.set_column(1, "quote_age_ns", pa.nulls(1, pa.int64()))
    encoder = AvroRows("aligned", rows.schema, registry := DictRegistry(), "aligned")
    assert encoder.encode(rows).data.tobytes() == b"\0\0\0\0\1\x02\x06\x00"
    assert list(registry.subjects) == ["aligned-value"]
    with pytest.raises(CodecError, match="column legs is struct"):
        AvroRows("aligned", pa.schema([("legs", pa.struct([("a", pa.int8())]))]), registry, "aligned")
