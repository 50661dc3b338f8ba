"""What a committed position may hold, checked before it is sent."""

from collections.abc import Mapping
from typing import Final

from topics.block import TopicPartition
from topics.bus import BusError, Position

METADATA_SIZE_MAX: Final = 4_095  # bytes; a broker at its default offset.metadata.max.bytes refuses 4,096


def require_committable(offsets: Mapping[TopicPartition, Position]) -> None:
    """Raise BusError where a broker would refuse a position, naming the partition and the figure."""
    for partition, position in offsets.items():
        where = f"{partition.topic}[{partition.partition}]"
        if position.offset < 0:
            raise BusError(f"offset {position.offset} of {where} cannot be committed: it is negative")
        size = len(position.metadata.encode())
        if size > METADATA_SIZE_MAX:
            raise BusError(
                f"metadata of {where} has {size} bytes, a broker takes {METADATA_SIZE_MAX}: write less of it"
            )
