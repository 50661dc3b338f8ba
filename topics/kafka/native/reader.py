"""Messages read where librdkafka holds them: past the client's objects, to its library.

Membership, callbacks, heartbeats, transactions and the client's errors stay with the official client, whose
`poll(0)` serves them.  What is raw: the partitions' queues are forwarded to one queue of ours, and what comes
to it is taken as events (`rd_kafka_queue_poll`), which never call anybody back: a partition's queue also gets
errors, and any other way of reading it would call the official client, which aborts outside its own calls.
"""

import atexit
import ctypes
import os
import select
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from time import monotonic
from typing import Any, Final
from weakref import WeakSet

import numpy as np
from confluent_kafka import KafkaError

from schemas.batch import Int64s
from topics.block import Headers, HeaderValues, MessageBlock, Original, TopicPartition
from topics.header_values import header_values
from topics.joined import join
from topics.kafka.native.event import Event
from topics.kafka.native.kernel import (
    destroy_events,
    read_headers,
    read_messages,
    read_times,
    take_events,
)
from topics.kafka.native.library import NativeLibrary

_DROPPED_AT_ONCE: Final = 10_000  # messages
_WAKE: Final = ctypes.create_string_buffer(b"w", 1)  # what librdkafka writes to wake us
_WAKES_AT_ONCE: Final = 64
_NO_SUCH_FILE: Final = -1  # librdkafka then writes no more


# Errors of a partition for which the official client has its callback: the topic went, or is not known yet.
_CALLED_BACK: Final = frozenset({"UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION"})


class _PlaceStruct(ctypes.Structure):
    """The beginning of the public `rd_kafka_topic_partition_t`."""

    _fields_ = (("topic", ctypes.c_char_p), ("partition", ctypes.c_int32), ("offset", ctypes.c_int64))


def _bytes_at(address: int, size: int) -> bytes | None:
    """Copy a value or a key; one of size -1 is null."""
    if size < 0:
        return None
    return ctypes.string_at(int(address), int(size)) if size else b""


class _Columns:
    """Room for the fields of a batch of messages, as `read_messages` fills it."""

    def __init__(self, messages: int) -> None:
        self.source = np.empty(messages, np.int32)
        self.topic, self.partition = np.empty((2, messages), np.int64)
        self.offset, self.value, self.value_size, self.key, self.key_size = np.empty((5, messages), np.int64)

    def fill(self, message: Int64s) -> int:
        """Read messages, for which there is exactly room; return how many sources they come from."""
        sources: int = read_messages(
            message,
            self.topic,
            self.partition,
            self.source,
            self.offset,
            self.value,
            self.value_size,
            self.key,
            self.key_size,
        )
        return sources


class _Lent:
    """Messages that librdkafka keeps for us until `release`, or until `detach` copies them."""

    def __init__(
        self, library: NativeLibrary, event: Int64s, message: Int64s, columns: _Columns, lent: set["_Lent"]
    ) -> None:
        self._library = library
        self._event = event
        self._message = message
        self._columns = columns
        self._pid = os.getpid()  # a forked child has the memory but not the library's threads and locks
        self._kept: tuple[list[Original], object] | None = None
        self._lent = lent  # what the reader has to detach when it closes
        lent.add(self)

    def original(self, message: int) -> Original:
        """Copy one message out, headers and all."""
        if self._kept is not None:
            return self._kept[0][message]
        if not 0 <= message < self._message.size:
            raise IndexError(f"message {message} of a block of {self._message.size}")
        return self._original(message)

    def timestamps_ms(self, messages: Int64s) -> Int64s:
        """The record times of messages."""
        if self._kept is not None:
            return np.array([self._kept[0][message].timestamp_ms for message in messages], np.int64)
        kind, times = ctypes.c_int(), np.empty(messages.size, np.int64)
        time_of = self._library.address_of("rd_kafka_message_timestamp")
        read_times(self._message, messages, time_of, ctypes.addressof(kind), times)
        return times

    def header_values(self, messages: Int64s, name: str) -> HeaderValues:
        """The header of this name in messages, where librdkafka has parsed it."""
        if self._kept is not None:
            return header_values((self._kept[0][message].headers for message in messages), name)
        held = HeaderValues(np.empty(messages.size, np.int64), np.empty(messages.size, np.int64))
        named, room = ctypes.create_string_buffer(name.encode()), np.empty(3, np.int64)
        read_headers(
            self._message,
            messages,
            self._library.address_of("rd_kafka_message_headers"),
            self._library.address_of("rd_kafka_header_get_last"),
            ctypes.addressof(named),
            room.ctypes.data,
            held.address,
            held.size,
        )
        return held

    def detach(self) -> None:
        """Copy what the messages hold and let them go: the block's addresses then point at the copies."""
        # First of all: the block may be garbage, and a collection in the midst of this would release them.
        self._lent.discard(self)
        originals = [self._original(message) for message in range(self._message.size)]
        values = join([original.value for original in originals])
        keys = join([original.key for original in originals])
        self._columns.value[:] = values.address.view(np.int64)
        self._columns.key[:] = keys.address.view(np.int64)
        self._destroy()
        self._kept = originals, (values.data, keys.data)

    def release(self) -> None:
        """Give the messages back to librdkafka; they cannot be read afterwards."""
        if self in self._lent and self._pid == os.getpid():
            self._destroy()

    def _destroy(self) -> None:
        self._lent.discard(self)
        destroy_events(self._event, self._library.address_of("rd_kafka_event_destroy"))

    def _original(self, message: int) -> Original:
        pointer, columns = int(self._message[message]), self._columns
        kind = ctypes.c_int()
        return Original(
            _bytes_at(columns.key[message], columns.key_size[message]),
            _bytes_at(columns.value[message], columns.value_size[message]),
            self._headers(pointer),
            int(self._library.rd_kafka_message_timestamp(pointer, ctypes.byref(kind))),
        )

    def _headers(self, pointer: int) -> Headers:
        handle, headers = ctypes.c_void_p(), list[tuple[str, bytes | None]]()
        if self._library.rd_kafka_message_headers(pointer, ctypes.byref(handle)) != 0:
            return headers  # it has none
        name, value, size = ctypes.c_char_p(), ctypes.c_void_p(), ctypes.c_size_t()
        at = ctypes.byref(name), ctypes.byref(value), ctypes.byref(size)
        while self._library.rd_kafka_header_get_all(handle, len(headers), *at) == 0:
            held = None if value.value is None else ctypes.string_at(value.value, size.value)
            headers.append(((name.value or b"").decode(), held))
        return headers


class _Held:
    """A block's hold on its messages: they are released when it goes.

    A reader that is garbage itself cannot find its blocks by weak references, which are cleared before any
    finalizer runs; so it knows what is lent, and not who holds it.
    """

    def __init__(self, lent: _Lent) -> None:
        self._lent = lent

    def __getitem__(self, message: int) -> Original:
        return self._lent.original(message)

    def timestamps_ms(self, messages: Int64s) -> Int64s:
        return self._lent.timestamps_ms(messages)

    def header_values(self, messages: Int64s, name: str) -> HeaderValues:
        return self._lent.header_values(messages, name)

    def __del__(self) -> None:
        self._lent.release()


class NativeReader:
    """Reads a consumer's partitions through one queue of librdkafka's (see `topics.kafka.reader`)."""

    def __init__(self, client: Any, client_id: str, on_error: Callable[[Any], None]) -> None:
        """Raise NativeUnavailableError, with the reason, where that cannot be done safely.

        `on_error` is the client's error callback, and gets what a plain reader's client would give it.
        """
        self._library = NativeLibrary()
        self._client = client
        self._on_error = on_error
        self._handle = self._library.handle_of(client, client_id)
        self._poll = self._library.address_of("rd_kafka_queue_poll")
        self._next_message = self._library.address_of("rd_kafka_event_message_next")
        self._destroy = self._library.address_of("rd_kafka_event_destroy")
        self._pid = os.getpid()
        self._queue: int | None = self._library.rd_kafka_queue_new(self._handle)
        self._partitions: dict[TopicPartition, int] = {}  # the queues that are forwarded to ours
        self._room = np.empty((3, 0), np.int64)
        self._lent: set[_Lent] = set()
        _OPEN.add(self)
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(self._wake_writer, False)
        self._waker = select.poll()
        self._waker.register(self._wake_reader, select.POLLIN)
        # What comes for the client itself, a rebalance first of all, wakes us too.
        served = self._library.rd_kafka_queue_get_consumer(self._handle)
        for queue in (self._queue, served):
            self._library.rd_kafka_queue_io_event_enable(queue, self._wake_writer, _WAKE, 1)
        self._served = served

    @property
    def words(self) -> str:
        """What to print."""
        return f"native {self._library.version}"

    def take_over(self, partitions: Iterable[TopicPartition]) -> None:
        """Have the messages of these partitions come to us too; call it before the client assigns them."""
        assert self._queue is not None, "the reader is closed"
        for place in partitions:
            queue = self._library.rd_kafka_queue_get_partition(
                self._handle, place.topic.encode(), place.partition
            )
            assert queue, f"librdkafka has no queue for {place}"
            self._library.rd_kafka_queue_forward(queue, self._queue)
            self._partitions[place] = queue

    def give_back(self, partitions: Iterable[TopicPartition] | None = None) -> None:
        """Stop receiving messages of these partitions, of all if None.

        Messages that have come already are dropped: here if no partition is left, else when they are read.
        """
        for place in list(self._partitions if partitions is None else partitions):
            queue = self._partitions.pop(place, None)
            if queue is not None:
                self._library.rd_kafka_queue_forward(queue, None)
                self._library.rd_kafka_queue_destroy(queue)
        while not self._partitions:
            event, _, other = self._take(_DROPPED_AT_ONCE)
            if not event.size and not other.size:
                return
            destroy_events(event, self._destroy)
            destroy_events(other, self._destroy)

    def read(
        self,
        messages_max: int,
        wait_ms: int,
        interrupted: Callable[[], bool],
        unwanted: Callable[[], AbstractSet[TopicPartition]],
    ) -> tuple[MessageBlock, list[Event]]:
        """Return what is there, at once if anything is or `interrupted`, else after at most `wait_ms`."""
        until_s = monotonic() + wait_ms / 1_000
        while True:
            events = self._serve()
            event, message, other = self._take(0 if interrupted() else messages_max)
            wanted = self._partitions.keys() - unwanted()
            events += self._errors(other, wanted)
            left_s = until_s - monotonic()
            if event.size or events or interrupted() or left_s <= 0:
                return self._block(event.copy(), message.copy(), wanted), events
            # The queue was seen empty: whatever came since, or comes now, has written to the pipe.
            if self._waker.poll(left_s * 1_000):
                os.read(self._wake_reader, _WAKES_AT_ONCE)

    def close(self) -> None:
        """Let go of everything of librdkafka's: with messages in a queue, the client's close() would hang."""
        if self._queue is None or self._pid != os.getpid():
            return
        for lent in list(self._lent):
            lent.detach()
        self.give_back()
        for queue in (self._queue, self._served):
            self._library.rd_kafka_queue_io_event_enable(queue, _NO_SUCH_FILE, None, 0)
            self._library.rd_kafka_queue_destroy(queue)
        self._queue = None
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def __del__(self) -> None:
        if getattr(self, "_queue", None) is not None:
            self.close()

    def _serve(self) -> list[Event]:
        """Let the client do its own work: callbacks are called here, and nowhere else."""
        events = []
        while (event := self._client.poll(0)) is not None:
            assert event.error() is not None, "a message came to the client, whose partitions are forwarded"
            events.append(Event.of(event))
        return events

    def _take(self, count_max: int) -> tuple[Int64s, Int64s, Int64s]:
        """Return addresses, good until called again, of what is ours to destroy.

        They are of events that hold a message, of these messages, and of other events.
        """
        if self._room.shape[1] < count_max:
            self._room = np.empty((3, count_max), np.int64)
        event, message, other = self._room[:, :count_max]
        assert self._queue is not None, "the reader is closed"
        messages, others = take_events(self._queue, self._poll, self._next_message, event, message, other)
        return event[:messages], message[:messages], other[:others]

    def _block(self, event: Int64s, message: Int64s, wanted: AbstractSet[TopicPartition]) -> MessageBlock:
        columns = _Columns(message.size)
        places = self._places(columns, columns.fill(message))
        if any(place not in wanted for place in places):
            # Taken from us after librdkafka had fetched them, or about to be read again.
            ours = np.array([place in wanted for place in places])[columns.source]
            destroy_events(event[~ours], self._destroy)
            event, message = event[ours], message[ours]
            columns = _Columns(message.size)
            places = self._places(columns, columns.fill(message))
        held = _Held(_Lent(self._library, event, message, columns, self._lent))
        return MessageBlock(
            sources=places,
            source=columns.source,
            offset=columns.offset,
            value=columns.value.view(np.uint64),
            value_size=columns.value_size,
            key=columns.key.view(np.uint64),
            key_size=columns.key_size,
            originals=held,
            ends=(),
            memory=held,
        )

    def _errors(self, other: Int64s, wanted: AbstractSet[TopicPartition]) -> list[Event]:
        """Return ends and errors of the partitions wanted; call back with what the client would have."""
        events = []
        for event in [self._event(int(pointer)) for pointer in other]:
            if event.error.name() in _CALLED_BACK:
                self._on_error(event.error)
            elif TopicPartition(event.topic or "", event.partition) in wanted:
                events.append(event)
        return events

    def _places(self, columns: _Columns, sources: int) -> tuple[TopicPartition, ...]:
        named = zip(columns.topic[:sources].tolist(), columns.partition[:sources].tolist(), strict=True)
        return tuple(TopicPartition(self._topic(topic), partition) for topic, partition in named)

    def _topic(self, address: int) -> str:
        name: bytes = self._library.rd_kafka_topic_name(address)
        return name.decode()

    def _event(self, pointer: int) -> Event:
        """What came in place of a message, in the official client's terms; the event is destroyed."""
        library, at = self._library, ctypes.c_void_p(pointer)
        error = KafkaError(
            library.rd_kafka_event_error(at),
            library.rd_kafka_event_error_string(at).decode(errors="replace"),
        )
        place = library.rd_kafka_event_topic_partition(at)
        if place is None:
            event = Event(None, -1, -1, error)
        else:
            fields = _PlaceStruct.from_address(place)
            event = Event(fields.topic.decode(), fields.partition, fields.offset, error)
            library.rd_kafka_topic_partition_destroy(place)
        library.rd_kafka_event_destroy(at)
        return event


_OPEN: Final[WeakSet[NativeReader]] = WeakSet()


@atexit.register
def _close_all() -> None:
    """Close what nobody closed while that can still be done: the process would wait for the messages."""
    for reader in list(_OPEN):
        reader.close()
