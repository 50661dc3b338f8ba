"""Laws of transactions: all or nothing, invisible until committed, one producer per id."""

from functools import partial

import pytest

from app.reading.partition import read_partition, require_settled
from tests.contract.bus.scenes import (
    Scene,
    blocks_until,
    commit_position,
    ends,
    in_transaction,
    offsets,
    ranges_when,
    read_to_end,
    values,
)
from topics.block import MessageBlock, TopicPartition
from topics.bus import BusError, BusUnavailableError, FencedError, Position

QUEUED_MAX = 100_000  # messages, the client's default


def test_a_committed_transaction_is_read_on_all_its_partitions(scene: Scene) -> None:
    topic = scene.topic(partitions=2)
    producer = scene.bus.producer(transactional_id=scene.name("id"))
    in_transaction(producer, topic, b"a", b"b", partition=0)
    producer.produce(topic, partition=1, key=None, value=b"c")
    producer.commit()
    blocks = read_to_end(scene.reader((topic, 0, 0), (topic, 1, 0)), partitions=2)
    assert sorted(v for v in values(blocks) if v) == [b"a", b"b", b"c"]


def test_an_open_transaction_is_not_read_and_holds_back_what_follows(scene: Scene) -> None:
    topic = scene.topic()
    producer = scene.bus.producer(transactional_id=scene.name("id"))
    in_transaction(producer, topic, b"first")
    producer.commit()
    reader = scene.reader((topic, 0, 0))
    in_transaction(producer, topic, b"open")
    ranges_when(scene, TopicPartition(topic, 0), lambda found: found.high == 3)  # it is written
    scene.write(topic, b"follows")
    blocks = read_to_end(reader)
    assert values(blocks) == [b"first"]
    producer.commit()
    assert values(read_to_end(reader)) == [b"open", b"follows"]


def test_aborted_messages_are_never_read(scene: Scene) -> None:
    topic = scene.topic()
    producer = scene.bus.producer(transactional_id=scene.name("id"))
    for number in range(3):
        in_transaction(producer, topic, b"aborted %d" % number)
        producer.abort()
        in_transaction(producer, topic, b"kept %d" % number)
        producer.commit()
    assert values(read_to_end(scene.reader((topic, 0, 0)))) == [b"kept 0", b"kept 1", b"kept 2"]


def test_a_marker_takes_an_offset_and_the_end_lies_behind_it(scene: Scene) -> None:
    topic = scene.topic()
    place = TopicPartition(topic, 0)
    producer = scene.bus.producer(transactional_id=scene.name("id"))
    in_transaction(producer, topic, b"a", b"b")
    producer.commit()
    in_transaction(producer, topic, b"c")
    producer.commit()
    reader = scene.reader((topic, 0, 0))
    blocks = read_to_end(reader)
    assert offsets(blocks) == [0, 1, 3]
    assert ends(blocks) == [(place, 5)]
    assert reader.offsets(place) == (0, 5)


def test_the_end_is_told_again_behind_an_aborted_transaction(scene: Scene) -> None:
    topic = scene.topic()
    place = TopicPartition(topic, 0)
    producer = scene.bus.producer(transactional_id=scene.name("id"))
    in_transaction(producer, topic, b"a")
    producer.commit()
    reader = scene.reader((topic, 0, 0))
    assert ends(read_to_end(reader)) == [(place, 2)]
    in_transaction(producer, topic, b"aborted")
    ranges_when(scene, place, lambda found: found.high == 3)  # else the abort might overtake it
    producer.abort()
    blocks = read_to_end(reader)
    while ends(blocks)[-1] != (place, 4):  # it may have been told at the open transaction before
        blocks += read_to_end(reader)
    assert values(blocks) == []


def test_positions_and_their_metadata_are_committed_with_the_transaction(scene: Scene) -> None:
    topic = scene.topic(partitions=2)
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    reader = scene.reader((topic, 0, 0))
    producer = scene.bus.producer(transactional_id=scene.name("id"))
    assert reader.committed([first, second]) == {first: None, second: None}
    in_transaction(producer, topic, b"row")
    producer.send_offsets({first: Position(7, '{"frontier_ns": 1381152600123456789}')}, reader)
    producer.commit()
    assert reader.committed([first, second]) == {
        first: Position(7, '{"frontier_ns": 1381152600123456789}'),
        second: None,
    }


def test_positions_of_an_aborted_transaction_are_not_committed(scene: Scene) -> None:
    topic = scene.topic()
    place = TopicPartition(topic, 0)
    reader = scene.reader((topic, 0, 0))
    producer = scene.bus.producer(transactional_id=scene.name("id"))
    commit_position(producer, reader, place, Position(3, "kept"))
    producer.begin()
    producer.send_offsets({place: Position(9, "dropped")}, reader)
    producer.abort()
    assert reader.committed([place]) == {place: Position(3, "kept")}


def test_positions_may_go_back(scene: Scene) -> None:
    topic = scene.topic()
    place = TopicPartition(topic, 0)
    reader = scene.reader((topic, 0, 0))
    producer = scene.bus.producer(transactional_id=scene.name("id"))
    commit_position(producer, reader, place, Position(9))
    commit_position(producer, reader, place, Position(2, "the oldest row still needed"))
    assert reader.committed([place]) == {place: Position(2, "the oldest row still needed")}


def test_groups_have_positions_of_their_own(scene: Scene) -> None:
    topic = scene.topic()
    place = TopicPartition(topic, 0)
    one, other = scene.reader((topic, 0, 0)), scene.reader((topic, 0, 0))
    commit_position(scene.bus.producer(transactional_id=scene.name("id")), one, place, Position(5))
    assert one.committed([place]) == {place: Position(5)}
    assert other.committed([place]) == {place: None}


def test_metadata_of_4_kb_is_committed_and_more_is_refused_with_the_figure(scene: Scene) -> None:
    topic = scene.topic()
    place = TopicPartition(topic, 0)
    reader = scene.reader((topic, 0, 0))
    producer = scene.bus.producer(transactional_id=scene.name("id"))
    commit_position(producer, reader, place, Position(1, "x" * 4_095))
    assert reader.committed([place]) == {place: Position(1, "x" * 4_095)}
    producer.begin()
    with pytest.raises(BusError, match="4096 bytes"):
        producer.send_offsets({place: Position(1, "x" * 4_096)}, reader)
    producer.abort()


def test_a_second_producer_with_the_same_id_fences_the_first(scene: Scene) -> None:
    topic = scene.topic()
    transactional_id = scene.name("id")
    first = scene.bus.producer(transactional_id=transactional_id)
    in_transaction(first, topic, b"kept")
    first.commit()
    second = scene.bus.producer(transactional_id=transactional_id)

    def go_on() -> None:
        in_transaction(first, topic, b"too late")
        first.commit()

    with pytest.raises(FencedError):
        go_on()
    in_transaction(second, topic, b"goes on")
    second.commit()
    assert values(read_to_end(scene.reader((topic, 0, 0)))) == [b"kept", b"goes on"]
    first.close()


def test_a_new_producer_aborts_what_its_id_left_open(scene: Scene) -> None:
    topic = scene.topic()
    place = TopicPartition(topic, 0)
    reader = scene.reader((topic, 0, 0))
    transactional_id = scene.name("id")
    dead = scene.bus.producer(transactional_id=transactional_id)
    in_transaction(dead, topic, b"never committed")
    dead.send_offsets({place: Position(9)}, reader)
    successor = scene.bus.producer(transactional_id=transactional_id)
    in_transaction(successor, topic, b"done again")
    successor.commit()
    assert reader.committed([place]) == {place: None}
    assert values(read_to_end(scene.reader((topic, 0, 0)))) == [b"done again"]


def test_a_fenced_producer_cannot_commit_what_it_had_begun(scene: Scene) -> None:
    topic = scene.topic()
    transactional_id = scene.name("id")
    first = scene.bus.producer(transactional_id=transactional_id)
    in_transaction(first, topic, b"begun")
    scene.bus.producer(transactional_id=transactional_id)
    with pytest.raises(FencedError):
        first.commit()
    assert values(read_to_end(scene.reader((topic, 0, 0)))) == []


def test_a_fenced_producer_says_so_wherever_it_finds_out(scene: Scene) -> None:
    topic = scene.topic(partitions=2)
    transactional_id = scene.name("id")
    first = scene.bus.producer(transactional_id=transactional_id)
    in_transaction(first, topic, b"begun")
    scene.bus.producer(transactional_id=transactional_id)

    def write_on() -> None:
        for _ in range(
            2 * QUEUED_MAX
        ):  # the news comes between any two messages, at the latest when none fits
            first.produce(topic, partition=1, key=None, value=b"too late")
        first.commit()

    with pytest.raises(FencedError):
        write_on()
    first.close()
    assert values(read_to_end(scene.reader((topic, 0, 0), (topic, 1, 0)), partitions=2)) == []


def test_an_empty_transaction_commits_and_writes_nothing(scene: Scene) -> None:
    topic = scene.topic()
    producer = scene.bus.producer(transactional_id=scene.name("id"))
    producer.begin()
    producer.commit()
    producer.begin()
    producer.abort()
    assert scene.reader((topic, 0, 0)).offsets(TopicPartition(topic, 0)) == (0, 0)


def test_closing_a_producer_aborts_what_is_open(scene: Scene) -> None:
    topic = scene.topic()
    producer = scene.bus.producer(transactional_id=scene.name("id"))
    in_transaction(producer, topic, b"left open")
    producer.close()
    scene.write(topic, b"after")
    assert values(read_to_end(scene.reader((topic, 0, 0)))) == [b"after"]


def test_the_high_offset_is_the_end_that_was_told_while_nothing_came_behind_it(scene: Scene) -> None:
    topic = scene.topic()
    place = TopicPartition(topic, 0)
    producer = scene.bus.producer(transactional_id=scene.name("writer"))
    reader = scene.reader((topic, 0, 0))
    for value, end in ((b"one", 2), (b"two", 4)):
        in_transaction(producer, topic, value)
        producer.commit()
        blocks_until(reader, partial(_ends_at, place, end))
        assert reader.offsets(place)[1] == end
    scene.write(topic, b"not read yet")
    assert reader.offsets(place)[1] == 5


def _ends_at(place: TopicPartition, end: int, blocks: list[MessageBlock]) -> bool:
    return ends(blocks)[-1:] == [(place, end)]


def test_what_a_restart_reads_back_is_waited_for_while_a_transaction_is_open_there(scene: Scene) -> None:
    topic = scene.topic()
    source = TopicPartition(topic, 0)
    producer = scene.bus.producer(transactional_id=scene.name("id"))
    require_settled(scene.bus, [source])
    in_transaction(producer, topic, b"kept")
    ranges_when(scene, source, lambda log: log.high > log.stable)
    with pytest.raises(BusUnavailableError, match=rf"{topic}\[0\]: a transaction is open at offset 0"):
        require_settled(scene.bus, [source])
    producer.commit()
    ranges_when(scene, source, lambda log: log.stable == log.high > 0)
    require_settled(scene.bus, [source])
    blocks = read_partition(scene.bus, source, group=scene.name("reader"))
    assert [value for block in blocks for value in values([block])] == [b"kept"]
