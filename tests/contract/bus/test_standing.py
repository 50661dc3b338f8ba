"""Laws of what is seen from outside: who owns what, how far a group is, what an open transaction hides."""

import pytest

from tests.contract.bus.scenes import (
    Member,
    Scene,
    await_committed,
    commit_position,
    in_transaction,
    ranges_when,
    turn_until,
)
from topics.block import TopicPartition
from topics.bus import BusError, LogRange, Position


def test_a_group_that_nobody_joined_is_empty(scene: Scene) -> None:
    standing = scene.bus.admin().group(scene.name("group"))
    assert (standing.state, standing.members, dict(standing.committed)) == ("empty", (), {})


def test_each_member_is_told_with_what_it_owns(scene: Scene) -> None:
    topic = scene.topic(partitions=2)
    group = scene.name("group")
    members = [Member(scene.bus, group, [topic]) for _ in range(2)]
    turn_until(members, lambda: all(len(member.owned) == 1 for member in members))
    admin = scene.bus.admin()
    turn_until(members, lambda: admin.group(group).state == "stable")
    told = admin.group(group).members
    assert {member.partitions for member in told} == {frozenset(member.owned) for member in members}
    assert {member.client_id for member in told} == {"tidemark"}
    for member in members:
        member.consumer.close()
    assert admin.group(group).members == ()


def test_a_group_without_members_keeps_what_it_committed(scene: Scene) -> None:
    topic = scene.topic(partitions=2)
    group = scene.name("group")
    member = Member(scene.bus, group, [topic])
    turn_until([member], lambda: len(member.owned) == 2)
    producer = scene.bus.producer(transactional_id=scene.name("id"))
    commit_position(producer, member.consumer, TopicPartition(topic, 1), Position(7, "told"))
    member.consumer.close()
    await_committed(scene, group, {TopicPartition(topic, 1): Position(7, "told")})
    assert scene.bus.admin().group(group).state == "empty"


def test_a_group_is_deleted_once_nobody_is_in_it_with_what_it_committed(scene: Scene) -> None:
    topic = scene.topic()
    group = scene.name("group")
    member = Member(scene.bus, group, [topic])
    turn_until([member], lambda: len(member.owned) == 1)
    producer = scene.bus.producer(transactional_id=scene.name("id"))
    commit_position(producer, member.consumer, TopicPartition(topic, 0), Position(7, "words"))
    admin = scene.bus.admin()
    with pytest.raises(BusError, match=f"group {group} could not be deleted"):
        admin.delete_group(group)
    member.consumer.close()
    admin.delete_group(group)
    assert dict(admin.group(group).committed) == {}
    admin.delete_group(group)


def test_a_position_in_an_open_transaction_is_not_waited_for_and_not_told(scene: Scene) -> None:
    topic = scene.topic()
    place = TopicPartition(topic, 0)
    group = scene.name("group")
    reader = scene.reader((topic, 0, 0), group=group)
    producer = scene.bus.producer(transactional_id=scene.name("id"))
    commit_position(producer, reader, place, Position(1, "before"))
    await_committed(scene, group, {place: Position(1, "before")})
    producer.begin()
    producer.send_offsets({place: Position(2, "after")}, reader)
    assert dict(scene.bus.admin().group(group).committed) == {place: Position(1, "before")}
    producer.commit()
    await_committed(scene, group, {place: Position(2, "after")})


def test_an_open_transaction_holds_the_stable_offset_below_the_high_one(scene: Scene) -> None:
    topic = scene.topic()
    place = TopicPartition(topic, 0)
    scene.write(topic, b"a", b"b")
    admin = scene.bus.admin()
    assert admin.ranges([place]) == {place: LogRange(0, 2, 2)}
    producer = scene.bus.producer(transactional_id=scene.name("id"))
    in_transaction(producer, topic, b"c")
    # A producer sends, and a broker ends a transaction, in its own time.
    hidden = ranges_when(scene, place, lambda found: found.high > found.stable)
    assert hidden == LogRange(0, 2, 3)
    producer.commit()
    shown = ranges_when(scene, place, lambda found: found.high == found.stable)
    assert shown == LogRange(0, 4, 4), "the transaction's marker takes an offset too"


def test_a_partition_that_is_not_there_is_named(scene: Scene) -> None:
    absent = scene.name("absent")
    with pytest.raises(BusError, match=absent):
        scene.bus.admin().ranges([TopicPartition(absent, 0)])


def test_positions_are_committed_for_a_group_that_nobody_is_in_and_others_stay(scene: Scene) -> None:
    topic, group = scene.topic(partitions=2), scene.name("group")
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    admin = scene.bus.admin()
    admin.commit_group(group, {})
    admin.commit_group(group, {first: Position(0, "a" * 4_000)})
    admin.commit_group(group, {second: Position(3, "b")})
    await_committed(scene, group, {first: Position(0, "a" * 4_000), second: Position(3, "b")})
    with pytest.raises(BusError, match="negative"):
        admin.commit_group(group, {first: Position(-1)})


def test_positions_of_a_group_with_members_or_of_no_topic_are_refused(scene: Scene) -> None:
    topic, group = scene.topic(), scene.name("group")
    place = TopicPartition(topic, 0)
    member = Member(scene.bus, group, [topic])
    turn_until([member], lambda: member.owned == {place})
    admin = scene.bus.admin()
    with pytest.raises(BusError, match=f"positions of group {group} could not be committed"):
        admin.commit_group(group, {place: Position(1)})
    member.consumer.close()
    with pytest.raises(BusError):
        admin.commit_group(group, {TopicPartition(scene.name("absent"), 0): Position(1)})
    assert admin.group(group).committed == {}


def test_limits_of_brokers_are_whole_numbers_and_what_none_tells_is_left_out(scene: Scene) -> None:
    told = scene.bus.admin().broker_limits(["message.max.bytes", "no.such.setting"])
    assert told.keys() == (set() if scene.bus.name == "embedded" else {"message.max.bytes"})
    assert all(value > 0 for value in told.values())
