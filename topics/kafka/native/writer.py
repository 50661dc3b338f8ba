"""Many messages handed to librdkafka in one call: no object and no Python step for each."""

import ctypes
from typing import Any, Final

import numpy as np
from confluent_kafka import KafkaError

from topics.kafka.native.kernel import produce_messages
from topics.kafka.native.library import NativeLibrary
from topics.outgoing import Outgoing

# rdkafka.h: `rd_kafka_vtype_t`, in the order of the kernel's parts, and how wide a `rd_kafka_vu_t` is.
_TOPIC, _PARTITION, _VALUE, _KEY, _FLAGS, _CREATED_MS = 2, 3, 4, 5, 7, 8
_PART_WORDS: Final = 9
_COPY_FLAG: Final = 0x2  # RD_KAFKA_MSG_F_COPY: the bytes are ours again when the call returns


class NativeWriter:
    """Queues messages of a transactional producer.

    Only of one: no callback tells of a failed delivery, but a transaction that has one cannot be committed.
    """

    def __init__(self, client: Any, client_id: str) -> None:
        """Raise NativeUnavailableError, with the reason, where that cannot be done safely."""
        self._library = NativeLibrary()
        self._handle = self._library.handle_of(client, client_id)
        self._produce = self._library.address_of("rd_kafka_produceva")
        self._parts = np.zeros((6, _PART_WORDS), np.int64)
        self._parts[:, 0] = (_TOPIC, _PARTITION, _VALUE, _KEY, _CREATED_MS, _FLAGS)
        self._parts[5, 1] = _COPY_FLAG

    def write(self, topic: str, messages: Outgoing, first: int, stop: int) -> tuple[int, Any]:
        """Queue messages from `first` up to `stop`; return the first that was not taken, and why or None."""
        values, keys = messages.values, b"".join(messages.keys) + b"\0"  # an empty key has an address too
        key_bytes = np.frombuffer(keys, np.uint8)
        key_starts = np.cumsum([0, *map(len, messages.keys)], dtype=np.int64)
        its_topic = self._library.rd_kafka_topic_new(self._handle, topic.encode(), None)
        assert its_topic, f"librdkafka has no topic {topic}, which was asked for before"
        self._parts[0, 1] = its_topic
        try:
            stopped, error = produce_messages(
                first,
                stop,
                self._produce,
                self._handle,
                self._parts,
                values.data.ctypes.data,
                values.starts,
                key_bytes.ctypes.data,
                key_starts,
                messages.key_code,
                messages.partition,
                messages.timestamp_ms,
            )
        finally:
            self._library.rd_kafka_topic_destroy(its_topic)
        return stopped, self._error(error) if error else None

    def _error(self, pointer: int) -> Any:
        """The official client's error object of librdkafka's, which is freed."""
        library, at = self._library, ctypes.c_void_p(pointer)
        error = KafkaError(
            library.rd_kafka_error_code(at),
            library.rd_kafka_error_string(at).decode(),
            bool(library.rd_kafka_error_is_fatal(at)),
            bool(library.rd_kafka_error_is_retriable(at)),
            bool(library.rd_kafka_error_txn_requires_abort(at)),
        )
        library.rd_kafka_error_destroy(at)
        return error
