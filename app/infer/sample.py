"""A sample: the newest messages of every partition of a topic, numbered through."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from schemas.batch import Int64s
from topics.block import MessageBlock, Original
from topics.bus import Bus
from topics.sample import newest_messages


class Message(NamedTuple):
    """A message of the sample."""

    partition: int
    offset: int
    original: Original


class Part(NamedTuple):
    """Messages of one block and partition: their indexes in the block, and their numbers in the sample."""

    block: MessageBlock
    partition: int
    indexes: Int64s
    numbers: Int64s


@dataclass(frozen=True, slots=True)
class Sample:
    """The messages that were looked at, of a topic with so many partitions."""

    topic: str
    partitions: int
    messages: Sequence[Message]
    blocks: Sequence[MessageBlock]

    def parts(self, numbers: Sequence[int]) -> Iterator[Part]:
        """Give these messages, named by rising numbers, as a decoder takes them."""
        wanted = np.array(numbers, np.int64)
        first = 0
        for block in self.blocks:
            mine = wanted[(wanted >= first) & (wanted < first + block.messages)]
            for source, place in enumerate(block.sources):
                of_source = mine[block.source[mine - first] == source]
                if of_source.size:
                    yield Part(block, place.partition, of_source - first, of_source)
            first += block.messages


def take_sample(bus: Bus, topic: str, partitions: int, messages: int) -> Sample:
    """Read the last committed messages of each partition, about so many; raises BusError."""
    blocks = list(newest_messages(bus, topic, partitions, group=f"{topic}-infer", messages=messages))
    return Sample(topic, partitions, [one for block in blocks for one in _messages(block)], blocks)


def _messages(block: MessageBlock) -> Iterator[Message]:
    for index in range(block.messages):
        partition = block.sources[block.source[index]].partition
        yield Message(partition, int(block.offset[index]), block.originals[index])
