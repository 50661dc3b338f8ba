"""A client that has lost every broker starts over from its bootstrap servers, which Kafka calls re-bootstrap.

A broker that has just started reports no brokers at all, not even itself.  librdkafka (from 2.10 on, its
issue 5301) then drops all that it knows.  It means to start over, but takes that back where a thread of its
own is a moment late, and from then on asks nobody: no call returns, no message comes, no error is told.
"""

import ctypes
import weakref
from collections.abc import Mapping
from threading import Event, Thread
from typing import Any, Final

from topics.kafka.native.library import NativeLibrary, NativeUnavailableError
from topics.kafka.settings import LOGGER

CHECK_EVERY_S: Final = 2.0
_ANSWER_MS: Final = 200  # what a check may take; a client without a broker takes all of it
_TRANSPORT: Final = -195  # RD_KAFKA_RESP_ERR__TRANSPORT: there is no broker to ask


class Rebootstrap:
    """Checks, in a thread of its own, that a client has a broker, and gives it its bootstrap servers again.

    Where librdkafka cannot be reached it does nothing, and warns.  It has to be closed before a consumer is.
    """

    def __init__(self, client: Any, settings: Mapping[str, object]) -> None:
        """`settings` are those the client was made with."""
        self._bootstrap = str(settings["bootstrap.servers"])
        self._lost = False
        self._closed = Event()
        self._thread: Thread | None = None
        try:
            self._library = NativeLibrary()
            self._handle = self._library.handle_of(client, str(settings["client.id"]))
        except NativeUnavailableError as unavailable:
            LOGGER.warning("a client that loses every broker may stay without one: %s", unavailable)
            return
        self._client = client  # whose handle is valid as long as it is
        # The thread keeps neither this object nor the client alive between two checks.
        self._thread = Thread(
            target=_check_until_closed,
            args=(weakref.ref(self), self._closed),
            name="tidemark-bootstrap",
            daemon=True,
        )
        self._thread.start()

    def await_broker(self, wait_s: float) -> None:
        """Return when the client has a broker that answers, or after `wait_s`."""
        if self._thread is not None:
            self._ask(int(wait_s * 1_000))

    def check(self) -> None:
        """Add the bootstrap servers to the client's brokers if it has no broker that it can ask."""
        lost, self._lost = self._lost, self._ask(_ANSWER_MS) == _TRANSPORT
        if not self._lost:
            return
        if not lost:
            LOGGER.info("no broker to ask: starting over from %s", self._bootstrap)
        self._library.rd_kafka_brokers_add(self._handle, self._bootstrap.encode())

    def close(self) -> None:
        """Check no more."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def _ask(self, wait_ms: int) -> int:
        """Ask for metadata of no topic; return librdkafka's code."""
        metadata = ctypes.c_void_p()
        code = int(self._library.rd_kafka_metadata(self._handle, 0, None, ctypes.byref(metadata), wait_ms))
        if metadata.value:
            self._library.rd_kafka_metadata_destroy(metadata)
        return code


def _check_until_closed(owner: "weakref.ref[Rebootstrap]", closed: Event) -> None:
    while not closed.wait(CHECK_EVERY_S):
        rebootstrap = owner()
        if rebootstrap is None:
            return
        rebootstrap.check()
        del rebootstrap
