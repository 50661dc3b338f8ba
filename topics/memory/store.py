"""What the clients of one embedded bus share: topics, logs, groups, and the transactions that are open."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import count

from topics.block import TopicPartition
from topics.bus import BusError, FencedError, LogId, Position, TopicSpec
from topics.memory.group import Group
from topics.memory.log import PartitionLog
from topics.message_size import TOPIC_SETTING, TOPIC_SIZE_MAX


class CommitFault(Enum):
    """What may happen to a commit instead of success, to rehearse it."""

    REFUSED = "the broker refuses it: the transaction must be aborted"
    LOST = "the broker never learns of it, and the producer never hears"
    UNHEARD = "it is done, and the producer never hears"


@dataclass(slots=True)
class Transaction:
    """An open transaction and what it has touched."""

    number: int
    logs: dict[TopicPartition, PartitionLog] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)


class MemoryStore:
    """The broker's part of the embedded bus."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._log_ids: dict[str, LogId] = {}
        self.topics: dict[str, TopicSpec] = {}
        self.logs: dict[TopicPartition, PartitionLog] = {}
        self.groups: dict[str, Group] = {}
        self.commit_faults: deque[CommitFault] = deque()
        self.message_size_max: dict[str, int] = {}
        self._epochs: dict[str, int] = {}
        self._open: dict[str, Transaction] = {}
        self._numbers = count()
        self._topic_numbers = count(1)

    def create(self, topic: TopicSpec) -> None:
        """Add a topic with empty logs."""
        self.topics[topic.name] = topic
        self.message_size_max[topic.name] = int(topic.configs.get(TOPIC_SETTING, TOPIC_SIZE_MAX))
        self._log_ids[topic.name] = LogId(self._cluster, f"{next(self._topic_numbers):022d}")
        for partition in range(topic.partitions):
            self.logs[TopicPartition(topic.name, partition)] = PartitionLog()

    def configure(self, topic: str, configs: Mapping[str, str]) -> None:
        """Change configs of a topic; its logs stay."""
        spec = self.topics[topic]
        self.topics[topic] = replace(spec, configs={**spec.configs, **configs})
        self.message_size_max[topic] = int(self.topics[topic].configs.get(TOPIC_SETTING, TOPIC_SIZE_MAX))

    def add_partitions(self, topic: str, partitions: int) -> None:
        """Add empty logs to a topic, and let the groups that read it know."""
        before = self.topics[topic]
        assert partitions > before.partitions, "partitions are only ever added"
        self.topics[topic] = replace(before, partitions=partitions)
        for partition in range(before.partitions, partitions):
            self.logs[TopicPartition(topic, partition)] = PartitionLog()
        for group in self.groups.values():
            group.topic_changed(topic)

    def delete(self, topic: str) -> None:
        """Remove a topic and its messages, where it exists, and what groups committed of it."""
        if topic in self.topics:
            for partition in range(self.topics.pop(topic).partitions):
                del self.logs[TopicPartition(topic, partition)]
            for group in self.groups.values():
                group.forget(topic)

    def log_id(self, topic: str) -> LogId:
        """What tells the logs of a topic from others; raises BusError where it does not exist."""
        self.log(TopicPartition(topic, 0))
        return self._log_ids[topic]

    def log(self, partition: TopicPartition) -> PartitionLog:
        """Return the log of a partition; raises BusError where it does not exist."""
        try:
            return self.logs[partition]
        except KeyError:
            if partition.topic not in self.topics:
                raise BusError(f"topic {partition.topic} does not exist: create it first") from None
            raise BusError(
                f"topic {partition.topic} has {self.topics[partition.topic].partitions} partitions, "
                f"there is no partition {partition.partition}"
            ) from None

    def group(self, name: str) -> Group:
        """Return a group; makes it at its first use."""
        return self.groups.setdefault(name, Group(name, self.topics))

    def take_id(self, transactional_id: str) -> int:
        """Give an id to a new producer: abort what is open, fence who had it, return the new epoch."""
        if transactional_id in self._open:
            self.end_transaction(transactional_id, committed=False)
        self._epochs[transactional_id] = self._epochs.get(transactional_id, -1) + 1
        return self._epochs[transactional_id]

    def is_current(self, transactional_id: str, epoch: int) -> bool:
        """Whether no other producer has taken the id since."""
        return self._epochs[transactional_id] == epoch

    def require_epoch(self, transactional_id: str, epoch: int) -> None:
        """Raise FencedError where another producer has taken the id since."""
        if not self.is_current(transactional_id, epoch):
            raise FencedError(f"another producer took the transactional id {transactional_id}: stop this one")

    def transaction(self, transactional_id: str) -> Transaction:
        """Return the open transaction of an id; opens one if there is none."""
        if transactional_id not in self._open:
            self._open[transactional_id] = Transaction(next(self._numbers))
        return self._open[transactional_id]

    def hold_offsets(
        self, transactional_id: str, group: Group, offsets: Mapping[TopicPartition, Position]
    ) -> None:
        """Make positions of a group part of the open transaction of an id."""
        transaction = self.transaction(transactional_id)
        transaction.groups[group.name] = group
        group.hold(transaction.number, offsets)

    def end_transaction(self, transactional_id: str, *, committed: bool) -> None:
        """Decide the open transaction of an id everywhere; nothing to do where it has touched nothing."""
        transaction = self._open.pop(transactional_id, None)
        if transaction is None:
            return
        for log in transaction.logs.values():
            log.end(transaction.number, committed=committed)
        for group in transaction.groups.values():
            group.end(transaction.number, committed=committed)
