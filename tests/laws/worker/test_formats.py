"""Inputs in any format, with any clock and key: joined as Polars joins them, and clean to the audit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from confluent_kafka.schema_registry import header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from app.errors import RunError
from app.reading.dead import read_letters
from schemas.clocks import NS_PER_MS, NS_PER_S
from schemas.stream import Stream, StreamError
from tests.stage.foreign import JSON_TRADE, ForeignMarket
from topics.avro.encode import RowEncoder
from topics.avro.schema import avro_schema
from topics.block import Headers
from topics.registry.confluent import ConfluentRegistry

SYMBOLS = ("AAPL", "MSFT", "BRK/B", "ÄÖ")
START_MS = 1_705_311_000_000
JSON_QUOTE: dict[str, Any] = {
    "format": "json",
    "key_from": "columns",
    "fields": {
        "symbol": {"path": "s", "type": "string"},
        "bid": {"path": "book.bid", "type": "double"},
        "ask": {"path": "book.ask", "type": "double"},
    },
    "event_time": {"field": "at", "form": "iso"},
}


def rows_of(seed: int, count: int, *columns: str) -> list[dict[str, Any]]:
    """Rows in the order of their times, in ms."""
    draw = np.random.default_rng(seed)
    times = np.sort(draw.integers(START_MS, START_MS + 5_000, count)).tolist()
    return [
        {
            "ts": at_ms,
            "symbol": SYMBOLS[draw.integers(len(SYMBOLS))],
            **{name: round(float(draw.uniform(1, 500)), int(draw.integers(0, 6))) for name in columns},
        }
        for at_ms in times
    ]


def joined(trades: list[dict[str, Any]], quotes: list[dict[str, Any]], *columns: str) -> pl.DataFrame:
    """What Polars makes of it."""
    left, right = pl.DataFrame(trades).sort("ts"), pl.DataFrame(quotes).sort("ts")
    right = right.with_columns(quote_ts=pl.col("ts"))
    # Of quotes of one millisecond the last one published counts.
    right = right.unique(["symbol", "ts"], keep="last", maintain_order=True)
    found = left.join_asof(right, on="ts", by="symbol", strategy="backward", check_sortedness=False)
    return found.select(
        event_ns=pl.col("ts") * NS_PER_MS,
        symbol="symbol",
        price="price",
        quote_event_ns=pl.col("quote_ts") * NS_PER_MS,
        **{f"quote_{name}": pl.col(name) for name in columns},
    )


def require_equal(aligned: pa.Table, wanted: pl.DataFrame) -> None:
    """The same rows, in whatever order their partitions have them."""
    frame = pl.from_arrow(aligned)
    assert isinstance(frame, pl.DataFrame)
    found = frame.select(wanted.columns)
    keys = ["event_ns", "symbol", "price"]
    assert found.sort(keys).equals(wanted.sort(keys))


def as_quote(row: dict[str, Any]) -> bytes:
    """A quote as somebody else writes it: nested, with a time in text and fields that nobody asked for."""
    seconds, ms = divmod(row["ts"], 1_000)
    at = f"{np.datetime64(seconds, 's')}.{ms:03d}Z"
    said = {"type": "quote", "s": row["symbol"], "book": {"bid": row["bid"], "ask": row["ask"]}, "at": at}
    return json.dumps({**said, "tags": [1, {"a": None}]}).encode()


def test_json_joins_as_polars_does(tmp_path: Path) -> None:
    trades, quotes = rows_of(1, 300, "price", "size"), rows_of(2, 600, "bid", "ask")
    trades = [{**row, "size": int(row["size"])} for row in trades]
    market = ForeignMarket(tmp_path, {"trade": JSON_TRADE, "quote": JSON_QUOTE})
    market.send_json("trade", trades)
    market.send("quote", [(row["symbol"], as_quote(row)) for row in quotes])
    market.end((START_MS + 5_000) * NS_PER_MS)
    aligned = market.run()
    require_equal(aligned, joined(trades, quotes, "bid", "ask"))
    assert aligned.column("size").to_pylist().count(None) == 0
    assert market.audit().violations == []
    assert market.dead() == []


def test_what_cannot_be_read_is_dead_and_the_rest_is_joined(tmp_path: Path) -> None:
    market = ForeignMarket(tmp_path, {"trade": JSON_TRADE, "quote": JSON_QUOTE}, partitions=1)
    market.send_json("trade", [{"symbol": "A", "ts": 5, "price": 1.5, "size": 2}])
    market.send_json("trade", [{"symbol": "A", "ts": "soon", "price": 1.5, "size": 2}])
    market.send_json("trade", [{"symbol": "A", "price": 1.5, "size": 2}])
    market.send_json("trade", [{"symbol": "A", "ts": 5, "price": 1.5, "size": 2.5}])
    market.send("trade", [("A", b"{"), ("A", None), (None, b"{}")])
    market.send("quote", [(None, as_quote({"symbol": "A", "ts": 3, "bid": 1.0, "ask": 2.0}))])
    market.send("quote", [("A", b'{"at": "1970-01-01T00:00:00Z"}')])
    market.end(10 * NS_PER_MS)
    aligned = market.run()
    assert aligned.column("quote_bid").to_pylist() == [1.0]
    dead = "\n".join(market.dead())
    for words in ("ts = 'soon' is no time", "no event_ns", "size", "not JSON", "null", "null key"):
        assert words in dead
    assert len(market.dead()) == 7
    assert market.audit().violations == []


def test_a_key_column_that_messages_lack_is_the_message_key(tmp_path: Path) -> None:
    trade = {**JSON_TRADE, "fields": {"price": "double"}}
    quote = {**JSON_QUOTE, "fields": {"bid": {"path": "book.bid", "type": "double"}}, "key_from": "message"}
    market = ForeignMarket(tmp_path, {"trade": trade, "quote": quote})
    trades, quotes = rows_of(3, 50, "price"), rows_of(4, 90, "bid", "ask")
    market.send("trade", [(row["symbol"], json.dumps(row).encode()) for row in trades])
    market.send("quote", [(row["symbol"], as_quote(row)) for row in quotes])
    market.end((START_MS + 5_000) * NS_PER_MS)
    require_equal(market.run(), joined(trades, quotes, "bid"))
    assert market.audit().violations == []


def test_the_records_own_time_can_be_a_clock(tmp_path: Path) -> None:
    quote = {**JSON_QUOTE, "known_time": {"record": True}}
    trade = {**JSON_TRADE, "known_time": {"field": "seen", "form": "s"}}
    market = ForeignMarket(
        tmp_path, {"trade": trade, "quote": quote}, partitions=1, pipeline={"clock": "known"}
    )
    market.send_json("trade", [{"symbol": "A", "ts": 5, "price": 1.5, "size": 2, "seen": 2.000000001}])
    for bid, seen_ms in ((1.0, 1_999), (2.0, 2_000), (3.0, 2_001)):
        value = as_quote({"symbol": "A", "ts": 3, "bid": bid, "ask": 2.0})
        market.send("quote", [("A", value)], timestamp_ms=seen_ms)
    market.end(10 * NS_PER_S)
    (row,) = market.run().to_pylist()
    assert row["known_ns"] == 2 * NS_PER_S + 1
    assert (row["quote_bid"], row["quote_known_ns"]) == (2.0, 2 * NS_PER_S)
    assert market.audit().violations == []


def test_a_key_from_columns_that_lies_elsewhere_stops_the_task(tmp_path: Path) -> None:
    market = ForeignMarket(tmp_path, {"trade": JSON_TRADE, "quote": JSON_QUOTE})
    value = as_quote({"symbol": "AAPL", "ts": 3, "bid": 1.0, "ask": 2.0})
    for partition in range(3):
        market.send("quote", [("whatever", value)], partition=partition)
    market.end(10 * NS_PER_MS)
    with pytest.raises(RunError, match=r"stream quote: key 'AAPL' is in partition .* repartition"):
        market.run()


def test_avro_takes_its_time_from_a_field_and_names_columns_anew(tmp_path: Path) -> None:
    written = Stream(
        name="fill",
        schema=pa.schema(
            [
                ("event_ns", pa.int64()),
                ("sym", pa.string()),
                ("px", pa.float64()),
                ("at", pa.timestamp("us", "UTC")),
            ]
        ),
        key=("sym",),
    )
    trade = {
        "fields": {"symbol": {"path": "sym"}, "price": {"path": "px"}},
        "event_time": {"field": "at"},
    }
    market = ForeignMarket(tmp_path, {"trade": trade, "quote": JSON_QUOTE})
    topic = market.settings.topic("trade")
    market.registry.register(f"{topic}-value", avro_schema(written))
    trades, quotes = rows_of(5, 40, "price"), rows_of(6, 80, "bid", "ask")
    columns = [
        pa.array([7] * len(trades)),
        pa.array([row["symbol"] for row in trades]),
        pa.array([row["price"] for row in trades]),
        pa.array([row["ts"] * 1_000 for row in trades]).cast(pa.timestamp("us", "UTC")),
    ]
    rows = pa.RecordBatch.from_arrays(columns, schema=written.schema)
    encoded = RowEncoder(written, market.registry, topic).records(rows)
    for number, row in enumerate(trades):
        value = encoded.data[encoded.starts[number] : encoded.starts[number + 1]].tobytes()
        market.send("trade", [(row["symbol"], value)])
    market.send("quote", [(row["symbol"], as_quote(row)) for row in quotes])
    market.end((START_MS + 5_000) * NS_PER_MS)
    aligned = market.run()
    require_equal(aligned, joined(trades, quotes, "bid", "ask"))
    assert "at" not in aligned.column_names
    assert market.audit().violations == []


def test_bare_avro_is_read_by_a_schema_file(tmp_path: Path) -> None:
    written = Stream(
        name="fill",
        schema=pa.schema([("event_ns", pa.int64()), ("symbol", pa.string()), ("price", pa.float64())]),
    )
    file = tmp_path / "fill.avsc"
    file.write_text(avro_schema(written))
    trade = {"framing": "bare", "schema_file": str(file)}
    market = ForeignMarket(tmp_path, {"trade": trade, "quote": JSON_QUOTE}, partitions=1)
    rows = pa.RecordBatch.from_pydict(
        {"event_ns": [5, 6], "symbol": ["A", "A"], "price": [1.0, None]}, schema=written.schema
    )
    encoded = RowEncoder(written, market.registry, "elsewhere").records(rows)
    for number in range(2):
        value = encoded.data[encoded.starts[number] : encoded.starts[number + 1]].tobytes()
        market.send("trade", [("A", value[5:])])
    market.send("trade", [("A", b"\x02"), ("A", None), (None, value[5:])])
    market.send("quote", [("A", as_quote({"symbol": "A", "ts": 0, "bid": 1.0, "ask": 2.0}))])
    market.end(10 * NS_PER_MS)
    aligned = market.run()
    assert aligned.column("price").to_pylist() == [1.0, None]
    assert aligned.column("quote_bid").to_pylist() == [1.0, 1.0]
    assert len(market.dead()) == 3
    assert market.audit().violations == []


def test_a_pipeline_reads_what_another_has_aligned(tmp_path: Path) -> None:
    trades, quotes = rows_of(7, 120, "price"), rows_of(8, 200, "bid", "ask")
    first = ForeignMarket(tmp_path, {"trade": JSON_TRADE, "quote": JSON_QUOTE})
    first.send_json("trade", [{**row, "size": 1} for row in trades])
    first.send("quote", [(row["symbol"], as_quote(row)) for row in quotes])
    first.end((START_MS + 5_000) * NS_PER_MS)
    first.run()
    signals = rows_of(9, 60, "price")
    streams = {
        "signal": {**JSON_TRADE, "fields": {"symbol": "string", "price": "double"}},
        "quote": {"format": "arrow", "key_from": "columns", "topic": first.settings.topic("aligned")},
    }
    pipeline = {"prefix": "second", "left": "signal", "right": ["quote"]}
    second = ForeignMarket(tmp_path, streams, pipeline=pipeline, bus=first.bus)
    second.send_json("signal", signals)
    second.end((START_MS + 5_000) * NS_PER_MS, "signal")
    # The aligned topic has no final record: its frontier alone lets the signals be sealed.
    second.end((START_MS + 5_000) * NS_PER_MS, "quote")
    found = second.run()
    wanted = joined(signals, [{**row, "trade_price": row["price"]} for row in trades], "trade_price")
    # Of trades of one millisecond and symbol the last one counts, as for quotes.
    require_equal(
        found.rename_columns([n.replace("quote_price", "quote_trade_price") for n in found.column_names]),
        wanted,
    )
    assert "quote_left_offset" not in found.column_names
    assert second.audit().violations == []


def one_header(name: str, value: bytes) -> Headers:
    """The headers of a message that has one."""
    return [(name, value)]


def test_a_header_may_name_the_schema_of_a_bare_message(tmp_path: Path) -> None:
    """By GUID, as Confluent's serializer writes it; by id; and as Apicurio's serializers do."""
    registry = ConfluentRegistry(f"mock://{tmp_path.name}")
    trade = {"framing": "header", "event_time": {"field": "ts", "form": "ms"}}
    market = ForeignMarket(tmp_path, {"trade": trade, "quote": JSON_QUOTE}, registry=registry)
    fields = {"symbol": "string", "ts": "long", "price": "double"}
    listed = [{"name": name, "type": kind} for name, kind in fields.items()]
    schema = json.dumps({"type": "record", "name": "T", "fields": listed})
    topic = market.settings.topic("trade")
    schema_id = registry.register(f"{topic}-value", schema)
    write = AvroSerializer(
        registry._client,  # noqa: SLF001
        schema,
        conf={"schema.id.serializer": header_schema_id_serializer},
    )
    by_id = one_header("__value_schema_id", schema_id.to_bytes(5, "big"))
    apicurio = one_header("apicurio.value.contentId", schema_id.to_bytes(8, "big"))
    trades, quotes = rows_of(10, 60, "price"), rows_of(11, 90, "bid", "ask")
    for number, row in enumerate(trades):
        by_guid: list[Any] = []
        value = write(row, SerializationContext(topic, MessageField.VALUE, by_guid))
        market.send("trade", [(row["symbol"], value)], headers=(by_guid, by_id, apicurio)[number % 3])
    market.send("trade", [("AAPL", None), (None, value)], headers=by_guid)
    market.send("trade", [("AAPL", value)])
    market.send("trade", [("AAPL", value)], headers=one_header("__value_schema_id", b"\1" + bytes(16)))
    market.send("quote", [(row["symbol"], as_quote(row)) for row in quotes])
    market.end((START_MS + 5_000) * NS_PER_MS)
    require_equal(market.run(), joined(trades, quotes, "bid", "ask"))
    dead = market.dead()
    assert len(dead) == 4
    for words in ("null value", "null key", "no header names its schema", "schema GUID 00000000-"):
        assert any(words in reason for reason in dead)
    assert market.audit().violations == []


def test_a_message_with_a_header_where_a_prefix_is_expected_says_what_to_set(tmp_path: Path) -> None:
    market = ForeignMarket(tmp_path, {"trade": {}, "quote": JSON_QUOTE}, partitions=1)
    written = Stream(name="fill", schema=pa.schema([("event_ns", pa.int64()), ("symbol", pa.string())]))
    market.registry.register(f"{market.settings.topic('trade')}-value", avro_schema(written))
    header = one_header("__value_schema_id", b"\1" + bytes(16))
    market.send("trade", [("A", b"\x02\x02\x02A")], headers=header)
    market.end(10 * NS_PER_MS)
    market.run()
    (reason,) = market.dead()
    assert reason.endswith('its header __value_schema_id names a schema: say framing = "header"')


def test_rows_of_another_key_than_their_message_are_dead(tmp_path: Path) -> None:
    quote = {**JSON_TRADE, "fields": {"symbol": "string", "bid": "double"}}
    market = ForeignMarket(tmp_path, {"trade": JSON_TRADE, "quote": quote}, partitions=1)
    rows = [{"symbol": name, "ts": 5, "price": 1.5, "size": 2} for name in ("A", "B")]
    market.send("trade", [("A", json.dumps(rows).encode()), ('"B"', json.dumps(rows[1]).encode())])
    market.send_json("quote", [{"symbol": name, "ts": 3, "bid": 1.0} for name in ("A", "B")])
    market.end(10 * NS_PER_MS)
    assert market.run().column("symbol").to_pylist() == ["A"]
    assert len(market.dead()) == 2
    assert all("symbol would make 'B'" in reason for reason in market.dead())
    assert market.audit().violations == []


def test_a_record_of_an_old_producer_has_no_time(tmp_path: Path) -> None:
    trade = {**JSON_TRADE, "event_time": {"record": True}}
    market = ForeignMarket(tmp_path, {"trade": trade, "quote": JSON_QUOTE}, partitions=1)
    for at_ms in (5, -1):
        value = json.dumps({"symbol": "A", "price": 1.5, "size": 2}).encode()
        market.send("trade", [("A", value)], timestamp_ms=at_ms)
    market.end(10 * NS_PER_MS)
    assert market.run().column("event_ns").to_pylist() == [5 * NS_PER_MS]
    assert market.dead() == ["no event_ns: the record has no time"]
    assert market.audit().violations == []


def test_dead_letters_are_the_same_however_polls_are_cut(tmp_path: Path) -> None:
    letters = []
    for most in (1, 1_000):
        trade = {**JSON_TRADE, "rules": {"positive": ["price"]}}
        market = ForeignMarket(tmp_path / str(most), {"trade": trade, "quote": JSON_QUOTE}, partitions=1)
        worker = market.settings.worker.model_copy(update={"poll_messages_max": most})
        market.settings = market.settings.model_copy(update={"worker": worker})
        rows = [{"symbol": "A", "ts": at, "price": 1.5, "size": 1} for at in ("x", 5, None, "y", None)]
        market.send("trade", [("A", json.dumps(rows).encode())])
        market.send_json("trade", [{"symbol": "A", "ts": 6, "price": -1.5, "size": 1}])
        market.end(10 * NS_PER_MS)
        assert market.run().num_rows == 1
        stored = read_letters(market.bus, market.settings, 0)
        letters.append([(one.letter.offset, one.letter.indexes, one.letter.reason) for one in stored])
    assert letters[0] == letters[1]
    assert [indexes for _, indexes, _ in letters[0]] == [(0, 3), (2, 4), (0,)]


def test_a_column_that_the_output_cannot_carry_stops_the_start(tmp_path: Path) -> None:
    trade = {**JSON_TRADE, "fields": {"symbol": "string", "p-x": "double"}}
    market = ForeignMarket(tmp_path, {"trade": trade, "quote": JSON_QUOTE}, partitions=1)
    worker = market.settings.worker.model_copy(update={"format": "avro"})
    market.settings = market.settings.model_copy(update={"worker": worker})
    with pytest.raises(StreamError, match=r'worker.format = "avro": column .p-x. cannot be an Avro field'):
        market.pipeline()
