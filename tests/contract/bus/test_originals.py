"""A message is fetched by its offset, from a topic that may have no such message."""

from app.reading.original import message_at
from tests.contract.bus.scenes import Scene, ranges_when
from topics.block import TopicPartition


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
