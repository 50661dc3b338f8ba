"""Topics of any format are copied as they are, by their keys or by the keys that their columns make."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tomli_w
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from app.commands import repartition
from app.errors import RunError, UsageError
from app.repartition.subjects import share_schemas
from schemas.clocks import NS_PER_MS
from tests.contract.registry.http_registry import http_registry
from tests.stage.foreign import JSON_TRADE, ForeignMarket
from topics.block import TopicPartition
from topics.bus import TopicSpec
from topics.memory.bus import MemoryBus
from topics.partitioner import partition_of
from topics.registry.confluent import ConfluentRegistry

COLUMNS: Mapping[str, Any] = {
    "topic": "md.quotes",
    "format": "json",
    "key_from": "columns",
    "fields": {"symbol": "string"},
    "event_time": {"field": "ts", "form": "ms"},
}


def as_json(*symbols: str) -> bytes:
    """A message with a row for each symbol."""
    return json.dumps([{"symbol": symbol, "ts": 5} for symbol in symbols]).encode()


class Copied:
    """A topic of somebody else, and the command that copies it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.bus = MemoryBus()
        self.bus.admin().create([TopicSpec(name="md.quotes", partitions=2, configs={})])
        monkeypatch.setattr(repartition, "open_bus", lambda _: self.bus)

    def send(self, partition: int, key: bytes | None, value: bytes | None) -> None:
        producer = self.bus.producer()
        producer.produce("md.quotes", partition=partition, key=key, value=value, timestamp_ms=9)

    def run(self, stream: Mapping[str, Any] | None, partitions: int = 3) -> None:
        """Copy by these settings of a stream."""
        registry = {"schema_registry": str(self.folder / "schemas")}
        settings: dict[str, Any] = {"bus": registry}
        if stream is not None:
            settings["streams"] = {"quote": stream}
        config = self.folder / "tidemark.toml"
        config.write_text(tomli_w.dumps(settings))
        repartition.topics_repartition("md.quotes", "md.copy", partitions, config, None)

    def values(self, partitions: int = 3) -> list[list[bytes | None]]:
        """What the copy has, by partition."""
        logs = []
        for number in range(partitions):
            reader = self.bus.consumer(group="test")
            reader.assign({TopicPartition("md.copy", number): 0})
            block = reader.poll(messages_max=1_000, wait_ms=0)
            logs.append([block.originals[message].value for message in range(block.messages)])
        return logs


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copied:
    return Copied(tmp_path, monkeypatch)


def test_json_needs_no_schema_and_goes_where_its_columns_say(copied: Copied) -> None:
    for number, symbol in enumerate(("A", "B", "C", "D")):
        copied.send(number % 2, b'"quoted"', as_json(symbol, symbol))
    copied.run(COLUMNS)
    wanted: list[list[bytes | None]] = [[], [], []]
    for symbol in ("A", "C", "B", "D"):
        wanted[partition_of(symbol.encode(), 3)].append(as_json(symbol, symbol))
    assert [sorted(log, key=str) for log in copied.values()] == [sorted(log, key=str) for log in wanted]


def test_json_whose_keys_say_it_goes_where_they_do(copied: Copied) -> None:
    copied.send(1, b"A", as_json("B"))
    copied.run({**COLUMNS, "key_from": "message"})
    assert copied.values()[partition_of(b"A", 3)] == [as_json("B")]


def test_what_cannot_be_read_keeps_its_number_and_is_counted(
    copied: Copied, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in (b"{", None, b'{"ts": 5}', b"[]", b"\0\0\0\0\7x"):
        copied.send(1, None, value)
    copied.send(0, None, as_json("A"))
    (copied.folder / "schemas").mkdir()
    copied.run(COLUMNS)
    out = capsys.readouterr().out
    assert "5 of them have no row that can be read and keep their partition number" in out
    assert "the first at md.quotes[1] offset 0: not JSON" in out
    assert "have no key" not in out
    assert sum(map(len, copied.values())) == 6


def test_rows_of_several_partitions_end_the_copy_before_their_message(copied: Copied) -> None:
    names = {partition_of(name.encode(), 3): name for name in "ABCDEFGH"}
    copied.send(0, None, as_json(names[0]))
    copied.send(0, None, as_json(names[0], names[1]))
    copied.send(0, None, as_json(names[2]))
    words = f"keys '{names[0]}' and '{names[1]}', which belong to partitions 0 and 1 of 3"
    for _ in range(2):
        with pytest.raises(RunError, match=rf"md.quotes\[0\] offset 1: its rows have {words}.*before it"):
            copied.run(COLUMNS)
        assert copied.values() == [[as_json(names[0])], [], []]


def test_to_one_partition_any_message_can_be_copied(copied: Copied) -> None:
    copied.send(0, None, as_json("A", "B", "C"))
    copied.run(COLUMNS, partitions=1)
    assert copied.values(1) == [[as_json("A", "B", "C")]]


def test_bare_avro_may_begin_like_a_schema_id(copied: Copied, tmp_path: Path) -> None:
    schema = {"type": "record", "name": "Q", "fields": [{"name": "symbol", "type": ["null", "string"]}]}
    (tmp_path / "q.avsc").write_text(json.dumps(schema))
    (tmp_path / "schemas").mkdir()
    stream = {"framing": "bare", "schema_file": str(tmp_path / "q.avsc"), "event_time": {"record": True}}
    copied.send(1, None, b"\0\0\0\0\7")
    copied.send(1, None, b"\2\2A")
    copied.run({"topic": "md.quotes", "key_from": "columns", **stream})
    assert copied.values()[partition_of(b"A", 3)].count(b"\2\2A") == 1
    assert copied.values()[1].count(b"\0\0\0\0\7") == 1


def test_frames_are_refused_with_the_reason(copied: Copied) -> None:
    with pytest.raises(UsageError, match=r"how far its own partition is complete.*bus.partitions"):
        copied.run({"topic": "md.quotes", "format": "arrow", "key_from": "columns"})
    assert copied.bus.admin().describe(["md.copy"])["md.copy"] is None


def test_a_topic_that_no_stream_reads_needs_its_schemas_as_ever(copied: Copied) -> None:
    with pytest.raises(UsageError, match=r"the registry has no schema under md.quotes-value"):
        copied.run(None)
    with pytest.raises(UsageError, match=r"the registry has no schema under md.quotes-value"):
        copied.run({"topic": "md.quotes"})


def test_protobuf_schemas_are_named_as_left_out() -> None:
    with http_registry() as server:
        client = SchemaRegistryClient({"url": server.url})
        schema_id = client.register_schema("old-value", Schema('syntax = "proto3";', "PROTOBUF"))
        (left_out,) = share_schemas(ConfluentRegistry(server.url), "old", "new")
    assert left_out.startswith(f"schema id {schema_id} of old-value (schema id {schema_id} is a Protobuf")
    assert "register it under new-value yourself" in left_out


def test_what_times_the_copy_is_merged_by_is_told(copied: Copied, capsys: pytest.CaptureFixture[str]) -> None:
    copied.send(0, None, as_json("A"))
    copied.run(COLUMNS, partitions=4)
    captured = capsys.readouterr()
    assert "streams.quote.event_time is the field ts: grace_ns must also cover" in captured.err
    assert 'Now say streams.quote.topic = "md.copy"' in captured.out


def test_a_pipeline_joins_the_copy_of_a_topic_that_it_refused(copied: Copied, tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    quotes = [{"symbol": f"S{draw.integers(5)}", "ts": n, "bid": float(n)} for n in range(120)]
    trades = [{"symbol": f"S{draw.integers(5)}", "ts": 2 * n, "price": 1.0, "size": n} for n in range(60)]
    quote = {**COLUMNS, "fields": {"symbol": "string", "bid": "double"}}
    market = ForeignMarket(
        tmp_path, {"trade": JSON_TRADE, "quote": {**quote, "topic": "md.copy"}}, bus=copied.bus
    )
    producer = copied.bus.producer()
    for number, row in enumerate(quotes):
        value = json.dumps(row).encode()
        producer.produce("md.quotes", partition=number % 2, key=None, value=value, timestamp_ms=number)
    copied.run(quote)
    market.send_json("trade", trades)
    market.end(1_000 * NS_PER_MS)
    aligned = pl.from_arrow(market.run())
    assert isinstance(aligned, pl.DataFrame)
    left, right = pl.DataFrame(trades), pl.DataFrame(quotes)
    wanted = left.join_asof(right, on="ts", by="symbol", check_sortedness=False)
    assert aligned.sort("size")["quote_bid"].to_list() == wanted["bid"].to_list()
    assert market.audit().violations == []
    assert market.dead() == []
