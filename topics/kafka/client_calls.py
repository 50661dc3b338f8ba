"""Calls of a consumer's client about single partitions and topics, with its errors as ours."""

from collections.abc import Iterable
from typing import Any

from confluent_kafka import KafkaException

from topics.block import TopicPartition
from topics.bus import BusError, BusUnavailableError
from topics.kafka.errors import bus_error, error_of, raise_bus_error
from topics.kafka.places import kafka_place, place_name
from topics.kafka.settings import REQUEST_TIMEOUT_S


def low_and_high(client: Any, partition: TopicPartition) -> tuple[int, int]:
    """The low and the high offset of a log; raises BusUnavailableError where no broker knows of it (yet)."""
    try:
        low, high = client.get_watermark_offsets(
            kafka_place(partition), timeout=REQUEST_TIMEOUT_S, cached=False
        )
    except KafkaException as raised:
        doing, error = f"reading the low and high offset of {place_name(partition)}", error_of(raised)
        if error.name() == "_UNKNOWN_PARTITION":  # a broker that has just started knows none yet
            raise BusUnavailableError(f"{doing}: no broker knows of it: {error.str()}") from None
        raise bus_error(error, doing) from None
    return low, high


def require_topics(client: Any, topics: Iterable[str]) -> None:
    """Raise BusError naming a topic that cannot be read; under the consumer protocol a group waits for one
    that is not there without a word.
    """
    for topic in sorted(topics):
        metadata = client.list_topics(topic, timeout=REQUEST_TIMEOUT_S).topics[topic]
        if metadata.error is not None:
            raise BusError(f"topic {topic} cannot be read: {metadata.error.str()}; create it first")


def seeks(client: Any, partition: TopicPartition, offset: int) -> bool:
    """Seek; False where the partition has not started yet."""
    try:
        client.seek(kafka_place(partition, offset))
    except KafkaException as raised:
        if error_of(raised).name() == "_STATE":
            return False
        raise_bus_error(raised, f"seeking {place_name(partition)} to {offset}")
    return True
