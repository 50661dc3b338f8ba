"""What the scenes on a bus have in common: own topics, members that write down what they are told."""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from uuid import uuid4

import numpy as np

from topics.block import MessageBlock, TopicPartition
from topics.bus import Bus, Consumer, LogRange, Position, Producer, TopicSpec
from topics.outgoing import Outgoing
from topics.wire import Encoded

PATIENCE_S = 20.0
READ_AT_ONCE_MAX = 10_000


@dataclass
class Scene:
    """A bus, and names nobody else uses."""

    bus: Bus
    topics: list[str] = field(default_factory=list)

    def name(self, what: str) -> str:
        return f"{what}-{uuid4().hex[:12]}"

    def topic(self, partitions: int = 1, configs: Mapping[str, str] | None = None) -> str:
        name = self.name("topic")
        self.topics.append(name)
        self.bus.admin().create([TopicSpec(name=name, partitions=partitions, configs=configs or {})])
        return name

    def reader(self, *starts: tuple[str, int, int], group: str | None = None) -> Consumer:
        """A consumer that was given (topic, partition, offset) by hand.

        Kafka answers a commit before its markers are in the log, so whoever reads waits for them first: no
        transaction may be open on these partitions.
        """
        for topic, partition, _ in starts:
            ranges_when(self, TopicPartition(topic, partition), lambda found: found.stable == found.high)
        consumer = self.bus.consumer(group=group or self.name("group"))
        consumer.assign({TopicPartition(topic, partition): offset for topic, partition, offset in starts})
        return consumer

    def write(self, topic: str, *values: bytes, partition: int = 0) -> None:
        """Write values outside any transaction."""
        producer = self.bus.producer()
        for value in values:
            producer.produce(topic, partition=partition, key=None, value=value)
        producer.flush()
        producer.close()


class Member:
    """A group member that starts where the group stands, or at 0, and keeps a diary."""

    def __init__(self, bus: Bus, group: str, topics: Sequence[str]) -> None:
        self.consumer = bus.consumer(group=group)
        self.owned: set[TopicPartition] = set()
        self.diary: list[tuple[str, tuple[TopicPartition, ...]]] = []
        self.starts: dict[TopicPartition, int] = {}
        self.read: list[tuple[TopicPartition, int]] = []
        self.replacements: list[str] = []  # why a new client went on
        self.on_revoked: Callable[[], None] = lambda: None
        self.on_rejoining: Callable[[], None] = lambda: None
        self.consumer.subscribe(topics, self)

    def assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        self.diary.append(("assigned", tuple(partitions)))
        self.owned |= set(partitions)
        found = self.consumer.committed(partitions)
        self.starts = {place: position.offset if position else 0 for place, position in found.items()}
        return self.starts

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.diary.append(("revoked", tuple(partitions)))
        self.on_revoked()
        self.owned -= set(partitions)

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.diary.append(("lost", tuple(partitions)))
        self.owned -= set(partitions)

    def rejoining(self) -> None:
        self.on_rejoining()

    def replaced(self, reason: str) -> None:
        self.replacements.append(reason)

    def turn(self) -> None:
        block = self.consumer.poll(messages_max=READ_AT_ONCE_MAX, wait_ms=20)
        self.read += [(block.sources[s], int(o)) for s, o in zip(block.source, block.offset, strict=True)]


def turn_until(members: Sequence[Member], holds: Callable[[], bool]) -> None:
    """Let members poll in turn until `holds`."""
    until_s = monotonic() + PATIENCE_S
    while not holds():
        assert monotonic() < until_s, [member.diary for member in members]
        for member in members:
            member.turn()


def ranges_when(scene: Scene, place: TopicPartition, holds: Callable[[LogRange], bool]) -> LogRange:
    """Ask for the offsets of a log until `holds` of them, and return them."""
    admin = scene.bus.admin()
    until_s = monotonic() + PATIENCE_S
    while not holds(found := admin.ranges([place])[place]):
        assert monotonic() < until_s, found
    return found


def await_committed(scene: Scene, group: str, expected: dict[TopicPartition, Position]) -> None:
    """Ask for the positions of a group until they are those: a broker answers a commit before all show it."""
    admin = scene.bus.admin()
    until_s = monotonic() + PATIENCE_S
    while (found := dict(admin.group(group).committed)) != expected:
        assert monotonic() < until_s, found


def blocks_until(consumer: Consumer, holds: Callable[[list[MessageBlock]], bool]) -> list[MessageBlock]:
    """Poll until `holds` of the blocks, and return them."""
    blocks: list[MessageBlock] = []
    until_s = monotonic() + PATIENCE_S
    while not holds(blocks):
        assert monotonic() < until_s, f"read {sum(block.messages for block in blocks)} messages and no more"
        blocks.append(consumer.poll(messages_max=READ_AT_ONCE_MAX, wait_ms=50))
    return blocks


def read_to_end(consumer: Consumer, partitions: int = 1) -> list[MessageBlock]:
    """Poll until the end of that many partitions was reported.

    A Kafka consumer reads ahead from the moment it is assigned, so an end may be older than what was
    written since: make the reader after the writing.
    """
    return blocks_until(consumer, lambda blocks: len({place for place, _ in ends(blocks)}) == partitions)


def values(blocks: Sequence[MessageBlock]) -> list[bytes | None]:
    """The values as the addresses give them."""
    return [
        None if size < 0 else ctypes.string_at(int(address), int(size)) if size else b""
        for block in blocks
        for address, size in zip(block.value, block.value_size, strict=True)
    ]


def keys(blocks: Sequence[MessageBlock]) -> list[bytes | None]:
    """The keys as the addresses give them."""
    return [
        None if size < 0 else ctypes.string_at(int(address), int(size)) if size else b""
        for block in blocks
        for address, size in zip(block.key, block.key_size, strict=True)
    ]


def offsets(blocks: Sequence[MessageBlock]) -> list[int]:
    """The offsets, in the order they were read."""
    return [int(offset) for block in blocks for offset in block.offset]


def ends(blocks: Sequence[MessageBlock]) -> list[tuple[TopicPartition, int]]:
    """The ends that were reported."""
    return [end for block in blocks for end in block.ends]


def outgoing(*messages: tuple[bytes, bytes, int, int]) -> Outgoing:
    """Messages given as (key, value, partition, timestamp_ms), to be written at once."""
    given_keys, given_values, partitions, times_ms = zip(*messages, strict=True)
    distinct = sorted(set(given_keys))
    return Outgoing(
        values=Encoded(
            np.frombuffer(b"".join(given_values), np.uint8),
            np.cumsum([0, *map(len, given_values)], dtype=np.int64),
        ),
        keys=distinct,
        key_code=np.array([distinct.index(key) for key in given_keys], np.int32),
        partition=np.array(partitions, np.int32),
        timestamp_ms=np.array(times_ms, np.int64),
    )


def in_transaction(producer: Producer, topic: str, *written: bytes, partition: int = 0) -> None:
    """Begin a transaction and write values in it."""
    producer.begin()
    for value in written:
        producer.produce(topic, partition=partition, key=None, value=value)


def commit_position(
    producer: Producer, consumer: Consumer, place: TopicPartition, position: Position
) -> None:
    """Commit one position in a transaction of its own."""
    producer.begin()
    producer.send_offsets({place: position}, consumer)
    producer.commit()
