"""Messages on their way to one topic, as columns: what a publisher hands over at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from schemas.batch import Int32s, Int64s
from topics.wire import Encoded


class Message(NamedTuple):
    """What `produce` takes, but for the topic."""

    partition: int
    key: bytes
    value: bytes
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Messages in the order they are to be written; iterating makes an object of each.

    `values`        their bytes, end to end.
    `keys`          the distinct keys; `key_code` int32 says which each message has.
    `partition`     int32, where each goes.
    `timestamp_ms`  int64, the Kafka timestamp.
    """

    values: Encoded
    keys: Sequence[bytes]
    key_code: Int32s
    partition: Int32s
    timestamp_ms: Int64s

    def __post_init__(self) -> None:
        count = self.values.messages
        assert self.key_code.size == self.partition.size == self.timestamp_ms.size == count

    def __iter__(self) -> Iterator[Message]:
        data, starts = self.values.data.tobytes(), self.values.starts.tolist()
        columns = (self.partition.tolist(), self.key_code.tolist(), self.timestamp_ms.tolist())
        for number, (partition, code, timestamp_ms) in enumerate(zip(*columns, strict=True)):
            yield Message(partition, self.keys[code], data[starts[number] : starts[number + 1]], timestamp_ms)
