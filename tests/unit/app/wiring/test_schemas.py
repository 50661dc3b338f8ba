"""Where nothing says the fields of an input, the message says what the topic holds and what to do."""

from pathlib import Path

import pytest

from app.config import Settings
from app.errors import RunError
from app.watch.doctor import examine
from app.wiring.schemas import registered_streams, stream_now
from tests.simulation.scene import QUOTE, TRADE
from topics.avro.header import message_header
from topics.avro.progress import register_progress
from topics.avro.schema import avro_schema, block_schema
from topics.bus import TopicSpec
from topics.memory.bus import MemoryBus
from topics.registry.folder import FileRegistry

TOPICS = ("tidemark.trade", "tidemark.quote")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate(
        {"bus": {"partitions": 1, "schema_registry": str(tmp_path)}, "worker": {"state": str(tmp_path / "s")}}
    )


@pytest.fixture
def bus() -> MemoryBus:
    bus = MemoryBus()
    bus.admin().create([TopicSpec(name=name, partitions=1, configs={}) for name in TOPICS])
    return bus


def test_blocks_alone_say_the_columns(settings: Settings, bus: MemoryBus, tmp_path: Path) -> None:
    registry = FileRegistry(tmp_path)
    registry.register("tidemark.trade-value-block", block_schema(TRADE))
    registry.register("tidemark.quote-value-block", block_schema(QUOTE))
    found = registered_streams(settings, registry, bus, wait_s=0, on_wait=lambda _: None)
    assert {name: one.stream.schema for name, one in found.items()} == {
        "trade": TRADE.schema,
        "quote": QUOTE.schema,
    }
    assert stream_now(settings, "quote", registry, bus).stream.schema == QUOTE.schema
    streams = [one for one in examine(settings, lambda: bus) if one.what == "streams"]
    assert [one.level for one in streams] == ["ok"]


def test_an_empty_topic_is_called_so(settings: Settings, bus: MemoryBus, tmp_path: Path) -> None:
    told: list[str] = []
    with pytest.raises(RunError, match="nobody has published to it yet") as raised:
        registered_streams(settings, FileRegistry(tmp_path), bus, wait_s=0.01, on_wait=told.append)
    assert f"under tidemark.trade-value or tidemark.trade-value-block in folder {tmp_path}" in str(
        raised.value
    )
    assert "tidemark.trade is empty" in told[0]


def test_a_topic_with_messages_is_never_called_unpublished(
    settings: Settings, bus: MemoryBus, tmp_path: Path
) -> None:
    registry = FileRegistry(tmp_path)
    registry.register("tidemark.trade-value", avro_schema(TRADE))
    producer = bus.producer()
    for _ in range(3):
        producer.produce("tidemark.quote", partition=0, key=b"A", value=b"{}")
    with pytest.raises(RunError, match=r"tidemark.quote holds about 3 messages: .*topics infer") as raised:
        registered_streams(settings, registry, bus, wait_s=0, on_wait=lambda _: None)
    assert "nobody" not in str(raised.value)


def test_a_schema_under_the_name_of_its_record_is_found_by_a_message(
    settings: Settings, bus: MemoryBus, tmp_path: Path
) -> None:
    registry = FileRegistry(tmp_path)
    registry.register("tidemark.trade-value", avro_schema(TRADE))
    schema_id = registry.register("desk.Quote", avro_schema(QUOTE))
    progress_id = register_progress(registry)
    producer = bus.producer()
    for named in (7_000, schema_id, progress_id):
        producer.produce("tidemark.quote", partition=0, key=b"A", value=message_header(named) + b"rest")
    with pytest.raises(RunError) as raised:
        stream_now(settings, "quote", registry, bus)
    assert (
        f"tidemark.quote holds about 3 messages: they name schema id {schema_id}, tidemark.quote, which that "
        "registry has under another subject"
    ) in str(raised.value)
    assert str(raised.value).endswith("register it under tidemark.quote-value too")
    assert "another registry" not in str(raised.value)
