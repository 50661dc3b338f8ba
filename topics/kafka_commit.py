"""Commits of a group's positions outside any transaction: tried again while nobody answers, else sorted."""

from collections.abc import Mapping
from time import sleep
from typing import Any, Final

import confluent_kafka
from confluent_kafka import KafkaException

from topics.block import TopicPartition
from topics.bus import AbortableError, Position
from topics.kafka_errors import AWAY, MOVED_ON, bus_error, error_of
from topics.kafka_outage import Outage

ATTEMPTS_MAX: Final = 5  # each waits for as long as the client does
AGAIN_S: Final = 0.2

_DOING: Final = "committing the group's positions"


def commit_positions(client: Any, offsets: Mapping[TopicPartition, Position], outage: Outage) -> None:
    """Commit positions as this member; returns once they count.

    Raises AbortableError where the group has moved on without this member, or where no attempt was answered
    (whether one counts is then to be read back), and FencedError where another client took its place.
    """
    positions = [
        confluent_kafka.TopicPartition(place.topic, place.partition, position.offset, position.metadata)
        for place, position in offsets.items()
    ]
    error = None
    for _ in range(ATTEMPTS_MAX if positions else 0):
        error = _attempt(client, positions)
        if error is None:
            outage.over()
            return
        if error.name() in MOVED_ON:
            break
        if error.name() not in AWAY:
            raise bus_error(error, _DOING)
        outage.tell(error)
        sleep(AGAIN_S)
    if error is not None:
        raise AbortableError(f"{_DOING}: read them back and go on from there: {error.str()}")


def _attempt(client: Any, positions: list[Any]) -> Any:
    """Return the first error, None where all positions count."""
    try:
        answers = client.commit(offsets=positions, asynchronous=False)
    except KafkaException as raised:
        return error_of(raised)
    return next((answer.error for answer in answers if answer.error is not None), None)
