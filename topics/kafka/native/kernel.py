"""librdkafka's messages as columns and back: a pass over events, one over messages, one over what is written.

The layout is that of the public `rd_kafka_message_t` (rdkafka.h), 72 bytes, unchanged through version 2.
"""

from typing import Final

from numba import njit

from schemas.batch import Int32s, Int64s
from topics.block import NO_HEADER
from topics.raw_access import (
    call_for,
    call_four,
    call_numbered,
    call_pair,
    call_with,
    call_with_sized,
    load_half,
    load_word,
)

# Where the fields lie.  The partition has 4 bytes, the others 8; the first and last 8 are not read.
MESSAGE_TOPIC: Final = 8
MESSAGE_PARTITION: Final = 16
MESSAGE_VALUE: Final = 24
MESSAGE_VALUE_SIZE: Final = 32
MESSAGE_KEY: Final = 40
MESSAGE_KEY_SIZE: Final = 48
MESSAGE_OFFSET: Final = 56
NULL_SIZE: Final = -1
_RESULT: Final = 0xFFFFFFFF  # an error is an int; what is above it in the register means nothing


@njit(nogil=True, cache=True)
def take_events(
    queue: int, poll: int, next_message: int, event: Int64s, message: Int64s, other: Int64s
) -> tuple[int, int]:
    """Take what a queue has, without waiting, until the arrays are full; count messages and what is none.

    Event `i` holds the message at `message[i]`; events that hold none, errors, go to `other`.  All are the
    caller's to destroy.  `poll` and `next_message` are the addresses of `rd_kafka_queue_poll` and
    `rd_kafka_event_message_next`.
    """
    messages = 0
    others = 0
    while messages + others < event.size:
        taken = call_numbered(poll, queue, 0)
        if taken == 0:
            break
        held = call_for(next_message, taken)  # the one message of a fetch; null for any other event
        if held != 0:
            event[messages] = taken
            message[messages] = held
            messages += 1
        else:
            other[others] = taken
            others += 1
    return messages, others


@njit(nogil=True, cache=True)
def read_messages(
    message: Int64s,
    topic: Int64s,
    partition: Int64s,
    source: Int32s,
    offset: Int64s,
    value: Int64s,
    value_size: Int64s,
    key: Int64s,
    key_size: Int64s,
) -> int:
    """Write the fields of messages into columns; return how many sources they come from.

    Message `i` is of source `source[i]`, whose topic's address and partition are `topic` and `partition` at
    that index.  A null value or key has size -1.  All arrays are as long as `message`.
    """
    sources = 0
    last = 0
    for i in range(message.size):
        at = message[i]
        its_topic = load_word(at + MESSAGE_TOPIC)
        its_partition = load_half(at + MESSAGE_PARTITION)
        # Messages come in stretches of one partition, so the search is for the first of each.
        if sources == 0 or topic[last] != its_topic or partition[last] != its_partition:
            last = 0
            while last < sources and (topic[last] != its_topic or partition[last] != its_partition):
                last += 1
            if last == sources:
                topic[sources] = its_topic
                partition[sources] = its_partition
                sources += 1
        source[i] = last
        offset[i] = load_word(at + MESSAGE_OFFSET)
        value[i] = load_word(at + MESSAGE_VALUE)
        value_size[i] = load_word(at + MESSAGE_VALUE_SIZE) if value[i] != 0 else NULL_SIZE
        key[i] = load_word(at + MESSAGE_KEY)
        key_size[i] = load_word(at + MESSAGE_KEY_SIZE) if key[i] != 0 else NULL_SIZE
    return sources


@njit(nogil=True, cache=True)
def read_times(message: Int64s, wanted: Int64s, time_of: int, kind: int, time_ms: Int64s) -> None:
    """Write the record times of the messages at the indexes `wanted` into `message`.

    `time_of` is the address of `rd_kafka_message_timestamp`, `kind` that of 4 bytes it may write to.
    """
    for i in range(wanted.size):
        time_ms[i] = call_pair(time_of, message[wanted[i]], kind)


@njit(nogil=True, cache=True)
def read_headers(
    message: Int64s,
    wanted: Int64s,
    headers_of: int,
    last_of: int,
    name: int,
    room: int,
    address: Int64s,
    size: Int64s,
) -> None:
    """Write where a header of the messages at the indexes `wanted` into `message` lies, and its size.

    A null value has size NULL_SIZE, a message without the header NO_HEADER.  `headers_of` and `last_of` are
    the addresses of `rd_kafka_message_headers` and `rd_kafka_header_get_last`, `name` that of its name as a C
    string, and `room` that of 24 bytes to write to.
    """
    for i in range(wanted.size):
        address[i] = 0
        size[i] = NO_HEADER
        if call_pair(headers_of, message[wanted[i]], room) & _RESULT:
            continue
        if call_four(last_of, load_word(room), name, room + 8, room + 16) & _RESULT:
            continue
        address[i] = load_word(room + 8)
        size[i] = load_word(room + 16) if address[i] != 0 else NULL_SIZE


@njit(nogil=True, cache=True)
def destroy_events(event: Int64s, destroy: int) -> None:
    """Give events and their messages back; `destroy` is the address of `rd_kafka_event_destroy`."""
    for i in range(event.size):
        call_with(destroy, event[i])


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
