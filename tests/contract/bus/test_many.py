"""Laws of writing many messages at once: the same as one by one, in and outside transactions."""

from time import monotonic, sleep

import pytest

from tests.contract.bus.scenes import PATIENCE_S, Scene, keys, outgoing, read_to_end, values
from topics.bus import BusError

MANY = 20_000


def test_many_are_written_whole_and_in_order_each_to_its_partition(scene: Scene) -> None:
    topic = scene.topic(partitions=2, configs={"message.timestamp.type": "CreateTime", "retention.ms": "-1"})
    producer = scene.bus.producer(transactional_id=scene.name("writer"))
    producer.begin()
    producer.produce_many(
        topic,
        outgoing((b"k", b"one", 1, 7), (b"", b"", 0, 8), (b"l\0", b"\0two", 1, 1_381_152_600_123)),
    )
    producer.commit()
    blocks = read_to_end(scene.reader((topic, 1, 0)))
    assert list(zip(keys(blocks), values(blocks), strict=True)) == [(b"k", b"one"), (b"l\0", b"\0two")]
    times = [block.originals[message].timestamp_ms for block in blocks for message in range(block.messages)]
    assert times == [7, 1_381_152_600_123]
    blocks = read_to_end(scene.reader((topic, 0, 0)))
    assert list(zip(keys(blocks), values(blocks), strict=True)) == [(b"", b"")]


def test_many_outside_a_transaction_are_there_after_a_flush(scene: Scene) -> None:
    topic = scene.topic()
    producer = scene.bus.producer()
    producer.produce_many(topic, outgoing((b"k", b"one", 0, 1), (b"k", b"two", 0, 2)))
    producer.flush()
    assert values(read_to_end(scene.reader((topic, 0, 0)))) == [b"one", b"two"]


def test_very_many_are_written_in_their_order(scene: Scene) -> None:
    topic = scene.topic()
    producer = scene.bus.producer(transactional_id=scene.name("writer"))
    written = [b"%0200d" % number for number in range(MANY)]
    producer.begin()
    producer.produce_many(topic, outgoing(*((b"k", value, 0, 1) for value in written)))
    producer.commit()
    assert values(read_to_end(scene.reader((topic, 0, 0)))) == written


def test_many_of_an_aborted_transaction_are_never_read(scene: Scene) -> None:
    topic = scene.topic()
    producer = scene.bus.producer(transactional_id=scene.name("writer"))
    producer.begin()
    producer.produce_many(topic, outgoing((b"k", b"dropped", 0, 1)))
    producer.abort()
    producer.begin()
    producer.produce_many(topic, outgoing((b"k", b"kept", 0, 1)))
    producer.commit()
    assert values(read_to_end(scene.reader((topic, 0, 0)))) == [b"kept"]


def test_many_to_a_topic_or_partition_that_is_not_there_name_it(scene: Scene) -> None:
    producer = scene.bus.producer(transactional_id=scene.name("writer"))
    producer.begin()
    with pytest.raises(BusError, match="nowhere"):
        producer.produce_many("nowhere", outgoing((b"k", b"v", 0, 1)))
    topic = scene.topic()
    with pytest.raises(BusError, match=rf"{topic}.*partition 5|{topic}\[5\]"):
        producer.produce_many(topic, outgoing((b"k", b"v", 5, 1)))
    producer.abort()


def test_what_was_produced_before_a_mark_is_there_when_the_mark_is_reached(scene: Scene) -> None:
    topic = scene.topic(partitions=2)
    producer = scene.bus.producer()
    producer.produce(topic, partition=0, key=None, value=b"one")
    producer.produce(topic, partition=1, key=None, value=b"two")
    mark = producer.mark()
    until_s = monotonic() + PATIENCE_S
    while not producer.reached(mark) and monotonic() < until_s:
        producer.produce(topic, partition=0, key=None, value=b"more")
        sleep(0.001)
    assert producer.reached(mark)
    assert values(read_to_end(scene.reader((topic, 0, 0))))[0] == b"one"
    assert values(read_to_end(scene.reader((topic, 1, 0)))) == [b"two"]
    producer.close()
