"""The official client under a consumer, with what reads and commits through it; it may be replaced."""

from collections.abc import Callable, Mapping, Sequence
from threading import Thread
from time import monotonic
from typing import Any, Final

import confluent_kafka

from topics.kafka.commits import LaterCommits
from topics.kafka.outage import Outage
from topics.kafka.reader import Reading, open_reader
from topics.kafka.rebootstrap import Rebootstrap
from topics.kafka.settings import LOGGER

PLACE_WAIT_S: Final = 3.0  # a broker that is away answers no join
_POLL_S: Final = 0.05

Callback = Callable[[Any, Sequence[Any]], None]  # a callback of the client's: itself, and its partitions


class GroupClient:
    """One client from its opening until it is closed, or left behind: then its callbacks reach nobody."""

    def __init__(
        self,
        settings: Mapping[str, object],
        reading: Reading,
        outage: Outage,
        on_error: Callable[[Any], None],
    ) -> None:
        """Raise BusError where `reading` is "native" and that cannot be had here."""
        self._on_error = on_error
        self._left = self._joining = False
        client_id = str(settings["client.id"])
        self.client = confluent_kafka.Consumer({**settings, "error_cb": self._tell}, logger=LOGGER)
        self.later = LaterCommits(self.client, outage)
        self.reader = open_reader(self.client, client_id, reading, self._tell)
        self._rebootstrap = Rebootstrap(self.client, settings)

    def subscribe(
        self, topics: Sequence[str], on_assign: Callback, on_revoke: Callback, on_lost: Callback
    ) -> None:
        """Join the group."""

        def assigned(client: Any, places: Sequence[Any]) -> None:
            self._joining = False
            if self._left:
                client.assign([])  # or the client would read them of its own accord
            else:
                on_assign(client, places)

        def unless_left(callback: Callback) -> Callback:
            return lambda client, places: None if self._left else callback(client, places)

        self._joining = True
        self.client.subscribe(
            list(topics),
            on_assign=assigned,
            on_revoke=unless_left(on_revoke),
            on_lost=unless_left(on_lost),
        )

    def close(self, *, await_place: bool = False) -> None:
        """Leave the group; callbacks come from inside, for what is owned.

        With `await_place` the answer to a join is waited for, a while.  Where the client's own close brings
        that callback, it may block in it for ever (librdkafka 2.12.1, one time in four on a busy broker).
        """
        until_s = monotonic() + PLACE_WAIT_S
        while await_place and self._joining and monotonic() < until_s:
            self.client.poll(_POLL_S)
        self._let_go()
        self._end()

    def leave_behind(self) -> None:
        """Close a client that may never come to its end, in a thread that the process does not wait for."""
        self._left = True
        self._let_go()
        Thread(target=self._end, name="tidemark-left-behind", daemon=True).start()

    def _let_go(self) -> None:
        self.reader.close()
        self._rebootstrap.close()

    def _end(self) -> None:
        self.later.close()
        self.client.close()

    def _tell(self, error: Any) -> None:
        if not self._left:
            self._on_error(error)
