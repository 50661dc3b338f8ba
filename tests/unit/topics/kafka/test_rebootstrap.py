"""Laws of a client that was told of no brokers: it finds them again, whatever librdkafka makes of it."""

from collections.abc import Callable
from threading import enumerate as enumerate_threads
from time import monotonic

import confluent_kafka
import pytest

from tests.unit.topics.kafka.metadata_broker import TOPIC, MetadataBroker
from topics.block import TopicPartition
from topics.bus import Consumer, Producer
from topics.kafka.bus import KafkaBus
from topics.kafka.rebootstrap import Rebootstrap

PATIENCE_S = 15.0
# Left to itself such a client always stays without a broker; by default it does now and then.
LEFT_ALONE = {"metadata.recovery.strategy": "none", "topic.metadata.refresh.interval.ms": "200"}


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> MetadataBroker:
    monkeypatch.setattr("topics.kafka.rebootstrap.CHECK_EVERY_S", 0.1)
    return MetadataBroker()


def consumer_of(bus: KafkaBus) -> tuple[Consumer, Callable[[], object]]:
    consumer = bus.consumer(group="group")
    consumer.assign({TopicPartition(TOPIC, 0): 0})
    return consumer, lambda: consumer.poll(messages_max=1, wait_ms=10)


def producer_of(bus: KafkaBus) -> tuple[Producer, Callable[[], object]]:
    producer = bus.producer()
    producer.produce(TOPIC, partition=0, key=None, value=b"never acknowledged")
    mark = producer.mark()
    return producer, lambda: producer.reached(mark)


@pytest.mark.parametrize("client_of", [consumer_of, producer_of])
def test_a_client_that_was_told_of_no_brokers_finds_them_again(
    broker: MetadataBroker,
    monkeypatch: pytest.MonkeyPatch,
    client_of: Callable[[KafkaBus], tuple[Consumer | Producer, Callable[[], object]]],
) -> None:
    monkeypatch.setattr("topics.kafka.producer.REQUEST_TIMEOUT_S", 0.5)
    client, serve = client_of(KafkaBus(broker.bootstrap, LEFT_ALONE))
    turn_until(serve, lambda: broker.told > 0)
    broker.just_started = True
    turn_until(serve, lambda: broker.told_nothing > 0)
    broker.just_started, before = False, broker.told
    turn_until(serve, lambda: broker.told > before + 3)
    client.close()


def test_a_closed_client_is_watched_no_more(broker: MetadataBroker) -> None:
    before = set(enumerate_threads())  # other tests' clients may be there still
    consumer, _ = consumer_of(KafkaBus(broker.bootstrap))
    watching = {thread for thread in enumerate_threads() if thread.name == "tidemark-bootstrap"} - before
    assert len(watching) == 1
    consumer.close()
    assert not watching & set(enumerate_threads())


def test_a_broker_is_waited_for_until_it_answers(broker: MetadataBroker) -> None:
    settings = {"bootstrap.servers": broker.bootstrap, "client.id": "waits"}
    client = confluent_kafka.Producer(settings)
    rebootstrap = Rebootstrap(client, settings)
    rebootstrap.await_broker(PATIENCE_S)
    assert broker.told > 0
    rebootstrap.close()


def turn_until(serve: Callable[[], object], holds: Callable[[], bool]) -> None:
    until_s = monotonic() + PATIENCE_S
    while not holds():
        assert monotonic() < until_s, "the broker is asked no more"
        serve()
