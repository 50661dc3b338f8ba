"""Laws of commits outside transactions: they count for the member that owns, and for no other."""

import pytest

from tests.contract.bus.conftest import GROUP_BUSES
from tests.contract.bus.scenes import Member, Scene, turn_until
from topics.block import TopicPartition
from topics.bus import AbortableError, BusError, Position

pytestmark = pytest.mark.parametrize("scene", GROUP_BUSES, indirect=True)


def test_positions_and_their_metadata_count_at_once(scene: Scene) -> None:
    topic = scene.topic(partitions=2)
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    member = Member(scene.bus, scene.name("group"), [topic])
    turn_until([member], lambda: len(member.owned) == 2)
    member.consumer.commit({first: Position(7, '{"frontier_ns": 1}')})
    found = member.consumer.committed([first, second])
    assert found == {first: Position(7, '{"frontier_ns": 1}'), second: None}
    member.consumer.commit({first: Position(2, "back"), second: Position(0)})
    assert member.consumer.committed([first]) == {first: Position(2, "back")}
    member.consumer.close()


def test_a_member_that_owns_nothing_commits_nothing(scene: Scene) -> None:
    topic = scene.topic()
    member = Member(scene.bus, scene.name("group"), [topic])
    with pytest.raises(AbortableError):
        member.consumer.commit({TopicPartition(topic, 0): Position(1)})
    member.consumer.close()


def test_revoked_is_the_last_chance_without_a_transaction_too(scene: Scene) -> None:
    topic = scene.topic(partitions=2)
    group = scene.name("group")
    first = Member(scene.bus, group, [topic])
    turn_until([first], lambda: len(first.owned) == 2)
    first.on_revoked = lambda: first.consumer.commit(
        {place: Position(0, "handed over") for place in first.owned}
    )
    second = Member(scene.bus, group, [topic])
    turn_until([first, second], lambda: len(first.owned) == len(second.owned) == 1)
    found = second.consumer.committed(sorted(second.owned))
    assert set(found.values()) == {Position(0, "handed over")}
    first.on_revoked = lambda: None
    for member in (first, second):
        member.consumer.close()


def test_more_metadata_than_a_broker_takes_is_refused_with_the_figure(scene: Scene) -> None:
    topic = scene.topic()
    member = Member(scene.bus, scene.name("group"), [topic])
    turn_until([member], lambda: len(member.owned) == 1)
    with pytest.raises(BusError, match="4096 bytes"):
        member.consumer.commit({TopicPartition(topic, 0): Position(1, "x" * 4_096)})
    member.consumer.close()


def test_a_commit_that_was_begun_counts_once_it_is_over(scene: Scene) -> None:
    topic = scene.topic()
    place = TopicPartition(topic, 0)
    member = Member(scene.bus, scene.name("group"), [topic])
    turn_until([member], lambda: len(member.owned) == 1)
    member.consumer.commit_soon({place: Position(7, "begun")})
    turn_until([member], lambda: not member.consumer.committing())
    assert member.consumer.committed([place]) == {place: Position(7, "begun")}
    member.consumer.commit_soon({place: Position(8, "waited for")})
    assert not member.consumer.committing(wait=True)
    assert member.consumer.committed([place]) == {place: Position(8, "waited for")}
    member.consumer.close()


def test_a_member_that_owns_nothing_begins_no_commit(scene: Scene) -> None:
    topic = scene.topic()
    member = Member(scene.bus, scene.name("group"), [topic])
    with pytest.raises(AbortableError):
        member.consumer.commit_soon({TopicPartition(topic, 0): Position(1)})
    assert not member.consumer.committing()
    member.consumer.close()


def test_a_consumer_closes_with_a_commit_under_way(scene: Scene) -> None:
    topic = scene.topic()
    member = Member(scene.bus, scene.name("group"), [topic])
    turn_until([member], lambda: len(member.owned) == 1)
    member.consumer.commit_soon({TopicPartition(topic, 0): Position(7)})
    member.consumer.close()
    assert member.owned == set()
