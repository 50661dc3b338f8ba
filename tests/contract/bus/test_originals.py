"""A message is fetched by its offset, from a topic that may have none there; a header is read alone."""

import ctypes

import numpy as np

from app.reading.original import message_at
from tests.contract.bus.scenes import Scene, blocks_until, ranges_when
from topics.block import NO_HEADER, Headers, MessageBlock, TopicPartition


def test_a_message_is_fetched_by_its_offset_and_a_marker_is_none(scene: Scene) -> None:
    source = TopicPartition(scene.topic(), 0)
    producer = scene.bus.producer(transactional_id=scene.name("writer"))
    for value in (b"first", b"second"):
        producer.begin()
        producer.produce(source.topic, partition=0, key=b"k", value=value, headers=[("trace", b"1")])
        producer.commit()
    producer.close()
    ranges_when(scene, source, lambda log: log.stable == log.high == 4)
    for offset, value in ((0, b"first"), (2, b"second")):
        block = message_at(scene.bus, source, offset, group=scene.name("reader"))
        assert block is not None
        assert block.offset.tolist() == [offset]
        assert block.originals[0][:3] == (b"k", value, [("trace", b"1")])
    for absent in (1, 3, 4, 99):
        assert message_at(scene.bus, source, absent, group=scene.name("reader")) is None


def header_values(block: MessageBlock, messages: list[int], name: str) -> list[bytes | int | None]:
    """The header of messages; NO_HEADER for one without."""
    values = block.originals.header_values(np.array(messages, np.int64), name)
    return [
        NO_HEADER if size == NO_HEADER else None if size < 0 else ctypes.string_at(address, size)
        for address, size in zip(values.address.tolist(), values.size.tolist(), strict=True)
    ]


def test_one_header_of_many_messages_is_read_where_it_lies(scene: Scene) -> None:
    """Of several the last one; a null and an empty one are told apart from none."""
    written: list[Headers | None] = [
        [("id", b"first"), ("other", b"x"), ("id", b"last")],
        None,
        [("id", None)],
        [("id", b"")],
        [("idx", b"y"), ("i", b"z"), ("", b"w")],
        [("id", b"first"), ("id", None)],
    ]
    topic = scene.topic()
    producer = scene.bus.producer()
    for headers in written:
        producer.produce(topic, partition=0, key=b"k", value=b"v", headers=headers)
    producer.flush()
    producer.close()
    reader = scene.reader((topic, 0, 0))
    blocks = blocks_until(reader, lambda read: sum(block.messages for block in read) == len(written))
    values = [value for block in blocks for value in header_values(block, list(range(block.messages)), "id")]
    assert values == [b"last", NO_HEADER, None, b"", NO_HEADER, None]
    for block in blocks:
        assert header_values(block, [], "id") == []
        if block.messages:  # one that only says how far a partition was read has none
            assert header_values(block, [block.messages - 1, 0], "none") == [NO_HEADER] * 2
    reader.close()  # what is read is copied
    values = [value for block in blocks for value in header_values(block, list(range(block.messages)), "id")]
    assert values == [b"last", NO_HEADER, None, b"", NO_HEADER, None]
