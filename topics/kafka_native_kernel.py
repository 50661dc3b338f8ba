"""librdkafka's messages as columns and back: one pass over the pointers of a batch, one over what is written.

The layout is that of the public `rd_kafka_message_t` (rdkafka.h), 72 bytes, unchanged through version 2.
"""

from typing import Final

from numba import njit

from schemas.batch import Int32s, Int64s
from topics.raw_access import call_with, call_with_sized, load_half, load_word

# Where the fields lie.  Error and partition have 4 bytes, the others 8; the last 8 are librdkafka's own.
MESSAGE_ERROR: Final = 0
MESSAGE_TOPIC: Final = 8
MESSAGE_PARTITION: Final = 16
MESSAGE_VALUE: Final = 24
MESSAGE_VALUE_SIZE: Final = 32
MESSAGE_KEY: Final = 40
MESSAGE_KEY_SIZE: Final = 48
MESSAGE_OFFSET: Final = 56
NULL_SIZE: Final = -1


@njit(nogil=True, cache=True)
def read_messages(
    pointer: Int64s,
    topic: Int64s,
    partition: Int64s,
    source: Int32s,
    offset: Int64s,
    value: Int64s,
    value_size: Int64s,
    key: Int64s,
    key_size: Int64s,
    failed: Int64s,
) -> tuple[int, int, int]:
    """Sort pointers into messages, which stay in `pointer`, and errors, which go to `failed`; count both.

    Message `i` is of source `source[i]`, whose topic's address and partition are `topic` and `partition` at
    that index; the third number returned counts sources.  A null value or key has size -1.  All arrays are as
    long as `pointer`.
    """
    kept = 0
    errors = 0
    sources = 0
    last = 0
    for i in range(pointer.size):
        message = pointer[i]
        if load_half(message + MESSAGE_ERROR) != 0:
            failed[errors] = message
            errors += 1
            continue
        its_topic = load_word(message + MESSAGE_TOPIC)
        its_partition = load_half(message + MESSAGE_PARTITION)
        # Messages come in stretches of one partition, so the search is for the first of each.
        if sources == 0 or topic[last] != its_topic or partition[last] != its_partition:
            last = 0
            while last < sources and (topic[last] != its_topic or partition[last] != its_partition):
                last += 1
            if last == sources:
                topic[sources] = its_topic
                partition[sources] = its_partition
                sources += 1
        pointer[kept] = message
        source[kept] = last
        offset[kept] = load_word(message + MESSAGE_OFFSET)
        value[kept] = load_word(message + MESSAGE_VALUE)
        value_size[kept] = load_word(message + MESSAGE_VALUE_SIZE) if value[kept] != 0 else NULL_SIZE
        key[kept] = load_word(message + MESSAGE_KEY)
        key_size[kept] = load_word(message + MESSAGE_KEY_SIZE) if key[kept] != 0 else NULL_SIZE
        kept += 1
    return kept, errors, sources


@njit(nogil=True, cache=True)
def destroy_messages(pointer: Int64s, destroy: int) -> None:
    """Give messages back to librdkafka; `destroy` is the address of its function for one."""
    for i in range(pointer.size):
        call_with(destroy, pointer[i])


# The parts of a message, `rd_kafka_vu_t` of 9 words: what it is, then a value, or an address and a size.
PARTITION_PART: Final = 1
VALUE_PART: Final = 2
KEY_PART: Final = 3
TIME_PART: Final = 4


@njit(nogil=True, cache=True)
def produce_messages(
    first: int,
    stop: int,
    produce: int,
    handle: int,
    parts: Int64s,
    values: int,
    starts: Int64s,
    keys: int,
    key_starts: Int64s,
    key_code: Int32s,
    partition: Int32s,
    timestamp_ms: Int64s,
) -> tuple[int, int]:
    """Queue messages from `first` up to `stop`; return the first that was not taken, and librdkafka's error.

    `produce` is the address of `rd_kafka_produceva`, `parts` its arguments (words, one row a part), of which
    those that differ from message to message are written here.  `values` and `keys` are addresses.
    """
    for i in range(first, stop):
        code = key_code[i]
        parts[PARTITION_PART, 1] = partition[i]
        parts[VALUE_PART, 1] = values + starts[i]
        parts[VALUE_PART, 2] = starts[i + 1] - starts[i]
        parts[KEY_PART, 1] = keys + key_starts[code]
        parts[KEY_PART, 2] = key_starts[code + 1] - key_starts[code]
        parts[TIME_PART, 1] = timestamp_ms[i]
        error = call_with_sized(produce, handle, parts.ctypes.data, parts.shape[0])
        if error != 0:
            return i, error
    return stop, 0
