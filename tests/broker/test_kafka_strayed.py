"""Laws of a consumer whose client lost its group for good: another client goes on in its place."""

from collections.abc import Sequence
from typing import Any, Final

import confluent_kafka
import pytest
from confluent_kafka import KafkaError, KafkaException

from tests.contract.bus.conftest import HASTY
from tests.contract.bus.scenes import Member, Scene, turn_until
from topics.block import TopicPartition
from topics.bus import Bus, Position
from topics.kafka import committed as kafka_committed
from topics.kafka import consumer as kafka_consumer
from topics.kafka.bus import KafkaBus
from topics.kafka.settings import GroupProtocol

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.takes_s(25)]

ROWS: Final = 20


class Untold(confluent_kafka.Consumer):  # type: ignore[misc]
    """A client that is never told the group's positions."""

    def committed(self, *_: object, **__: object) -> list[Any]:
        raise KafkaException(KafkaError(KafkaError.REQUEST_TIMED_OUT))


class Outside(Untold):
    """A client that never comes to its group."""

    def subscribe(self, *_: object, **__: object) -> None:
        pass


class Forgetful(Member):
    """Remembers only what it has read since it lost partitions."""

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        super().lost(partitions)
        self.read.clear()


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_consumer, "REQUEST_TIMEOUT_S", 3.0)
    monkeypatch.setattr(kafka_committed, "_LAST_ATTEMPT_S", 0.2)


def member_of(patch: pytest.MonkeyPatch, client: type[Untold], bus: Bus, group: str, topic: str) -> Member:
    """A member whose first client is a `client`."""
    with patch.context() as patched:
        patched.setattr(confluent_kafka, "Consumer", client)
        return Forgetful(bus, group, [topic])


@pytest.mark.parametrize(
    ("protocol", "own"),
    [("classic", HASTY), ("classic", {**HASTY, "consumer.group.instance.id": "name"}), ("consumer", {})],
)
def test_a_member_that_lost_its_group_joins_with_another_client(
    kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch, protocol: GroupProtocol, own: dict[str, str]
) -> None:
    bus = KafkaBus(kafka_bootstrap, own, group_protocol=protocol)
    scene = Scene(bus)
    topic, group = scene.topic(partitions=2), scene.name("group")
    places = {TopicPartition(topic, number) for number in range(2)}
    first = Member(bus, group, [topic])
    turn_until([first], lambda: first.owned == places)
    first.consumer.commit({place: Position(3, "told") for place in places})
    first.consumer.close()
    for number in range(ROWS):
        scene.write(topic, b"%d" % number, partition=number % 2)

    member = member_of(monkeypatch, Untold, bus, group, topic)
    lost = ("lost", tuple(sorted(places)))
    turn_until([member], lambda: lost in member.diary and len(member.read) >= ROWS - 2 * 3)
    assert member.starts == dict.fromkeys(sorted(places), 3)
    assert sorted(member.read) == [(place, row) for place in sorted(places) for row in range(3, ROWS // 2)]
    assert member.owned == places
    member.consumer.commit(dict.fromkeys(places, Position(ROWS // 2)))
    member.consumer.close()


def test_a_member_that_owns_nothing_asks_whether_its_client_still_finds_the_group(
    kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_committed, "OWNING_NOTHING_S", 0.5)
    scene = Scene(KafkaBus(kafka_bootstrap, HASTY))
    topic = scene.topic()
    member = member_of(monkeypatch, Outside, scene.bus, scene.name("group"), topic)
    turn_until([member], lambda: member.owned == {TopicPartition(topic, 0)})
    assert [told for told, _ in member.diary] == ["assigned"]
    member.consumer.close()


def test_a_consumer_that_is_no_member_goes_on_from_where_it_was(
    kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(KafkaBus(kafka_bootstrap, HASTY))
    topic = scene.topic()
    place = TopicPartition(topic, 0)
    scene.write(topic, b"0", b"1", b"2")
    with monkeypatch.context() as patched:
        patched.setattr(confluent_kafka, "Consumer", Untold)
        consumer = scene.bus.consumer(group=scene.name("group"))
    consumer.assign({place: 1})
    assert consumer.committed([place]) == {place: None}
    consumer.commit({place: Position(1)})
    assert consumer.committed([place]) == {place: Position(1)}
    read: list[int] = []
    while len(read) < 2:
        read += consumer.poll(messages_max=10, wait_ms=100).offset.tolist()
    assert read == [1, 2]
    consumer.close()
