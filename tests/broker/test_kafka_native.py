"""Laws of reading messages where librdkafka holds them: what held them lets go, nothing outlives it.

`python -m tests.broker.test_kafka_native 10000000` reads so many messages and says what is left in memory.
"""

import gc
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any
from weakref import ref

import numpy as np
import pytest

from schemas.batch import Int64s
from tests.contract.bus.conftest import HASTY
from tests.contract.bus.scenes import Scene, blocks_until, keys, offsets, outgoing, read_to_end, values
from tests.stage.kafka_process import find_broker, release_broker
from topics.block import TopicPartition
from topics.bus import BusError
from topics.kafka.bus import KafkaBus
from topics.kafka.native import kernel as kafka_native_kernel
from topics.kafka.native import reader as kafka_native
from topics.kafka.reader import Reading
from topics.kafka.settings import MESSAGE_SIZE_MAX

pytestmark = pytest.mark.broker

MESSAGES = 100_000  # in the topic that is read again and again
GROWTH_MAX = 48 << 20  # bytes: far below what a leak of one message in twenty would leave behind
PAGE_SIZE = resource.getpagesize()


@pytest.fixture
def scene(kafka_bootstrap: str) -> Iterator[Scene]:
    scene = Scene(KafkaBus(kafka_bootstrap, HASTY, reading="native"))
    yield scene
    scene.bus.admin().delete(scene.topics)


def resident_size() -> int:
    """Bytes of memory this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_SIZE


def fill(scene: Scene, messages: int) -> str:
    topic = scene.topic()
    producer = scene.bus.producer()
    for number in range(messages):
        producer.produce(topic, partition=0, key=b"%d" % (number % 1_000), value=b"%0100d" % number)
    producer.flush()
    producer.close()
    return topic


def growth_after(scene: Scene, messages: int) -> int:
    """Read `messages` in all, over and over, and return how memory grew since it had settled."""
    topic = fill(scene, MESSAGES)
    place = TopicPartition(topic, 0)
    reader = scene.reader((topic, 0, 0))
    settled = 0
    for again in range(max(messages // MESSAGES, 4)):
        if again:
            reader.seek(place, 0)
        seen = 0
        while seen < MESSAGES:
            block = reader.poll(messages_max=20_000, wait_ms=1_000)
            assert np.array_equal(block.offset, np.arange(seen, seen + block.messages))
            seen += block.messages
        if again == 2:
            settled = resident_size()
    reader.close()
    return resident_size() - settled


def test_a_million_messages_leave_nothing_in_memory(scene: Scene) -> None:
    assert growth_after(scene, 1_000_000) < GROWTH_MAX


def test_a_consumer_closes_at_once_with_messages_unread(scene: Scene) -> None:
    reader = scene.reader((fill(scene, 5_000), 0, 0))
    assert reader.poll(messages_max=10, wait_ms=5_000).messages
    begun_s = monotonic()
    reader.close()
    assert monotonic() - begun_s < 5


def test_a_consumer_that_nobody_closed_goes_with_messages_unread(scene: Scene) -> None:
    reader = scene.reader((fill(scene, 5_000), 0, 0))
    assert reader.poll(messages_max=10, wait_ms=5_000).messages
    gone = ref(reader)
    del reader
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("how", ["drop", "cycle", "exit"])
def test_a_process_ends_well_with_a_consumer_that_nobody_closed(
    scene: Scene, kafka_bootstrap: str, how: str
) -> None:
    topic = fill(scene, 5_000)
    scene.topics.remove(topic)  # the process deletes it
    command = [sys.executable, "-m", "tests.broker.unclosed", kafka_bootstrap, topic, how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@pytest.mark.parametrize("reading", ["native", "plain"])
def test_a_reader_whose_topic_is_deleted_hears_of_it_and_stays_alive(
    kafka_bootstrap: str, reading: Reading
) -> None:
    said: list[str] = []
    often = {
        **HASTY,
        "consumer.topic.metadata.refresh.interval.ms": "50",
        "consumer.topic.metadata.propagation.max.ms": "100",
    }
    scene = Scene(KafkaBus(kafka_bootstrap, often, reading=reading, on_wait=said.append))
    topic = scene.topic()
    scene.write(topic, b"read")
    reader = scene.reader((topic, 0, 0))
    assert values(blocks_until(reader, lambda blocks: bool(values(blocks)))) == [b"read"]
    scene.bus.admin().delete([topic])
    blocks_until(reader, lambda _: any(topic in words for words in said))
    reader.close()


def test_a_block_outlives_the_consumer_it_came_from(scene: Scene) -> None:
    topic = scene.topic(configs={"retention.ms": "-1"})  # or rows of 1970 may be gone at once
    producer = scene.bus.producer()
    producer.produce(topic, partition=0, key=b"k", value=b"v", headers=[("h", b"1")], timestamp_ms=7)
    producer.produce(topic, partition=0, key=None, value=None, timestamp_ms=8)
    producer.flush()
    reader = scene.reader((topic, 0, 0))
    blocks = [block for block in read_to_end(reader) if block.messages]
    reader.close()
    assert keys(blocks) == [b"k", None]
    assert values(blocks) == [b"v", None]
    originals = [block.originals[message] for block in blocks for message in range(block.messages)]
    assert originals == [(b"k", b"v", [("h", b"1")], 7), (None, None, [], 8)]


def test_a_block_that_is_collected_while_its_consumer_closes_is_given_back_once_and_last(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = scene.topic()
    scene.write(topic, b"a", b"b")
    reader = scene.reader((topic, 0, 0))
    blocks = blocks_until(reader, lambda blocks: len(values(blocks)) == 2)
    steps: list[str] = []
    addresses: list[int] = []
    lent, destroy = vars(kafka_native)["_Lent"], kafka_native_kernel.destroy_events
    original = vars(lent)["_original"]

    def collected(held: Any, message: int) -> Any:
        held.release()  # what the collector does with a block that is garbage
        steps.append("copied")
        return original(held, message)

    def given_back(event: Int64s, address: int) -> None:
        steps.append("given back")
        addresses.extend(event.tolist())
        destroy(event, address)

    monkeypatch.setattr(lent, "_original", collected)
    monkeypatch.setattr(kafka_native, "destroy_events", given_back)
    reader.close()
    held = len([block for block in blocks if block.messages])
    copies = [at for at, step in enumerate(steps) if step == "copied"]
    assert steps[copies[0] : copies[0] + 2 + held] == ["copied", "copied", *["given back"] * held]
    assert len(set(addresses)) == len(addresses)


def test_a_waiting_poll_is_woken_by_the_message(scene: Scene) -> None:
    topic = scene.topic()
    reader = scene.reader((topic, 0, 0))
    read_to_end(reader)
    producer = scene.bus.producer()
    begun_s = monotonic()
    producer.produce(topic, partition=0, key=None, value=b"woken")
    block = reader.poll(messages_max=10, wait_ms=60_000)
    assert values([block]) == [b"woken"]
    assert monotonic() - begun_s < 10


def test_a_seek_between_polls_drops_what_was_read_ahead(scene: Scene) -> None:
    topic = fill(scene, 1_000)
    reader = scene.reader((topic, 0, 0))
    place = TopicPartition(topic, 0)
    while not (first := reader.poll(messages_max=100, wait_ms=1_000)).messages:
        pass
    assert offsets([first])[0] == 0
    for start in (500, 20, 900):
        reader.seek(place, start)
        while not (block := reader.poll(messages_max=10, wait_ms=1_000)).messages:
            pass
        assert offsets([block])[0] == start


def test_more_messages_than_the_producer_queues_wait_for_room(kafka_bootstrap: str, scene: Scene) -> None:
    narrow = {**HASTY, "producer.queue.buffering.max.messages": "1000"}
    topic = scene.topic()
    producer = KafkaBus(kafka_bootstrap, narrow, reading="native").producer(transactional_id=topic)
    written = [b"%0100d" % number for number in range(10_000)]
    producer.begin()
    producer.produce_many(topic, outgoing(*((b"k", value, 0, 1) for value in written)))
    producer.commit()
    assert values(read_to_end(scene.reader((topic, 0, 0)))) == written


def test_a_message_too_large_among_many_is_refused_by_size(scene: Scene) -> None:
    topic = scene.topic()
    producer = scene.bus.producer(transactional_id=topic)
    producer.begin()
    with pytest.raises(BusError, match=f"a message of {MESSAGE_SIZE_MAX} bytes is too large for {topic}"):
        producer.produce_many(topic, outgoing((b"k", b"fits", 0, 1), (b"k", bytes(MESSAGE_SIZE_MAX), 0, 1)))
    producer.abort()


def main(messages: int) -> int:
    """Read so many messages; returns the bytes by which memory grew."""
    broker = find_broker()
    scene = Scene(KafkaBus(broker.bootstrap, HASTY, reading="native"))
    try:
        return growth_after(scene, messages)
    finally:
        scene.bus.admin().delete(scene.topics)
        release_broker(broker)


if __name__ == "__main__":
    asked = int(sys.argv[1])
    grown = main(asked)
    sys.stdout.write(f"{asked:,} messages read; memory grew by {grown / 2**20:.1f} MiB\n")
    sys.exit(0 if grown < GROWTH_MAX else 1)
