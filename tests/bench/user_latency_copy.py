"""`python -m tests.bench.user_latency_copy NAME CONFIG.json`: a bare copy of the trades, and its reader.

What Kafka itself takes: plain clients of confluent-kafka that do nothing else.  The times they note are the
wall clock's.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition

from app.config import Settings
from tests.bench.kafka_processes import (
    CHECKED,
    no_pauses,
    note_messages,
    ready_until_told,
    require_delivered,
)

POLL_S_MAX: Final = 0.1


def copy(config: dict[str, Any], settings: Settings) -> None:
    """Copy the trades as they come, in transactions or each at once, and write down when each was read."""
    exactly_once = settings.worker.guarantee == "exactly_once"
    consumer = Consumer(
        {
            "bootstrap.servers": settings.bus.bootstrap,
            "group.id": config["group"],
            "enable.auto.commit": not exactly_once,
            "auto.commit.interval.ms": settings.worker.commit_interval_ms,
        }
    )
    own = {"transactional.id": config["group"]} if exactly_once else {"linger.ms": 0}
    producer = Producer({"bootstrap.servers": settings.bus.bootstrap, **CHECKED, **own})
    partitions = range(settings.bus.partitions)
    consumer.assign([TopicPartition(config["from"], number, 0) for number in partitions])
    read_ns: list[list[int]] = [[] for _ in partitions]

    def copy_until(until_s: float) -> None:
        while (left_s := until_s - time.monotonic()) > 0:
            message = consumer.poll(min(left_s, POLL_S_MAX))
            if message is not None:
                assert message.error() is None, message.error()
                read_ns[message.partition()].append(time.time_ns())
                producer.produce(
                    config["to"],
                    message.value(),
                    message.key(),
                    message.partition(),
                    on_delivery=require_delivered,
                )
            producer.poll(0)

    if exactly_once:
        producer.init_transactions()
    interval_s = settings.worker.commit_interval_ms / 1e3
    line_came = ready_until_told()
    with no_pauses():
        while not line_came.is_set():
            if exactly_once:
                producer.begin_transaction()
            copy_until(time.monotonic() + interval_s)
            if exactly_once:
                producer.send_offsets_to_transaction(
                    consumer.position(consumer.assignment()), consumer.consumer_group_metadata()
                )
                producer.commit_transaction()
    producer.flush()
    consumer.close()
    columns: dict[str, Any] = {str(number): np.array(read_ns[number], np.int64) for number in partitions}
    np.savez(config["read"], **columns)


def watch_copy(config: dict[str, Any], settings: Settings) -> None:
    """Write down when a reader had each copy in its hands."""
    noted = note_messages(settings, config["to"])
    columns: dict[str, Any] = {}
    for number in range(settings.bus.partitions):
        columns[str(number)] = np.array([ns for ns, each in noted if each.partition() == number], np.int64)
    np.savez(config["seen"], **columns)


PROCESSES: Final[dict[str, Callable[[dict[str, Any], Settings], None]]] = {
    "copy": copy,
    "watch-copy": watch_copy,
}


def main(name: str, file: str) -> None:
    """Run one process."""
    config = json.loads(Path(file).read_text())
    PROCESSES[name](config, Settings.model_validate(config["settings"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
