"""Scenes of topics that were cut, compacted, widened, or filled twice (F21 to F24)."""

import shutil
import signal
from collections.abc import Mapping

from confluent_kafka import IsolationLevel, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)

from tests.broker.chaos.feed import SYMBOLS
from tests.broker.chaos.log_reader import ANSWER_S, ends, read_all
from tests.broker.chaos.stage import Stage
from tests.stage.day_runs import until
from tests.stage.retention import delete_records

WRITES = 3 * (len(SYMBOLS) + 1)  # offsets of several writes of every entry


def retention_overtook_the_group(stage: Stage) -> None:
    """F21: what a restart must read again has been deleted: it is refused, with low, high and committed."""
    hand = stage.crew.hire(until_final=False)
    with stage.feed.flowing():
        stage.rows_seen(200)
        hand.send(signal.SIGKILL)
        hand.died()
    stage.feed.step()
    stage.keep("trade", "quote")
    partitions = range(stage.settings.bus.partitions)
    places = [(stage.topic(kind), number) for kind in ("trade", "quote") for number in partitions]
    _cut(stage, ends(stage.bootstrap, places, IsolationLevel.READ_UNCOMMITTED))
    stage.note = stage.crew.hire().gave_up("(low)", "(high)", "committed")
    stage.complete = False


def the_last_known_topic_is_cut(stage: Stage) -> None:
    """F22: superseded entries are gone, and its end is a transaction that was aborted: recovery ends."""
    hand = stage.crew.hire(until_final=False)
    topic = stage.topic("last-known")
    places = [(topic, number) for number in range(stage.settings.bus.partitions)]
    with stage.feed.flowing():
        until(
            lambda: min(ends(stage.bootstrap, places, IsolationLevel.READ_COMMITTED).values()) > WRITES,
            "the last-known entries are written several times",
        )
        hand.send(signal.SIGKILL)
        hand.died()
    newest: dict[tuple[int, bytes], int] = {}
    for message in read_all(stage.bootstrap, [topic], stage.settings.bus.partitions)[topic]:
        newest[message.partition(), message.key()] = message.offset()
    partitions = {number for number, _ in newest}
    cuts = {(topic, n): min(at for (where, _), at in newest.items() if where == n) for n in partitions}
    assert any(cuts.values()), "no entry was written twice"
    _allow(stage, topic, "compact,delete")  # a broker cuts no log that is only compacted
    _cut(stage, cuts)
    _allow(stage, topic, "compact")
    _abort_a_write(stage, topic)
    shutil.rmtree(stage.settings.worker.state)
    with stage.feed.flowing():
        again = stage.crew.hire()
        stage.recovers(again)
        assert "last rows read back" in again.said()
    stage.finish(again)


def a_topic_gets_more_partitions(stage: Stage) -> None:
    """F23: one input has another partition count than the others: every command refuses, with the figures."""
    hand = stage.crew.hire()
    for _ in range(5):
        stage.feed.step()
    stage.finish(hand)
    topic, count = stage.topic("trade"), stage.settings.bus.partitions
    client = AdminClient({"bootstrap.servers": stage.bootstrap})
    for answer in client.create_partitions([NewPartitions(topic, count + 1)]).values():
        answer.result(timeout=ANSWER_S)
    until(lambda: len(client.list_topics(topic, ANSWER_S).topics[topic].partitions) > count, "it is wider")
    stage.note = stage.crew.hire().gave_up(f"{topic} has partitions {count + 1}, wanted {count}")


def _cut(stage: Stage, begins: Mapping[tuple[str, int], int]) -> None:
    """Let these logs begin at these offsets."""
    cuts = [TopicPartition(topic, number, offset) for (topic, number), offset in begins.items()]
    delete_records(stage.bootstrap, cuts)


def _allow(stage: Stage, topic: str, cleanup: str) -> None:
    """Set what the broker may do to a topic's old messages."""
    policy = ConfigEntry("cleanup.policy", cleanup, incremental_operation=AlterConfigOpType.SET)
    asked = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[policy])
    client = AdminClient({"bootstrap.servers": stage.bootstrap})
    for answer in client.incremental_alter_configs([asked]).values():
        answer.result(timeout=ANSWER_S)


def _abort_a_write(stage: Stage, topic: str) -> None:
    writer = Producer({"bootstrap.servers": stage.bootstrap, "transactional.id": f"{topic}-stray"})
    writer.init_transactions(ANSWER_S)
    writer.begin_transaction()
    for number in range(stage.settings.bus.partitions):
        writer.produce(topic, b"never", b"nobody", number)
    writer.flush(ANSWER_S)
    writer.abort_transaction(ANSWER_S)
