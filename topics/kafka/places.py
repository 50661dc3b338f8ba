"""Partitions in the official client's terms and in ours."""

from collections.abc import Mapping, Sequence
from typing import Any

import confluent_kafka

from topics.block import TopicPartition
from topics.bus import Position


def kafka_place(partition: TopicPartition, offset: int | None = None) -> Any:
    """The client's own object for a partition, with the offset, if any."""
    place = confluent_kafka.TopicPartition(partition.topic, partition.partition)
    if offset is not None:
        place.offset = offset
    return place


def kafka_positions(positions: Mapping[TopicPartition, Position]) -> list[Any]:
    """The client's own objects for positions to commit, with their metadata."""
    return [
        confluent_kafka.TopicPartition(place.topic, place.partition, position.offset, position.metadata)
        for place, position in positions.items()
    ]


def our_places(places: Sequence[Any]) -> tuple[TopicPartition, ...]:
    """The partitions of the client's objects, in order."""
    return tuple(sorted(TopicPartition(place.topic, place.partition) for place in places))


def place_name(partition: TopicPartition) -> str:
    """What to call a partition in words for people."""
    return f"{partition.topic}[{partition.partition}]"
