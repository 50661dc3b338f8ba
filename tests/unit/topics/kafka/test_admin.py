"""Laws of asking for offsets: a partition that its broker does not lead yet is asked for again."""

import gc
import weakref
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as Place

from topics.block import TopicPartition
from topics.bus import BusError, BusUnavailableError, LogRange, TopicSpec
from topics.kafka import admin as kafka_admin
from topics.kafka.admin import KafkaAdmin

TOPIC = "topic"
PLACES = [TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)]


class Answers:
    """A client that creates topics, and refuses offsets with each of these errors before it tells them."""

    def __init__(self, *refusals: int) -> None:
        self.refusals = list(refusals)
        self.asked: list[list[int]] = []

    def create_topics(self, topics: list[Any], **_: object) -> dict[str, Future[None]]:
        return {topic.topic: _done(None) for topic in topics}

    def list_topics(self, **_: object) -> Any:
        leaders = {place.partition: SimpleNamespace(leader=1) for place in PLACES}
        return SimpleNamespace(topics={TOPIC: SimpleNamespace(partitions=leaders)})

    def list_offsets(self, places: dict[Place, Any], **_: object) -> dict[Place, Future[Any]]:
        self.asked.append([place.partition for place in places])
        told = {place: _done(SimpleNamespace(offset=7)) for place in places}
        if self.refusals:
            refused: Future[Any] = Future()
            refused.set_exception(KafkaException(KafkaError(self.refusals.pop(0))))
            told[next(iter(places))] = refused
        return told


@pytest.fixture
def make_admin(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(client: Answers) -> KafkaAdmin:
        monkeypatch.setattr(kafka_admin, "AdminClient", lambda settings, logger: client)
        return KafkaAdmin({})

    return make


def test_a_broker_that_does_not_lead_yet_is_asked_again(make_admin: Any) -> None:
    client = Answers(KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
    assert make_admin(client).ranges(PLACES) == dict.fromkeys(PLACES, LogRange(7, 7, 7))
    assert client.refusals == []


def test_a_created_topic_answers_for_each_partition(make_admin: Any) -> None:
    client = Answers(KafkaError.NOT_LEADER_FOR_PARTITION)
    make_admin(client).create([TopicSpec(name=TOPIC, partitions=2, configs={})])
    assert client.refusals == []
    assert client.asked[-1] == [0, 1]


def test_patience_ends(make_admin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_admin, "REQUEST_TIMEOUT_S", 0.0)
    client = Answers(*[KafkaError.NOT_LEADER_FOR_PARTITION] * 9)
    with pytest.raises(BusUnavailableError, match=r"topic\[0\] could not be read"):
        make_admin(client).ranges(PLACES)
    assert client.refusals


def test_a_partition_that_is_not_there_is_told_at_once(make_admin: Any) -> None:
    client = Answers(KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.NOT_LEADER_FOR_PARTITION)
    with pytest.raises(BusError, match=r"topic\[0\] could not be read"):
        make_admin(client).ranges(PLACES)
    assert len(client.refusals) == 1


def _done(result: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(result)
    return future


def test_an_admin_goes_with_its_last_reference() -> None:
    """Were it in a cycle, a collection of garbage in its own thread would end the process."""
    gc.disable()
    try:
        admin = KafkaAdmin({"bootstrap.servers": "127.0.0.1:1", "client.id": "gone"})
        alive = weakref.ref(admin)
        del admin
        assert alive() is None
    finally:
        gc.enable()
