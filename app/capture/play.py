"""A capture replayed offline: the rows of its roots through the same graph, compared with what live gave."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from app.capture.edges import edge_of
from app.capture.folder import (
    SETTINGS,
    Captured,
    Span,
    partition_folder,
    read_entries,
    read_rows,
    read_streams,
)
from app.config import Settings, load_settings
from app.errors import UsageError
from app.graph.day_rows import RootRows
from app.graph.select import ancestors
from app.graph.trial import Difference, Outputs, Trial, difference, one_batch
from app.wiring.planning import graph_plan, join_settings, rows_meaning
from operators.entries import KeptEntries
from operators.graph.graph import Graph
from operators.graph.plan import Plan, PlannedNode
from operators.graph.row_keys import row_keys
from operators.graph.row_places import row_places
from operators.hashing.parity import Parity, sealed_hashes
from operators.sealed import ALIGNED, Sealed
from schemas.clocks import AVAILABLE_NS, clock_column

BATCH_ROWS: Final = 65_536
PARITY_LENGTH: Final = 8  # hex digits that are shown


@dataclass(frozen=True)
class Played:
    """What became of a node: its rows, their parity, and where live differs first.

    `live`     whether there are live rows to compare with.
    `rolls`    whether the parity is that of the commits, so that it alone says that all is equal.
    `changed`  whether the node means something else than when it was captured.
    """

    node: str
    rows: int
    parity: str
    live: bool
    rolls: bool
    changed: bool
    apart: str = ""


class Replay:
    """A capture, and the part of its graph up to a node."""

    def __init__(self, folder: Path, to: str | None, config: Path | None = None) -> None:
        """`config` has a graph to play in place of that of the capture; `to` none: all of it.

        Raises UsageError where the folder is no capture, or there is no such node.
        """
        self.captured = Captured.read(folder)
        self._folder = folder
        self._settings: Settings = load_settings(config or folder / SETTINGS)
        streams = read_streams(folder, self._settings)
        self._asof = join_settings(self._settings, streams)
        whole = graph_plan(self._settings, self._asof, rows_meaning(self._asof))
        edge = edge_of(whole, streams, self.captured.edge)
        if to == self.captured.edge and to in edge.roots:
            raise UsageError(
                f"{to} is where the capture begins; `python -m app audit` computes the join again from its "
                f"inputs. The nodes behind it are {', '.join(node.name for node in edge.plan.nodes)}"
            )
        if held := set(edge.roots) - set(self.captured.spans[0].rows):
            raise UsageError(f"{to or edge.name} hangs on {', '.join(sorted(held))}, which was not captured")
        self._plan: Plan = _with_outputs(edge.plan if to is None else ancestors(edge.plan, to))

    @property
    def rows(self) -> dict[str, tuple[int, int]]:
        """By root of the nodes that are played: how many rows are in the span, and before it."""
        roots = {root for node in self._plan.nodes for root in node.roots}
        return {
            root: (
                sum(span.rows[root] for span in self.captured.spans),
                sum(span.before[root] for span in self.captured.spans),
            )
            for root in self.captured.spans[0].rows
            if root in roots
        }

    def play(self) -> list[Played]:
        """Play every task; an element for each node, in the order of the graph."""
        tasks = [self._task(number) for number in range(len(self.captured.spans))]
        return [self._node(node, tasks) for node in self._plan.nodes]

    def _task(self, number: int) -> "_Task":
        span = self.captured.spans[number]
        folder = partition_folder(self._folder, number)
        trial = self._trial(folder)
        graph = self._graph_at(folder, span)
        cuts = range(BATCH_ROWS, trial.day.count, BATCH_ROWS)
        complete_ns = span.upper.frontier_ns
        calls = list(trial.pass_through(graph, trial.day, list(cuts), complete_ns=complete_ns))
        made = trial.gather(calls)
        live = {
            name: one_batch(read_rows(folder / f"live-{name}.arrow"))
            for name in made
            if name in self.captured.live
        }
        return _Task(number, span, trial, made, live)

    def _trial(self, folder: Path) -> Trial:
        """The rows of a task in the span."""
        asof = self._asof
        joined = folder / f"{ALIGNED}.arrow"
        rows = one_batch(read_rows(joined)) if joined.exists() else _none(asof.aligned_schema())
        return Trial(
            make=lambda: Graph(self._plan),
            rows=rows,
            on=clock_column(asof.clock),
            key=asof.left.key,
            plan=self._plan,
            streams={
                name: RootRows(one_batch(read_rows(folder / f"{name}.arrow")), stream.key)
                for name, stream in self._plan.streams.items()
            },
        )

    def _graph_at(self, folder: Path, span: Span) -> Graph:
        """The graph of a task as it stood where the span begins."""
        plan, lower = self._plan, span.lower
        graph = Graph(plan)
        graph.restore(KeptEntries(read_entries(folder / "state.arrow")), {}, from_topic=True)
        roots = sorted({root for node in plan.nodes for root in node.roots})
        begins_ns = graph.resume(lower.places(roots))
        on, left = clock_column(self._asof.clock), self._asof.left
        if graph.missing is not None:
            rows = self._before(folder, ALIGNED, graph.missing.start[0])
            keys = row_keys(rows, left.key, on, graph.groups)
            graph.warm(Sealed(rows, lower.through[0], keys=keys), row_places(rows, on, left.sequence))
            if graph.missing is not None:
                raise self._short(ALIGNED)
        for name, since_ns in begins_ns.items():
            stream = plan.streams[name]
            rows = self._before(folder, name, since_ns)
            if rows.num_rows:
                keys = row_keys(rows, stream.key, on, graph.groups)
                sealed = Sealed(rows, lower.frontier_ns, keys=keys)
                graph.warm_stream(name, sealed, row_places(rows, on, stream.sequence))
        if plan.streams or any(node.has_own_rows for node in plan.nodes):
            graph.settle({ALIGNED: lower.frontier_ns, **dict.fromkeys(plan.streams, lower.frontier_ns)})
        return graph

    def _before(self, folder: Path, root: str, since_ns: int) -> pa.RecordBatch:
        """The rows before the span; raises UsageError where nodes need older ones than were captured."""
        rows = one_batch(read_rows(folder / f"before-{root}.arrow"))
        meant = {node.name: node.meaning for node in self._plan.nodes}
        changed = any(self.captured.meanings.get(name) != meaning for name, meaning in meant.items())
        if changed and rows.num_rows and rows.column(clock_column(self._asof.clock))[0].as_py() > since_ns:
            raise self._short(root)
        return rows

    def _short(self, root: str) -> UsageError:
        return UsageError(
            f"{self._folder}: nodes need older rows of {root} than were captured for the graph as it was: "
            "replay it as it was, or capture again with --from-beginning"
        )

    def _node(self, node: PlannedNode, tasks: "list[_Task]") -> Played:
        name = node.name
        rolls = node.name in self.captured.live and not self._wants_available(name)
        parities = [task.parity(name, rolls=rolls) for task in tasks]
        equal = rolls and all(
            str(p) == str(t.span.upper.parity(name)) for p, t in zip(parities, tasks, strict=True)
        )
        apart = "" if equal else next((words for task in tasks if (words := task.apart(name))), "")
        if rolls and not equal and not apart:
            apart = f"{name}: the rows are equal, and their parity is not that of the commits"
        return Played(
            node=name,
            rows=sum(task.made[name].num_rows for task in tasks),
            parity=_short_parity(parities),
            live=name in self.captured.live,
            rolls=rolls,
            changed=self.captured.meanings.get(name) != node.meaning,
            apart=apart,
        )

    def _wants_available(self, name: str) -> bool:
        """Whether the output has `available_ns`, which follows from the logs of inputs and not from rows."""
        out = self._settings.graph.nodes[name].out
        return out is not None and out.available


@dataclass(frozen=True)
class _Task:
    """What came of one task: rows that were made here, and live ones, by node."""

    number: int
    span: Span
    trial: Trial
    made: Outputs
    live: Mapping[str, pa.RecordBatch]

    def parity(self, name: str, *, rolls: bool) -> Parity:
        """Of the rows made here; where it `rolls`, behind those of the commit where the span begins."""
        begin = self.span.lower.parity(name) if rolls else Parity()
        return begin.roll(sealed_hashes(self.made[name]))

    def apart(self, name: str) -> str:
        """Where live and replay differ first, in words; empty where they do not."""
        if name not in self.live:
            return ""
        live, made = self.live[name], self.made[name]
        shared = [column for column in live.schema.names if column in made.schema.names]
        if lacks := [c for c in live.schema.names if c not in shared and c != AVAILABLE_NS]:
            return f"{name}: live has a column {lacks[0]}, and there is none here"
        apart = difference(self.trial, {name: live.select(shared)}, {name: made.select(shared)})
        return "" if apart is None else _words(self.trial, apart, self.number)


def played_lines(replay: Replay, played: list[Played]) -> Iterator[str]:
    """What a replay came to, for a person."""
    for root, (rows, before) in replay.rows.items():
        yield f"{root}: {rows:,} rows, and {before:,} before them"
    width = max(len(one.node) for one in played)
    counts = [f"{one.rows:,} rows" for one in played]
    longest = max(map(len, counts))
    for one, count in zip(played, counts, strict=True):
        yield f"  {one.node.ljust(width)}  {count.rjust(longest)}  {_verdict(one)}"
    for one in played:
        if one.apart:
            yield one.apart


def _verdict(one: Played) -> str:
    changed = "; means something else than when it was captured" if one.changed else ""
    if one.apart:
        return f"differs{changed}"
    if not one.live:
        return f"parity {one.parity}, no topic to compare with{changed}"
    return f"equal, parity {one.parity}{changed}" if one.rolls else f"equal but for available_ns{changed}"


def _words(trial: Trial, apart: Difference, number: int) -> str:
    subject = f"{apart.node}.{apart.column}" if apart.column else apart.node
    if apart.counts is not None:
        live, here = apart.counts
        return f"{subject}: {live:,} rows live, {here:,} here (partition {number})"
    return f"{subject}: first at {trial.describe(apart)}, live and here (partition {number})"


def _with_outputs(plan: Plan) -> Plan:
    """The graph with all columns of nodes that have no topic, and without what inputs alone could say."""
    nodes = [
        replace(node, carried=tuple(node.features.layout.names)) if node.carried is None else node
        for node in plan.nodes
    ]
    return replace(plan, nodes=tuple(replace(node, available=False) for node in nodes))


def _none(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema)


def _short_parity(parities: list[Parity]) -> str:
    """Some digits of a parity; of those of several partitions, of their hash."""
    digits: Any = [str(parity).partition("-")[2] for parity in parities]
    whole = digits[0] if len(digits) == 1 else hashlib.sha256(" ".join(digits).encode()).hexdigest()
    return str(whole)[:PARITY_LENGTH]
