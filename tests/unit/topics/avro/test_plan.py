"""What a writer's schema and a reader's columns may differ in, beyond what fastavro can be asked."""

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.oracles.avro import write_slowly
from tests.stage.blocks import block_of
from tests.stage.decoded import values_of
from tests.stage.fakes import DictRegistry
from topics.avro.decode import Decoder
from topics.avro.header import message_header
from topics.avro.plan import column_slots, compile_program
from topics.avro.schema import stream_schema
from topics.wire import CodecError, Decoded

DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}
SIDE = {"type": "enum", "name": "Side", "symbols": ["BUY", "SELL", "X"]}


def record(*fields: dict[str, Any]) -> str:
    clock = [{"name": "event_ns", "type": "long"}, {"name": "symbol", "type": "string", "default": "?"}]
    return json.dumps({"type": "record", "name": "Row", "fields": [*clock, *fields]})


def decode(writer: str, reader: str, *rows: dict[str, Any]) -> Decoded:
    registry = DictRegistry()
    header = message_header(registry.register("s", writer))
    bodies = [write_slowly(writer, {"event_ns": 1, "symbol": "A", **row}) for row in rows]
    decoder = Decoder(stream_schema(reader, name="row"), "event", registry)
    block = block_of([(b"K", header + body, i) for i, body in enumerate(bodies)])
    return decoder.decode(block, np.arange(len(bodies)))


def test_an_enum_is_read_as_its_symbols() -> None:
    schema = record({"name": "side", "type": ["null", SIDE]})
    rows = [{"side": side} for side in ("SELL", None, "X", "BUY")]
    assert values_of(decode(schema, schema, *rows), "side") == ["SELL", None, "X", "BUY"]


def test_an_enum_index_without_a_symbol_is_dead() -> None:
    schema = record({"name": "side", "type": SIDE})
    registry = DictRegistry()
    value = message_header(registry.register("s", schema)) + b"\x02\x02A\x06"
    decoder = Decoder(stream_schema(schema, name="row"), "event", registry)
    decoded = decoder.decode(block_of([(b"K", value, 0)]), np.arange(1))
    assert decoded.dead[0].reason == "row 0, field side: a number outside the range of its type"


@pytest.mark.parametrize(
    ("declared", "default", "expected"),
    [
        (DECIMAL, "\u00ff\u0001", Decimal("-2.55")),
        ({"type": "fixed", "name": "F", "size": 2}, "\u00ffa", b"\xffa"),
        ({"type": "fixed", "name": "U", "size": 8, "arrowType": "uint64"}, "\u0001" + "\u0000" * 7, 1),
        ("bytes", "\u00ff", b"\xff"),
        (SIDE, "SELL", "SELL"),
        ({"type": "int", "arrowType": "int8"}, -1, -1),
        ({"type": "string", "arrowType": "large_string"}, "né", "né"),
        ("string", "", ""),
        ("boolean", True, True),
        ("float", 0.25, 0.25),
        (["long", "null"], 7, 7),
        (["null", "long"], None, None),
    ],
)
def test_a_column_the_writer_lacks_becomes_its_default(declared: Any, default: Any, expected: Any) -> None:
    reader = record({"name": "late", "type": declared, "default": default})
    assert values_of(decode(record(), reader, {}, {}), "late") == [expected, expected]


def test_rows_written_before_and_after_a_change_share_one_batch() -> None:
    old, new = record(), record({"name": "late", "type": "string", "default": "none"})
    registry = DictRegistry()
    rows: list[tuple[bytes, bytes, int]] = []
    for schema, row in ((old, {}), (new, {"late": "new"}), (old, {})):
        body = write_slowly(schema, {"event_ns": 1, "symbol": "A", **row})
        rows.append((b"K", message_header(registry.register("s", schema)) + body, len(rows)))
    decoded = Decoder(stream_schema(new, name="row"), "event", registry).decode(block_of(rows), np.arange(3))
    assert values_of(decoded, "late") == ["none", "new", "none"]


def test_a_decimal_of_too_many_digits_is_dead() -> None:
    schema = record({"name": "fee", "type": DECIMAL})
    edge = [{"fee": number.to_bytes(4, "big", signed=True)} for number in (999_999, -999_999)]
    assert values_of(decode(schema, schema, *edge), "fee") == [Decimal("9999.99"), Decimal("-9999.99")]
    for number in (1_000_000, -1_000_000):
        decoded = decode(schema, schema, {"fee": number.to_bytes(4, "big", signed=True)})
        assert "field fee: a decimal" in decoded.dead[0].reason


def test_a_decimal_may_come_in_a_fixed_of_any_size() -> None:
    writer = record({"name": "fee", "type": {**DECIMAL, "type": "fixed", "name": "F", "size": 7}})
    row = {"fee": (-12345).to_bytes(7, "big", signed=True)}
    assert values_of(decode(writer, record({"name": "fee", "type": DECIMAL}), row), "fee") == [
        Decimal("-123.45")
    ]


def test_a_number_too_large_for_a_narrow_column_is_dead() -> None:
    reader = record({"name": "n", "type": {"type": "int", "arrowType": "uint8"}})
    writer = record({"name": "n", "type": "int"})
    assert values_of(decode(writer, reader, {"n": 255}), "n") == [255]
    assert "outside the range" in decode(writer, reader, {"n": 256}).dead[0].reason
    assert "outside the range" in decode(writer, reader, {"n": -1}).dead[0].reason


def test_a_null_where_the_reader_wants_a_value_is_dead() -> None:
    writer, reader = record({"name": "n", "type": ["null", "int"]}), record({"name": "n", "type": "int"})
    assert values_of(decode(writer, reader, {"n": 3}), "n") == [3]
    assert "field n: null" in decode(writer, reader, {"n": None}).dead[0].reason


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("long", "int"),
        ("double", "float"),
        ("double", "long"),
        ("string", "long"),
        ("boolean", "int"),
        ({"type": "fixed", "name": "F", "size": 2}, {"type": "fixed", "name": "F", "size": 3}),
        (
            {"type": "fixed", "name": "F", "size": 8},
            {"type": "fixed", "name": "F", "size": 8, "arrowType": "uint64"},
        ),
        (DECIMAL, {**DECIMAL, "scale": 3}),
        ("bytes", DECIMAL),
        ({"type": "long", "logicalType": "timestamp-micros"}, "long"),
        (
            {"type": "long", "logicalType": "timestamp-micros"},
            {"type": "long", "logicalType": "timestamp-nanos"},
        ),
        ({"type": "long", "logicalType": "timestamp-micros"}, "double"),
    ],
)
def test_what_cannot_be_read_without_loss_names_the_field(written: Any, read: Any) -> None:
    slots = column_slots(stream_schema(record({"name": "a", "type": read}), name="row").schema)
    with pytest.raises(CodecError, match="field a is written as"):
        compile_program(record({"name": "a", "type": written}), slots)


def test_nanoseconds_may_be_named_as_such_or_not() -> None:
    named = {"type": "long", "logicalType": "timestamp-nanos"}
    plain, stamped = record({"name": "a", "type": "long"}), record({"name": "a", "type": named})
    assert values_of(decode(stamped, plain, {"a": 5}), "a") == [5]
    decoded = decode(plain, stamped, {"a": 5})
    assert decoded.batch is not None
    assert decoded.batch.columns.column("a").cast(pa.int64()).to_pylist() == [5]


def test_a_required_column_the_writer_lacks_is_named() -> None:
    slots = column_slots(stream_schema(record({"name": "a", "type": "long"}), name="row").schema)
    with pytest.raises(CodecError, match="has no field a, which the stream requires"):
        compile_program(record(), slots)


def test_the_clock_must_be_on_the_wire() -> None:
    slots = column_slots(stream_schema(record(), name="row").schema)
    writer = json.dumps({"type": "record", "name": "Row", "fields": []})
    with pytest.raises(CodecError, match="has no field event_ns"):
        compile_program(writer, column_slots(pa.schema([("event_ns", pa.int64())])), required="event_ns")
    assert compile_program(record(), slots, required="event_ns").row_size_min == 2
