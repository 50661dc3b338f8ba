"""Input topics that somebody else made: read as they are, with a note on what their settings mean here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from topics.bus import TopicSpec

_UNITS_MS: Final = (("days", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000))


@dataclass(frozen=True, slots=True, kw_only=True)
class InputNeeds:
    """What a pipeline needs of an input's log.

    `restart_ms` is how far back a restart reads again, by the rows' times; `message_size_max` (bytes) the
    largest message that is decoded.
    """

    restart_ms: int
    message_size_max: int


@dataclass(frozen=True, slots=True)
class Note:
    """A setting of an input that breaks no join, and what follows from it."""

    topic: str
    what: str
    actual: str
    consequence: str

    def __str__(self) -> str:
        return f"{self.topic} has {self.what} {self.actual}: {self.consequence}"


def input_notes(topic: TopicSpec, needs: InputNeeds) -> list[Note]:
    """What to know of an input topic; empty for one that keeps everything, as those made here do."""
    remarks = (
        *_retention(topic.configs, needs),
        *_compaction(topic.configs),
        *_arrival_times(topic.configs),
        *_sizes(topic.configs, needs),
        *_durability(topic.configs, topic.replication),
    )
    return [Note(topic.name, what, topic.configs[what], consequence) for what, consequence in remarks]


def _retention(configs: Mapping[str, str], needs: InputNeeds) -> Iterator[tuple[str, str]]:
    if "delete" not in configs.get("cleanup.policy", "delete"):
        return
    kept_ms = int(configs.get("retention.ms", "-1"))
    if 0 <= kept_ms < needs.restart_ms:
        consequence = (
            f"{_duration(kept_ms)} is shorter than the {_duration(needs.restart_ms)} that a restart reads "
            "again, so a worker that stops may be refused at its next start"
        )
        yield "retention.ms", consequence
    elif kept_ms >= 0:
        consequence = (
            f"a worker that is away for longer than {_duration(kept_ms)} is refused at its start, and audit "
            "sees only what is left"
        )
        if not _by_arrival(configs):
            consequence += "; history published with its own, older times may be deleted at once"
        yield "retention.ms", consequence
    if int(configs.get("retention.bytes", "-1")) >= 0:
        consequence = (
            "beyond that size of a partition the oldest rows are deleted, read or not; a restart that needs "
            "them is refused"
        )
        yield "retention.bytes", consequence


def _compaction(configs: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if "compact" in configs.get("cleanup.policy", "delete"):
        consequence = (
            "older rows of a key vanish, so that rows and matches may be missing for a worker that has not "
            "read them yet, a restart and audit; the broker refuses messages without key, such as progress "
            "records"
        )
        yield "cleanup.policy", consequence


def _arrival_times(configs: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if _by_arrival(configs):
        consequence = (
            "record times say when a row arrived; the join takes times from the rows and is not touched, but "
            "retention and `dead --since` count from the arrival"
        )
        yield "message.timestamp.type", consequence


def _sizes(configs: Mapping[str, str], needs: InputNeeds) -> Iterator[tuple[str, str]]:
    if int(configs.get("max.message.bytes", "0")) > needs.message_size_max:
        consequence = f"a message over worker.message_size_max = {needs.message_size_max} is a dead letter"
        yield "max.message.bytes", consequence


def _durability(configs: Mapping[str, str], replication: int) -> Iterator[tuple[str, str]]:
    if configs.get("min.insync.replicas") == "1" and replication > 1:
        consequence = (
            f"an acknowledged row may be on one of {replication} brokers only; lost with it, its offset may "
            "come to hold another row"
        )
        yield "min.insync.replicas", consequence
    if configs.get("unclean.leader.election.enable") == "true":
        consequence = (
            "a broker that lags may take over, and offsets that were read may come to hold other rows"
        )
        yield "unclean.leader.election.enable", consequence


def _by_arrival(configs: Mapping[str, str]) -> bool:
    return configs.get("message.timestamp.type") == "LogAppendTime"


def _duration(ms: int) -> str:
    """A length of time in its largest whole unit."""
    for unit, size in _UNITS_MS:
        if ms >= size:
            return f"{ms / size:.4g} {unit}"
    return f"{ms} ms"
