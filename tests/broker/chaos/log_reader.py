"""Reads committed messages with a plain Kafka consumer that checks their checksums."""

from collections.abc import Mapping, Sequence
from time import monotonic, sleep
from typing import Any, Final

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from topics.kafka.errors import AWAY, error_of

ANSWER_S: Final = 15.0
POLL_S: Final = 0.02
# A broker that has just started knows no partition yet.
PASSING: Final = AWAY | {"UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION"}


def committed_reader(
    bootstrap: str, places: Sequence[tuple[str, int]], begin: Mapping[tuple[str, int], int] | None = None
) -> Consumer:
    """A consumer of these partitions of no group, from their first message on or where `begin` says."""
    reader = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "chaos-reader",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "check.crcs": True,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 10,
            "reconnect.backoff.max.ms": 500,
            "topic.metadata.refresh.interval.ms": 10_000,  # as ours: else it may lose sight of a partition
            "log_level": 2,  # that a broker is away is the point of some scenes
        }
    )
    first = begin or dict.fromkeys(places, OFFSET_BEGINNING)
    reader.assign([TopicPartition(topic, number, first[topic, number]) for topic, number in places])
    return reader


def is_end(message: Message) -> bool:
    """Whether this is the end of a partition; raises for an error that does not pass by itself."""
    error = message.error()
    if error is None:
        return False
    if error.name() == "_PARTITION_EOF":
        return True
    if error.retriable() or error.name() in PASSING:
        return False
    raise KafkaException(error)


def read_all(bootstrap: str, topics: Sequence[str], partitions: int) -> dict[str, list[Message]]:
    """Every committed message of these topics; those of a partition are in offset order."""
    found: dict[str, list[Message]] = {topic: [] for topic in topics}
    waiting = {(topic, number) for topic in topics for number in range(partitions)}
    reader = committed_reader(bootstrap, sorted(waiting))
    try:
        while waiting:
            for message in reader.consume(10_000, POLL_S):
                if is_end(message):
                    waiting.discard((message.topic(), message.partition()))
                elif message.error() is None:
                    found[message.topic()].append(message)
    finally:
        reader.close()
    return found


def ends(bootstrap: str, places: Sequence[tuple[str, int]], level: IsolationLevel) -> Mapping[Any, int]:
    """Where each log ends for readers of this isolation level."""
    asked = {TopicPartition(topic, number): OffsetSpec.latest() for topic, number in places}
    client = AdminClient({"bootstrap.servers": bootstrap})  # held until the answers are there
    until_s = monotonic() + ANSWER_S
    while True:
        answers = client.list_offsets(asked, isolation_level=level)
        try:
            return {
                (place.topic, place.partition): answer.result(timeout=ANSWER_S).offset
                for place, answer in answers.items()
            }
        except KafkaException as raised:
            if error_of(raised).name() not in PASSING or monotonic() > until_s:
                raise
        sleep(POLL_S)


def open_transactions(bootstrap: str, places: Sequence[tuple[str, int]]) -> int:
    """How many of these partitions hold something behind an open transaction."""
    stable = ends(bootstrap, places, IsolationLevel.READ_COMMITTED)
    written = ends(bootstrap, places, IsolationLevel.READ_UNCOMMITTED)
    return sum(stable[place] < written[place] for place in written)
