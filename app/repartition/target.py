"""The target of a copy: created or found as it must be, with the schemas of the source under its name."""

from dataclasses import dataclass
from typing import Final

from app.errors import UsageError
from app.reading.partition import read_partition
from app.repartition.copy import copy_name, require_own
from app.repartition.source import Schemas
from app.repartition.subjects import require_known, share_schemas
from topics.avro.encode import value_subjects
from topics.block import TopicPartition
from topics.bus import Bus, TopicSpec
from topics.catalogue import HISTORY_CONFIGS, MESSAGE_SIZE_MAX
from topics.wire import SchemaRegistry

# With anything else rows go soon after they were copied, since their times lie in the past.
_KEEPING: Final = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was found and made: the source's partition count, and whether the target is new.

    `blocks` says whether the source has a schema for messages of many rows; `unshared` are the schemas that
    could not be registered for the target, in words.
    """

    source_partitions: int
    created: bool
    blocks: bool
    unshared: tuple[str, ...]


def prepare(
    bus: Bus,
    registry: SchemaRegistry,
    source: str,
    target: str,
    partitions: int,
    schemas: Schemas = "avro",
) -> Prepared:
    """Make sure that the target can hold the copy, and register the source's schemas for it.

    `schemas` says which its rows need: of Avro they must be there, Protobuf ones are named as left out.

    The target keeps what it gets: no retention, and record times as they are.  Raises UsageError, and
    makes no topic, where the source is not there, or no schema of it; where a target that is there has
    another partition count, stamps messages itself, deletes any, or holds what no copy of the source wrote;
    where one that is gone has a copy's positions still; and where the registry refuses a schema.
    """
    if source == target:
        raise UsageError(f"--from and --to are both {source}: a topic is copied to another one")
    admin = bus.admin()
    described = admin.describe([source, target])
    origin, there = described[source], described[target]
    if origin is None:
        raise UsageError(f"--from {source}: there is no such topic")
    if schemas == "avro":
        require_known(registry, source)
    if there is None:
        _require_no_positions(bus, target)
    else:
        _require_fit(bus, there, partitions)
        require_own(admin.group(copy_name(target)).committed, source, target)
    unshared = [] if schemas == "none" else share_schemas(registry, source, target)
    if there is None:
        size_max = max(MESSAGE_SIZE_MAX, int(origin.configs.get("max.message.bytes", MESSAGE_SIZE_MAX)))
        configs = {**HISTORY_CONFIGS, "retention.ms": "-1", "max.message.bytes": str(size_max)}
        spec = TopicSpec(name=target, partitions=partitions, replication=origin.replication, configs=configs)
        admin.create([spec])
    _, block_subject = value_subjects(source)
    blocks = schemas == "avro" and bool(registry.ids(block_subject))
    return Prepared(origin.partitions, there is None, blocks, tuple(unshared))


def _require_no_positions(bus: Bus, target: str) -> None:
    """Refuse a target that is gone while its copy's positions are not: it would begin where that ended."""
    group = copy_name(target)
    if bus.admin().group(group).committed:
        raise UsageError(
            f"--to {target} does not exist, but group {group} has the positions of a copy to it, so what "
            "that had copied would be missing: delete the group too (kafka-consumer-groups.sh --delete "
            f"--group {group}), or name another topic"
        )


def _require_fit(bus: Bus, there: TopicSpec, partitions: int) -> None:
    if there.partitions != partitions:
        raise UsageError(
            f"--to {there.name} has {there.partitions} partitions and {partitions} are wanted: name another "
            f"topic, or say --partitions {there.partitions}"
        )
    if there.configs.get("message.timestamp.type", "CreateTime") != "CreateTime":
        raise UsageError(
            f"--to {there.name} stamps messages as they are appended, so their times would be lost: name a "
            "topic with message.timestamp.type CreateTime, or one that does not exist yet"
        )
    _require_keeping(there)
    group = copy_name(there.name)
    if bus.admin().group(group).committed:
        return
    for number in range(partitions):
        # A copy that died in its first transaction left nothing that a reader sees.
        place = TopicPartition(there.name, number)
        if next(read_partition(bus, place, group=group), None) is not None:
            raise UsageError(
                f"--to {there.name} holds messages that no copy wrote, or whose copy the broker has "
                f"forgotten: the positions of a copy (group {group}) expire offsets.retention.minutes after "
                "its last commit, a week by default.  Name one that is empty, or that does not exist yet"
            )


def _require_keeping(there: TopicSpec) -> None:
    losses = [
        f"{name} is {actual}, not {wanted}"
        for name, wanted in _KEEPING.items()
        if (actual := there.configs.get(name, wanted)) != wanted
    ]
    if losses:
        raise UsageError(
            f"--to {there.name} would not keep what is copied to it: {', '.join(losses)}.  Delete the topic "
            "and let this command create it, or name one that does not exist yet"
        )
