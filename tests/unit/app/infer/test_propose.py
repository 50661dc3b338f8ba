"""What a topic holds is told apart and counted, and the settings proposed for it run a pipeline."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from google.protobuf import descriptor_pb2

from schemas.clocks import NS_PER_MS
from schemas.letters import DEAD_REASON
from schemas.stream import Stream
from tests.stage.fakes import DictRegistry
from tests.stage.foreign import ForeignMarket
from tests.stage.proposals import Topic
from topics.avro.encode import RowEncoder
from topics.avro.header import message_header
from topics.avro.progress import encode_progress
from topics.avro.schema import avro_schema
from topics.memory.bus import MemoryBus
from topics.registry.folder import FileRegistry
from topics.wire import OtherFormatError, Progress, UnknownSchemaError

MS = 1_705_311_000_000
SYMBOLS = ("AAPL", "MSFT", "BRK/B", "ÄÖ")
ROW = json.dumps({"symbol": "A", "ts": MS, "price": 1.5}).encode()


def plain(text: str) -> str:
    """The words of the comments in one line."""
    return " ".join(text.replace("#", " ").split())


def trades(count: int) -> list[dict[str, Any]]:
    """Trades in the order of their times."""
    draw = np.random.default_rng(count)
    return [
        {"ts": MS + 7 * n, "symbol": SYMBOLS[draw.integers(4)], "price": float(draw.integers(1, 999)) / 4}
        for n in range(count)
    ]


class Market:
    """A market whose streams are read by proposed settings; `raw` settings only make the topics."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        raw = {"format": "json", "fields": {"symbol": "string"}, "event_time": {"record": True}}
        self.first = ForeignMarket(folder, {"trade": raw, "quote": raw})

    def proposed(self) -> ForeignMarket:
        """The same topics with what is proposed for both streams."""
        tables: dict[str, Mapping[str, Any]] = {}
        for name in ("trade", "quote"):
            topic = Topic(self._folder, name=f"unused-{name}", registry=self.first.registry, partitions=3)
            topic.bus, topic.name = self.first.bus, self.first.settings.topic(name)
            text = topic.proposal(name)
            tables[name] = tomllib.loads(text)["streams"][name]
            assert "(100 %)" in text
        return ForeignMarket(self._folder, tables, bus=self.first.bus, registry=self.first.registry)

    def run(self) -> pl.DataFrame:
        """What the pipeline joins, which the audit finds right."""
        market = self.proposed()
        market.end((MS + 10_000) * NS_PER_MS)
        frame = pl.from_arrow(market.run())
        assert isinstance(frame, pl.DataFrame)
        assert market.audit().violations == []
        assert market.dead() == []
        return frame


def as_quote(row: Mapping[str, Any]) -> tuple[str, bytes]:
    """A quote with everything a producer of JSON can think of, under its key."""
    seconds, ms = divmod(row["ts"], 1_000)
    return row["symbol"], json.dumps(
        {
            "e": "quote",
            "s": row["symbol"],
            "book": {"bid": f"{row['price']:.2f}", "ask": row["price"]},
            "at": f"{np.datetime64(seconds, 's')}.{ms:03d}Z",
            "tags": [1],
            "note": None,
            **({"odd": 1} if row["ts"] % 2 else {}),
        }
    ).encode()


def test_the_settings_proposed_for_json_join_it(tmp_path: Path) -> None:
    market = Market(tmp_path)
    left, right = trades(60), trades(90)
    market.first.send_json("trade", left)
    market.first.send("quote", [as_quote(row) for row in right])
    joined = market.run()
    wanted = pl.DataFrame(left).join_asof(
        pl.DataFrame(right).rename({"price": "bid"}), on="ts", by="symbol", check_sortedness=False
    )
    assert joined.sort("event_ns")["quote_book_bid"].to_list() == wanted.sort("ts")["bid"].to_list()
    assert "quote_s" not in joined.columns


def test_the_settings_proposed_for_avro_join_it(tmp_path: Path) -> None:
    market = Market(tmp_path)
    columns = [
        pa.field("sym", pa.string(), nullable=False),
        pa.field("at", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("price", pa.float64()),
    ]
    layout = Stream(name="fill", schema=pa.schema([*columns, ("event_ns", pa.int64())]), key=("sym",))
    left = trades(50)
    schema = json.loads(avro_schema(layout))
    schema["fields"] = schema["fields"][:3]  # without the clock of our own
    topic = market.first.settings.topic("trade")
    registry = market.first.registry
    schema_id = registry.register(f"{topic}-value", json.dumps(schema))
    encoder = RowEncoder(layout, registry, "elsewhere")
    for row in left:
        values = [[row["symbol"]], [row["ts"] * 1_000], [row["price"]], [0]]
        arrays = [pa.array(v, f.type) for v, f in zip(values, layout.schema, strict=True)]
        encoded = encoder.records(pa.RecordBatch.from_arrays(arrays, schema=layout.schema))
        body = encoded.data.tobytes()[5:-2]  # the clock is null: two bytes at most
        market.first.send("trade", [(row["symbol"], message_header(schema_id) + body)])
    market.first.send("quote", [as_quote(row) for row in trades(60)])
    joined = market.run()
    assert joined["event_ns"].sort().to_list() == [row["ts"] * NS_PER_MS for row in left]


def test_the_settings_proposed_for_frames_join_what_another_pipeline_has_aligned(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.first.send_json("trade", trades(40))
    market.first.send("quote", [as_quote(row) for row in trades(60)])
    market.run()
    source = market.first
    topic = Topic(tmp_path, name="unused", partitions=3)
    topic.bus, topic.name = source.bus, source.settings.topic("aligned")
    text = topic.proposal("past")
    table = tomllib.loads(text)["streams"]["past"]
    assert "needs another pipeline.prefix" in plain(text)
    assert table == {"topic": "tidemark.aligned", "format": "arrow", "key_from": "columns"}
    signal = {"format": "json", "fields": {"symbol": "string"}, "event_time": {"field": "ts", "form": "ms"}}
    pipeline = {"prefix": "second", "left": "signal", "right": ["past"]}
    second = ForeignMarket(tmp_path, {"signal": signal, "past": table}, pipeline=pipeline, bus=source.bus)
    second.send_json("signal", trades(30))
    second.end((MS + 10_000) * NS_PER_MS)
    found = second.run()
    assert found.num_rows == 30
    assert found.column("past_price").null_count < 30


class ProtobufRegistry(DictRegistry):
    """Has one Protobuf schema, of id 900."""

    def __init__(self, *files: bytes) -> None:
        super().__init__()
        self._files = list(files)

    def schema(self, schema_id: int) -> str:
        if schema_id == 900:
            raise OtherFormatError("schema id 900 is a Protobuf schema, not Avro, which is what is read here")
        return super().schema(schema_id)

    def protobuf_files(self, schema_id: int) -> list[bytes]:
        if schema_id != 900:
            raise UnknownSchemaError("no such id")
        return self._files

    def latest_protobuf(self, subject: str) -> int | None:
        return 900


def test_protobuf_with_an_id_is_named_and_its_fields_are_found(tmp_path: Path) -> None:
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="md", syntax="proto3")
    message = file.message_type.add(name="Tick")
    kind = descriptor_pb2.FieldDescriptorProto
    message.field.add(name="symbol", number=1, type=kind.TYPE_STRING, label=kind.LABEL_OPTIONAL)
    message.field.add(name="time_ms", number=2, type=kind.TYPE_FIXED64, label=kind.LABEL_OPTIONAL)
    registry = ProtobufRegistry(file.SerializeToString())
    body = b"\x0a\x01A\x11" + MS.to_bytes(8, "little")
    topic = Topic(tmp_path, [(b"A", message_header(900) + b"\0" + body)], registry=registry)
    assert topic.table() == {"topic": "md.trades", "format": "protobuf"} | {
        "event_time": {"field": "time_ms", "form": "ms"}
    }
    assert "id 900: md.Tick" in topic.proposal()
    assert "Tried out: 1 of 1 message are 1 row" in topic.proposal()


def test_fields_within_avro_records_are_listed_with_their_paths(tmp_path: Path) -> None:
    header = {"type": "record", "name": "H", "fields": [{"name": "seq", "type": "long"}]}
    schema = {
        "type": "record",
        "name": "Fill",
        "namespace": "md",
        "fields": [
            {"name": "symbol", "type": "string"},
            {"name": "t", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "h", "type": ["null", header]},
            {"name": "tags", "type": {"type": "map", "values": "long"}},
        ],
    }
    registry = FileRegistry(tmp_path / "schemas")
    schema_id = registry.register("md.trades-value", json.dumps(schema))
    body = b"\x02A" + b"\x80\xa0\xce\xa7\xa1\x63" + b"\x02\x0e" + b"\0"
    topic = Topic(tmp_path, [(b"A", message_header(schema_id) + body)], registry=registry)
    table = topic.table()
    assert table["columns"] == ["symbol", "h.seq"]
    assert table["event_time"] == {"field": "t"}
    assert "Left out: tags" in topic.proposal()
    assert f"id {schema_id}: md.Fill" in topic.proposal()


def test_a_schema_that_lies_under_another_subject_is_told(tmp_path: Path) -> None:
    registry = FileRegistry(tmp_path / "schemas")
    schema = {"type": "record", "name": "F", "fields": [{"name": "symbol", "type": "string"}]}
    schema_id = registry.register("md.F", json.dumps(schema))
    topic = Topic(tmp_path, [(b"A", message_header(schema_id) + b"\x02A")], registry=registry)
    assert "no schema is registered under md.trades-value" in plain(topic.proposal()).lower()
    assert topic.table() == {"topic": "md.trades", "event_time": {"record": True}}


def test_blocks_need_no_schema_of_records(tmp_path: Path) -> None:
    registry = FileRegistry(tmp_path / "schemas")
    record = {"type": "record", "name": "F", "fields": [{"name": "symbol", "type": "string"}]}
    schema_id = registry.register("md.trades-value-block", json.dumps({"type": "array", "items": record}))
    block = message_header(schema_id) + b"\x02\x02A\0"
    proposed = plain(Topic(tmp_path, [(b"A", block)], registry=registry).proposal())
    assert "no schema is registered" not in proposed.lower()
    assert "no message has" not in proposed.lower()


def test_json_behind_a_schema_id_has_the_prefix(tmp_path: Path) -> None:
    table = Topic(tmp_path, [(b"A", message_header(7) + ROW)]).table()
    assert (table["format"], table["framing"]) == ("json", "prefix")


def test_a_mix_is_told_with_counts_and_the_most_are_read(tmp_path: Path) -> None:
    registry = FileRegistry(tmp_path / "schemas")
    progress = encode_progress(registry, Progress("trade", MS * NS_PER_MS, False, "run"))
    others: list[tuple[bytes | None, bytes | None]] = [(b"A", b"what"), (b"A", None), (None, progress)]
    topic = Topic(tmp_path, [*others, *[(b"A", ROW)] * 3], registry=registry)
    text = plain(topic.proposal())
    for words in (
        "JSON messages: 3.",
        "Texts that are no JSON objects: 1.",
        "Messages without value: 1.",
        "Progress records: 1, left aside",
        "those of the others become dead letters",
        "Tried out: 3 of 3 messages are 3 rows, with times from 2024-01-15T09:30:00.000Z to",
    ):
        assert words in text
    assert "idle_after_ms" not in text
    assert topic.table()["format"] == "json"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], "The topic is empty"),
        ([None], "nothing that a stream could be made of"),
        ([b"a,b\n"], "The first is 'a,b\\n'"),
        ([b"\xff\xfe\1"], 'framing = "bare"'),
        ([b"\0\0\0\0\7body"], "Schema id 7, of 1: "),
        ([bytes([0, n, n * 7 % 251, 3, n, 255]) for n in range(20)], 'framing = "bare"'),
        ([b"{}"], "No settings are proposed: no field can be a column"),
        ([b"[]"], "No settings are proposed: no field can be a column"),
    ],
)
def test_what_cannot_be_proposed_is_told_with_what_would_help(
    tmp_path: Path, values: list[bytes | None], words: str
) -> None:
    topic = Topic(tmp_path, [(b"A", value) for value in values])
    topic.registry.register("other", '"string"')
    assert words in plain(topic.proposal())
    assert topic.table() == {}
    assert all(line.startswith("#") for line in topic.proposal().splitlines() if line)


def test_letters_of_a_pipeline_are_no_input(tmp_path: Path) -> None:
    topic = Topic(tmp_path)
    topic.bus.producer().produce(
        topic.name, partition=0, key=b"A", value=ROW, headers=[(DEAD_REASON, b"why")]
    )
    assert "python -m app dead list" in plain(topic.proposal())


def test_names_that_would_break_a_comment_or_a_key_do_not(tmp_path: Path) -> None:
    names = ["a\nb = 1", "[x]", "# y", 'q"uote', "\ud800", "\x7f", "é è", "\u2028", "a.b", "'", "\\"]
    row = {"ts": MS, **dict.fromkeys(names, 1)}
    topic = Topic(tmp_path, [(b"\x00\n[x]", json.dumps(row).encode())])
    table = topic.table()
    assert {one["path"] for one in table["fields"].values() if isinstance(one, dict)} == {
        "[x]",
        "# y",
        'q"uote',
        "é è",
        "'",
        "\\",
    }
    topic.proposal().encode()


def test_another_partition_count_than_the_settings_have_is_told(tmp_path: Path) -> None:
    topic = Topic(tmp_path, [(b"A", ROW)], partitions=2)
    assert "bus.partitions" not in topic.proposal()
    topic.settings = ForeignMarket(tmp_path, {}, bus=MemoryBus()).settings
    assert "bus.partitions = 3" in plain(topic.proposal())


def test_a_field_that_has_the_name_of_a_clock_but_no_nanoseconds_is_a_time_of_its_form(
    tmp_path: Path,
) -> None:
    rows = [{"symbol": "A", "event_ns": MS + number, "price": 1.5} for number in range(3)]
    topic = Topic(tmp_path, [(b"A", json.dumps(row).encode()) for row in rows])
    table = topic.table()
    assert table["event_time"] == {"field": "event_ns", "form": "ms"}
    assert table["fields"] == {"symbol": "string", "price": "double"}
    assert "3 of 3 messages are 3 rows" in plain(topic.proposal())
