"""Reads a partition from its first kept message to its end, as any consumer outside the group would."""

from collections.abc import Iterator

from topics.block import MessageBlock, TopicPartition
from topics.bus import Bus

MESSAGES_MAX = 20_000
WAIT_MS = 100


def read_partition(bus: Bus, source: TopicPartition, *, group: str) -> Iterator[MessageBlock]:
    """Yield the committed messages that were there when the reading began, in offset order.

    `group` only names the reader; nothing is committed under it.
    """
    consumer = bus.consumer(group=group, client_id=group)
    try:
        low, high = consumer.offsets(source)
        if low == high:
            return
        consumer.assign({source: low})
        reached = False
        while not reached:
            block = consumer.poll(messages_max=MESSAGES_MAX, wait_ms=WAIT_MS)
            if block.messages:
                yield block
                reached = int(block.offset[-1]) >= high - 1
            reached = reached or any(end >= high for ended, end in block.ends if ended == source)
    finally:
        consumer.close()
