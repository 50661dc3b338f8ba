"""Copies of topics on the embedded bus: source logs that keep their word, and copiers that die."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.process import failpoints
from app.repartition.copy import Copy
from app.repartition.homes import BY_KEY, Reading
from schemas.clocks import NS_PER_MS
from topics.avro.progress import encode_progress
from topics.block import Original, TopicPartition
from topics.bus import TopicSpec
from topics.memory.bus import CommitFault, MemoryBus
from topics.wire import Progress, SchemaRegistry

SOURCE, TARGET = "source", "target"


@dataclass(frozen=True)
class Row:
    """A row of a source log; `time_ms` is its record time."""

    key: bytes | None
    time_ms: int


@dataclass(frozen=True)
class Mark:
    """A progress record of a source log."""

    upper_ms: int
    final: bool = False


Log = Sequence[Row | Mark]


class Death(Exception):
    """A copier dies here."""


class _Fate:
    """Lets a copier die after so many steps; None: never."""

    def __init__(self, steps: int | None) -> None:
        self._left = steps

    def reach(self, _: str) -> None:
        if self._left is None:
            return
        self._left -= 1
        if self._left < 0:
            raise Death


def bus_of(logs: Sequence[Log], registry: SchemaRegistry, partitions: int) -> MemoryBus:
    """A bus with these source logs, by partition, and an empty target."""
    bus = MemoryBus()
    bus.admin().create(
        [
            TopicSpec(name=SOURCE, partitions=len(logs), configs={}),
            TopicSpec(name=TARGET, partitions=partitions, configs={}),
        ]
    )
    producer = bus.producer()
    for number, log in enumerate(logs):
        for place, one in enumerate(log):
            if isinstance(one, Row):
                value, time_ms = b"%d:%d" % (number, place), one.time_ms
                headers = [("place", b"%d" % place), ("place", None)]
                producer.produce(
                    SOURCE, partition=number, key=one.key, value=value, headers=headers, timestamp_ms=time_ms
                )
            else:
                record = Progress("quote", one.upper_ms * NS_PER_MS, one.final, "test")
                value = encode_progress(registry, record)
                producer.produce(SOURCE, partition=number, key=None, value=value, timestamp_ms=one.upper_ms)
    return bus


def copy_through(
    bus: MemoryBus,
    registry: SchemaRegistry,
    partitions: int,
    deaths: Iterator[int],
    faults: Sequence[CommitFault] = (),
    reading: Reading = BY_KEY,
) -> None:
    """Copy to the end; each number of `deaths` is how many steps a copier takes before it dies."""
    bus.fail_commits(faults)
    while True:
        failpoints.arm(_Fate(next(deaths, None)).reach)
        try:
            copy = Copy(bus, registry, SOURCE, TARGET, partitions, reading=reading)
            copy.run()
            copy.close()
            return
        except Death:
            continue  # nothing is closed: a process is gone
        finally:
            failpoints.arm(None)


def target_logs(bus: MemoryBus, partitions: int) -> list[list[Original]]:
    """The committed messages of the target, by partition."""
    logs = []
    for number in range(partitions):
        reader = bus.consumer(group="test")
        reader.assign({TopicPartition(TARGET, number): 0})
        log: list[Original] = []
        while (block := reader.poll(messages_max=1_000, wait_ms=0)).messages:
            log += [block.originals[message] for message in range(block.messages)]
        logs.append(log)
    return logs
