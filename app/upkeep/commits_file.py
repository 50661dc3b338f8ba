"""The commits of a group in a file: they outlive the broker's memory of a group that stands still."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.config import Settings
from app.errors import RunError, UsageError
from app.reading.last_frame import last_message
from app.task.metadata import from_position
from app.wiring.logs import read_positions, require_same_logs
from app.wiring.pipeline import counted_topics
from operators.hashing.parity import Parity
from operators.sealed import ALIGNED
from schemas.frame import FrameHeaders
from schemas.json_text import read_json
from topics.block import TopicPartition
from topics.bus import Admin, Bus, Position
from topics.positions import require_committable

FORMAT: Final = 1  # raised where an earlier program would read a file wrongly


@dataclass(frozen=True, slots=True)
class GroupCommits:
    """What a group committed of a pipeline's inputs; `logs` has the topics' ids, `cluster` that of all."""

    group: str
    cluster: str
    logs: Mapping[str, str]
    positions: Mapping[TopicPartition, Position]


def group_commits(admin: Admin, settings: Settings) -> GroupCommits:
    """What is committed now of every input; raises RunError where that is nothing, or is not a worker's."""
    group = settings.pipeline.prefix
    topics = {settings.topic(name) for name in settings.stream_names}
    committed = admin.group(group).committed
    positions = {source: one for source, one in sorted(committed.items()) if source.topic in topics}
    if not positions:
        raise RunError(f"group {group} has committed nothing of {', '.join(sorted(topics))}")
    read_positions(positions, positions)
    ids = admin.log_ids(counted_topics(settings))
    cluster = next(iter(ids.values())).cluster
    return GroupCommits(group, cluster, {name: one.topic for name, one in ids.items()}, positions)


def write_commits(commits: GroupCommits, path: Path) -> None:
    """Write a file of JSON, whole or not at all; raises UsageError where one is there."""
    if path.exists():
        raise UsageError(f"{path} is there already: name another file, or delete it")
    fields = {
        "format": FORMAT,
        "group": commits.group,
        "cluster": commits.cluster,
        "topics": dict(commits.logs),
        "positions": [
            {"topic": place.topic, "partition": place.partition, "offset": at.offset, "metadata": at.metadata}
            for place, at in commits.positions.items()
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.write_text(json.dumps(fields, indent=1) + "\n")
    unfinished.replace(path)


def read_commits(path: Path) -> GroupCommits:
    """Read a file that `write_commits` wrote; raises UsageError where it is none, or of a later program."""
    try:
        fields = read_json(path.read_text())
        if int(fields["format"]) > FORMAT:
            raise UsageError(
                f"{path}: of format {fields['format']}, this program reads {FORMAT}: a later one wrote it"
            )
        return GroupCommits(
            group=str(fields["group"]),
            cluster=str(fields["cluster"]),
            logs={str(name): str(one) for name, one in fields["topics"].items()},
            positions=dict(map(_position, fields["positions"])),
        )
    except OSError as missing:
        raise UsageError(f"{path}: cannot be read: {missing.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as foreign:
        why = f"{type(foreign).__name__}: {foreign}"  # its repr would have the whole file in it
        raise UsageError(f"{path}: not a file that `group export` wrote ({why})") from None


def give_back(bus: Bus, settings: Settings, commits: GroupCommits, *, replace: bool) -> int:
    """Commit the positions of a file for the group of the settings; returns how many.

    Raises UsageError, with nothing changed, where they are another pipeline's or of other logs, where the
    group has members, and where a log has dropped rows that are needed; where something is committed already,
    or the aligned topic has other rows than at these commits, unless `replace` says so.  Raises BusError
    where the broker refuses.
    """
    admin, group = bus.admin(), settings.pipeline.prefix
    _require_ours(commits, settings)
    standing = admin.group(group)
    if standing.members:
        raise UsageError(
            f"group {group} has {len(standing.members)} members: stop its workers first, and wait for "
            "worker.session_timeout_ms, or `python -m app drain` each slot"
        )
    topics = {source.topic for source in commits.positions}
    there = sorted(source for source in standing.committed if source.topic in topics)
    if there and not replace:
        raise UsageError(
            f"group {group} has committed {len(there)} positions already, the first of "
            f"{there[0].topic}[{there[0].partition}]: rows behind them may be sealed; --replace puts "
            "those of the file in their place"
        )
    try:
        ids = admin.log_ids(counted_topics(settings))
        for number in range(settings.bus.partitions):
            sources = [TopicPartition(settings.topic(name), number) for name in settings.stream_names]
            require_same_logs(read_positions(sources, commits.positions), ids, settings)
    except RunError as refused:
        raise UsageError(str(refused)) from None
    _require_known(commits, {name: one.topic for name, one in ids.items()}, next(iter(ids.values())).cluster)
    _require_held(admin, commits)
    if not replace:
        _require_newest(bus, settings, commits)
    require_committable(commits.positions)
    admin.commit_group(group, commits.positions)
    return len(commits.positions)


def _position(fields: Any) -> tuple[TopicPartition, Position]:
    source = TopicPartition(str(fields["topic"]), int(fields["partition"]))
    return source, Position(int(fields["offset"]), str(fields["metadata"]))


def _require_ours(commits: GroupCommits, settings: Settings) -> None:
    """Raise UsageError where the file is of another group, or of other inputs."""
    if commits.group != settings.pipeline.prefix:
        raise UsageError(
            f"the file is of group {commits.group}, and pipeline.prefix is {settings.pipeline.prefix}"
        )
    topics = {settings.topic(name) for name in settings.stream_names}
    wanted = {TopicPartition(topic, n) for topic in topics for n in range(settings.bus.partitions)}
    if other := sorted(commits.positions.keys() - wanted):
        raise UsageError(
            f"the file has a position of {other[0].topic}[{other[0].partition}], which is no input of the "
            "settings"
        )


def _require_known(commits: GroupCommits, logs: Mapping[str, str], cluster: str) -> None:
    """Raise UsageError where the logs of now are not those of the file, as far as both have ids."""
    if commits.cluster and cluster and commits.cluster != cluster:
        raise UsageError(
            f"the file is of cluster {commits.cluster}, and this is {cluster}: offsets of one mean nothing "
            "on another"
        )
    for topic, one in commits.logs.items():
        if one and logs.get(topic) and one != logs[topic]:
            raise UsageError(
                f"the file is of an earlier {topic} (its id was {one} and is {logs[topic]}): the topic was "
                "deleted and created anew"
            )


def _require_held(admin: Admin, commits: GroupCommits) -> None:
    """Raise UsageError where a log has not, or no longer, the row that a restart begins with."""
    for source, log in admin.ranges(list(commits.positions)).items():
        offset = commits.positions[source].offset
        if not log.low <= offset <= log.high:
            raise UsageError(
                f"{source.topic}[{source.partition}]: a restart needs offset {offset:,}, and the log has "
                f"{log.low:,} to {log.high:,}: what is gone cannot be joined: `app reset` begins anew"
            )


def _require_newest(bus: Bus, settings: Settings, commits: GroupCommits) -> None:
    """Raise UsageError where the aligned topic ends with other rows than were sealed at these commits."""
    if settings.worker.format != "frame":
        return
    left = settings.topic(settings.pipeline.left)
    for source, position in commits.positions.items():
        if source.topic != left:
            continue
        aligned = TopicPartition(settings.topic(ALIGNED), source.partition)
        message = last_message(bus, aligned, f"{commits.group}-import")
        parity = "" if message is None else FrameHeaders.from_kafka(message.headers).parity
        there = Parity.parse(parity) if parity else Parity()
        then = from_position(position, f"{source.topic}[{source.partition}]").parity
        if there != then:
            raise UsageError(
                f"{aligned.topic}[{aligned.partition}] ends after {there.rows:,} rows (parity {there}), and "
                f"{then.rows:,} were sealed at these commits (parity {then}): they are not the newest, and "
                "rows since then would come a second time; --replace commits them all the same"
            )
