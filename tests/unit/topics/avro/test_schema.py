"""Arrow columns as Avro and back: what returns, what is refused, and with which words."""

import json
from typing import Any

import pyarrow as pa
import pytest

from schemas.stream import Stream
from topics.avro.schema import (
    RowLayout,
    arrow_schema,
    avro_schema,
    block_schema,
    shipped_schema,
    stream_schema,
)
from topics.wire import CodecError


def foreign(*fields: dict[str, Any]) -> str:
    return json.dumps(
        {"type": "record", "name": "Theirs", "namespace": "com.example", "fields": list(fields)}
    )


@pytest.mark.parametrize("name", ["trade", "quote", "bar"])
def test_a_shipped_schema_is_a_stream_and_documents_every_field(name: str) -> None:
    stream = stream_schema(shipped_schema(name), name=name)
    assert stream.key == ("symbol",)
    assert stream.schema.field("event_ns").type == pa.int64()
    assert all(field["doc"] for field in json.loads(shipped_schema(name))["fields"])
    assert arrow_schema(avro_schema(stream)) == stream.schema


def test_a_block_is_an_array_of_the_record() -> None:
    stream = stream_schema(shipped_schema("trade"), name="trade")
    block = json.loads(block_schema(stream))
    assert block == {"type": "array", "items": json.loads(avro_schema(stream))}
    assert stream_schema(block_schema(stream), name="trade") == stream


def test_a_dictionary_column_returns_as_its_values() -> None:
    layout = RowLayout("x", pa.schema([("venue", pa.dictionary(pa.int32(), pa.string()))]))
    assert arrow_schema(avro_schema(layout)) == pa.schema([("venue", pa.string())])


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        (pa.map_(pa.string(), pa.int8()), "column q is map<string, int8>.*one column per value"),
        (pa.struct([("a", pa.int8())]), "column q is struct.*one column per value"),
        (pa.float16(), "column q is halffloat.*cast it"),
        (pa.null(), "column q is null.*cast it to the type its values will have"),
        (pa.string_view(), "column q is string_view.*cast it"),
        (pa.decimal256(50, 2), "column q is decimal256.*cast it"),
    ],
)
def test_a_type_avro_cannot_carry_is_refused_by_name(plain: pa.DataType, words: str) -> None:
    with pytest.raises(CodecError, match=words):
        avro_schema(RowLayout("x", pa.schema([("q", plain)])))


@pytest.mark.parametrize("name", ["bid price", "1st", "größe", ""])
def test_a_column_name_avro_does_not_allow_is_refused(name: str) -> None:
    with pytest.raises(CodecError, match="cannot be an Avro field: rename it"):
        avro_schema(RowLayout("x", pa.schema([(name, pa.int8())])))


def test_no_stream_takes_the_name_of_the_progress_records() -> None:
    with pytest.raises(CodecError, match="Progress"):
        avro_schema(RowLayout("Progress", pa.schema([("q", pa.int8())])))


@pytest.mark.parametrize(
    ("declared", "plain"),
    [
        ({"type": "long", "logicalType": "timestamp-micros"}, pa.timestamp("us", tz="UTC")),
        ({"type": "long", "logicalType": "local-timestamp-millis"}, pa.timestamp("ms")),
        ({"type": "int", "logicalType": "date"}, pa.date32()),
        ({"type": "long", "logicalType": "no-such-type"}, pa.int64()),
        ({"type": "string", "logicalType": "uuid"}, pa.string()),
        ({"type": "enum", "name": "Side", "symbols": ["BUY", "SELL"]}, pa.string()),
        ({"type": "fixed", "name": "Id", "size": 12}, pa.binary(12)),
        (
            {"type": "fixed", "name": "D", "size": 9, "logicalType": "decimal", "precision": 20},
            pa.decimal128(20),
        ),
        (
            {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
            pa.decimal128(9, 2),
        ),
    ],
)
def test_a_foreign_type_becomes_the_column_it_means(declared: Any, plain: pa.DataType) -> None:
    fields = arrow_schema(foreign({"name": "a", "type": declared}))
    assert fields == pa.schema([pa.field("a", plain, nullable=False)])
    optional = arrow_schema(foreign({"name": "a", "type": [declared, "null"]}))
    assert optional == pa.schema([pa.field("a", plain)])


def test_a_named_type_may_be_used_again_by_its_name() -> None:
    side = {"type": "enum", "name": "Side", "symbols": ["BUY", "SELL"]}
    schema = arrow_schema(foreign({"name": "a", "type": side}, {"name": "b", "type": ["null", "Side"]}))
    assert schema.field("b") == pa.field("b", pa.string())


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"type": "array", "items": "null"}, "field a is an array of null: a list holds plain values"),
        ({"type": "map", "values": "int"}, "field a is map"),
        ({"type": "record", "name": "In", "fields": []}, "field a is record"),
        ("null", "field a is null"),
        (["null", "int", "string"], "field a is a union of null, int, string"),
        (["int", "string"], "field a is a union of int, string"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 50}, "field a: 50 digits"),
        ({"type": "string", "arrowType": "int16"}, "field a: arrowType 'int16' does not go with Avro string"),
        ({"type": "long", "arrowType": "list<int8>"}, "field a: arrowType"),
    ],
)
def test_a_foreign_field_that_is_no_column_is_refused_by_name(declared: Any, words: str) -> None:
    with pytest.raises(CodecError, match=words):
        arrow_schema(foreign({"name": "a", "type": declared}))


@pytest.mark.parametrize(
    "schema", ["", "{", '"long"', '{"type": "array", "items": "int"}', '{"type": "nonsense"}']
)
def test_what_is_no_record_is_refused(schema: str) -> None:
    with pytest.raises(CodecError):
        arrow_schema(schema)


def test_a_stream_needs_a_clock() -> None:
    stream = Stream(name="x", schema=pa.schema([("event_ns", pa.int64()), ("symbol", pa.string())]))
    assert stream_schema(avro_schema(stream), name="x") == stream
