"""The newest messages of a topic, for those who want to know what it holds."""

from collections.abc import Iterator
from typing import Final

from topics.block import MessageBlock, TopicPartition
from topics.bus import Bus, Consumer

_WAIT_MS: Final = 100


def newest_messages(
    bus: Bus, topic: str, partitions: int, *, group: str, messages: int
) -> Iterator[MessageBlock]:
    """Yield the last committed messages of each partition, about so many, in offset order of each.

    `group` only names the reader; nothing is committed under it.  Raises BusError where there is no topic.
    """
    consumer = bus.consumer(group=group, client_id=group)
    try:
        for number in range(partitions):
            source = TopicPartition(topic, number)
            low, high = consumer.offsets(source)
            back = messages
            # Offsets that hold no message, ends of transactions among them, may fill the end of a log.
            while low < high:
                start = max(low, high - back)
                any_read = False
                for block in _read(consumer, source, start, high):
                    any_read = True
                    yield block
                if any_read or start == low:
                    break
                high, back = start, 10 * back
    finally:
        consumer.close()


def _read(consumer: Consumer, source: TopicPartition, start: int, stop: int) -> Iterator[MessageBlock]:
    """Yield what is committed from offset `start` on, up to `stop` at least."""
    consumer.assign({source: start})
    while True:
        block = consumer.poll(messages_max=1_000, wait_ms=_WAIT_MS)
        if block.messages:
            yield block
        reached = block.messages and int(block.offset[-1]) >= stop - 1
        if reached or any(ended == source and end >= stop for ended, end in block.ends):
            return
