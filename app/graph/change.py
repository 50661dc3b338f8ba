"""A graph that has changed, before a worker starts with it: what goes on, what is read again, what becomes of
outputs.

It is told from outside, by commits and topics, and nothing is written.  A worker that has local state reads
less than is said here: it has what nodes remembered up to its last checkpoint.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from app.config import Settings
from app.errors import RunError
from app.lock.file import NAME, lock_path, read_lock
from app.lock.meanings import FeatureMeaning
from app.process.meter import Meter
from app.reading.columns_change import ColumnsChange, columns_changes
from app.reading.last_known import kept_entries
from app.reading.tasks import task_record
from app.reading.warming import count_missing
from app.task.metadata import Committed
from app.wiring.logs import read_positions
from app.wiring.pipeline import Pipeline
from app.words import duration, table_lines
from operators.entries import KeptEntries
from operators.graph.gone import Gone
from operators.graph.graph import Graph
from operators.graph.past import pasts_of
from operators.graph.plan import PlannedNode
from operators.graph.stream_root import stream_place
from operators.inputs.progress import FIRST
from operators.node import Context
from operators.operator import Missing, Standing
from operators.rows.groups import Groups
from operators.sealed import ALIGNED, Entries, Sealed, Snapshot
from schemas.clocks import BEGINNING_NS, NS_PER_MS
from schemas.rule import RuleError, parse_rule
from topics.block import TopicPartition
from topics.catalogue import STATE, TASKS


class TaskChange(NamedTuple):
    """What becomes of one task at its next start.

    `frontier_ns`  up to where it is committed; None where nothing is.
    `rows`         about how many joined rows are read again; None where nobody can tell.
    `streams`      by stream that nodes read: from which time on its rows are read again.
    `ended`        outputs that it had, and the graph has no longer.
    `refused`      why it cannot start, else empty.
    """

    partition: int
    frontier_ns: int | None
    standing: Standing = Standing()
    missing: Missing | None = None
    rows: int | None = 0
    streams: Mapping[str, int] = MappingProxyType({})
    columns: tuple[ColumnsChange, ...] = ()
    ended: tuple[str, ...] = ()
    formulas: bool = False  # whether anything else is computed than by the last commit
    refused: str = ""


class _Silent:
    """A node of a plan that computes nothing: it takes any entries back, so that places can be told."""

    def __init__(self, planned: PlannedNode) -> None:
        self.name = planned.name
        self.meaning = planned.meaning
        self.layout = planned.features.layout
        self.needs = Context()

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        """Give nothing."""
        return upstream[0]._replace(rows=None)

    def snapshot(self) -> Snapshot:
        """Nothing changes."""
        return Snapshot((), ())

    def restore(self, entries: Entries) -> None:
        """Take anything back."""


def _silent(planned: PlannedNode, _groups: Groups) -> _Silent:
    return _Silent(planned)


def task_changes(pipeline: Pipeline) -> Iterator[TaskChange]:
    """What becomes of each task, partition by partition; raises RunError as a start does.

    Topics of outputs need not be there yet.
    """
    settings = pipeline.settings
    positions = pipeline.bus.admin().group(settings.pipeline.prefix).committed
    names = [settings.topic(name) for name in settings.restart_topics]
    there = {name for name, actual in pipeline.bus.admin().describe(names).items() if actual is not None}
    for number in range(settings.bus.partitions):
        sources = [TopicPartition(topic, number) for topic in pipeline.input_topics]
        committed = [one for one in read_positions(sources, positions).values() if one is not None]
        if len(committed) < len(sources):
            yield TaskChange(number, None)
        else:
            yield _task_change(pipeline, number, committed, there)


def _task_change(
    pipeline: Pipeline, number: int, committed: Sequence[Committed], there: set[str]
) -> TaskChange:
    settings = pipeline.settings
    reader = f"{settings.pipeline.prefix}-plan"
    newest = max(committed, key=lambda one: one.frontier_ns)
    through = max((one.through for one in committed if one.through is not None), default=None)
    standing, missing = Standing(), None
    streams: Mapping[str, int] = {}
    if pipeline.graph is not None:
        graph = Graph(pipeline.graph, _silent, gone=Gone(settings.worker.keep_gone_ms * NS_PER_MS))
        if settings.topic(STATE) in there:
            what = f"what nodes of partition {number} remember"
            entries = kept_entries(pipeline, STATE, number, group=reader, meter=Meter(), what=what)
            graph.restore(KeptEntries(entries.items()), {}, from_topic=True)
        standing = (
            graph.standing if graph.standing != Standing() else Standing(new=tuple(pasts_of(pipeline.graph)))
        )
        of_streams = dict.fromkeys(pipeline.graph.streams, stream_place(newest.frontier_ns))
        streams = graph.resume({ALIGNED: through or FIRST, **of_streams})
        missing = graph.missing
    ended: tuple[str, ...] = ()
    if settings.topic(TASKS) in there and (record := task_record(pipeline, number, group=reader)) is not None:
        ended = tuple(name for name in record.parities if name not in pipeline.sinks(number))
    change = TaskChange(
        number,
        newest.frontier_ns,
        standing,
        missing,
        streams=streams,
        columns=tuple(columns_changes(pipeline, number, group=reader)),
        ended=ended,
        formulas=_other_formulas(newest.rule, pipeline),
    )
    try:
        rows = 0 if missing is None else count_missing(pipeline, number, missing, group=reader)
        return change._replace(rows=rows)
    except RunError as refused:
        return change._replace(refused=str(refused))


def _other_formulas(rule: str, pipeline: Pipeline) -> bool:
    """Whether the last commit was made by other formulas; an earlier version says none."""
    try:
        return bool(rule) and parse_rule(rule).formulas != pipeline.rule.formulas
    except RuleError:
        return True


def change_lines(
    settings: Settings, changes: Sequence[TaskChange], features: Sequence[FeatureMeaning]
) -> Iterator[str]:
    """The plan for a person."""
    yield _summary(settings, changes)
    header = ("partition", "committed up to", "nodes take joined rows again", "rows")
    rows = [(str(one.partition), _when(one.frontier_ns), *_read_words(one)) for one in changes]
    for line in table_lines(header, rows):
        yield f"  {line}"
    for one in changes:
        at = f"{settings.pipeline.prefix}[{one.partition}] from {_when(one.frontier_ns)} on"
        for change in one.columns:
            yield f"  {at}: {change.topic} {change.words()}"
        for name, since_ns in one.streams.items():
            yield f"  partition {one.partition}: rows of {name} are read again from {_when(since_ns)} on"
        for name in one.ended:
            yield f"  {at}: {settings.topic(name)} ends, its rows stay"
        if one.refused:
            yield f"  cannot start: {one.refused}"
    yield from _versions(settings, features)


def changes_as_json(settings: Settings, changes: Sequence[TaskChange]) -> dict[str, Any]:
    """The plan for programs; times are int64 ns UTC."""
    return {
        "prefix": settings.pipeline.prefix,
        "tasks": [
            {
                "partition": one.partition,
                "frontier_ns": one.frontier_ns,
                "nodes": {what: list(names) for what, names in one.standing._asdict().items()},
                "reads_from_ns": None if one.missing is None else _start_ns(one.missing),
                "reads_rows": one.rows,
                "reads_streams_from_ns": dict(one.streams),
                "columns": [change._asdict() for change in one.columns],
                "ended": list(one.ended),
                "other_formulas": one.formulas,
                "refused": one.refused,
            }
            for one in changes
        ],
    }


def _summary(settings: Settings, changes: Sequence[TaskChange]) -> str:
    if all(one.frontier_ns is None for one in changes):
        return f"{settings.graph.name}: nothing is committed yet, everything begins anew"
    names: Mapping[str, set[str]] = {
        what: {name for one in changes for name in getattr(one.standing, what)} for what in Standing._fields
    }
    same = names["same"] - set().union(*(names[what] for what in ("new", "changed", "lost")))
    parts = [f"same {_counted(same)}"]
    parts += [f"{what} {_counted(names[what])}" for what in ("new", "changed", "lost") if names[what]]
    if names["gone"]:
        kept = duration(settings.worker.keep_gone_ms * NS_PER_MS)
        parts.append(f"gone {_counted(names['gone'])}, kept for {kept} of event time")
    word = "changed" if any(one.formulas for one in changes) else "computes what it did"
    return f"{settings.graph.name} {word} · nodes that look back: {' · '.join(parts)}"


def _counted(names: set[str]) -> str:
    return f"{len(names)}" + (f" ({', '.join(sorted(names))})" if names else "")


def _read_words(one: TaskChange) -> tuple[str, str]:
    if one.missing is None:
        return ("none", "")
    begin = "from the beginning" if one.missing.start == FIRST else f"behind {_when(one.missing.start[0])}"
    rows = "?" if one.rows is None or one.refused else f"{one.rows:,}"
    return (f"{begin}, for {', '.join(one.missing.nodes)}", rows)


def _versions(settings: Settings, features: Sequence[FeatureMeaning]) -> Iterator[str]:
    """Features that the lock does not know yet, with the versions of them that it knows."""
    path = lock_path(settings)
    if path is None or not path.exists():
        return
    locked = read_lock(path)
    for one in features:
        if one.identity in locked:
            continue
        others = [key.partition("@")[2] for key in locked if key.partition("@")[0] == one.name]
        words = f", beside @{', @'.join(others)}" if others else ""
        yield f"  {NAME}: {one.identity} is new{words}; `python -m app graph lock` keeps it"


def _start_ns(missing: Missing) -> int | None:
    return None if missing.start == FIRST else missing.start[0]


def _when(time_ns: int | None) -> str:
    if time_ns is None or time_ns == BEGINNING_NS:
        return "nothing"
    return f"{np.datetime64(time_ns, 'ns')}Z"
