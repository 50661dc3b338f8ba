"""Columns that are leaves of records, and what Avro's resolution makes of records, unions and aliases."""

import json
import random
from typing import Any

import fastavro
import numpy as np
import pytest

from schemas.stream import Stream
from tests.oracles.avro_writer import SlowWriter
from tests.stage.blocks import block_of
from tests.stage.decoded import values_of
from tests.stage.fakes import DictRegistry
from topics.avro.decode import Decoder
from topics.avro.header import message_header
from topics.avro.schema import avro_schema, left_out, stream_schema
from topics.wire import CodecError, Decoded


def record(name: str, *fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


CLOCK = (field("event_ns", "long"), field("symbol", "string"))
PRICE = record("Price", field("bid", "double"), field("venue", ["null", "string"]))
OPTIONAL = record("Row", *CLOCK, field("price", ["null", PRICE]))


def reader_of(schema: Any, *columns: str) -> Stream:
    return stream_schema(json.dumps(schema), name="row", columns=columns or None)


def decode(stream: Stream, writer: Any, *rows: dict[str, Any]) -> Decoded:
    """Read rows of a writer, whose unions' values are pairs of branch and value."""
    registry = DictRegistry()
    header = message_header(registry.register("s", json.dumps(writer)))
    slow = SlowWriter(fastavro.parse_schema(json.loads(json.dumps(writer))), random.Random(0))
    bodies = [header + slow.body({"event_ns": 1, "symbol": "A", **row}) for row in rows]
    block = block_of([(b"K", value, offset) for offset, value in enumerate(bodies)])
    return Decoder(stream, "event", registry).decode(block, np.arange(len(bodies)))


def test_the_leaf_of_an_optional_record_is_a_column_and_null_where_the_record_is() -> None:
    stream = reader_of(OPTIONAL, "price.bid", "price.venue")
    assert stream.schema.names == ["event_ns", "symbol", "price_bid", "price_venue"]
    full = {"price": (1, {"bid": 2.5, "venue": (1, "X")})}
    decoded = decode(stream, OPTIONAL, full, {"price": (0, None)}, full)
    assert values_of(decoded, "price_bid") == [2.5, None, 2.5]
    assert values_of(decoded, "price_venue") == ["X", None, "X"]


def test_a_path_goes_through_records_of_any_depth() -> None:
    deep = record(
        "Row", *CLOCK, field("a", record("A", field("b", ["null", record("B", field("c", "int"))])))
    )
    stream = reader_of(deep, "a.b.c")
    decoded = decode(stream, deep, {"a": {"b": (1, {"c": 7})}}, {"a": {"b": (0, None)}})
    assert values_of(decoded, "a_b_c") == [7, None]


def test_a_path_is_read_in_messages_of_later_schemas_too() -> None:
    stream = reader_of(OPTIONAL, "price.bid")
    grown = record(
        "Price",
        field("levels", {"type": "array", "items": "long"}),
        field("bid", "float"),
        field("ask", "double"),
    )
    later = record("Row", field("tags", {"type": "map", "values": "int"}), field("price", grown), *CLOCK)
    row = {"tags": {"a": 1}, "price": {"levels": [1, 2, 3], "bid": 0.5, "ask": 1.0}}
    assert values_of(decode(stream, later, row), "price_bid") == [0.5]


def test_a_record_that_the_writer_lacks_gives_the_default_of_its_leaf() -> None:
    default = {"bid": 9.0, "venue": None}
    with_default = record("Row", *CLOCK, field("price", PRICE, default=default))
    assert values_of(
        decode(reader_of(with_default, "price.bid"), record("Row", *CLOCK), {}), "price_bid"
    ) == [9.0]
    optional = record("Row", *CLOCK, field("price", ["null", PRICE], default=None))
    assert values_of(decode(reader_of(optional, "price.bid"), record("Row", *CLOCK), {}), "price_bid") == [
        None
    ]


@pytest.mark.parametrize(
    ("kind", "default", "expected"),
    [("double", 9.5, 9.5), ("string", "né", "né"), (["null", "int"], None, None), ("boolean", True, True)],
)
def test_a_leaf_that_the_writers_record_lacks_gives_its_default(
    kind: Any, default: Any, expected: Any
) -> None:
    reader = record(
        "Row", *CLOCK, field("price", ["null", record("Price", field("late", kind, default=default))])
    )
    stream = reader_of(reader, "price.late")
    decoded = decode(stream, OPTIONAL, {"price": (1, {"bid": 1.0, "venue": (0, None)})}, {"price": (0, None)})
    assert values_of(decoded, "price_late") == [expected, None]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("price.mid", "record Price has no field mid; it has bid, venue"),
        ("prices.bid", "record Row has no field prices"),
        ("symbol.x", "symbol is string; a path leads through records and optional records only"),
        ("all.bid", "all is array; a path leads through records"),
        ("price.venue.x", "venue is a union of null, string; a path leads"),
        ("price.", "has no field ;"),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_ends(path: str, words: str) -> None:
    schema = record("Row", *CLOCK, field("price", PRICE), field("all", {"type": "array", "items": "Price"}))
    with pytest.raises(CodecError, match="stream row: columns: ") as wrong:
        reader_of(schema, path)
    assert words in str(wrong.value)


def test_a_named_column_that_is_none_is_refused_and_an_unnamed_one_left_out() -> None:
    schema = record("Row", *CLOCK, field("all", {"type": "map", "values": "int"}), field("n", "int"))
    assert reader_of(schema).schema.names == ["event_ns", "symbol", "n"]
    assert list(left_out(json.dumps(schema))) == ["all"]
    with pytest.raises(CodecError, match="field all is map: a column is one value"):
        reader_of(schema, "all")
    with pytest.raises(CodecError, match="record Row has no field m; it has event_ns, symbol, all, n"):
        reader_of(schema, "m")


def test_what_columns_do_not_name_may_become_anything() -> None:
    reader = record("Row", *CLOCK, field("bid", "double"), field("note", "string"))
    stream = reader_of(reader, "bid")
    assert stream.schema.names == ["event_ns", "symbol", "bid"]
    later = record("Row", *CLOCK, field("note", {"type": "array", "items": "bytes"}), field("bid", "double"))
    assert values_of(decode(stream, later, {"note": [b"x"], "bid": 2.0}), "bid") == [2.0]
    assert values_of(decode(stream, record("Row", *CLOCK, field("bid", "double")), {"bid": 3.0}), "bid") == [
        3.0
    ]


def test_an_alias_finds_the_old_name_in_the_record_and_on_a_path() -> None:
    price = record("Price", field("bid", "double", aliases=["px", "b"]))
    reader = record(
        "Row", *CLOCK, field("price", price, aliases=["quote"]), field("n", "int", aliases=["count"])
    )
    old = record("Row", *CLOCK, field("quote", record("Price", field("b", "double"))), field("count", "int"))
    stream = reader_of(reader, "price.bid", "n")
    decoded = decode(stream, old, {"quote": {"b": 4.0}, "count": 3})
    assert (values_of(decoded, "price_bid"), values_of(decoded, "n")) == ([4.0], [3])


def test_a_name_comes_before_an_alias_and_takes_the_field_from_it() -> None:
    reader = record("Row", *CLOCK, field("a", "int", default=-1, aliases=["b"]), field("b", "int"))
    both = record("Row", *CLOCK, field("b", "int"), field("a", "int"))
    assert values_of(decode(reader_of(reader), both, {"a": 1, "b": 2}), "a") == [1]
    only = record("Row", *CLOCK, field("b", "int"))
    decoded = decode(reader_of(reader), only, {"b": 2})
    assert (values_of(decoded, "a"), values_of(decoded, "b")) == ([-1], [2])


def test_a_symbol_that_the_readers_enum_lacks_is_its_default_or_else_itself() -> None:
    old = {"type": "enum", "name": "Side", "symbols": ["B", "S", "OTHER"]}
    new = {"type": "enum", "name": "Side", "symbols": ["S", "X", "B"]}
    for extra in (
        [],
        [field("tags", {"type": "array", "items": "int"})],
    ):  # a flat record, and one that is not
        writer = record("Row", *extra, *CLOCK, field("side", new))
        rows: list[dict[str, Any]] = [{"tags": [], "side": side} for side in ("X", "B", "S")]
        for kind, expected in (({**old, "default": "OTHER"}, ["OTHER", "B", "S"]), (old, ["X", "B", "S"])):
            stream = reader_of(record("Row", *CLOCK, field("side", kind)))
            assert values_of(decode(stream, writer, *rows), "side") == expected


@pytest.mark.parametrize(
    ("written", "read", "pairs", "expected"),
    [
        (
            ["null", "int", "double", "float"],
            ["null", "double"],
            [(0, None), (1, 3), (2, 0.1), (3, 0.5)],
            [None, 3.0, 0.1, 0.5],
        ),
        (["long", "int"], "float", [(0, 7), (1, -7)], [7.0, -7.0]),
        (["string", "null", "bytes"], ["null", "string"], [(0, "é"), (1, None), (2, b"x")], ["é", None, "x"]),
        (["int", "null", "long"], ["null", "int", "long"], [(0, 1), (1, None), (2, 2**40)], [1, None, 2**40]),
        ("int", ["null", "int", "double"], [3], [3.0]),
        ("null", ["null", "double"], [None], [None]),
    ],
)
def test_each_branch_of_a_union_is_promoted_by_itself(
    written: Any, read: Any, pairs: list[Any], expected: list[Any]
) -> None:
    stream = reader_of(record("Row", *CLOCK, field("v", read)))
    decoded = decode(stream, record("Row", *CLOCK, field("v", written)), *({"v": pair} for pair in pairs))
    assert values_of(decoded, "v") == expected


def test_a_branch_that_the_column_cannot_hold_is_dead_and_the_others_go_on() -> None:
    stream = reader_of(record("Row", *CLOCK, field("v", "double")))
    writer = record("Row", *CLOCK, field("v", ["null", "double", {"type": "array", "items": "int"}]))
    decoded = decode(stream, writer, {"v": (1, 1.0)}, {"v": (2, [1])}, {"v": (0, None)})
    assert decoded.batch is not None
    assert decoded.batch.columns.column("v").to_pylist() == [1.0]
    assert [(dead.message, dead.reason) for dead in decoded.dead] == [
        (1, "row 0, field v: a branch of the union that the column cannot hold"),
        (2, "row 0, field v: null in a column that must have a value"),
    ]


def test_a_union_without_a_branch_for_the_column_is_refused_as_a_whole() -> None:
    stream = reader_of(record("Row", *CLOCK, field("v", ["null", "double"])))
    decoded = decode(stream, record("Row", *CLOCK, field("v", ["null", "string", "bytes"])), {"v": (0, None)})
    assert decoded.dead[0].reason.startswith("schema id 1: field v is written as")


def test_of_several_records_the_one_of_the_readers_name_or_alias_is_read() -> None:
    other = record("Other", field("bid", "double"))
    union = ["null", other, record("Px", field("bid", "double"))]
    writer = record("Row", *CLOCK, field("price", union))
    reader = record(
        "Row", *CLOCK, field("price", ["null", record("Price", field("bid", "double"), aliases=["Px"])])
    )
    decoded = decode(
        reader_of(reader, "price.bid"), writer, {"price": (2, {"bid": 1.0})}, {"price": (1, {"bid": 2.0})}
    )
    assert decoded.batch is not None
    assert decoded.batch.columns.column("price_bid").to_pylist() == [1.0]
    assert "a branch of the union" in decoded.dead[0].reason


def test_a_column_by_path_returns_as_a_field_of_its_name() -> None:
    stream = reader_of(OPTIONAL, "price.bid")
    assert stream_schema(avro_schema(stream), name="row").schema == stream.schema


@pytest.mark.parametrize("optional", [False, True])
@pytest.mark.parametrize("default", [{"default": 7}, {"default": None}])
def test_a_clock_that_is_a_leaf_is_on_the_wire_whatever_its_default(
    default: dict[str, Any], optional: bool
) -> None:
    """Every row of such a writer would have one time, and a right row be matched before it was known."""
    kind: Any = "long" if default["default"] else ["null", "long"]
    inner = record("Event", field("id", "int"), field("ns", kind, **default))
    reader = record("Row", field("symbol", "string"), field("event", inner))
    stream = stream_schema(json.dumps(reader), name="row", columns=["event.ns"])
    lacking: Any = record("Event", field("id", "int"))
    event = (1, {"id": 1}) if optional else {"id": 1}
    writer = record(
        "Row", field("symbol", "string"), field("event", ["null", lacking] if optional else lacking)
    )
    decoded = decode(stream, writer, {"event": event})
    assert decoded.batch is None
    assert [dead.reason for dead in decoded.dead] == [
        "schema id 1: record Event has no field ns, which orders the rows"
    ]


def test_of_a_union_only_the_records_without_the_clock_are_dead() -> None:
    inner = record("Event", field("ns", "long", default=7))
    reader = record("Row", field("symbol", "string"), field("event", inner))
    stream = stream_schema(json.dumps(reader), name="row", columns=["event.ns"])
    union = [record("Bare", field("id", "int")), record("Timed", field("ns", "long"))]
    writer = record("Row", field("symbol", "string"), field("event", union))
    decoded = decode(stream, writer, {"event": (0, {"id": 1})}, {"event": (1, {"ns": 3})})
    assert decoded.batch is not None
    assert decoded.batch.time_ns.tolist() == [3]
    assert [(dead.message, dead.reason) for dead in decoded.dead] == [
        (0, "row 0, field event: a branch of the union that the column cannot hold")
    ]
