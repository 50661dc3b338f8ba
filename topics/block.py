"""A message block: what one poll brought, as addresses and numbers instead of an object per message."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from schemas.batch import Int32s, Int64s

Headers = list[tuple[str, bytes | None]]

NO_HEADER: Final = -2  # the size of a header that a message does not have; -1 is a header whose value is null


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class Original(NamedTuple):
    """A message as it was read, for the few that are passed on whole: late rows and dead letters."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class HeaderValues:
    """The value of one header in each of some messages; addresses hold while this and the block live.

    `address`    int64; not to be read where `size` is not above 0.
    `size`       int64, bytes; -1 is a null value, NO_HEADER stands for a message without the header.
    """

    address: Int64s
    size: Int64s
    memory: object = None


class Originals(Protocol):
    """Gives the original of a message while its block lives."""

    def __getitem__(self, message: int) -> Original: ...

    def timestamps_ms(self, messages: Int64s) -> Int64s:
        """The record times of the messages with these indexes."""
        ...

    def header_values(self, messages: Int64s, name: str) -> HeaderValues:
        """The header of this name in the messages with these indexes: of several the last one, as in Java."""
        ...


@dataclass(frozen=True, slots=True)
class MessageBlock:
    """Messages of any number of partitions, in the order they were read, and the ends that were reached.

    All arrays have one element per message.  Addresses point into memory that `memory` keeps alive: use
    them while the block lives and never after.

    `source`     int32, index into `sources`.
    `offset`     int64, the partition offset.
    `value`      uint64 address and `value_size` int64 bytes; size -1 is a null value.
    `key`        uint64 address and `key_size` int64 bytes; size -1 is a null key.
    `ends`       partitions whose end was reached, with the offset a next message would have or exceed.
    """

    sources: tuple[TopicPartition, ...]
    source: Int32s
    offset: Int64s
    value: npt.NDArray[np.uint64]
    value_size: Int64s
    key: npt.NDArray[np.uint64]
    key_size: Int64s
    originals: Originals
    ends: Sequence[tuple[TopicPartition, int]]
    memory: object

    @property
    def messages(self) -> int:
        """The number of messages."""
        return int(self.offset.size)

    def next_offsets(self) -> dict[TopicPartition, int]:
        """The offset behind the last message of each source."""
        following = np.zeros(len(self.sources), np.int64)
        following[self.source] = self.offset + 1  # of equal indices the last assignment stays
        return dict(zip(self.sources, following.tolist(), strict=True))
