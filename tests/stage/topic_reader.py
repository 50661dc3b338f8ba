"""Reads back what was published, one message at a time, with fastavro: slow and obvious."""

import io
import json
from dataclasses import dataclass
from typing import Any

import fastavro

from topics.block import TopicPartition
from topics.bus import Bus
from topics.wire import SchemaRegistry


@dataclass(frozen=True, slots=True)
class ReadMessage:
    """A message with its rows; a progress record is its only row."""

    partition: int
    key: bytes | None
    timestamp_ms: int
    progress: bool
    rows: list[dict[str, Any]]


def read_topic(bus: Bus, registry: SchemaRegistry, topic: str, partitions: int) -> list[ReadMessage]:
    """Return all committed messages of a topic, partition by partition, in order."""
    found = []
    consumer = bus.consumer(group="test-reader")
    for partition in range(partitions):
        place = TopicPartition(topic, partition)
        consumer.assign({place: 0})
        ended = False
        while not ended:
            block = consumer.poll(messages_max=1_000, wait_ms=100)
            for number in range(block.messages):
                original = block.originals[number]
                assert original.value is not None
                rows, progress = _decode(registry, original.value)
                found.append(ReadMessage(partition, original.key, original.timestamp_ms, progress, rows))
            ended = any(end == place for end, _ in block.ends)
    consumer.close()
    return found


def rows_in(messages: list[ReadMessage]) -> list[dict[str, Any]]:
    """The rows, without progress."""
    return [row for message in messages if not message.progress for row in message.rows]


def _decode(registry: SchemaRegistry, value: bytes) -> tuple[list[dict[str, Any]], bool]:
    schema = json.loads(registry.schema(int.from_bytes(value[1:5], "big")))
    found: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
    rows = found if isinstance(found, list) else [found]
    return rows, isinstance(schema, dict) and schema.get("name") == "Progress"
