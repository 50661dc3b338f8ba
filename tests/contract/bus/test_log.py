"""Laws of partitions and offsets: what is written is read, whole, in order, from where one asks."""

import pytest

from tests.contract.bus.scenes import Scene, blocks_until, ends, keys, offsets, read_to_end, values
from topics.block import Headers, MessageBlock, TopicPartition
from topics.bus import BusError, OffsetRangeError
from topics.message_size import message_size
from topics.partitioner import partition_of


def test_messages_of_a_partition_are_read_in_the_order_they_were_written(scene: Scene) -> None:
    topic = scene.topic()
    scene.write(topic, b"a", b"bb", b"ccc")
    blocks = read_to_end(scene.reader((topic, 0, 0)))
    assert values(blocks) == [b"a", b"bb", b"ccc"]
    assert offsets(blocks) == [0, 1, 2]
    assert ends(blocks) == [(TopicPartition(topic, 0), 3)]


def test_a_reader_that_is_assigned_its_partition_again_goes_on_where_it_says(scene: Scene) -> None:
    topic = scene.topic()
    scene.write(topic, *(b"%d" % number for number in range(9)))
    reader = scene.reader((topic, 0, 6))
    for offset in (6, 2, 4, 8, 9):
        reader.assign({TopicPartition(topic, 0): offset})
        blocks = read_to_end(reader)
        assert offsets(blocks) == list(range(offset, 9))
        assert ends(blocks) == [(TopicPartition(topic, 0), 9)]


def test_a_null_an_empty_and_a_full_key_and_value_stay_what_they_are(scene: Scene) -> None:
    topic = scene.topic()
    producer = scene.bus.producer()
    written: list[tuple[bytes | None, bytes | None]] = [
        (None, b"v"),
        (b"k", None),
        (b"", b""),
        (b"k\0", b"\0v"),
    ]
    for key, value in written:
        producer.produce(topic, partition=0, key=key, value=value)
    producer.flush()
    blocks = read_to_end(scene.reader((topic, 0, 0)))
    assert list(zip(keys(blocks), values(blocks), strict=True)) == written


def test_the_original_of_a_message_has_its_headers_and_time(scene: Scene) -> None:
    topic = scene.topic(configs={"message.timestamp.type": "CreateTime", "retention.ms": "-1"})
    producer = scene.bus.producer()
    headers: list[tuple[str, bytes | None]] = [("stream", b"trade"), ("stream", b"again"), ("none", None)]
    producer.produce(
        topic, partition=0, key=b"k", value=b"v", headers=headers, timestamp_ms=1_381_152_600_123
    )
    producer.produce(topic, partition=0, key=None, value=None, timestamp_ms=1)
    producer.flush()
    found = [
        block.originals[message]
        for block in read_to_end(scene.reader((topic, 0, 0)))
        for message in range(block.messages)
    ]
    assert found == [(b"k", b"v", headers, 1_381_152_600_123), (None, None, [], 1)]


def test_a_block_names_the_partition_of_each_message(scene: Scene) -> None:
    topic = scene.topic(partitions=3)
    for partition in range(3):
        scene.write(topic, *(b"%d" % partition for _ in range(partition + 1)), partition=partition)
    blocks = read_to_end(scene.reader(*((topic, partition, 0) for partition in range(3))), partitions=3)
    named = [
        (block.sources[source], value)
        for block in blocks
        for source, value in zip(block.source, values([block]), strict=True)
    ]
    assert sorted(named) == [(TopicPartition(topic, p), b"%d" % p) for p in (0, 1, 1, 2, 2, 2)]


def test_a_poll_brings_no_more_than_it_was_asked_for(scene: Scene) -> None:
    topic = scene.topic(partitions=2)
    for partition in range(2):
        scene.write(topic, *(b"%d" % number for number in range(50)), partition=partition)
    reader = scene.reader((topic, 0, 0), (topic, 1, 0))
    sizes: list[int] = []
    while sum(sizes) < 100:
        sizes.append(reader.poll(messages_max=7, wait_ms=1_000).messages)
    assert max(sizes) <= 7
    assert sum(sizes) == 100


def test_a_start_in_the_middle_reads_from_there(scene: Scene) -> None:
    topic = scene.topic()
    scene.write(topic, *(b"%d" % number for number in range(10)))
    assert offsets(read_to_end(scene.reader((topic, 0, 7)))) == [7, 8, 9]


def test_a_start_at_the_end_reads_what_comes_next(scene: Scene) -> None:
    topic = scene.topic()
    scene.write(topic, b"before")
    reader = scene.reader((topic, 0, 1))
    assert offsets(read_to_end(reader)) == []
    scene.write(topic, b"after")
    assert values(read_to_end(reader)) == [b"after"]


def test_a_start_beyond_the_log_is_refused_with_the_figures(scene: Scene) -> None:
    topic = scene.topic()
    scene.write(topic, b"a", b"b")
    reader = scene.reader((topic, 0, 9))
    with pytest.raises(OffsetRangeError, match=rf"offset 9 of {topic}\[0\].* 0 \(low\) to 2 \(high\)"):
        blocks_until(reader, lambda _: False)


def test_the_end_is_told_once_each_time_it_is_reached(scene: Scene) -> None:
    topic = scene.topic()
    place = TopicPartition(topic, 0)
    reader = scene.reader((topic, 0, 0))
    told = ends(read_to_end(reader))
    for _ in range(3):
        told += ends([reader.poll(messages_max=10, wait_ms=30)])
    assert told == [(place, 0)]
    scene.write(topic, b"a")
    assert ends(read_to_end(reader)) == [(place, 1)]


def test_an_idle_poll_brings_nothing(scene: Scene) -> None:
    topic = scene.topic()
    reader = scene.reader((topic, 0, 0))
    read_to_end(reader)
    block = reader.poll(messages_max=10, wait_ms=0)
    assert block.messages == 0
    assert block.sources == ()
    assert list(block.ends) == []


def test_a_paused_partition_brings_nothing_and_goes_on_where_it_was(scene: Scene) -> None:
    topic = scene.topic(partitions=2)
    paused = TopicPartition(topic, 0)
    scene.write(topic, b"one", partition=0)
    scene.write(topic, b"one", partition=1)
    reader = scene.reader((topic, 0, 0), (topic, 1, 0))
    read_to_end(reader, partitions=2)
    reader.pause([paused])
    scene.write(topic, b"two", partition=0)
    scene.write(topic, b"other", partition=1)
    blocks = blocks_until(reader, lambda blocks: values(blocks) == [b"other"])
    blocks.append(reader.poll(messages_max=10, wait_ms=50))
    assert values(blocks) == [b"other"]
    reader.resume([paused])
    assert values(blocks_until(reader, lambda blocks: bool(values(blocks)))) == [b"two"]


def test_a_resume_does_not_tell_an_end_again(scene: Scene) -> None:
    topic = scene.topic()
    place = TopicPartition(topic, 0)
    scene.write(topic, b"a")
    reader = scene.reader((topic, 0, 0))
    read_to_end(reader)
    reader.pause([place])
    reader.resume([place])
    assert ends([reader.poll(messages_max=10, wait_ms=50) for _ in range(3)]) == []
    scene.write(topic, b"b")
    assert ends(read_to_end(reader)) == [(place, 2)]


def test_what_a_pause_left_unread_is_neither_lost_nor_read_twice(scene: Scene) -> None:
    topic = scene.topic()
    place = TopicPartition(topic, 0)
    scene.write(topic, *(b"%d" % number for number in range(20)))
    reader = scene.reader((topic, 0, 0))
    blocks: list[MessageBlock] = []
    while len(offsets(blocks)) < 20:
        blocks.append(reader.poll(messages_max=3, wait_ms=1_000))
        reader.pause([place])
        reader.resume([place])
    assert offsets(blocks) == list(range(20))


def test_a_seek_reads_again_from_there_and_tells_the_end_again(scene: Scene) -> None:
    topic = scene.topic()
    place = TopicPartition(topic, 0)
    scene.write(topic, *(b"%d" % number for number in range(10)))
    reader = scene.reader((topic, 0, 0))
    read_to_end(reader)
    reader.seek(place, 8)
    blocks = read_to_end(reader)
    assert offsets(blocks) == [8, 9]
    assert ends(blocks) == [(place, 10)]


def test_a_seek_before_the_first_poll_counts(scene: Scene) -> None:
    topic = scene.topic()
    scene.write(topic, *(b"%d" % number for number in range(10)))
    reader = scene.reader((topic, 0, 0))
    reader.seek(TopicPartition(topic, 0), 9)
    assert offsets(read_to_end(reader)) == [9]


def test_low_and_high_are_the_first_message_and_one_past_the_last(scene: Scene) -> None:
    topic = scene.topic(partitions=2)
    scene.write(topic, b"a", b"b", partition=1)
    reader = scene.reader((topic, 0, 0))
    assert reader.offsets(TopicPartition(topic, 0)) == (0, 0)
    assert reader.offsets(TopicPartition(topic, 1)) == (0, 2)


def test_without_a_partition_the_key_chooses_as_the_java_client_does(scene: Scene) -> None:
    topic = scene.topic(partitions=5)
    producer = scene.bus.producer()
    names = [b"ES", b"NQ", b"AAPL", b"MSFT", b"BTCUSDT", b"a", b"", "Grüße".encode()]
    for name in names:
        producer.produce(topic, partition=None, key=name, value=name)
    producer.flush()
    blocks = read_to_end(scene.reader(*((topic, partition, 0) for partition in range(5))), partitions=5)
    placed = {
        value: block.sources[source].partition
        for block in blocks
        for source, value in zip(block.source, values([block]), strict=True)
    }
    assert placed == {name: partition_of(name, 5) for name in names}


def test_writing_to_a_topic_that_is_not_there_names_it(scene: Scene) -> None:
    absent = scene.name("absent")
    with pytest.raises(BusError, match=absent):
        scene.bus.producer().produce(absent, partition=None, key=b"k", value=b"v")


def test_writing_to_a_partition_that_is_not_there_names_it(scene: Scene) -> None:
    topic = scene.topic(partitions=2)
    with pytest.raises(BusError, match=rf"{topic}.*partition 2"):
        scene.bus.producer().produce(topic, partition=2, key=b"k", value=b"v")


def test_a_message_larger_than_its_topic_takes_is_refused_by_name(scene: Scene) -> None:
    topic = scene.topic(configs={"max.message.bytes": "2000"})
    producer = scene.bus.producer()

    def write_too_much() -> None:
        producer.produce(topic, partition=0, key=None, value=b"x" * 3_000)
        producer.flush()

    with pytest.raises(BusError, match=topic):
        write_too_much()


@pytest.mark.parametrize("headers", [[], [("trace", b"x" * 300), ("none", None), ("ü", b"")]])
def test_a_message_may_have_its_topics_bytes_with_key_and_headers_counted_and_not_one_more(
    scene: Scene, headers: Headers
) -> None:
    topic = scene.topic(configs={"max.message.bytes": "2000"})

    def write(size: int) -> None:
        producer = scene.bus.producer()
        value = b"x" * (size - message_size(b"key", b"x" * 1_000, headers) + 1_000)
        producer.produce(topic, partition=0, key=b"key", value=value, headers=headers)
        producer.flush()
        producer.close()

    write(2_000)
    with pytest.raises(BusError, match=topic):
        write(2_001)


def test_how_large_a_message_a_topic_takes_is_asked_of_the_bus(scene: Scene) -> None:
    wide = scene.topic(configs={"max.message.bytes": str(3 << 20)})
    usual = scene.topic()
    limits = scene.bus.message_limits([wide, usual])
    assert limits[wide] == (3 << 20, "max.message.bytes of the topic")
    assert limits[usual].size == 1_048_588
    absent = scene.name("absent")
    with pytest.raises(BusError, match=f"topic {absent} does not exist"):
        scene.bus.message_limits([absent])
