"""The original of a letter, fetched from the topic that it came from, and told from any other message."""

from time import monotonic
from typing import Final

from app.reading.partition import WAIT_MS
from schemas.letter_cut import Cut
from topics.block import MessageBlock, Original, TopicPartition
from topics.bus import Bus, BusUnavailableError

ANSWER_S: Final = 30.0  # a message that is in the log comes by then


def message_at(bus: Bus, source: TopicPartition, offset: int, *, group: str) -> MessageBlock | None:
    """A block with the committed message at an offset alone, None where the log has no such message.

    `group` only names the reader.  Raises BusError where there is no such partition.
    """
    consumer = bus.consumer(group=group, client_id=group)
    try:
        low, high = consumer.offsets(source)
        if not low <= offset < high:
            return None
        consumer.assign({source: offset})
        until_s = monotonic() + ANSWER_S
        while monotonic() < until_s:
            block = consumer.poll(messages_max=1, wait_ms=WAIT_MS)
            if block.messages:
                return block if int(block.offset[0]) == offset else None
            if any(ended == source for ended, _ in block.ends):
                return None
    finally:
        consumer.close()
    raise BusUnavailableError(
        f"{source.topic}[{source.partition}]@{offset} is in the log, and did not come within {ANSWER_S:.0f} s"
    )


def is_original(original: Original, cut: Cut, kept: Original) -> bool:
    """Whether a message is the one that a letter keeps with these cuts."""
    return _begins(original.value, cut.value_size, kept.value) and _begins(
        original.key, cut.key_size, kept.key
    )


def _begins(whole: bytes | None, size: int | None, kept: bytes | None) -> bool:
    """Whether `kept` is `whole`, or its beginning where only that was kept of so many bytes."""
    if size is None or whole is None or kept is None:
        return whole == kept
    return len(whole) == size and whole.startswith(kept)
