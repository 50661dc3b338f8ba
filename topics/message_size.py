"""How large a message is in Kafka's log, and how large a topic lets it be."""

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from topics.block import Headers
from topics.bus import BusError, MessageLimit

TOPIC_SETTING: Final = "max.message.bytes"
TOPIC_SIZE_MAX: Final = 1_048_588  # bytes; what a broker takes for a topic that says nothing
AROUND_SIZE: Final = 128  # bytes; a message without headers has fewer besides its key and its value
BATCH_HEADER_SIZE: Final = 61  # of a record batch; a topic's limit is one of batches
_COLUMNS_SHOWN: Final = 3  # of a row that is too large
_PLAIN_SIZE: Final = 3  # a record's attributes, and the differences of time and offset to its batch, both 0


def message_size(key: bytes | None, value: bytes | None, headers: Headers | None = None) -> int:
    """Return the bytes of a batch with this message alone, as a broker counts them without compression."""
    headers = headers or []
    size = _PLAIN_SIZE + _sized(key) + _sized(value) + _varint(len(headers))
    size += sum(_sized(name.encode()) + _sized(content) for name, content in headers)
    return BATCH_HEADER_SIZE + _varint(size) + size


def message_limit(
    topic: str, configs: Mapping[str, str], *, client_size_max: int, batch_size_max: int
) -> MessageLimit:
    """The limit of a topic with these configs, for a producer that takes and gathers so many bytes.

    Raises BusError where the producer would gather small messages to batches that the topic refuses.
    """
    size = int(configs.get(TOPIC_SETTING, TOPIC_SIZE_MAX))
    if size < batch_size_max:
        raise BusError(
            f"topic {topic} takes batches of {size:,} bytes ({TOPIC_SETTING}), and our producer sends "
            f"batches of up to {batch_size_max:,}: raise the topic's limit, or set "
            f'"producer.batch.size" = "{max(1, size // 2)}" in [bus.kafka]'
        )
    if client_size_max < size:
        return MessageLimit(client_size_max, '"producer.message.max.bytes" in [bus.kafka]')
    return MessageLimit(size, f"{TOPIC_SETTING} of the topic")


def largest_columns(row: pa.RecordBatch) -> str:
    """The largest columns of a row that is too large for a message, each with its bytes, in words."""
    sizes = sorted(((row.column(name).nbytes, name) for name in row.schema.names), reverse=True)
    return ", ".join(f"{name} ({size:,})" for size, name in sizes[:_COLUMNS_SHOWN])


def _sized(content: bytes | None) -> int:
    """A length and that many bytes; the length of null is -1."""
    return 1 if content is None else _varint(len(content)) + len(content)


def _varint(number: int) -> int:
    """The bytes of a number from 0 on, zigzag encoded, seven bits a byte."""
    return max(1, -(-(2 * number).bit_length() // 7))
