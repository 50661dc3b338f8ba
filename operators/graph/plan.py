"""From settings to a plan: nodes, each after the one it reads, with types and meanings.

Everything that is wrong with any node is collected before anything is refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa

from operators.bars.planned import PlannedBars
from operators.formula.features import Features, Source, read_features
from operators.formula.meaning import digest
from operators.formula.suggest import suggest
from operators.graph.aliases import named_source
from operators.graph.carried import Carried
from operators.graph.circles import circles
from operators.graph.declare import RESERVED, GraphSettings, JoinSettings, NodeSettings, Output
from operators.graph.errors import GraphError, NodeError
from operators.graph.plan_bars import BarsPlan, plan_bars
from operators.graph.plan_join import (
    PlannedJoin,
    Upstream,
    join_meaning,
    joined_labels,
    joined_scales,
    plan_join,
)
from operators.graph.plan_label import plan_label
from operators.graph.plan_names import name_errors, output_errors
from operators.graph.plan_source import rows_of
from operators.graph.plan_tiles import TilesPlan, mistakes, plan_tiles
from operators.graph.stream_rows import rows_meaning, stream_layout
from operators.graph.versions import feature_versions
from operators.labels.declare import LabelSettings
from operators.labels.planned import PlannedLabel
from operators.sealed import ALIGNED
from operators.sessions.sessions import DAYS_OF_UTC, Sessions
from operators.tiles.node import PlannedTiles
from schemas.clocks import EVENT_NS, KNOWN_NS, Clock
from schemas.frame import LEFT_INDEX, LEFT_OFFSET
from schemas.stream import Stream


@dataclass(frozen=True, slots=True)
class PlannedNode:
    """A node whose formulas are read.

    `reads`     the nodes and roots whose rows it takes, the one that gives it its own rows first.
    `roots`     those that its rows hang on: `aligned`, and streams by their names.
    `key`       the columns that tell the symbols of its rows apart.
    `carried`   the columns of its output, in order; None where nothing goes out.
    `versions`  of each feature.
    `join`      of a node that joins the first of `reads` with the others: how; None for any other.
    `bars`      of a node of bars: which; None for any other.
    `label`     of a node of labels: which; None for any other.
    `labels`    the columns of its rows that are labels, its own and others'.
    `tiles`     of a node with a function or a model: how it is called; None for any other.
    `status`    whether the output has a column more for each feature that it carries.
    `available` whether it has one that says when a row could be in a reader's hands.
    """

    name: str
    reads: tuple[str, ...]
    roots: tuple[str, ...]
    key: tuple[str, ...]
    features: Features
    versions: Mapping[str, int]
    carried: tuple[str, ...] | None
    join: PlannedJoin | None = None
    status: bool = False
    available: bool = False
    bars: PlannedBars | None = None
    label: PlannedLabel | None = None
    labels: frozenset[str] = frozenset()
    tiles: PlannedTiles | None = None

    @property
    def has_own_rows(self) -> bool:
        """Whether its rows are not those it takes, one for one and at once."""
        made = (self.join, self.bars, self.label, self.tiles)
        return any(one is not None for one in made)

    @property
    def upstream(self) -> str:
        """The node or root whose rows are its own."""
        return self.reads[0]

    @property
    def output(self) -> Carried | None:
        """What goes out; None where nothing does."""
        if self.carried is None:
            return None
        features = [name for name in self.carried if name in self.features.memories]
        return Carried(
            self.features.layout,
            self.carried,
            features,
            status=self.status,
            available=self.available,
            labels=self.labels,
        )

    @property
    def meaning(self) -> str:
        """16 hex digits that are equal where the same is computed for the same rows."""
        waits = self.join is not None or self.label is not None or self.tiles is not None
        return join_meaning(self.features) if waits else self.features.meaning


@dataclass(frozen=True, slots=True)
class Plan:
    """A graph that can run.

    `nodes`     each after the one it reads.
    `aligned`   the columns of the rows of the join.
    `streams`   by name: those that a node reads, each a root that puts its rows in order.
    `sessions`  of the venue.  Their meaning belongs into that of each feature which begins anew with them,
                and so not into that of a graph without such a feature, whose values they do not touch.
    `aliases`   by root: the names that its columns have behind it, by their own.
    """

    name: str
    nodes: tuple[PlannedNode, ...]
    aligned: pa.Schema
    sessions: Sessions = DAYS_OF_UTC
    streams: Mapping[str, Stream] = field(default_factory=dict)
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def meaning(self) -> str:
        """16 hex digits that are equal where all nodes mean the same, whatever they are called."""
        return digest("graph", *sorted(node.meaning for node in self.nodes))

    @property
    def available(self) -> bool:
        """Whether any output says when its rows could be in a reader's hands."""
        return any(node.available for node in self.nodes)

    def outputs(self) -> dict[str, pa.Schema]:
        """By node with an output: the columns it carries, in order."""
        return {node.name: node.output.layout for node in self.nodes if node.output is not None}


def plan_graph(
    settings: GraphSettings,
    aligned: pa.Schema,
    *,
    meaning: str = "",
    key: Iterable[str] = ("symbol",),
    streams: Iterable[Stream] = (),
    clock: Clock = "event",
) -> Plan:
    """Return the plan of a graph over the rows of a join; raises GraphError with all that is wrong.

    `aligned`  the columns of the join's rows, and `meaning` what they mean: the join's fingerprint.
    `key`      the columns that key the left stream; with clocks and places they are in every output.
    `streams`  the inputs: nodes may read them, and none has the name of one.
    `clock`    the one that rows are in order of.
    """
    root = named_source(settings, ALIGNED, aligned, meaning)
    planning = _Planning(settings, Upstream(root, tuple(key), (ALIGNED,)), tuple(streams), clock)
    planning.errors += name_errors(settings.nodes, [stream.name for stream in planning.streams])
    ordered = planning.order()
    nodes = [planning.plan(node) for node in ordered]
    if planning.errors:
        place = {node.name: number for number, node in enumerate(settings.nodes)}
        raise GraphError(tuple(sorted(planning.errors, key=lambda error: place.get(error.node, -1))))
    planned = tuple(node for node in nodes if node is not None)
    read = {root for node in planned for root in node.roots}
    by_name = {stream.name: stream for stream in planning.streams if stream.name in read}
    return Plan(settings.name, planned, aligned, settings.sessions, by_name, settings.aliases)


class _Planning:
    """Plans one graph; `upstreams` has the rows of each root and of each node so far."""

    def __init__(
        self, settings: GraphSettings, aligned: Upstream, streams: tuple[Stream, ...], clock: Clock
    ) -> None:
        self.streams = streams
        self.errors: list[NodeError] = []
        self._nodes = settings.nodes
        self._clock = clock
        self._sessions = settings.sessions
        self._upstreams = {ALIGNED: aligned}
        self._wrong_roots: dict[str, str] = {}  # streams that no node can read, and why
        for stream in streams:
            if stream.name in RESERVED:
                why = "names something else of a pipeline; a stream that nodes read needs another name"
                self._wrong_roots[stream.name] = f"{stream.name} {why}"
                continue
            try:
                layout = stream_layout(stream)
            except ValueError as wrong:
                self._wrong_roots[stream.name] = str(wrong)
                continue
            rows = rows_meaning(stream, clock)
            source = named_source(settings, stream.name, layout, rows)
            self._upstreams[stream.name] = Upstream(source, stream.key, (stream.name,))

    def order(self) -> list[NodeSettings]:
        """The nodes, each after the one it reads; reports what cannot be ordered, and leaves it in."""
        ordered: list[NodeSettings] = []
        placed = set(self._upstreams)
        waiting = list(self._nodes)
        while waiting:
            ready = [
                node
                for node in waiting
                if all(name in placed or not self._is_node(name) for name in node.hangs_on)
            ]
            if not ready:
                self._report_cycles(waiting)
                return ordered + waiting
            ordered += ready
            placed |= {node.name for node in ready}
            waiting = [node for node in waiting if node not in ready]
        return ordered

    def plan(self, node: NodeSettings) -> PlannedNode | None:
        """Read what a node computes; None where anything is wrong with it or with what it reads."""
        upstream = self._upstream_of(node, node.upstream, "from")
        if node.join is not None:
            return self._plan_join(node, node.join, upstream)
        if node.label is not None:
            return self._plan_label(node, node.label, upstream)
        if node.bars is not None or node.tiles is not None:
            return self._plan_made(node, upstream)
        source = upstream.source
        if not node.features:
            self._report(node.name, f"a node needs features, in a table [graph.{node.name}.features]")
        formulas, versions, twice = feature_versions(node.name, node.features)
        self.errors += twice
        regular = node.hours == "regular"
        features, errors = read_features(node.name, source, formulas, regular_hours=regular)
        for column, wrong in errors.items():
            for error in wrong:
                places = (error.start, error.end) if error.end else (None, None)
                self.errors.append(NodeError(node.name, column, error.message, *places))
        own = rows_of(node, source, features, set(errors))
        self._upstreams[node.name] = upstream._replace(source=own)
        carried = self._carried(node, upstream.key)
        if features is None:
            return None
        output = node.output or Output()
        self.errors += output_errors(node, carried, features, waits=upstream.waits)
        return PlannedNode(
            node.name,
            (node.upstream,),
            upstream.roots,
            upstream.key,
            features,
            versions,
            carried,
            status=output.status,
            available=output.available,
            labels=source.labels,
        )

    def _upstream_of(self, node: NodeSettings, name: str, setting: str) -> Upstream:
        """What a node reads under a name; it is reported where there is no such thing."""
        if name not in self._upstreams and not self._is_node(name):
            width = len(name) if setting == "from" else 0
            self._report(node.name, self._no_upstream(name), setting=setting, width=width)
        return self._upstreams.get(name) or Upstream(Source(name, None))

    def _plan_join(self, node: NodeSettings, join: JoinSettings, left: Upstream) -> PlannedNode | None:
        rights = [self._upstream_of(node, name, "right") for name in join.rights]
        self._upstreams[node.name] = Upstream(Source(node.name, None))
        if any(one.source.layout is None or one.source.broken for one in (left, *rights)):
            return None
        try:
            planned = plan_join(join, left, rights, self._clock)
        except ValueError as wrong:
            self._report(node.name, str(wrong))
            return None
        roots = tuple(sorted({root for one in (left, *rights) for root in one.roots}))
        own = rows_of(node, left.source, planned.features, set())
        own = own._replace(
            scales=joined_scales(planned.settings, left, rights),
            labels=joined_labels(planned.settings, left, rights),
        )
        waits = any(one.waits for one in (left, *rights))
        joined = left._replace(source=own, roots=roots, waits=waits)
        return replace(self._own_rows(node, joined, planned.features), join=planned)

    def _plan_made(self, node: NodeSettings, upstream: Upstream) -> PlannedNode | None:
        """Bars, and what functions and models give."""
        self._upstreams[node.name] = Upstream(Source(node.name, None))
        if upstream.source.layout is None or upstream.source.broken:
            self.errors += mistakes(node)
            return None
        texts = node.features if node.tiles is None else node.tiles.returns
        formulas, versions, twice = feature_versions(node.name, texts)
        self.errors += twice
        made: BarsPlan | TilesPlan | None
        if node.bars is not None:
            made, wrong = plan_bars(node.name, node.bars, formulas, upstream, self._clock, self._sessions)
        else:
            made, wrong = plan_tiles(node, upstream, self._learned(node))
        self.errors += wrong
        if made is None:
            return None
        planned = self._own_rows(node, made.upstream, made.features)
        return replace(planned, versions=versions, bars=made.bars, tiles=made.tiles)

    def _learned(self, node: NodeSettings) -> Source | None:
        """The rows with the label that a model learns, as far as they are known; None for another node."""
        model = None if node.tiles is None else node.tiles.model
        if model is None:
            return None
        known = self._upstreams.get(model.y_node)
        if known is None and not self._is_node(model.y_node):
            self._report(node.name, self._no_upstream(model.y_node), setting="y")
        return None if known is None else known.source

    def _plan_label(self, node: NodeSettings, label: LabelSettings, rows: Upstream) -> PlannedNode | None:
        setting = f"{label.key}.{label.beside}"
        beside = [self._upstream_of(node, name, setting) for name in node.reads[1:]]
        self._upstreams[node.name] = Upstream(Source(node.name, None))
        if any(one.source.layout is None or one.source.broken for one in (rows, *beside)):
            return None
        made = plan_label(node.name, label, (rows, *beside), self._clock, self._sessions)
        if isinstance(made, NodeError):
            self.errors.append(made)
            return None
        return replace(self._own_rows(node, made.upstream, made.features), label=made.label)

    def _own_rows(self, node: NodeSettings, upstream: Upstream, features: Features) -> PlannedNode:
        """A node whose rows are not those that it takes; `upstream` is what others read of it."""
        self._upstreams[node.name] = upstream
        carried = self._carried(node, upstream.key)
        self.errors += output_errors(node, carried, features, waits=upstream.waits)
        output = node.output or Output()
        return PlannedNode(
            node.name,
            node.reads,
            upstream.roots,
            upstream.key,
            features,
            {},
            carried,
            status=output.status,
            available=output.available,
            labels=upstream.source.labels,
        )

    def _carried(self, node: NodeSettings, key: tuple[str, ...]) -> tuple[str, ...] | None:
        layout = self._upstreams[node.name].source.layout
        own = self._upstreams[node.name].identity
        identity = {*key, EVENT_NS, KNOWN_NS, LEFT_OFFSET, LEFT_INDEX, *own}
        if node.output is None or layout is None:
            return None
        chosen = node.output.columns
        if chosen is None:
            return tuple(layout.names)
        for column in chosen:
            if column not in layout.names:
                message = f"{node.name} has no column {column}{suggest(column, layout.names)}"
                self._report(node.name, message, setting="out.columns")
        return tuple(name for name in layout.names if name in identity or name in chosen)

    @property
    def _stream_names(self) -> list[str]:
        return [stream.name for stream in self.streams]

    def _is_node(self, name: str) -> bool:
        return any(node.name == name for node in self._nodes)

    def _no_upstream(self, name: str) -> str:
        if name in self._wrong_roots:
            return self._wrong_roots[name]
        known = [ALIGNED, *(node.name for node in self._nodes), *self._stream_names]
        return f"there is no node {name}{suggest(name, known, listed='there are')}"

    def _report_cycles(self, waiting: list[NodeSettings]) -> None:
        """Each of these nodes is on a circle, or behind one."""
        for name, words in circles({node.name: node.hangs_on for node in waiting}):
            self._report(name, f"the nodes read one another in a circle: {words}", setting="from")

    def _report(self, node: str, message: str, *, setting: str = "", width: int = 0) -> None:
        start, end = (0, width) if width else (None, None)
        self.errors.append(NodeError(node, None, message, start, end, setting))
