"""Laws that only a real Kafka can show: who places keys, who is fenced, what waits while it is away."""

import random
from collections.abc import Iterator
from time import monotonic

import pytest

from tests.contract.bus.conftest import HASTY
from tests.contract.bus.scenes import (
    Member,
    Scene,
    commit_position,
    read_to_end,
    turn_until,
    values,
)
from topics.block import TopicPartition
from topics.bus import BusError, BusUnavailableError, Position, TopicSpec
from topics.catalogue import HISTORY_CONFIGS, pipeline_topics
from topics.kafka.bus import KafkaBus
from topics.partitioner import partition_of

pytestmark = pytest.mark.broker


@pytest.fixture
def scene(kafka_bootstrap: str) -> Iterator[Scene]:
    scene = Scene(KafkaBus(kafka_bootstrap, HASTY))
    yield scene
    scene.bus.admin().delete(scene.topics)


def test_the_client_places_every_key_where_we_say(scene: Scene) -> None:
    topic = scene.topic(partitions=11)
    draw = random.Random(7)
    keys = {draw.randbytes(draw.randrange(0, 40)) for _ in range(500)}
    producer = scene.bus.producer()
    for key in keys:
        producer.produce(topic, partition=None, key=key, value=key)
    producer.flush()
    blocks = read_to_end(scene.reader(*((topic, partition, 0) for partition in range(11))), partitions=11)
    placed = {
        value: block.sources[source].partition
        for block in blocks
        for source, value in zip(block.source, values([block]), strict=True)
    }
    assert placed == {key: partition_of(key, 11) for key in keys}


def test_history_topics_take_times_of_any_year(scene: Scene) -> None:
    topic = scene.topic(configs={**HISTORY_CONFIGS, "retention.ms": "-1"})
    producer = scene.bus.producer()
    times_ms = [1, 1_381_152_600_000, 4_102_444_800_000]  # 1970, 2013, 2100
    for time_ms in times_ms:
        producer.produce(topic, partition=0, key=None, value=b"", timestamp_ms=time_ms)
    producer.flush()
    found = [
        block.originals[message].timestamp_ms
        for block in read_to_end(scene.reader((topic, 0, 0)))
        for message in range(block.messages)
    ]
    assert found == times_ms


def test_a_frame_of_eight_megabytes_passes_and_a_larger_one_is_refused(scene: Scene) -> None:
    specs = pipeline_topics(prefix=scene.name("tidemark"), streams=[], partitions=1)
    scene.topics += [spec.name for spec in specs]
    scene.bus.admin().create(specs)
    aligned = specs[0].name
    large = bytes((8 << 20) - 1_000)
    scene.write(aligned, large)
    assert values(read_to_end(scene.reader((aligned, 0, 0)))) == [large]
    with pytest.raises(BusError, match=aligned):
        scene.write(aligned, bytes((8 << 20) + 1))


def test_a_topic_the_broker_will_not_have_is_refused_in_its_words(scene: Scene) -> None:
    with pytest.raises(BusError, match=r"no-such-config|Unknown topic config"):
        scene.bus.admin().create(
            [TopicSpec(name=scene.name("bad"), partitions=1, configs={"no-such-config": "1"})]
        )


def test_a_second_member_takes_over_where_the_first_committed_exactly_once(scene: Scene) -> None:
    source, target = scene.topic(partitions=2), scene.topic(partitions=2)
    for partition in range(2):
        scene.write(source, *(b"%d" % number for number in range(100)), partition=partition)
    group = scene.name("group")
    producer = scene.bus.producer(transactional_id=scene.name("id"))
    first = Member(scene.bus, group, [source])
    turn_until([first], lambda: len(first.read) == 200)
    producer.begin()
    for place, offset in first.read[:150]:
        producer.produce(target, partition=place.partition, key=None, value=b"%d" % offset)
    done = {place: offset + 1 for place, offset in first.read[:150]}
    producer.send_offsets({place: Position(offset) for place, offset in done.items()}, first.consumer)
    producer.commit()
    first.consumer.close()
    second = Member(scene.bus, group, [source])
    turn_until([second], lambda: len(second.read) == 50)
    assert sorted(first.read[:150] + second.read) == sorted(first.read)
    second.consumer.close()


def test_a_resumed_partition_is_read_again_within_a_second(scene: Scene) -> None:
    topic = scene.topic()
    place = TopicPartition(topic, 0)
    reader = scene.reader((topic, 0, 0))
    read_to_end(reader)
    begun_s = monotonic()
    for number in range(3):
        reader.pause([place])
        scene.write(topic, b"%d" % number)
        reader.resume([place])
        assert values(read_to_end(reader)) == [b"%d" % number]
    assert monotonic() - begun_s < 9


def test_no_broker_is_one_line_that_says_where_how_long_and_what_to_do() -> None:
    with pytest.raises(BusUnavailableError) as told:
        KafkaBus("127.0.0.1:1").check(300)
    assert "no Kafka broker answers at 127.0.0.1:1 (waited 0." in str(told.value)
    assert "start one with `make kafka`, or name yours with --bootstrap" in str(told.value)


def test_positions_survive_the_producer_that_sent_them(scene: Scene) -> None:
    topic = scene.topic()
    place = TopicPartition(topic, 0)
    transactional_id = scene.name("id")
    reader = scene.reader((topic, 0, 0))
    for offset in range(3):
        producer = scene.bus.producer(transactional_id=transactional_id)
        commit_position(producer, reader, place, Position(offset, str(offset)))
        producer.close()
    assert reader.committed([place]) == {place: Position(2, "2")}
