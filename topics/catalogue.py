"""Topics as code: what a pipeline wants, what the bus has, and the difference, before any change."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from topics.bus import Admin, BusError, TopicSpec
from topics.inputs import InputNeeds, Note, input_notes

# A frame or a block of rows is one message; producers are held to the same size.
MESSAGE_SIZE_MAX: Final = 8 << 20
_EVER_MS: Final = str(2**63 - 1)
PARTITIONS: Final = "partitions"

OUTPUTS: Final = ("aligned", "late", "dead")
LAST_KNOWN: Final = "last-known"  # only for joins that may need a row however old it is
STATE: Final = "state"  # only for graphs that look back: what nodes remember
MODELS: Final = "models"  # only for graphs with models: which one is valid from when
TASKS: Final = "tasks"  # only for graphs: what a task has to know of outputs besides the aligned topic

# Record times are event times, days or years old in a replay: a broker must neither refuse nor expire them.
HISTORY_CONFIGS: Final[Mapping[str, str]] = {
    "cleanup.policy": "delete",
    "max.message.bytes": str(MESSAGE_SIZE_MAX),
    "message.timestamp.after.max.ms": _EVER_MS,
    "message.timestamp.before.max.ms": _EVER_MS,
    "message.timestamp.type": "CreateTime",
    "retention.bytes": "-1",
}


# The newest value of each key stays.  Small segments, since compaction leaves the one being written alone,
# and a rebuild reads all of it: 1,000 groups every 30 s fill one in about half an hour.
COMPACTED_CONFIGS: Final[Mapping[str, str]] = {
    "cleanup.policy": "compact",
    "max.message.bytes": str(MESSAGE_SIZE_MAX),
    "min.cleanable.dirty.ratio": "0.2",
    "segment.bytes": str(16 << 20),
}


class TopicMismatchError(BusError):
    """Topics exist but not as they should be; the message has each figure, required and actual."""


class CoPartitionError(BusError):
    """Topics that are read together have unequal partition counts; the message has each count."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One figure of one topic that is not as wanted."""

    topic: str
    what: str
    wanted: str
    actual: str

    def __str__(self) -> str:
        return f"{self.topic} has {self.what} {self.actual}, wanted {self.wanted}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What `apply` would do: topics to create, topics that will do, and what stands in the way.

    `notes` are of inputs that will do and that somebody else made; `advice` says what to do about mismatches,
    empty without any.
    """

    create: tuple[TopicSpec, ...]
    fine: tuple[TopicSpec, ...]
    mismatches: tuple[Mismatch, ...]
    notes: tuple[Note, ...] = ()
    advice: str = ""


def default_topic(prefix: str, name: str) -> str:
    """The topic of a stream or an output that nobody has named: `<prefix>.<name>`."""
    return f"{prefix}.{name}"


def plan(
    admin: Admin, specs: Sequence[TopicSpec], inputs: Mapping[str, InputNeeds] = MappingProxyType({})
) -> Plan:
    """Compare the wanted topics with those of the bus; changes nothing.

    A config that a spec does not name is free.  `inputs`, by topic, are only read, so somebody else may have
    made them: of those only the partition count has to be as wanted, whatever else differs is a note.
    Raises CoPartitionError where the specs are unequal.
    """
    require_copartitioned({spec.name: spec.partitions for spec in specs})
    described = admin.describe([spec.name for spec in specs])
    create, fine, mismatches, notes = [], [], [], []
    for spec in specs:
        actual = described[spec.name]
        if actual is None:
            create.append(spec)
            continue
        differences = _differences(spec, actual)
        if spec.name in inputs:
            if differences:
                notes += input_notes(actual, inputs[spec.name])
            differences = [one for one in differences if one.what == PARTITIONS]
        mismatches += differences
        if not differences:
            fine.append(spec)
    counts = {name: actual.partitions for name in inputs if (actual := described[name]) is not None}
    advice = _advice(mismatches, counts) if mismatches else ""
    return Plan(tuple(create), tuple(fine), tuple(mismatches), tuple(notes), advice)


def apply(admin: Admin, plan: Plan) -> None:
    """Create the missing topics; raises TopicMismatchError, and creates no topic, where one differs.

    A topic that exists is never changed: more partitions would move keys, and shorter retention deletes.
    """
    if plan.mismatches:
        raise TopicMismatchError(f"{'; '.join(map(str, plan.mismatches))}: {plan.advice}")
    admin.create(plan.create)


def require_copartitioned(counts: Mapping[str, int]) -> int:
    """Return the one partition count of topics that are read together; raises CoPartitionError with each.

    Keys meet only where partition p of every input is the same set of keys.
    """
    assert counts, "no topics"
    if len(set(counts.values())) > 1:
        figures = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise CoPartitionError(
            f"partition counts must be equal, since keys meet by partition number: {figures}"
        )
    return next(iter(counts.values()))


def pipeline_topics(
    *,
    prefix: str,
    streams: Iterable[str],
    partitions: int,
    replication: int = 1,
    retention_ms: int = -1,
    nodes: Iterable[str] = (),
) -> list[TopicSpec]:
    """Return the topics of a pipeline: `<prefix>.<stream>` for each input, aligned, late, dead, and `nodes`.

    `retention_ms` counts from the record's time, which is the event time; -1 keeps everything.
    """
    names = list(streams)
    for name in names:
        if name in OUTPUTS:
            taken = default_topic(prefix, name)
            raise BusError(f"stream {name} cannot have a topic: {taken} is an output of the pipeline")
    configs = {
        **HISTORY_CONFIGS,
        "retention.ms": str(retention_ms),
        "min.insync.replicas": str(max(1, replication - 1)),
    }
    return [
        TopicSpec(
            name=default_topic(prefix, name), partitions=partitions, replication=replication, configs=configs
        )
        for name in (*names, *OUTPUTS, *nodes)
    ]


def compacted_topic(*, name: str, partitions: int, replication: int = 1) -> TopicSpec:
    """Return a topic that keeps the newest value of each key."""
    configs = {**COMPACTED_CONFIGS, "min.insync.replicas": str(max(1, replication - 1))}
    return TopicSpec(name=name, partitions=partitions, replication=replication, configs=configs)


def _advice(mismatches: Sequence[Mismatch], inputs: Mapping[str, int]) -> str:
    """What to do about mismatches; `inputs` are the partition counts of the inputs that exist."""
    if not any(one.topic in inputs for one in mismatches):
        return (
            "change the settings to what is there, choose another pipeline.prefix or names in [outputs], or "
            "delete the topics"
        )
    if len(set(inputs.values())) == 1:
        return f"set bus.partitions = {next(iter(inputs.values()))}, the count of the inputs"
    return (
        "keys meet by partition number, so inputs need equal counts: copy one of them to a topic of as many "
        "partitions (`python -m app topics repartition`), and name that as its stream's topic"
    )


def _differences(wanted: TopicSpec, actual: TopicSpec) -> list[Mismatch]:
    figures = [
        (PARTITIONS, str(wanted.partitions), str(actual.partitions)),
        ("replication", str(wanted.replication), str(actual.replication)),
        *((name, value, actual.configs.get(name, "unset")) for name, value in wanted.configs.items()),
    ]
    return [Mismatch(wanted.name, what, want, have) for what, want, have in figures if want != have]
