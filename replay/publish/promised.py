"""What earlier publications have promised: how far each topic is complete, by its progress records."""

from collections.abc import Mapping
from typing import Final

from topics.avro.header import message_header
from topics.avro.progress import decode_progress, register_progress
from topics.block import TopicPartition
from topics.bus import Bus
from topics.sample import newest_messages
from topics.wire import SchemaRegistry

_MESSAGES: Final = 20  # of each partition: a publication ends each transaction with a progress record


def promised_ns(
    bus: Bus, registry: SchemaRegistry, topics: Mapping[str, str], partitions: int, group: str
) -> dict[str, int] | None:
    """Return by stream up to which time its topic is complete, whoever said so; None where one is not.

    A partition without a progress record among its newest messages is not.  `topics` is by stream; `group`
    only names the reader.  Topics that are empty, as most are that are published to, cost one request.
    """
    header = message_header(register_progress(registry))
    places = [TopicPartition(topic, number) for topic in topics.values() for number in range(partitions)]
    if any(log.low == log.high for log in bus.admin().ranges(places).values()):
        return None
    promised: dict[str, int] = {}
    for stream, topic in topics.items():
        uppers: dict[int, int] = {}
        for block in newest_messages(bus, topic, partitions, group=group, messages=_MESSAGES):
            for message in range(block.messages):
                original = block.originals[message]
                if original.key is None and original.value is not None and original.value.startswith(header):
                    number = block.sources[block.source[message]].partition
                    upper_ns = decode_progress(original.value).upper_ns
                    uppers[number] = max(upper_ns, uppers.get(number, upper_ns))
        if len(uppers) < partitions:
            return None
        promised[stream] = min(uppers.values())
    return promised
