"""A static member's place in its group calls up at once, which the member itself keeps as it ends.

A client that closes as a static member says nothing to its group; one that unsubscribes first leaves it.  So
who takes the member's place, and then unsubscribes, has calls it up.
"""

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any, Final

import confluent_kafka
from confluent_kafka import KafkaException

from topics.bus import BusUnavailableError
from topics.kafka.errors import raise_bus_error
from topics.kafka.settings import LOGGER, REQUEST_TIMEOUT_S

_POLL_S: Final = 0.05
_LEAVE_S: Final = 0.5  # the request to leave goes out in the polls behind the revocation


class _Place:
    """Whether the group let us in: then the place is ours, and nothing is read."""

    def __init__(self) -> None:
        self.is_ours = False

    def taken(self, client: Any, _partitions: Sequence[Any]) -> None:
        self.is_ours = True
        client.assign([])

    def left(self, client: Any, _partitions: Sequence[Any]) -> None:
        client.unassign()


def vacate(settings: Mapping[str, object], topics: Sequence[str]) -> None:
    """Join as the member that the settings name, and leave for good; nothing is read.

    Raises BusUnavailableError where the group does not let it in within `REQUEST_TIMEOUT_S`, BusError where
    it is refused.
    """
    place = _Place()
    # A client without callbacks would begin to read what it gets.
    client = confluent_kafka.Consumer(dict(settings), logger=LOGGER)
    try:
        client.subscribe(
            list(topics),
            on_assign=place.taken,
            on_revoke=place.left,
        )
        until_s = monotonic() + REQUEST_TIMEOUT_S
        while not place.is_ours:
            if monotonic() > until_s:
                raise BusUnavailableError(
                    f"group {settings['group.id']} did not let us in within {REQUEST_TIMEOUT_S:.0f} s: its "
                    "members may be in the middle of a rebalance; try again"
                )
            client.poll(_POLL_S)
        client.unsubscribe()
        until_s = monotonic() + _LEAVE_S
        while monotonic() < until_s:
            client.poll(_POLL_S)
    except KafkaException as raised:
        raise_bus_error(raised, "leaving the group")
    finally:
        client.close()
