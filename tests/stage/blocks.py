"""A message block made by hand: each message lies in memory of its own."""

from collections.abc import Sequence

import numpy as np

from topics.block import MessageBlock, Original, TopicPartition


def block_of(
    messages: Sequence[tuple[bytes | None, bytes | None, int]], topic: str = "t", partition: int = 0
) -> MessageBlock:
    """Return messages of one partition, given as (key, value, offset), as a poll would have brought them.

    Every key and every value has memory of its own, which the block keeps alive.
    """
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
        originals=[Original(key, value, [], 0) for key, value, _ in messages],
        ends=(),
        memory=(keys, values),
    )
