"""The newest messages of a topic, however many offsets at its end hold none."""

import pytest

from topics.bus import BusError, TopicSpec
from topics.memory.bus import MemoryBus
from topics.sample import newest_messages


def bus_with(partitions: int = 2) -> MemoryBus:
    """A bus with a topic `t`."""
    bus = MemoryBus()
    bus.admin().create([TopicSpec(name="t", partitions=partitions, configs={})])
    return bus


def offsets(bus: MemoryBus, messages: int) -> list[tuple[int, int]]:
    """The places that are sampled."""
    return [
        (block.sources[source].partition, offset)
        for block in newest_messages(bus, "t", 2, group="g", messages=messages)
        for source, offset in zip(block.source.tolist(), block.offset.tolist(), strict=True)
    ]


def test_the_last_messages_of_each_partition_are_read() -> None:
    bus = bus_with()
    assert offsets(bus, 3) == []
    producer = bus.producer()
    for partition, count in ((0, 5), (1, 2)):
        for _ in range(count):
            producer.produce("t", partition=partition, key=None, value=b"")
    assert offsets(bus, 3) == [(0, 2), (0, 3), (0, 4), (1, 0), (1, 1)]


def test_what_an_aborted_transaction_left_is_passed_over() -> None:
    bus = bus_with()
    bus_producer = bus.producer()
    bus_producer.produce("t", partition=0, key=None, value=b"")
    writer = bus.producer(transactional_id="w")
    writer.begin()
    for _ in range(40):
        writer.produce("t", partition=0, key=None, value=b"")
    writer.abort()
    assert offsets(bus, 3) == [(0, 0)]


def test_a_topic_that_is_not_there_is_an_error() -> None:
    with pytest.raises(BusError):
        list(newest_messages(MemoryBus(), "t", 1, group="g", messages=1))
