"""Laws of partition counts: as they are now, and answered without a wait in between."""

from time import monotonic

import pytest

from tests.contract.bus.conftest import GROUP_BUSES
from tests.contract.bus.grown import add_partitions
from tests.contract.bus.scenes import PATIENCE_S, Member, Scene, turn_until
from topics.block import TopicPartition
from topics.bus import BusUnavailableError


def test_counts_are_those_of_each_topic(scene: Scene) -> None:
    one, three = scene.topic(), scene.topic(partitions=3)
    answer = scene.bus.admin().request_counts([one, three])
    assert answer() == {one: 1, three: 3}


def test_partitions_that_were_added_count_in_the_next_answer(scene: Scene) -> None:
    topic, admin = scene.topic(partitions=2), scene.bus.admin()
    assert admin.request_counts([topic])() == {topic: 2}
    add_partitions(scene.bus, topic, 5)
    until_s = monotonic() + PATIENCE_S
    while admin.request_counts([topic])() != {topic: 5}:
        assert monotonic() < until_s, "the answer stays as it was"


def test_a_topic_that_no_broker_knows_may_come_back(scene: Scene) -> None:
    answer = scene.bus.admin().request_counts([scene.name("absent")])
    with pytest.raises(BusUnavailableError, match="absent"):
        answer()


@pytest.mark.takes_s(40)
@pytest.mark.parametrize("scene", GROUP_BUSES, indirect=True)
def test_a_member_is_given_the_partitions_that_are_added(scene: Scene) -> None:
    topic = scene.topic(partitions=1)
    member = Member(scene.bus, scene.name("group"), [topic])
    turn_until([member], lambda: member.owned == {TopicPartition(topic, 0)})
    add_partitions(scene.bus, topic, 2)
    turn_until([member], lambda: member.owned == {TopicPartition(topic, 0), TopicPartition(topic, 1)})
    member.consumer.close()
