"""The embedded bus: a log in this process with Kafka's rules, and no thread or clock.

What happens depends on the order of calls alone, so a run on it repeats exactly.
"""

from collections.abc import Mapping, Sequence

from topics.block import TopicPartition
from topics.bus import BusError, MessageLimit
from topics.memory.admin import MemoryAdmin
from topics.memory.consumer import MemoryConsumer
from topics.memory.producer import MemoryProducer
from topics.memory.store import CommitFault, MemoryStore
from topics.message_size import message_limit

__all__ = ["CommitFault", "MemoryBus"]


class MemoryBus:
    """See `topics.bus.Bus`; besides, it drops consumed messages and can simulate faults.

    `cluster` is its id: to whoever compares ids, buses of one id are one cluster.
    """

    def __init__(self, cluster: str = "embedded") -> None:
        self._store = MemoryStore(cluster)

    @property
    def name(self) -> str:
        """What to print."""
        return "embedded"

    def consumer(self, *, group: str, client_id: str = "tidemark", to_end: bool = False) -> MemoryConsumer:
        """Make a consumer of a group; here nobody waits for an end."""
        del to_end
        return MemoryConsumer(self._store, self._store.group(group), client_id)

    def vacate(self, *, group: str, client_id: str, topics: Sequence[str]) -> None:
        """Take members of this name out of a group: here none is static, and each leaves as it ends."""
        del topics
        self._store.group(group).expel(client_id)

    def producer(self, *, transactional_id: str | None = None, client_id: str = "tidemark") -> MemoryProducer:
        """Make a producer; with an id, abort what that id left open and fence who had it."""
        return MemoryProducer(self._store, transactional_id)

    def admin(self) -> MemoryAdmin:
        """Make a client for topics."""
        return MemoryAdmin(self._store)

    def message_limits(self, topics: Sequence[str]) -> dict[str, MessageLimit]:
        """How large a message each topic takes."""
        limits = {}
        for topic in topics:
            if topic not in self._store.topics:
                raise BusError(f"topic {topic} does not exist: create it first")
            configs = self._store.topics[topic].configs
            size_max = self._store.message_size_max[topic]
            limits[topic] = message_limit(topic, configs, client_size_max=size_max, batch_size_max=0)
        return limits

    def configure(self, topic: str, configs: Mapping[str, str]) -> None:
        """Change configs of a topic, as an operator does."""
        self._store.configure(topic, configs)

    def delete_before(self, partition: TopicPartition, offset: int) -> None:
        """Drop messages below `offset`, which becomes the low offset: what keeps a long run's memory bounded.

        Offsets beyond the last stable one are kept.
        """
        self._store.log(partition).delete_before(offset)

    def add_partitions(self, topic: str, partitions: int) -> None:
        """Let a topic have `partitions`, more than before; groups that read it rebalance, as on a broker."""
        self._store.add_partitions(topic, partitions)

    def evict(self, consumer: MemoryConsumer) -> None:
        """Throw a consumer out of its group, as a session timeout does; it learns so in its next poll."""
        consumer.evict()

    def expire(self, transactional_id: str) -> None:
        """Abort what an id has open and fence its producer, as a transaction timeout does."""
        self._store.take_id(transactional_id)

    def fail_commits(self, faults: Sequence[CommitFault]) -> None:
        """Let the next commits, of any producer, meet these faults."""
        self._store.commit_faults.extend(faults)
