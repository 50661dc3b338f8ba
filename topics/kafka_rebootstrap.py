"""A client that has lost every broker starts over from its bootstrap servers, which Kafka calls re-bootstrap.

A broker that has just started tells of no brokers at all, not even of itself.  librdkafka (from 2.10 on, its
issue 5301) then drops all that it knows.  It means to start over, but takes that back where a thread of its
own is a moment late, and from then on asks nobody: no call returns, no message comes, no error is told.
"""

import ctypes
import weakref
from collections.abc import Callable, Mapping
from threading import Event, Thread
from typing import Any, Final

from topics.kafka_native_library import NativeLibrary, NativeUnavailableError
from topics.kafka_settings import LOGGER

CHECK_EVERY_S: Final = 2.0
_ANSWER_MS: Final = 200  # what a check may take; a client without a broker takes all of it
_TRANSPORT: Final = -195  # RD_KAFKA_RESP_ERR__TRANSPORT: there is no broker to ask


class Rebootstrap:
    """Checks, in a thread of its own, that a client has a broker, and gives it its bootstrap servers again.

    It has to be closed before a consumer is.
    """

    def __init__(self, client: Any, client_id: str, bootstrap: str) -> None:
        """Raise NativeUnavailableError, with the reason, where that cannot be done safely."""
        self._library = NativeLibrary()
        self._client = client  # whose handle is valid as long as it is
        self._handle = self._library.handle_of(client, client_id)
        self._bootstrap = bootstrap
        self._lost = False
        self._closed = Event()
        # The thread keeps neither this object nor the client alive between two checks.
        self._thread = Thread(
            target=_check_until_closed,
            args=(weakref.ref(self), self._closed),
            name="tidemark-bootstrap",
            daemon=True,
        )
        self._thread.start()

    def check(self) -> None:
        """Add the bootstrap servers to the client's brokers where it has none that it can ask."""
        found = ctypes.c_void_p()
        code = self._library.rd_kafka_metadata(self._handle, 0, None, ctypes.byref(found), _ANSWER_MS)
        if found.value:
            self._library.rd_kafka_metadata_destroy(found)
        lost, self._lost = self._lost, code == _TRANSPORT
        if not self._lost:
            return
        if not lost:
            LOGGER.info("no broker to ask: starting over from %s", self._bootstrap)
        self._library.rd_kafka_brokers_add(self._handle, self._bootstrap.encode())

    def close(self) -> None:
        """Check no more."""
        self._closed.set()
        self._thread.join()


def _check_until_closed(owner: "weakref.ref[Rebootstrap]", closed: Event) -> None:
    while not closed.wait(CHECK_EVERY_S):
        rebootstrap = owner()
        if rebootstrap is None:
            return
        rebootstrap.check()
        del rebootstrap


def watch_over(client: Any, settings: Mapping[str, object]) -> Callable[[], None]:
    """Watch over a client of these settings, where librdkafka can be reached; return what ends that."""
    try:
        return Rebootstrap(client, str(settings["client.id"]), str(settings["bootstrap.servers"])).close
    except NativeUnavailableError as unavailable:
        LOGGER.warning("a client that loses every broker may stay without one: %s", unavailable)
        return lambda: None
