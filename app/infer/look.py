"""Topics looked at by name: those that exist are sampled, those that do not are answered with near names."""

from collections.abc import Sequence

from app.errors import UsageError
from app.wiring.topics import near_names
from topics.bus import Bus


def require_topics(bus: Bus, topics: Sequence[str]) -> dict[str, int]:
    """Return the partition count of each topic; raises UsageError naming those that do not exist."""
    admin = bus.admin()
    described = admin.describe(topics)
    missing = [topic for topic in topics if described[topic] is None]
    if not missing:
        return {topic: spec.partitions for topic, spec in described.items() if spec is not None}
    names = admin.names()
    words = []
    for topic in missing:
        near = near_names(names, topic, topic.rpartition(".")[2])
        words.append(f"{topic} does not exist{f' (there is {chr(44).join(near)})' if near else ''}")
    raise UsageError(f"{'; '.join(words)}: name topics that {bus.name} has")
