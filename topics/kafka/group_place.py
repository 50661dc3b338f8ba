"""The place in a group that positions come from, in a transaction: a member's, the one it lost, or none."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import confluent_kafka

from topics.bus import AbortableError, Rebalance
from topics.kafka.settings import LOGGER


class GroupPlace:
    """The place of one consumer, which outlives its loss while the consumer asks whether to join again."""

    def __init__(self, settings: Mapping[str, object]) -> None:
        self._settings = settings
        self._taken: object | None = None
        self._instead: object | None = None

    @property
    def asking(self) -> bool:
        """Whether `Rebalance.rejoining` is under way."""
        return self._instead is not None

    def take(self, client: Any) -> None:
        """Remember the place as a member gets partitions: once it lost them, its client may not know."""
        with suppress(RuntimeError):  # it has lost the place already, and is told so next
            self._taken = client.consumer_group_metadata()

    def metadata(self, client: Any) -> object:
        """What a transaction is told with positions; raises AbortableError where there is no place now."""
        if self._instead is not None:
            return self._instead
        try:
            return client.consumer_group_metadata()
        except RuntimeError as absent:  # the client's word for having no place in the group at this moment
            raise AbortableError(
                f"sending positions to the transaction: {absent}; go back and join"
            ) from None

    def ask(self, rebalance: Rebalance, *, as_nobody: bool = False) -> None:
        """Call `rejoining`, where positions go out as from the last place taken, or from none.

        Without one the broker asks only whose the transactional id is.
        """
        self._instead = self._nobodys() if as_nobody else self._taken
        try:
            rebalance.rejoining()
        finally:
            self._instead = None

    def _nobodys(self) -> object:
        no_member = {name: value for name, value in self._settings.items() if name != "group.instance.id"}
        client = confluent_kafka.Consumer(no_member, logger=LOGGER)
        try:
            place: object = client.consumer_group_metadata()
        finally:
            client.close()
        return place
