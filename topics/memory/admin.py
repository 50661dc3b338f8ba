"""The embedded bus's topics: created, described and deleted as on a broker."""

from collections.abc import Callable, Mapping, Sequence

from topics.block import TopicPartition
from topics.bus import BusError, BusUnavailableError, GroupStanding, LogId, LogRange, Position, TopicSpec
from topics.memory.store import MemoryStore
from topics.positions import require_committable


class MemoryAdmin:
    """See `topics.bus.Admin`; a topic's configs are those it was created with."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def names(self) -> list[str]:
        """The topics that exist."""
        return list(self._store.topics)

    def describe(self, names: Sequence[str]) -> dict[str, TopicSpec | None]:
        """Return each topic, None for a topic that does not exist."""
        return {name: self._store.topics.get(name) for name in names}

    def log_ids(self, names: Sequence[str]) -> dict[str, LogId]:
        """What tells the logs of each topic from others, those of a deleted topic of that name too."""
        return {name: self._store.log_id(name) for name in names}

    def request_counts(self, names: Sequence[str]) -> Callable[[], dict[str, int]]:
        """Return what says how many partitions topics have: nothing is waited for here."""

        def answer() -> dict[str, int]:
            if absent := [name for name in names if name not in self._store.topics]:
                raise BusUnavailableError(f"topic {absent[0]} does not exist now")
            return {name: self._store.topics[name].partitions for name in names}

        return answer

    def create(self, topics: Sequence[TopicSpec]) -> None:
        """Create all of these topics, or raise and create no topic."""
        for topic in topics:
            if topic.name in self._store.topics:
                raise BusError(f"topic {topic.name} could not be created: it exists already")
            if topic.partitions < 1:
                raise BusError(f"topic {topic.name} could not be created: {topic.partitions} partitions")
        for topic in topics:
            self._store.create(topic)

    def delete(self, names: Sequence[str]) -> None:
        """Delete topics where they exist, with all their messages."""
        for name in names:
            self._store.delete(name)

    def delete_group(self, name: str) -> None:
        """Delete a consumer group where it exists, with all that it committed.

        Raises BusError where it has members.
        """
        if self.group(name).members:
            raise BusError(f"group {name} could not be deleted: it has members")
        self._store.groups.pop(name, None)

    def group(self, name: str) -> GroupStanding:
        """Members, what each owns, and the committed positions of a consumer group."""
        if name not in self._store.groups:
            return GroupStanding(state="empty", members=(), committed={})
        return self._store.groups[name].standing()

    def commit_group(self, name: str, positions: Mapping[TopicPartition, Position]) -> None:
        """Make these the committed positions of a group without members; others that it has stay.

        Raises BusError where it has members, or a partition does not exist.
        """
        require_committable(positions)
        if not positions:
            return
        self.ranges(list(positions))
        if self.group(name).members:
            raise BusError(f"positions of group {name} could not be committed: it has members")
        self._store.group(name).committed.update(positions)

    def broker_limits(self, names: Sequence[str]) -> dict[str, int]:
        """Of settings of brokers the smallest: here no broker limits anything."""
        del names
        return {}

    def ranges(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, LogRange]:
        """The offsets of each log."""
        logs = {partition: self._store.log(partition) for partition in partitions}
        return {partition: LogRange(log.low, log.stable, log.high) for partition, log in logs.items()}
