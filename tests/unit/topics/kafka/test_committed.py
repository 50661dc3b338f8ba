"""Laws of asking for committed positions: a coordinator that is not ready yet is asked again."""

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as Place

from topics.block import TopicPartition
from topics.bus import BusError, BusUnavailableError, Position
from topics.kafka.committed import committed_positions
from topics.kafka.outage import Outage

HERE, THERE = TopicPartition("topic", 0), TopicPartition("topic", 1)


class Answers:
    """A client that refuses with each of these errors, one a call, and then answers."""

    def __init__(self, *refusals: int) -> None:
        self.refusals = list(refusals)
        self.said: list[str] = []

    def committed(self, places: list[Place], timeout: float) -> list[Place]:
        assert timeout > 0
        if self.refusals:
            raise KafkaException(KafkaError(self.refusals.pop(0)))
        return [Place("topic", 0, 7, "told"), Place("topic", 1, -1001)][: len(places)]

    @property
    def outage(self) -> Outage:
        return Outage(self.said.append)


def test_a_broker_that_is_not_the_coordinator_yet_is_asked_again() -> None:
    client = Answers(KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS)
    found = committed_positions(client, [HERE, THERE], client.outage)
    assert found == {HERE: Position(7, "told"), THERE: None}
    assert client.refusals == []
    assert client.said


def test_patience_ends() -> None:
    client = Answers(*[KafkaError.NOT_COORDINATOR] * 3)
    with pytest.raises(BusUnavailableError, match="the broker does not answer"):
        committed_positions(client, [HERE], client.outage, patience_s=0)
    assert len(client.refusals) == 2


def test_a_missing_right_is_told_at_once() -> None:
    client = Answers(KafkaError.GROUP_AUTHORIZATION_FAILED)
    with pytest.raises(BusError, match="lacks a right on the group"):
        committed_positions(client, [HERE], client.outage)
    assert client.said == []
