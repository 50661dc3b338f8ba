"""A message block made by hand: each message lies in memory of its own."""

from collections.abc import Sequence

import numpy as np

from schemas.batch import Int64s
from topics.block import Headers, HeaderValues, MessageBlock, Original, TopicPartition
from topics.header_values import header_values

Headed = tuple[bytes | None, Headers]


class Originals(list[Original]):
    """Messages as they were read, in a list."""

    def timestamps_ms(self, messages: Int64s) -> Int64s:
        """The record times of the messages with these indexes."""
        return np.array([self[message].timestamp_ms for message in messages], np.int64)

    def header_values(self, messages: Int64s, name: str) -> HeaderValues:
        """The header of this name in the messages with these indexes."""
        return header_values((self[message].headers for message in messages), name)


def block_of(
    messages: Sequence[tuple[bytes | None, bytes | None, int]],
    topic: str = "t",
    partition: int = 0,
    *,
    timestamp_ms: int | Sequence[int] = 0,
    headers: Headers | None = None,
) -> MessageBlock:
    """Return messages of one partition, given as (key, value, offset), as a poll would have brought them.

    Every key and every value has memory of its own, which the block keeps alive.
    """
    times_ms = [timestamp_ms] * len(messages) if isinstance(timestamp_ms, int) else timestamp_ms
    keys = [np.frombuffer(key or b"", dtype=np.uint8).copy() for key, _, _ in messages]
    values = [np.frombuffer(value or b"", dtype=np.uint8).copy() for _, value, _ in messages]
    return MessageBlock(
        sources=(TopicPartition(topic, partition),),
        source=np.zeros(len(messages), dtype=np.int32),
        offset=np.array([offset for _, _, offset in messages], dtype=np.int64),
        value=np.array([value.ctypes.data for value in values], dtype=np.uint64),
        value_size=np.array(
            [-1 if value is None else len(value) for _, value, _ in messages], dtype=np.int64
        ),
        key=np.array([key.ctypes.data for key in keys], dtype=np.uint64),
        key_size=np.array([-1 if key is None else len(key) for key, _, _ in messages], dtype=np.int64),
        originals=Originals(
            Original(key, value, headers or [], at_ms)
            for (key, value, _), at_ms in zip(messages, times_ms, strict=True)
        ),
        ends=(),
        memory=(keys, values),
    )


def headed_block(*messages: Headed, key: bytes | None = b"K") -> MessageBlock:
    """Return messages of one partition and key, given as values with their headers."""
    block = block_of([(key, value, offset) for offset, (value, _) in enumerate(messages)])
    originals = block.originals
    assert isinstance(originals, Originals)
    for message, (_, headers) in enumerate(messages):
        originals[message] = originals[message]._replace(headers=headers)
    return block
