"""Every scene runs on both buses, and on Kafka with both ways to read: what one does, the others do."""

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


KAFKA = [
    pytest.param(reading, marks=pytest.mark.broker, id=f"kafka-{reading}") for reading in ("native", "plain")
]


@pytest.fixture(params=["embedded", *KAFKA])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    if request.param == "embedded":
        scene = Scene(MemoryBus())
    else:
        bootstrap = request.getfixturevalue("kafka_bootstrap")
        scene = Scene(KafkaBus(bootstrap, HASTY, reading=request.param))
    yield scene
    scene.bus.admin().delete(scene.topics)
