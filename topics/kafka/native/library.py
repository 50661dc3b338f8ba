"""The C library behind the official client, reached from the client's own module, and verified before use."""

import ctypes
import os
import sys
from typing import Any, Final

import confluent_kafka
import numba
from confluent_kafka import cimpl

_NAME_SIZE_MAX: Final = 128  # bytes that librdkafka keeps of a client's name
_KINDS: Final[dict[type, str]] = {
    cimpl.Consumer: "consumer",
    cimpl.Producer: "producer",
    confluent_kafka.Consumer: "consumer",
    confluent_kafka.Producer: "producer",
}


class NativeUnavailableError(Exception):
    """Messages cannot be read natively here; the message says why, and the official client reads them."""


class NativeLibrary:
    """The librdkafka that the official client itself is linked with, its functions declared."""

    def __init__(self) -> None:
        """Raise NativeUnavailableError where library or platform is not what this was written for."""
        if sys.implementation.name != "cpython" or ctypes.sizeof(ctypes.c_void_p) != 8:
            raise NativeUnavailableError("needs CPython with 64-bit addresses")
        if sys.byteorder != "little" or os.name != "posix":
            raise NativeUnavailableError("needs a little-endian POSIX system")
        if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
            raise NativeUnavailableError("numba is switched off (NUMBA_DISABLE_JIT)")
        try:
            # The client's extension module finds its own librdkafka, so no second one can be loaded.
            self._library = ctypes.CDLL(cimpl.__file__)
            self._declare()
        except (OSError, AttributeError) as missing:
            raise NativeUnavailableError(f"librdkafka cannot be reached: {missing}") from None
        self.version, number = confluent_kafka.libversion()
        if int(self.rd_kafka_version()) != number:
            raise NativeUnavailableError(f"another librdkafka than the client's {self.version} was found")
        if number >> 24 != 2:
            raise NativeUnavailableError(f"librdkafka {self.version} is not a version 2")

    def _declare(self) -> None:
        pointer, text, number, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
        declared: dict[str, tuple[Any, list[Any]]] = {
            "rd_kafka_version": (number, []),
            "rd_kafka_name": (pointer, [pointer]),
            "rd_kafka_topic_name": (text, [pointer]),
            "rd_kafka_brokers_add": (number, [pointer, text]),
            "rd_kafka_metadata": (number, [pointer, number, pointer, pointer, number]),
            "rd_kafka_metadata_destroy": (None, [pointer]),
            "rd_kafka_queue_new": (pointer, [pointer]),
            "rd_kafka_queue_destroy": (None, [pointer]),
            "rd_kafka_queue_get_consumer": (pointer, [pointer]),
            "rd_kafka_queue_get_partition": (pointer, [pointer, text, ctypes.c_int32]),
            "rd_kafka_queue_forward": (None, [pointer, pointer]),
            "rd_kafka_queue_io_event_enable": (None, [pointer, number, pointer, size]),
            "rd_kafka_queue_poll": (pointer, [pointer, number]),
            "rd_kafka_event_message_next": (pointer, [pointer]),
            "rd_kafka_event_error": (number, [pointer]),
            "rd_kafka_event_error_string": (text, [pointer]),
            "rd_kafka_event_topic_partition": (pointer, [pointer]),
            "rd_kafka_event_destroy": (None, [pointer]),
            "rd_kafka_topic_partition_destroy": (None, [pointer]),
            "rd_kafka_message_timestamp": (ctypes.c_int64, [pointer, pointer]),
            "rd_kafka_message_headers": (number, [pointer, pointer]),
            "rd_kafka_header_get_last": (number, [pointer, text, pointer, pointer]),
            "rd_kafka_header_get_all": (number, [pointer, size, pointer, pointer, pointer]),
            "rd_kafka_topic_new": (pointer, [pointer, text, pointer]),
            "rd_kafka_topic_destroy": (None, [pointer]),
            "rd_kafka_produceva": (pointer, [pointer, pointer, size]),
            "rd_kafka_error_code": (number, [pointer]),
            "rd_kafka_error_string": (text, [pointer]),
            "rd_kafka_error_is_fatal": (number, [pointer]),
            "rd_kafka_error_is_retriable": (number, [pointer]),
            "rd_kafka_error_txn_requires_abort": (number, [pointer]),
            "rd_kafka_error_destroy": (None, [pointer]),
        }
        for name, (result, arguments) in declared.items():
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, arguments

    def __getattr__(self, name: str) -> Any:
        """A function of librdkafka by its C name."""
        return getattr(self._library, name)

    def address_of(self, name: str) -> int:
        """Where a function lies, for a kernel to call it."""
        return int(ctypes.cast(getattr(self._library, name), ctypes.c_void_p).value or 0)

    def handle_of(self, client: object, client_id: str) -> int:
        """Return the `rd_kafka_t*` inside the official client's object, proven by the name it answers to.

        An address is followed only once the system says that it can be read: a wrong guess does not crash.
        """
        kind = type(client)
        if kind not in _KINDS or kind.__basicsize__ < object.__basicsize__ + 8:
            raise NativeUnavailableError(f"{kind.__name__} is not a class of the official client")
        handle = int.from_bytes(ctypes.string_at(id(client) + object.__basicsize__, 8), "little")
        if handle == 0 or handle % 8 or _readable(handle, 8) is None:
            raise NativeUnavailableError("the client's object does not begin with its handle")
        name = _readable(int(self.rd_kafka_name(handle) or 0), _NAME_SIZE_MAX) or b""
        if not name.startswith(f"{client_id}#{_KINDS[kind]}-".encode()[: _NAME_SIZE_MAX - 1]):
            raise NativeUnavailableError("the client's handle does not answer with the client's name")
        return handle


def _readable(address: int, size: int) -> bytes | None:
    """Return up to `size` bytes at an address, None where the process may not read there."""
    reader, writer = os.pipe()
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        written = libc.write(writer, ctypes.c_void_p(address), ctypes.c_size_t(size))
        return os.read(reader, size) if written > 0 else None
    finally:
        os.close(reader)
        os.close(writer)
