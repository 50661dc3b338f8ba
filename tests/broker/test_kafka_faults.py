"""Laws of a broker that dies or falls silent: what is committed stays, what is in doubt is found out."""

import os
import signal
from pathlib import Path

import pytest

from tests.broker.chaos.log_reader import open_transactions
from tests.contract.bus.conftest import HASTY
from tests.contract.bus.scenes import Scene, blocks_until, in_transaction, read_to_end, values
from tests.day_runs import until
from tests.kafka_process import kafka_script
from topics.block import TopicPartition
from topics.bus import FencedError, Position, UnknownOutcomeError
from topics.kafka import KafkaBus
from topics.kafka_reader import Reading

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def start(folder: Path) -> str:
    return kafka_script("start", KAFKA_DIR=str(folder)).stdout.strip()


def signal_broker(folder: Path, number: signal.Signals) -> None:
    os.kill(int((folder / "broker.pid").read_text()), number)


@pytest.mark.parametrize("reading", ["native", "plain"])
def test_a_killed_broker_comes_back_where_it_was_and_its_readers_go_on(
    folder: Path, reading: Reading
) -> None:
    waits: list[str] = []
    address = start(folder)
    scene = Scene(KafkaBus(address, HASTY, reading=reading, on_wait=waits.append))
    topic = scene.topic()
    scene.write(topic, b"before")
    reader = scene.reader((topic, 0, 0))
    assert values(blocks_until(reader, lambda blocks: bool(values(blocks)))) == [b"before"]
    signal_broker(folder, signal.SIGKILL)
    while not waits:
        assert reader.poll(messages_max=10, wait_ms=100).messages == 0
    assert kafka_script("status", KAFKA_DIR=str(folder)).returncode == 1
    assert start(folder) == address
    scene.write(topic, b"after")
    assert values(blocks_until(reader, lambda blocks: bool(values(blocks)))) == [b"after"]
    reader.close()


def test_a_commit_nobody_answered_is_found_out_by_the_next_producer(folder: Path) -> None:
    scene = Scene(KafkaBus(start(folder), {**HASTY, "producer.transaction.timeout.ms": "2000"}))
    topic = scene.topic()
    place = TopicPartition(topic, 0)
    reader = scene.reader((topic, 0, 0))
    producer = scene.bus.producer(transactional_id="id")
    in_transaction(producer, topic, b"in doubt")
    producer.send_offsets({place: Position(7)}, reader)
    signal_broker(folder, signal.SIGSTOP)
    try:
        with pytest.raises(UnknownOutcomeError):
            producer.commit()
    finally:
        signal_broker(folder, signal.SIGCONT)
    producer.close()
    successor = scene.bus.producer(transactional_id="id")
    found = reader.committed([place])[place]
    assert found in (None, Position(7))
    if found is None:
        in_transaction(successor, topic, b"in doubt")
        successor.send_offsets({place: Position(7)}, reader)
        successor.commit()
    assert reader.committed([place]) == {place: Position(7)}
    assert values(read_to_end(scene.reader((topic, 0, 0)))) == [b"in doubt"]


def test_a_transaction_that_the_broker_ended_says_why_its_producer_is_fenced(kafka_bootstrap: str) -> None:
    scene = Scene(KafkaBus(kafka_bootstrap, {**HASTY, "producer.transaction.timeout.ms": "1000"}))
    topic = scene.topic()
    producer = scene.bus.producer(transactional_id=topic)
    in_transaction(producer, topic, b"too late")
    until(lambda: open_transactions(kafka_bootstrap, [(topic, 0)]) == 1, "it is written")
    until(lambda: not open_transactions(kafka_bootstrap, [(topic, 0)]), "the broker has ended it")
    with pytest.raises(FencedError, match=r"open for longer than transaction\.timeout\.ms"):
        producer.commit()
    producer.close()
    successor = scene.bus.producer(transactional_id=topic)
    in_transaction(successor, topic, b"in time")
    successor.commit()
    successor.close()
    assert values(read_to_end(scene.reader((topic, 0, 0)))) == [b"in time"]
