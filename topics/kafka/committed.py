"""The group's committed positions, asked for again while the group's coordinator is being found.

A broker that has just started refuses at once, for moments, to be anybody's coordinator; the client hands
that on without waiting.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic, sleep
from typing import Any, Final

import confluent_kafka
from confluent_kafka import KafkaException

from topics.block import TopicPartition
from topics.bus import BusUnavailableError, Position
from topics.kafka.errors import AWAY, bus_error, error_of
from topics.kafka.outage import Outage
from topics.kafka.places import kafka_place
from topics.kafka.settings import LOGGER, REQUEST_TIMEOUT_S

AGAIN_S: Final = 0.1
ATTEMPT_S_MIN: Final = 1.0
OWNING_NOTHING_S: Final = 60.0
_LAST_ATTEMPT_S: Final = 5.0


def committed_positions(
    client: Any, partitions: Sequence[TopicPartition], outage: Outage, patience_s: float = REQUEST_TIMEOUT_S
) -> dict[TopicPartition, Position | None]:
    """Return the position of each partition, None for a partition without one.

    Raises BusUnavailableError without an answer for `patience_s`, and at once an error that will not pass.
    """
    until_s = monotonic() + patience_s
    places = [kafka_place(place) for place in partitions]
    while True:
        doing = "reading the group's committed positions"
        try:
            answers = client.committed(places, timeout=max(ATTEMPT_S_MIN, until_s - monotonic()))
        except KafkaException as raised:
            error = error_of(raised)
        else:
            failed = next((place for place in answers if place.error is not None), None)
            if failed is None:
                outage.over()
                return {TopicPartition(place.topic, place.partition): _position(place) for place in answers}
            error, doing = failed.error, f"reading the position of {failed.topic}[{failed.partition}]"
        if error.name() not in AWAY or monotonic() >= until_s:
            raise bus_error(error, doing)
        outage.tell(error)
        sleep(AGAIN_S)


class GroupPositions:
    """The positions of one consumer's group, and whether its client can still find the group.

    A question for the coordinator that librdkafka (2.12.1) has just handed to a broker which it then drops
    is taken for the client's end: the client waits for the answer and never asks again.  It has `strayed`
    if another client of the same group gets the positions and it does not.
    """

    def __init__(self, settings: Mapping[str, object], outage: Outage) -> None:
        self._settings = settings
        self._outage = outage
        self._owning_s = monotonic()  # when the consumer last owned anything
        self.strayed = False

    def read(
        self, client: Any, partitions: Sequence[TopicPartition], patience_s: float
    ) -> dict[TopicPartition, Position | None]:
        """Return the committed positions, if need be as another client gets them.

        Raises BusUnavailableError where no client gets them for `patience_s`.
        """
        try:
            return committed_positions(client, partitions, self._outage, patience_s)
        except BusUnavailableError:
            positions = self._through_another_client(partitions, patience_s)
        try:  # perhaps they can be had since just now
            return committed_positions(client, partitions, self._outage, _LAST_ATTEMPT_S)
        except BusUnavailableError:
            self.strayed = True
        return positions

    def look(self, client: Any, topic: str, *, owning: bool) -> None:
        """Ask now and then, where the consumer owns nothing: for want of work, or of its group."""
        now_s = monotonic()
        if owning:
            self._owning_s = now_s
        elif now_s - self._owning_s > OWNING_NOTHING_S:
            with suppress(BusUnavailableError):
                self.read(client, [TopicPartition(topic, 0)], _LAST_ATTEMPT_S)
            self._owning_s = monotonic()

    def _through_another_client(
        self, partitions: Sequence[TopicPartition], patience_s: float
    ) -> dict[TopicPartition, Position | None]:
        no_member = {name: value for name, value in self._settings.items() if name != "group.instance.id"}
        client = confluent_kafka.Consumer(no_member, logger=LOGGER)
        try:
            return committed_positions(client, partitions, self._outage, patience_s)
        finally:
            client.close()


def _position(place: Any) -> Position | None:
    return Position(place.offset, place.metadata or "") if place.offset >= 0 else None
