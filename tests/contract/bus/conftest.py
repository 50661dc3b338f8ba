"""Every scene runs on both buses, and on Kafka with both ways to read: what one does, the others do."""

from collections.abc import Iterator

import pytest

from tests.contract.bus.scenes import Scene
from topics.kafka.bus import KafkaBus
from topics.memory.bus import MemoryBus

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

# Both ways to read: what one does, the other does.
READINGS = ("native", "plain")
BUSES = ["embedded", *(pytest.param(f"kafka {reading}", marks=pytest.mark.broker) for reading in READINGS)]
# What concerns members of a group holds under both protocols.
CONSUMER_PROTOCOL = "consumer protocol"
GROUP_BUSES = [
    *BUSES,
    *(
        pytest.param(f"kafka {reading}, {CONSUMER_PROTOCOL}", marks=pytest.mark.broker)
        for reading in READINGS
    ),
]


@pytest.fixture(params=BUSES)
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    if request.param == "embedded":
        scene = Scene(MemoryBus())
    else:
        bootstrap = request.getfixturevalue("kafka_bootstrap")
        words = request.param.removeprefix("kafka ")
        if words.endswith(CONSUMER_PROTOCOL):
            bus = KafkaBus(
                bootstrap, HASTY_CONSUMER_PROTOCOL, group_protocol="consumer", reading=words.split(",")[0]
            )
        else:
            bus = KafkaBus(bootstrap, HASTY, reading=words)
        scene = Scene(bus)
    yield scene
    scene.bus.admin().delete(scene.topics)
