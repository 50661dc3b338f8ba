"""The group's committed positions, asked for again while the group's coordinator is being found.

A broker that has just started refuses at once, for moments, to be anybody's coordinator; the client hands
that on without waiting.
"""

from collections.abc import Sequence
from time import monotonic, sleep
from typing import Any, Final

import confluent_kafka
from confluent_kafka import KafkaException

from topics.block import TopicPartition
from topics.bus import Position
from topics.kafka_errors import AWAY, bus_error, error_of
from topics.kafka_outage import Outage
from topics.kafka_settings import REQUEST_TIMEOUT_S

AGAIN_S: Final = 0.1
ATTEMPT_S_MIN: Final = 1.0


def committed_positions(
    client: Any, partitions: Sequence[TopicPartition], outage: Outage, patience_s: float = REQUEST_TIMEOUT_S
) -> dict[TopicPartition, Position | None]:
    """Return the position of each partition, None where there is none.

    Raises BusUnavailableError where nobody answers for `patience_s`, and at once what will not pass.
    """
    until_s = monotonic() + patience_s
    asked = [confluent_kafka.TopicPartition(place.topic, place.partition) for place in partitions]
    while True:
        doing = "reading the group's committed positions"
        try:
            found = client.committed(asked, timeout=max(ATTEMPT_S_MIN, until_s - monotonic()))
        except KafkaException as raised:
            error = error_of(raised)
        else:
            failed = next((place for place in found if place.error is not None), None)
            if failed is None:
                outage.over()
                return {TopicPartition(place.topic, place.partition): _position(place) for place in found}
            error, doing = failed.error, f"reading the position of {failed.topic}[{failed.partition}]"
        if error.name() not in AWAY or monotonic() >= until_s:
            raise bus_error(error, doing)
        outage.tell(error)
        sleep(AGAIN_S)


def _position(place: Any) -> Position | None:
    return Position(place.offset, place.metadata or "") if place.offset >= 0 else None
