"""Laws of consumer groups: each partition has one owner, and an owner that was replaced cannot commit."""

from time import sleep

import pytest

from tests.contract.bus.conftest import GROUP_BUSES
from tests.contract.bus.scenes import Member, Scene, commit_position, turn_until
from topics.block import TopicPartition
from topics.bus import AbortableError, BusError, FencedError, Position

pytestmark = pytest.mark.parametrize("scene", GROUP_BUSES, indirect=True)


def places(topic: str, *partitions: int) -> set[TopicPartition]:
    return {TopicPartition(topic, partition) for partition in partitions}


def test_a_lone_member_owns_every_partition(scene: Scene) -> None:
    topic = scene.topic(partitions=3)
    member = Member(scene.bus, scene.name("group"), [topic])
    turn_until([member], lambda: bool(member.owned))
    assert member.owned == places(topic, 0, 1, 2)
    member.consumer.close()


def test_two_members_own_equal_partition_numbers_of_equal_topics(scene: Scene) -> None:
    trade, quote = scene.topic(partitions=4), scene.topic(partitions=4)
    group = scene.name("group")
    members = [Member(scene.bus, group, [trade, quote]) for _ in range(2)]
    turn_until(members, lambda: all(len(member.owned) == 4 for member in members))
    for member in members:
        numbers = {place.partition for place in member.owned if place.topic == trade}
        assert numbers in ({0, 1}, {2, 3})
        assert member.owned == places(trade, *numbers) | places(quote, *numbers)
    for member in members:
        member.consumer.close()


def test_a_newcomer_takes_its_share_from_who_owned_all(scene: Scene) -> None:
    topic = scene.topic(partitions=2)
    group = scene.name("group")
    first = Member(scene.bus, group, [topic])
    turn_until([first], lambda: first.owned == places(topic, 0, 1))
    second = Member(scene.bus, group, [topic])
    turn_until([first, second], lambda: len(first.owned) == len(second.owned) == 1)
    assert first.owned | second.owned == places(topic, 0, 1)
    # The classic protocol takes all partitions and deals anew, the consumer protocol those that move.
    assert [told for told, _ in first.diary] in (["assigned", "revoked", "assigned"], ["assigned", "revoked"])
    assert [told for told, _ in second.diary] == ["assigned"]
    for member in (first, second):
        member.consumer.close()


def test_a_member_that_closes_is_told_so_and_leaves_its_share(scene: Scene) -> None:
    topic = scene.topic(partitions=2)
    group = scene.name("group")
    stays, leaves = (Member(scene.bus, group, [topic]) for _ in range(2))
    turn_until([stays, leaves], lambda: len(stays.owned) == len(leaves.owned) == 1)
    left = leaves.owned.copy()
    leaves.consumer.close()
    assert leaves.diary[-1] == ("revoked", tuple(left))
    turn_until([stays], lambda: stays.owned == places(topic, 0, 1))
    stays.consumer.close()


def test_a_member_starts_where_the_group_committed(scene: Scene) -> None:
    topic = scene.topic(partitions=2)
    scene.write(topic, *(b"%d" % number for number in range(10)), partition=1)
    group = scene.name("group")
    producer = scene.bus.producer(transactional_id=scene.name("id"))
    first = Member(scene.bus, group, [topic])
    turn_until([first], lambda: len(first.read) == 10)
    commit_position(producer, first.consumer, TopicPartition(topic, 1), Position(6))
    first.consumer.close()
    second = Member(scene.bus, group, [topic])
    turn_until([second], lambda: len(second.read) == 4)
    assert second.starts == {TopicPartition(topic, 0): 0, TopicPartition(topic, 1): 6}
    assert [offset for _, offset in second.read] == [6, 7, 8, 9]
    second.consumer.close()


def test_revoked_is_the_last_chance_to_commit_and_it_counts(scene: Scene) -> None:
    topic = scene.topic(partitions=2)
    group = scene.name("group")
    producer = scene.bus.producer(transactional_id=scene.name("id"))
    first = Member(scene.bus, group, [topic])
    turn_until([first], lambda: len(first.owned) == 2)

    def commit() -> None:
        producer.begin()
        producer.send_offsets({place: Position(0, "handed over") for place in first.owned}, first.consumer)
        producer.commit()

    first.on_revoked = commit
    second = Member(scene.bus, group, [topic])
    turn_until([first, second], lambda: len(first.owned) == len(second.owned) == 1)
    found = second.consumer.committed(sorted(second.owned))
    assert set(found.values()) == {Position(0, "handed over")}
    first.on_revoked = lambda: None
    for member in (first, second):
        member.consumer.close()


def test_a_member_that_owns_nothing_cannot_commit(scene: Scene) -> None:
    topic = scene.topic()
    producer = scene.bus.producer(transactional_id=scene.name("id"))
    member = Member(scene.bus, scene.name("group"), [topic])
    producer.begin()
    with pytest.raises((AbortableError, FencedError)):
        producer.send_offsets({TopicPartition(topic, 0): Position(1)}, member.consumer)
    with pytest.raises((AbortableError, FencedError)):
        producer.commit()
    producer.abort()
    member.consumer.close()


def test_more_members_than_partitions_leave_one_without(scene: Scene) -> None:
    topic = scene.topic(partitions=1)
    group = scene.name("group")
    members = [Member(scene.bus, group, [topic]) for _ in range(2)]
    turn_until(members, lambda: sum(len(member.owned) for member in members) == 1)
    owner = next(member for member in members if member.owned)
    spare = next(member for member in members if not member.owned)
    owner.consumer.close()
    turn_until([spare], lambda: spare.owned == places(topic, 0))
    spare.consumer.close()


def test_subscribing_to_a_topic_that_is_not_there_names_it(scene: Scene) -> None:
    absent = scene.name("absent")
    member = Member(scene.bus, scene.name("group"), [absent])
    with pytest.raises(BusError, match=absent):
        turn_until([member], lambda: False)
    member.consumer.close()


def test_what_a_callback_raises_comes_out_of_poll(scene: Scene) -> None:
    class Refusal(Exception):
        pass

    class Refusing(Member):
        def assigned(self, partitions: object) -> dict[TopicPartition, int]:
            raise Refusal

    topic = scene.topic()
    member = Refusing(scene.bus, scene.name("group"), [topic])
    with pytest.raises(Refusal):
        turn_until([member], lambda: False)
    member.consumer.close()


@pytest.mark.parametrize("waited_s", [0, 0.3])
def test_a_member_that_leaves_before_it_has_seen_its_place_is_given_nothing(
    scene: Scene, waited_s: float
) -> None:
    topic = scene.topic(partitions=2)
    group = scene.name("group")
    for _ in range(3):
        member = Member(scene.bus, group, [topic])
        sleep(waited_s)  # the answer to its join has come meanwhile, and nobody has polled
        member.consumer.close()
        assert member.owned == set()
