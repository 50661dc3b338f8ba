"""Partitions added to a topic, on either bus."""

from confluent_kafka.admin import AdminClient, NewPartitions

from topics.bus import Bus
from topics.kafka.settings import REQUEST_TIMEOUT_S
from topics.memory.bus import MemoryBus


def add_partitions(bus: Bus, topic: str, partitions: int) -> None:
    """Let a topic have `partitions`, more than before."""
    if isinstance(bus, MemoryBus):
        bus.add_partitions(topic, partitions)
        return
    client = AdminClient({"bootstrap.servers": bus.name.removeprefix("kafka ")})
    for answer in client.create_partitions([NewPartitions(topic, partitions)]).values():
        answer.result(timeout=REQUEST_TIMEOUT_S)
