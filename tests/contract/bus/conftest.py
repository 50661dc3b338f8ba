"""Every scene runs on both buses: what one does, the other does."""

from collections.abc import Iterator

import pytest

from tests.contract.bus.scenes import Scene
from topics.kafka import KafkaBus
from topics.memory import MemoryBus

# Short waits, so that a scene of two members takes tenths of a second.
HASTY = {
    "consumer.heartbeat.interval.ms": "50",
    "consumer.session.timeout.ms": "6000",
    "consumer.fetch.wait.max.ms": "10",
    "producer.linger.ms": "0",
}
# The broker sets the rest where members speak the consumer protocol (docker/kafka/kafka.sh).
HASTY_CONSUMER_PROTOCOL = {
    key: value for key, value in HASTY.items() if "session" not in key and "heartbeat" not in key
}

BUSES = ["embedded", pytest.param("kafka", marks=pytest.mark.broker)]
# What concerns members of a group holds under both protocols.
GROUP_BUSES = [*BUSES, pytest.param("kafka, consumer protocol", marks=pytest.mark.broker)]


@pytest.fixture(params=BUSES)
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    if request.param == "kafka, consumer protocol":
        bootstrap = request.getfixturevalue("kafka_bootstrap")
        scene = Scene(KafkaBus(bootstrap, HASTY_CONSUMER_PROTOCOL, group_protocol="consumer"))
    elif request.param == "kafka":
        scene = Scene(KafkaBus(request.getfixturevalue("kafka_bootstrap"), HASTY))
    else:
        scene = Scene(MemoryBus())
    yield scene
    scene.bus.admin().delete(scene.topics)
