"""Which subject says a topic's columns: records and blocks have one each."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from schemas.stream import Stream
from topics.avro.schema import arrow_schema, avro_schema, block_schema
from topics.avro.subjects import newest_row_schema
from topics.registry.folder import FileRegistry


def stream(**columns: pa.DataType) -> Stream:
    fields = [pa.field("event_ns", pa.int64()), pa.field("symbol", pa.string())]
    return Stream(name="quote", schema=pa.schema([*fields, *map(pa.field, columns, columns.values())]))


def required(name: str) -> Stream:
    column = pa.field(name, pa.float64(), nullable=False)
    return Stream(name="quote", schema=stream(bid=pa.float64()).schema.append(column))


OLD, GROWN = stream(bid=pa.float64()), stream(bid=pa.float64(), ask=pa.float64())


@pytest.mark.parametrize(
    ("records", "blocks", "subject", "columns"),
    [
        (None, None, None, []),
        (OLD, None, "t-value", ["bid"]),
        (None, OLD, "t-value-block", ["bid"]),
        (OLD, OLD, "t-value", ["bid"]),
        (OLD, GROWN, "t-value-block", ["bid", "ask"]),
        (GROWN, OLD, "t-value", ["bid", "ask"]),
        (OLD, stream(last=pa.float64(), ask=pa.float64(), at=pa.int64()), "t-value", ["bid"]),
        (OLD, required("ask"), "t-value", ["bid"]),  # records could not be read with it
    ],
)
def test_the_record_counts_unless_blocks_have_grown_beyond_it(
    tmp_path: Path, records: Stream | None, blocks: Stream | None, subject: str | None, columns: list[str]
) -> None:
    registry = FileRegistry(tmp_path)
    if records is not None:
        registry.register("t-value", avro_schema(records))
    if blocks is not None:
        registry.register("t-value-block", block_schema(blocks))
    found = newest_row_schema(registry, "t")
    assert (None if found is None else found.subject) == subject
    if found is not None:
        assert json.loads(found.record)["type"] == "record"
        assert arrow_schema(found.record).names == ["event_ns", "symbol", *columns]
        assert registry.latest(found.subject) == (found.schema_id, registry.schema(found.schema_id))
