"""Laws of what only the embedded bus can do: drop, evict, expire, and rehearse a failed commit."""

import pytest

from tests.contract.bus.scenes import (
    Member,
    Scene,
    commit_position,
    in_transaction,
    read_to_end,
    turn_until,
    values,
)
from topics.block import TopicPartition
from topics.bus import (
    AbortableError,
    BusUnavailableError,
    FencedError,
    OffsetRangeError,
    Position,
    UnknownOutcomeError,
)
from topics.memory.bus import CommitFault, MemoryBus


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


def test_a_reader_below_the_low_offset_is_refused_with_the_figures(bus: MemoryBus) -> None:
    scene = Scene(bus)
    topic = scene.topic()
    scene.write(topic, b"a", b"b", b"c")
    reader = scene.reader((topic, 0, 0))
    bus.delete_before(TopicPartition(topic, 0), 2)
    assert reader.offsets(TopicPartition(topic, 0)) == (2, 3)
    with pytest.raises(OffsetRangeError, match=r"offset 0 .* 2 \(low\) to 3 \(high\)"):
        reader.poll(messages_max=1, wait_ms=0)


def test_a_block_outlives_the_messages_it_was_read_from(bus: MemoryBus) -> None:
    scene = Scene(bus)
    topic = scene.topic()
    scene.write(topic, *(b"%06d" % number for number in range(5_000)))
    blocks = read_to_end(scene.reader((topic, 0, 0)))
    bus.delete_before(TopicPartition(topic, 0), 5_000)
    scene.write(topic, *(b"x" * 64 for _ in range(5_000)))
    assert values(blocks) == [b"%06d" % number for number in range(5_000)]


def test_an_evicted_member_cannot_commit_and_learns_in_its_next_poll_what_it_lost(bus: MemoryBus) -> None:
    scene = Scene(bus)
    topic = scene.topic(partitions=2)
    producer = bus.producer(transactional_id="id")
    stays, zombie = (Member(bus, "group", [topic]) for _ in range(2))
    turn_until([stays, zombie], lambda: len(stays.owned) == len(zombie.owned) == 1)
    (place,) = zombie.owned
    bus.evict(zombie.consumer)  # type: ignore[arg-type]
    turn_until([stays], lambda: len(stays.owned) == 2)
    producer.begin()
    with pytest.raises(AbortableError):
        producer.send_offsets({place: Position(1)}, zombie.consumer)
    with pytest.raises(AbortableError):
        producer.commit()
    producer.abort()
    zombie.turn()
    assert zombie.diary[-1] == ("lost", (place,))
    turn_until([stays, zombie], lambda: len(stays.owned) == len(zombie.owned) == 1)


def test_an_expired_transaction_is_aborted_and_its_producer_fenced(bus: MemoryBus) -> None:
    scene = Scene(bus)
    topic = scene.topic()
    slow = bus.producer(transactional_id="id")
    in_transaction(slow, topic, b"slow")
    bus.expire("id")
    scene.write(topic, b"after")
    assert values(read_to_end(scene.reader((topic, 0, 0)))) == [b"after"]
    with pytest.raises(FencedError):
        slow.commit()


@pytest.mark.parametrize(
    ("fault", "committed"), [(CommitFault.LOST, None), (CommitFault.UNHEARD, Position(7))]
)
def test_after_an_unknown_outcome_the_next_producer_sees_what_happened(
    bus: MemoryBus, fault: CommitFault, committed: Position | None
) -> None:
    scene = Scene(bus)
    topic = scene.topic()
    place = TopicPartition(topic, 0)
    reader = scene.reader((topic, 0, 0))
    producer = bus.producer(transactional_id="id")
    bus.fail_commits([fault])
    with pytest.raises(UnknownOutcomeError):
        commit_position(producer, reader, place, Position(7))
    successor = bus.producer(transactional_id="id")
    assert reader.committed([place]) == {place: committed}
    commit_position(successor, reader, place, Position(8))
    assert reader.committed([place]) == {place: Position(8)}


def test_a_refused_commit_is_aborted_and_the_next_one_goes_through(bus: MemoryBus) -> None:
    scene = Scene(bus)
    topic = scene.topic()
    producer = bus.producer(transactional_id="id")
    bus.fail_commits([CommitFault.REFUSED])
    in_transaction(producer, topic, b"refused")
    with pytest.raises(AbortableError):
        producer.commit()
    producer.abort()
    in_transaction(producer, topic, b"again")
    producer.commit()
    assert values(read_to_end(scene.reader((topic, 0, 0)))) == [b"again"]


def test_positions_held_by_an_open_transaction_must_be_waited_for(bus: MemoryBus) -> None:
    scene = Scene(bus)
    topic = scene.topic()
    place = TopicPartition(topic, 0)
    reader = scene.reader((topic, 0, 0))
    producer = bus.producer(transactional_id="id")
    producer.begin()
    producer.send_offsets({place: Position(1)}, reader)
    with pytest.raises(BusUnavailableError, match=topic):
        reader.committed([place])
    producer.commit()
    assert reader.committed([place]) == {place: Position(1)}


def test_a_poll_is_shared_among_partitions_and_none_waits_long(bus: MemoryBus) -> None:
    scene = Scene(bus)
    topic = scene.topic(partitions=3)
    for partition in range(3):
        scene.write(topic, *(b"x" for _ in range(1_000)), partition=partition)
    reader = scene.reader(*((topic, partition, 0) for partition in range(3)))
    block = reader.poll(messages_max=100, wait_ms=0)
    assert block.messages == 100
    counts = [int((block.source == source).sum()) for source in range(3)]
    assert max(counts) - min(counts) <= 2


def test_what_a_quiet_partition_leaves_of_its_share_goes_to_a_busy_one(bus: MemoryBus) -> None:
    scene = Scene(bus)
    topic = scene.topic(partitions=4)
    scene.write(topic, *(b"x" for _ in range(1_000)), partition=2)
    reader = scene.reader(*((topic, partition, 0) for partition in range(4)))
    assert reader.poll(messages_max=400, wait_ms=0).messages == 400
