"""The message block of an embedded poll: views of what the logs hold, nothing copied but the addresses."""

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from schemas.batch import Int64s
from topics.block import HeaderValues, MessageBlock, Original, TopicPartition
from topics.header_values import header_values
from topics.memory.records import Records


class _Originals:
    def __init__(self, parts: Sequence[Records]) -> None:
        self._parts = parts
        self._first = np.cumsum([0, *(part.rows for part in parts)]).tolist()

    def __getitem__(self, message: int) -> Original:
        part, row = self._place(message)
        return part.original(row)

    def timestamps_ms(self, messages: Int64s) -> Int64s:
        return np.concatenate([np.empty(0, np.int64), *(part.timestamp_ms for part in self._parts)])[messages]

    def header_values(self, messages: Int64s, name: str) -> HeaderValues:
        places = (self._place(message) for message in messages.tolist())
        return header_values((part.headers[row] for part, row in places), name)

    def _place(self, message: int) -> tuple[Records, int]:
        """The records that a message is one of, and its place among them."""
        if not 0 <= message < self._first[-1]:
            raise IndexError(f"message {message} of a block of {self._first[-1]}")
        part = bisect_right(self._first, message) - 1
        return self._parts[part], message - self._first[part]


def block_of(
    parts: Sequence[tuple[TopicPartition, Records]], ends: Sequence[tuple[TopicPartition, int]]
) -> MessageBlock:
    """Return the records of `parts`, in their order, as one block."""
    sources = {source: index for index, source in enumerate(dict.fromkeys(source for source, _ in parts))}
    records = [part for _, part in parts]
    rows = [part.rows for part in records]
    return MessageBlock(
        sources=tuple(sources),
        source=np.repeat(np.array([sources[source] for source, _ in parts], np.int32), rows),
        offset=np.concatenate([np.empty(0, np.int64), *(part.offset for part in records)]),
        value=np.concatenate([np.empty(0, np.uint64), *(part.value.address for part in records)]),
        value_size=np.concatenate([np.empty(0, np.int64), *(part.value.size for part in records)]),
        key=np.concatenate([np.empty(0, np.uint64), *(part.key.address for part in records)]),
        key_size=np.concatenate([np.empty(0, np.int64), *(part.key.size for part in records)]),
        originals=_Originals(records),
        ends=tuple(ends),
        memory=records,
    )
