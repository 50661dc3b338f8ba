"""The message block of a Kafka poll, filled from the client's message objects: one pass per column, in C."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from confluent_kafka import Message

from schemas.batch import Int64s
from topics.block import HeaderValues, MessageBlock, Original, TopicPartition
from topics.header_values import header_values
from topics.joined import join


class _Originals:
    def __init__(self, messages: Sequence[Any]) -> None:
        self._messages = messages

    def __getitem__(self, message: int) -> Original:
        read = self._messages[message]
        _, timestamp_ms = read.timestamp()
        return Original(read.key(), read.value(), read.headers() or [], timestamp_ms)

    def timestamps_ms(self, messages: Int64s) -> Int64s:
        times = (self._messages[message].timestamp()[1] for message in messages.tolist())
        return np.fromiter(times, np.int64, count=messages.size)

    def header_values(self, messages: Int64s, name: str) -> HeaderValues:
        return header_values((self._messages[message].headers() for message in messages.tolist()), name)


def block_of(messages: Sequence[Any], ends: Sequence[tuple[TopicPartition, int]]) -> MessageBlock:
    """Return `messages`, all without errors, as a block; keys and values are copied once."""
    count = len(messages)
    places = list(zip(map(Message.topic, messages), map(Message.partition, messages), strict=True))
    sources = {place: index for index, place in enumerate(dict.fromkeys(places))}
    value = join(list(map(Message.value, messages)))
    key = join(list(map(Message.key, messages)))
    return MessageBlock(
        sources=tuple(TopicPartition(*place) for place in sources),
        source=np.fromiter(map(sources.__getitem__, places), np.int32, count=count),
        offset=np.fromiter(map(Message.offset, messages), np.int64, count=count),
        value=value.address,
        value_size=value.size,
        key=key.address,
        key_size=key.size,
        originals=_Originals(messages),
        ends=tuple(ends),
        memory=(value.data, key.data),
    )
