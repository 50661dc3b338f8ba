"""Laws of a broker that dies or falls silent: what is committed stays, what is in doubt is found out."""

import gc
import os
import signal
import weakref
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from typing import ClassVar

import confluent_kafka
import pytest

from tests.broker.chaos.log_reader import open_transactions
from tests.contract.bus.conftest import HASTY
from tests.contract.bus.scenes import (
    PATIENCE_S,
    Member,
    Scene,
    blocks_until,
    in_transaction,
    ranges_when,
    read_to_end,
    turn_until,
    values,
)
from tests.stage.day_runs import until
from tests.stage.kafka_process import kafka_script
from topics.block import TopicPartition
from topics.bus import AbortableError, ExpiredError, FencedError, Position, Producer, UnknownOutcomeError
from topics.kafka import producer as kafka_producer
from topics.kafka.bus import KafkaBus
from topics.kafka.reader import Reading
from topics.kafka.settings import LOGGER

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.takes_s(110)]


def start(folder: Path) -> str:
    return kafka_script("start", KAFKA_DIR=str(folder)).stdout.strip()


def signal_broker(folder: Path, number: signal.Signals) -> None:
    process = int((folder / "broker.pid").read_text())
    os.kill(process, number)
    if (
        number is signal.SIGSTOP
    ):  # the others go on until one of its threads has had its turn on a busy machine
        until(lambda: set(thread_states(process)) == {"T"}, "the broker stands still")


def thread_states(process: int) -> list[str]:
    """The letter of Linux for what each thread of a process does."""
    threads = Path(f"/proc/{process}/task").glob("*/stat")
    return [thread.read_text().rpartition(")")[2].split()[0] for thread in threads]


def write_until_refused(producer: Producer, topic: str) -> None:
    until_s = monotonic() + PATIENCE_S
    while monotonic() < until_s:
        producer.produce(topic, partition=0, key=None, value=b"in vain")
        sleep(0.001)


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
    # A broker ends a transaction that lasts longer, on a busy machine too, and then nothing is in doubt.
    scene = Scene(KafkaBus(start(folder), {**HASTY, "producer.transaction.timeout.ms": "10000"}))
    topic = scene.topic()
    place = TopicPartition(topic, 0)
    reader = scene.reader((topic, 0, 0))
    producer = scene.bus.producer(transactional_id="id")
    in_transaction(producer, topic, b"in doubt")
    ranges_when(scene, place, lambda found: found.high > found.stable)  # all is answered but the commit
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


def a_successor_alone_counts(scene: Scene, topic: str) -> None:
    """The next producer of the id `topic` writes to that topic, and nothing of the one before is there."""
    successor = scene.bus.producer(transactional_id=topic)
    in_transaction(successor, topic, b"in time")
    successor.commit()
    successor.close()
    assert values(read_to_end(scene.reader((topic, 0, 0)))) == [b"in time"]


def test_a_message_that_nobody_took_in_time_undoes_no_more_than_its_transaction(folder: Path) -> None:
    scene = Scene(KafkaBus(start(folder), {**HASTY, "producer.transaction.timeout.ms": "2000"}))
    topic = scene.topic()
    producer = scene.bus.producer(transactional_id=topic)
    producer.begin()
    producer.produce(topic, partition=0, key=None, value=b"in vain")
    signal_broker(folder, signal.SIGSTOP)
    try:
        with pytest.raises(AbortableError, match=r"writing to .* timed out"):
            write_until_refused(producer, topic)
    finally:
        signal_broker(folder, signal.SIGCONT)
    producer.close()
    a_successor_alone_counts(scene, topic)


def test_a_transaction_that_the_broker_ended_for_its_age_is_no_rival(kafka_bootstrap: str) -> None:
    scene = Scene(KafkaBus(kafka_bootstrap, {**HASTY, "producer.transaction.timeout.ms": "5000"}))
    topic = scene.topic()
    producer = scene.bus.producer(transactional_id=topic)
    in_transaction(producer, topic, b"too late")
    until(lambda: open_transactions(kafka_bootstrap, [(topic, 0)]) == 1, "it is written")
    until(lambda: not open_transactions(kafka_bootstrap, [(topic, 0)]), "the broker has ended it")
    with pytest.raises(ExpiredError, match=r"open for longer than transaction\.timeout\.ms \(5 s\)"):
        producer.commit()
    producer.close()
    a_successor_alone_counts(scene, topic)


def test_what_a_broker_aborts_as_it_starts_again_is_never_seen(folder: Path) -> None:
    """A broker may take partitions without a leader for deleted ones, and write no marker there.

    What was aborted would then be part of the producer's next transaction: Kafka 4.2.0 to 4.4.0 do that.
    """
    address = start(folder)
    scene = Scene(KafkaBus(address, {**HASTY, "producer.transaction.timeout.ms": "8000"}))
    topic = scene.topic()
    producer = scene.bus.producer(transactional_id=topic)
    in_transaction(producer, topic, b"in vain")
    until(lambda: open_transactions(address, [(topic, 0)]) == 1, "it is written")
    signal_broker(folder, signal.SIGKILL)
    until(lambda: kafka_script("status", KAFKA_DIR=str(folder)).returncode == 1, "the broker is dead")
    sleep(8)  # so the transaction is older than its timeout when the broker starts again, and aborted at once
    assert start(folder) == address
    until(lambda: not open_transactions(address, [(topic, 0)]), "the broker has ended it")
    producer.close()
    a_successor_alone_counts(scene, topic)


class Silent(confluent_kafka.Producer):  # type: ignore[misc]
    """A client that never answers when positions are sent, as long as the test lasts."""

    answered = Event()
    made: ClassVar[list["Silent"]] = []

    def __init__(self, *settings: object, **more: object) -> None:
        super().__init__(*settings, **more)
        self.made.append(self)

    def send_offsets_to_transaction(self, *_: object) -> None:
        self.answered.wait()


def test_a_client_that_never_answers_is_left_behind(
    kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(KafkaBus(kafka_bootstrap, HASTY))
    # It is left behind before it has sent its message.
    slow = {"producer.transaction.timeout.ms": "1000", "producer.linger.ms": "990"}
    topic = scene.topic()
    monkeypatch.setattr(kafka_producer, "_END_MARGIN_S", -0.5)
    with monkeypatch.context() as patch:
        patch.setattr(confluent_kafka, "Producer", Silent)
        producer = KafkaBus(kafka_bootstrap, {**HASTY, **slow}).producer(transactional_id=topic)
    in_transaction(producer, topic, b"in doubt")
    with pytest.raises(UnknownOutcomeError, match="no answer from the client"):
        producer.send_offsets({TopicPartition(topic, 0): Position(7)}, scene.reader((topic, 0, 0)))
    (client,) = Silent.made
    assert len(client) > 0
    producer.close()
    assert len(client) == 0
    a_successor_alone_counts(scene, topic)
    Silent.answered.set()


class Unserved(confluent_kafka.Producer):  # type: ignore[misc]
    """A client whose messages are never reported to anybody, as those on their way to a broker that hangs."""

    def purge(self, *_: object, **__: object) -> None:
        """Drop nothing."""

    def abort_transaction(self, *_: object) -> None:
        """Leave all as it is."""


def test_a_producer_that_is_gone_takes_its_client_with_it_whatever_became_of_its_messages(
    kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(KafkaBus(kafka_bootstrap, HASTY))
    topic = scene.topic()
    made: list[weakref.ref[Unserved]] = []

    def make(*settings: object, **more: object) -> Unserved:
        client = Unserved(*settings, **more)
        made.append(weakref.ref(client))
        return client

    monkeypatch.setattr(kafka_producer, "_DROP_S", 0.1)
    monkeypatch.setattr(LOGGER, "disabled", True)  # pytest keeps what is logged, with what it is about
    with monkeypatch.context() as patch:
        patch.setattr(confluent_kafka, "Producer", make)
        slow = {**HASTY, "producer.transaction.timeout.ms": "60000", "producer.linger.ms": "30000"}
        producer = KafkaBus(kafka_bootstrap, slow).producer(transactional_id=topic)
    in_transaction(producer, topic, b"never sent")
    producer.close()
    (client,) = made
    alive = client()
    assert alive is not None
    assert len(alive) == 1
    del alive
    gc.disable()  # it would find a circle of references
    try:
        del producer
        assert client() is None
    finally:
        gc.enable()
    a_successor_alone_counts(scene, topic)


def test_a_static_member_turned_away_as_it_joins_again_joins_once_more(kafka_bootstrap: str) -> None:
    static = {"consumer.group.instance.id": "name", "consumer.max.poll.interval.ms": "6000"}
    bus = KafkaBus(kafka_bootstrap, {**HASTY, **static})
    scene = Scene(KafkaBus(kafka_bootstrap, HASTY))
    topic, group = scene.topic(partitions=2), scene.name("group")
    member, other = Member(bus, group, [topic]), Member(scene.bus, group, [topic])
    turn_until([member, other], lambda: len(member.owned) == len(other.owned) == 1)
    turn_until([other], lambda: len(other.owned) == 2)  # the member polls too seldom and is thrown out
    turn_until([member], lambda: not member.owned)
    admin = scene.bus.admin()
    turn_until([member], lambda: admin.group(group).state == "rebalancing")
    # Its request to join waits for the other one; the next by its name has it turned away.
    second = Member(bus, group, [topic])
    turn_until([member], lambda: member.replacements == ["rejoined"])
    turn_until([member, other], lambda: len(member.owned) == len(other.owned) == 1)
    with pytest.raises(FencedError, match=r"reading as group .*: another client took over"):
        turn_until([second], lambda: False)
    for one in (member, other, second):
        one.consumer.close()
