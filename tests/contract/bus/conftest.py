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


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.broker)])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    if request.param == "kafka":
        scene = Scene(KafkaBus(request.getfixturevalue("kafka_bootstrap"), HASTY))
    else:
        scene = Scene(MemoryBus())
    yield scene
    scene.bus.admin().delete(scene.topics)
