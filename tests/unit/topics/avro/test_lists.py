"""A column may be a list of plain values: an Avro array, in whatever form and of whatever items it comes."""

import json
import random
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pytest

from schemas.stream import Stream
from tests.oracles.avro_writer import SlowWriter, varint
from tests.stage.blocks import block_of
from tests.stage.decoded import values_of
from tests.stage.fakes import DictRegistry
from tests.stage.guarded import require_prefixes_dead
from topics.avro.decode import Decoder
from topics.avro.encode import RowEncoder
from topics.avro.header import message_header
from topics.avro.schema import arrow_schema, avro_schema, stream_schema
from topics.wire import CodecError, Decoded

TEXTS = {"type": "array", "items": ["null", "string"]}
NUMBERS = {"type": "array", "items": "long"}
SIDE = {"type": "enum", "name": "Side", "symbols": ["B", "S", "X"]}


def record(*fields: tuple[str, Any], name: str = "Row", **defaults: Any) -> dict[str, Any]:
    """A record with a clock and a symbol before its fields."""
    everything = (("event_ns", "long"), ("symbol", "string"), *fields)
    declared = [
        {"name": key, "type": kind} | ({"default": defaults[key]} if key in defaults else {})
        for key, kind in everything
    ]
    return {"type": "record", "name": name, "fields": declared}


def decode(reader: Any, *messages: tuple[Any, bytes], columns: list[str] | None = None) -> Decoded:
    """Read bodies, each behind the clock 1 and the symbol "A", by the schemas that they were written with."""
    registry = DictRegistry()
    stream = stream_schema(json.dumps(reader), name="row", columns=columns)
    values = [
        message_header(registry.register("s", json.dumps(writer))) + varint(1) + varint(1) + b"A" + body
        for writer, body in messages
    ]
    block = block_of([(b"K", value, offset) for offset, value in enumerate(values)])
    return Decoder(stream, "event", registry).decode(block, np.arange(len(values)))


def read(written: Any, wanted: Any, *values: Any) -> list[Any]:
    """What a reader of the field `v` makes of values, in array blocks of every form."""
    writer = record(("v", written))
    slow = SlowWriter(fastavro.parse_schema(json.loads(json.dumps(writer))), random.Random(3))
    rows = [slow.body({"event_ns": 1, "symbol": "A", "v": value}) for value in values]
    bodies = [(writer, row[len(varint(1) + varint(1) + b"A") :]) for row in rows]
    return values_of(decode(record(("v", wanted)), *bodies), "v")


def reason(kind: Any, body: bytes) -> str:
    """Why a message with these bytes as its list is dead; the messages beside it go on."""
    writer = record(("v", kind))
    good = (writer, varint(0))
    decoded = decode(writer, good, (writer, body), good)
    assert decoded.batch is not None
    assert decoded.batch.columns.column("v").to_pylist() == [[], []]
    (dead,) = decoded.dead
    assert dead.message == 1
    return dead.reason


def test_a_list_is_an_array_of_its_items_and_comes_back_as_it_was() -> None:
    kinds = [
        pa.list_(pa.string()),
        pa.list_(pa.field("item", pa.float64(), nullable=False)),
        pa.large_list(pa.timestamp("ns", tz="UTC")),
        pa.list_(pa.uint64()),
    ]
    stream = Stream(
        name="quote",
        schema=pa.schema(
            [
                ("event_ns", pa.int64()),
                ("symbol", pa.string()),
                *((f"c{number}", kind) for number, kind in enumerate(kinds)),
            ]
        ),
    )
    assert json.loads(avro_schema(stream))["fields"][2]["type"] == ["null", TEXTS]
    assert arrow_schema(avro_schema(stream)) == stream.schema


def test_null_a_list_without_items_and_a_null_in_a_list_differ() -> None:
    values = [(0, None), (1, []), (1, [(0, None)]), (1, [(1, "é"), (0, None), (1, "")])]
    assert read(["null", TEXTS], ["null", TEXTS], *values) == [None, [], [None], ["é", None, ""]]


@pytest.mark.parametrize(
    ("written", "wanted", "value", "expected"),
    [
        ({"type": "array", "items": "int"}, NUMBERS, [1, -(2**31)], [1, -(2**31)]),
        (NUMBERS, {"type": "array", "items": "double"}, [3, -4], [3.0, -4.0]),
        ({"type": "array", "items": "float"}, {"type": "array", "items": "double"}, [0.5] * 9, [0.5] * 9),
        ({"type": "array", "items": "bytes"}, {"type": "array", "items": "string"}, [b"x", b""], ["x", ""]),
        ({"type": "array", "items": SIDE}, {"type": "array", "items": "string"}, ["X", "B"], ["X", "B"]),
        (
            {"type": "array", "items": SIDE},
            {"type": "array", "items": {**SIDE, "symbols": ["S", "OTHER"], "default": "OTHER"}},
            ["X", "S"],
            ["OTHER", "S"],
        ),
        (NUMBERS, ["null", {"type": "array", "items": ["null", "long"]}], [2**62], [2**62]),
        (["string", NUMBERS], NUMBERS, (1, [7]), [7]),
    ],
)
def test_items_are_promoted_as_values_are(written: Any, wanted: Any, value: Any, expected: Any) -> None:
    assert read(written, wanted, value, value) == [expected, expected]


def test_a_list_within_an_optional_record_is_a_column_by_its_path() -> None:
    inner = {"type": "record", "name": "Book", "fields": [{"name": "levels", "type": NUMBERS}]}
    schema = record(("book", ["null", inner]))
    full, empty = varint(1) + varint(2) + varint(5) + varint(6) + varint(0), varint(0)
    decoded = decode(schema, (schema, full), (schema, empty), columns=["book.levels"])
    assert values_of(decoded, "book_levels") == [[5, 6], None]


def test_messages_of_several_schemas_share_a_batch_and_its_lists() -> None:
    """Each has items of its own width, and one has none: what stands in for it may be null or empty."""
    reader = record(("v", ["null", {"type": "array", "items": "double"}]), v=None)
    lacking, whole = record(), record(("v", {"type": "array", "items": "int"}))
    exact = record(("v", {"type": "array", "items": "double"}))
    body = varint(2) + varint(1) + varint(2) + varint(0)
    one = varint(1) + np.float64(0.5).tobytes() + varint(0)
    messages = [(whole, body), (lacking, b""), (exact, one), (whole, body)]
    assert values_of(decode(reader, *messages), "v") == [[1.0, 2.0], None, [0.5], [1.0, 2.0]]
    required = record(("v", {"type": "array", "items": "double"}), v=[])
    assert values_of(decode(required, *messages), "v") == [[1.0, 2.0], [], [0.5], [1.0, 2.0]]


def test_a_default_with_items_is_refused_where_it_would_be_used() -> None:
    reader = record(("v", NUMBERS), v=[1])
    decoded = decode(reader, (record(), b""))
    assert decoded.dead[0].reason.endswith(
        "column v: default [1]: of lists, only [] and null can stand in for a field that a writer lacks"
    )
    assert values_of(decode(reader, (reader, varint(0))), "v") == [[]]


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        (NUMBERS, varint(2**62), "an array or map promises more items than the message can hold"),
        (NUMBERS, varint(-(2**63)) + varint(1) + varint(1), "promises more items than the message can hold"),
        ({"type": "array", "items": "double"}, varint(2) + bytes(9), "promises more items"),
        (NUMBERS, varint(-1) + varint(10_000), "is said to be larger than the message"),
        (NUMBERS, varint(-1) + varint(-1), "is said to be larger than the message"),
        (NUMBERS, varint(-1) + varint(2) + b"\x02\x00", "does not end where its size says"),
        (NUMBERS, varint(-2) + varint(1) + b"\x02\x02\x00", "does not end where its size says"),
        (NUMBERS, varint(1) + varint(1), "the message ends inside a value"),
        (NUMBERS, b"", "the message ends inside a value"),
        (NUMBERS, b"\xff" * 11, "a variable-length integer goes on beyond 64 bits"),
        ({"type": "array", "items": "string"}, b"\x02\x02\xff\x00", "text that is not UTF-8"),
        ({"type": "array", "items": "boolean"}, b"\x02\x02\x00", "a boolean that is neither 0 nor 1"),
        (TEXTS, b"\x02\x04\x00", "no such branch in the union"),
    ],
)
def test_a_list_that_nobody_would_write_is_dead_and_says_why(kind: Any, body: bytes, words: str) -> None:
    told = reason(kind, body)
    assert told.startswith("row 0, field v: ")
    assert words in told


def test_a_null_in_a_list_that_takes_none_is_dead() -> None:
    reader, writer = record(("v", {"type": "array", "items": "string"})), record(("v", TEXTS))
    decoded = decode(reader, (writer, varint(1) + varint(0) + varint(0)))
    assert decoded.dead[0].reason == "row 0, field v: null in a column that must have a value"


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        (TEXTS, NUMBERS),
        ("string", TEXTS),
        (TEXTS, "string"),
        ({"type": "array", "items": TEXTS}, TEXTS),
        ({"type": "array", "items": "null"}, TEXTS),
        ({"type": "array", "items": {"type": "fixed", "name": "Zero", "size": 0}}, TEXTS),
        ({"type": "array", "items": ["int", "long"]}, NUMBERS),
    ],
)
def test_an_array_that_the_column_cannot_hold_is_refused_as_a_whole(written: Any, wanted: Any) -> None:
    decoded = decode(record(("v", wanted)), (record(("v", written)), varint(0)))
    assert "field v is written as" in decoded.dead[0].reason


@pytest.mark.parametrize(
    "items",
    [
        "null",
        TEXTS,
        {"type": "map", "values": "int"},
        ["int", "string"],
        {"type": "record", "name": "In", "fields": []},
        {"type": "fixed", "name": "Zero", "size": 0},
    ],
)
def test_an_array_of_anything_else_is_no_column(items: Any) -> None:
    with pytest.raises(CodecError, match="field v is an array of"):
        arrow_schema(json.dumps(record(("v", {"type": "array", "items": items}))))


@pytest.mark.parametrize(
    "item", [pa.list_(pa.int8()), pa.struct([("a", pa.int8())]), pa.null(), pa.binary(0), pa.string_view()]
)
def test_a_list_of_what_avro_cannot_carry_is_refused_by_name(item: pa.DataType) -> None:
    with pytest.raises(CodecError, match=r"column v is list<.*lists of plain values"):
        avro_schema(stream_of([pa.array([], pa.list_(item))]))


def stream_of(arrays: list[pa.Array]) -> Stream:
    kinds = [("v", array.type) for array in arrays]
    return Stream(name="row", schema=pa.schema([("event_ns", pa.int64()), ("symbol", pa.string()), *kinds]))


def test_what_lies_under_a_null_list_and_outside_a_slice_is_not_written() -> None:
    """Arrow lets a null list cover items, and a slice share the items of its neighbours."""
    lists = pa.ListArray.from_arrays(
        pa.array([0, 2, 4, 5], pa.int32()),
        pa.array(["a", "b", "c", "d", "e"]),
        mask=pa.array([False, True, False]),
    )
    stream = stream_of([lists])
    rows = pa.RecordBatch.from_arrays([pa.array([1] * 3), pa.array(["A"] * 3), lists], schema=stream.schema)
    encoded = RowEncoder(stream, DictRegistry(), "t").records(rows.slice(1)).data.tobytes()
    assert encoded.endswith(b"\x02\x02A\x00" + message_header(1) + b"\x02\x02\x02\x02A\x02\x02\x02\x02e\x00")


def test_a_null_item_is_refused_where_the_list_takes_none() -> None:
    strict = pa.list_(pa.field("item", pa.int64(), nullable=False))
    lists = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), pa.array([None], pa.int64()), type=strict)
    stream = stream_of([lists])
    rows = pa.RecordBatch.from_arrays([pa.array([1]), pa.array(["A"]), lists], schema=stream.schema)
    with pytest.raises(CodecError, match="a list of column v of row holds null"):
        RowEncoder(stream, DictRegistry(), "t").records(rows)


@pytest.mark.parametrize("kind", [TEXTS, NUMBERS, {"type": "array", "items": "boolean"}])
def test_no_prefix_of_a_list_is_read_beyond_its_end(kind: Any) -> None:
    registry = DictRegistry()
    writer = record(("v", kind))
    header = message_header(registry.register("s", json.dumps(writer)))
    slow = SlowWriter(fastavro.parse_schema(json.loads(json.dumps(writer))), random.Random(1))
    value: list[Any] = [(1, "x"), (0, None)] * 9 if kind is TEXTS else [1, 0] * 9
    whole = header + slow.body({"event_ns": 1, "symbol": "A", "v": value})
    decoder = Decoder(stream_schema(json.dumps(writer), name="row"), "event", registry)
    require_prefixes_dead(decoder, whole, len(header))


def test_lists_survive_a_room_that_grows() -> None:
    """A block of several array blocks holds more rows than its first count promises."""
    registry = DictRegistry()
    row = record(("v", NUMBERS))
    header = message_header(registry.register("s", json.dumps({"type": "array", "items": row})))
    each = varint(1) + varint(1) + b"A" + varint(2) + varint(8) + varint(9) + varint(0)
    body = header + (varint(1) + each) * 40_000 + varint(0)
    decoder = Decoder(stream_schema(json.dumps(row), name="row"), "event", registry)
    decoded = decoder.decode(block_of([(b"K", body, 0), (b"K", body, 1)]), np.arange(2))
    assert decoded.batch is not None
    assert decoded.batch.columns.column("v").to_pylist() == [[8, 9]] * 80_000
