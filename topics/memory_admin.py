"""The embedded bus's topics: created, described and deleted as on a broker."""

from collections.abc import Sequence

from topics.bus import BusError, TopicSpec
from topics.memory_store import MemoryStore


class MemoryAdmin:
    """See `topics.bus.Admin`; a topic's configs are those it was created with."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def describe(self, names: Sequence[str]) -> dict[str, TopicSpec | None]:
        """Each topic as it is, None where there is none."""
        return {name: self._store.topics.get(name) for name in names}

    def create(self, topics: Sequence[TopicSpec]) -> None:
        """Create topics, all of them or none."""
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
