"""What a reset would delete: outputs, commits and local state, and the inputs only where that is wanted."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.config import Settings
from app.dead.replay import replay_group
from topics.block import TopicPartition
from topics.bus import Admin, GroupStanding, Member, Position
from topics.catalogue import LAST_KNOWN, STATE, TASKS

# The folders of a task's state: its own, and those that workers used while another process held it.
_TASK_FOLDER: Final = re.compile(r"\d{5}(-[A-Za-z0-9._-]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicLoad:
    """A topic that exists; `messages` is at most how many it holds, since markers count as offsets.

    `begins` are the first offsets of partitions that begin beyond 0, by partition.
    """

    name: str
    partitions: int
    messages: int
    begins: dict[int, int]


@dataclass(frozen=True, slots=True)
class GroupLoad:
    """A consumer group that committed offsets of so many partitions."""

    name: str
    offsets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetPlan:
    """What exists of a pipeline and would go, in the order in which it goes; `kept` are the inputs that stay.

    `members` own the group now, or are not counted out yet: while there are any nothing may go.  `notes` are
    about groups that may be somebody else's.
    """

    outputs: tuple[TopicLoad, ...]
    groups: tuple[GroupLoad, ...]
    inputs: tuple[TopicLoad, ...]
    folders: tuple[Path, ...]
    kept: tuple[TopicLoad, ...]
    members: tuple[Member, ...]
    notes: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to delete."""
        return not (self.outputs or self.groups or self.inputs or self.folders)


def publisher_group(settings: Settings) -> str:
    """The group whose positions say how much `replay publish` has published under the default run."""
    return f"{settings.pipeline.prefix}-publisher"


def plan_reset(admin: Admin, settings: Settings, *, inputs: bool) -> ResetPlan:
    """Look at what a reset would delete; changes nothing.  With `inputs` they and what published them go too.

    Raises BusError where the broker does not answer.
    """
    group = settings.pipeline.prefix
    groups = [replay_group(settings), group, *([publisher_group(settings)] if inputs else [])]
    standings = {name: admin.group(name) for name in groups}
    # Of a pipeline whose prefix is the name of a group that goes along with this one.
    others = [name for name in groups if name != group and _is_pipelines(standings[name])]
    notes = [f"group {name} is that of a pipeline of this prefix: it is left alone" for name in others]
    if any(not _is_worker_s(position) for position in standings[group].committed.values()):
        notes.append(f"group {group} has offsets that another program committed: they go with it")
    streams = _loads(admin, [settings.topic(name) for name in settings.stream_names])
    return ResetPlan(
        outputs=_loads(admin, _output_topics(settings)),
        groups=tuple(
            GroupLoad(name, len(standing.committed))
            for name, standing in standings.items()
            if standing.committed and name not in others
        ),
        inputs=streams if inputs else (),
        folders=state_folders(settings),
        kept=() if inputs else streams,
        members=standings[group].members,
        notes=tuple(notes),
    )


def _is_pipelines(standing: GroupStanding) -> bool:
    """Whether workers are in this group, or have committed to it."""
    return bool(standing.members) or any(map(_is_worker_s, standing.committed.values()))


def _is_worker_s(position: Position) -> bool:
    """Whether a worker committed it, of any version."""
    return '"parity":' in position.metadata


def _output_topics(settings: Settings) -> list[str]:
    """The topics of all outputs, and those that restarts read back even where these settings need none.

    Settings before these may have: what was kept for a join that is reset must not come back in a later one.
    """
    before = [name for name in (LAST_KNOWN, TASKS, STATE) if name not in settings.stream_names]
    inputs = {settings.topic(name) for name in settings.stream_names}
    topics = dict.fromkeys(settings.topic(name) for name in (*settings.output_names, *before))
    return [topic for topic in topics if topic not in inputs]


def state_folders(settings: Settings) -> tuple[Path, ...]:
    """The folders that hold local state of the pipeline's tasks on this machine."""
    folder = settings.worker.state / settings.pipeline.prefix
    if not folder.is_dir():
        return ()
    return tuple(sorted(one for one in folder.iterdir() if _TASK_FOLDER.fullmatch(one.name)))


def _loads(admin: Admin, names: Sequence[str]) -> tuple[TopicLoad, ...]:
    """The topics among these that exist, with what they hold."""
    specs = {name: spec for name, spec in admin.describe(names).items() if spec is not None}
    places = [TopicPartition(name, n) for name, spec in specs.items() for n in range(spec.partitions)]
    ranges = admin.ranges(places)
    loads = []
    for name, spec in specs.items():
        logs = [ranges[TopicPartition(name, number)] for number in range(spec.partitions)]
        loads.append(
            TopicLoad(
                name=name,
                partitions=spec.partitions,
                messages=sum(log.high - log.low for log in logs),
                begins={number: log.low for number, log in enumerate(logs) if log.low},
            )
        )
    return tuple(loads)
