"""The codec against fastavro: the same bytes out, the same columns in, whatever the types."""

from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.stream import Stream
from tests.oracles.avro import bare_rows, bare_schema, read_slowly, write_slowly
from tests.oracles.avro_writer import SlowWriter
from tests.property.topics.batches import batches
from tests.stage.blocks import block_of
from tests.stage.fakes import DictRegistry
from topics.avro.arrow_types import is_list
from topics.avro.decode import Decoder
from topics.avro.encode import RowEncoder
from topics.avro.header import HEADER_SIZE, message_header
from topics.avro.schema import arrow_schema, avro_schema, block_schema
from topics.wire import Encoded


def stream_of(rows: pa.RecordBatch) -> Stream:
    return Stream(name="quote", schema=rows.schema)


def values(encoded: Encoded) -> list[bytes]:
    return [bytes(encoded.data[a:b]) for a, b in pairwise(encoded.starts)]


@given(rows=batches())
@settings(max_examples=80, deadline=None)
def test_a_schema_comes_back_as_it_was(rows: pa.RecordBatch) -> None:
    assert arrow_schema(avro_schema(stream_of(rows))) == rows.schema
    assert arrow_schema(block_schema(stream_of(rows))) == rows.schema


@given(rows=batches())
@settings(max_examples=120, deadline=None)
def test_records_are_the_bytes_that_fastavro_writes(rows: pa.RecordBatch) -> None:
    encoded = RowEncoder(stream_of(rows), DictRegistry(), "t").records(rows)
    schema = avro_schema(stream_of(rows))
    expected = [message_header(1) + write_slowly(schema, row) for row in bare_rows(rows)]
    assert values(encoded) == expected


@given(rows=batches(), draw=st.data())
@settings(max_examples=120, deadline=None)
def test_blocks_are_read_by_fastavro_as_the_rows_they_hold(rows: pa.RecordBatch, draw: st.DataObject) -> None:
    inner = draw.draw(st.lists(st.integers(0, rows.num_rows), max_size=4).map(sorted))
    cuts = np.array([0, *inner, rows.num_rows], dtype=np.int64)
    encoded = RowEncoder(stream_of(rows), DictRegistry(), "t").blocks(rows, cuts)
    read = [read_slowly(block_schema(stream_of(rows)), value[HEADER_SIZE:]) for value in values(encoded)]
    bare = bare_rows(rows)
    assert read == [bare[a:b] for a, b in pairwise(cuts)]


@given(rows=batches(), start=st.integers(0, 3))
@settings(max_examples=80, deadline=None)
def test_a_slice_is_encoded_as_if_it_were_whole(rows: pa.RecordBatch, start: int) -> None:
    sliced = rows.slice(min(start, rows.num_rows - 1))
    copied = pa.RecordBatch.from_arrays([pa.concat_arrays([c]) for c in sliced.columns], schema=rows.schema)
    encoder = RowEncoder(stream_of(rows), DictRegistry(), "t")
    assert values(encoder.records(sliced)) == values(encoder.records(copied))


@given(rows=batches())
@settings(max_examples=120, deadline=None)
def test_what_fastavro_wrote_is_decoded_to_the_same_columns(rows: pa.RecordBatch) -> None:
    registry = DictRegistry()
    schema_id = registry.register("t-value", avro_schema(stream_of(rows)))
    bodies = [write_slowly(avro_schema(stream_of(rows)), row) for row in bare_rows(rows)]
    messages = [(b"K", message_header(schema_id) + body, 10 + i) for i, body in enumerate(bodies)]
    decoded = Decoder(stream_of(rows), "event", registry).decode(block_of(messages), np.arange(len(messages)))
    assert decoded.dead == []
    assert decoded.batch is not None
    decoded.batch.columns.validate(full=True)
    assert decoded.batch.columns.equals(rows)
    assert decoded.batch.time_ns.tolist() == rows.column("event_ns").to_pylist()
    assert decoded.batch.offset.tolist() == [10 + i for i in range(rows.num_rows)]


@given(rows=batches(), cut=st.integers(0, 12))
@settings(max_examples=120, deadline=None)
def test_blocks_come_back_as_the_columns_they_were(rows: pa.RecordBatch, cut: int) -> None:
    registry = DictRegistry()
    cuts = np.array([0, min(cut, rows.num_rows), rows.num_rows], dtype=np.int64)
    encoded = RowEncoder(stream_of(rows), registry, "t").blocks(rows, cuts)
    messages: list[tuple[bytes | None, bytes | None, int]] = [
        (key, value, offset) for key, value, offset in zip((b"A", b"B"), values(encoded), (5, 9), strict=True)
    ]
    decoded = Decoder(stream_of(rows), "event", registry).decode(block_of(messages), np.arange(2))
    batch = decoded.batch
    assert decoded.dead == []
    assert batch is not None
    assert batch.columns.equals(rows)
    sizes = np.diff(cuts)
    assert batch.offset.tolist() == [5] * sizes[0] + [9] * sizes[1]
    assert batch.index.tolist() == [*range(sizes[0]), *range(sizes[1])]
    assert [batch.keys[code].as_py() for code in batch.key_code] == [b"A"] * sizes[0] + [b"B"] * sizes[1]


@given(rows=batches(), seed=st.integers(0, 2**32), blocks=st.booleans())
@settings(max_examples=200, deadline=None)
def test_arrays_in_any_form_that_avro_allows_come_back_as_the_columns_they_were(
    rows: pa.RecordBatch, seed: int, blocks: bool
) -> None:
    """Items in several array blocks, some of which say how many bytes they have by a negative count."""
    registry = DictRegistry()
    schema = block_schema(stream_of(rows)) if blocks else avro_schema(stream_of(rows))
    header = message_header(registry.register("t", schema))
    writer = SlowWriter(bare_schema(schema), Random(seed))
    bare = [with_branches(row, rows.schema) for row in bare_rows(rows)]
    bodies = [writer.body(bare)] if blocks else [writer.body(row) for row in bare]
    messages = [(b"K", header + body, offset) for offset, body in enumerate(bodies)]
    decoded = Decoder(stream_of(rows), "event", registry).decode(block_of(messages), np.arange(len(messages)))
    assert decoded.dead == []
    assert decoded.batch is not None
    decoded.batch.columns.validate(full=True)
    assert decoded.batch.columns.equals(rows)


def with_branches(row: dict[str, Any], schema: pa.Schema) -> dict[str, Any]:
    """A row as SlowWriter takes it: where null is allowed, a value is (branch, value)."""

    def branch(value: Any, field: pa.Field) -> Any:
        if is_list(field.type) and value is not None:
            value = [branch(item, field.type.value_field) for item in value]
        return (int(value is not None), value) if field.nullable else value

    return {name: branch(value, schema.field(name)) for name, value in row.items()}
