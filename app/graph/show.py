"""A graph on one screen: its nodes in chains, and of each feature what it hangs on and what it means."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from app.config import Settings
from app.errors import UsageError
from app.graph.columns import InputColumns
from app.graph.context import length_words, reach_words
from app.graph.select import ancestors, require_node, selected
from app.lock.file import NAME, lock_path, read_lock
from app.lock.meanings import FeatureMeaning, feature_meanings, identity_plan
from app.words import table_lines
from operators.bars.settings import BarSettings
from operators.formula.features import Features
from operators.formula.history import STARTS, Reach, Start, farthest, latest_start
from operators.graph.plan import Plan, PlannedNode
from operators.graph.plan_join import PlannedJoin
from operators.labels.planned import PlannedLabel
from operators.sealed import ALIGNED
from operators.tiles.node import PlannedTiles
from topics.catalogue import STATE

MEANING_LENGTH: Final = 6  # hex digits that are shown
GRAPH_MEANING_LENGTH: Final = 12
SINCE: Final[Mapping[Start, str]] = {
    "": "",
    "session": "rows since the session began",
    "genesis": "all rows of the symbol",
}


class Past(NamedTuple):
    """What a feature needs of other rows: how far back they reach, and since when all are needed."""

    reach: Reach
    start: Start

    @classmethod
    def of(cls, features: Features, column: str) -> "Past":
        """That of a feature."""
        return cls(features.reaches[column], features.starts[column])

    @property
    def memory(self) -> str:
        """The class of memory, and how long it is."""
        if self.start:
            return f"since {self.start}"
        if self.reach == Reach():
            return "row"
        rows = f"{self.reach.rows + 1:,} rows"  # the row's own is one of them
        return f"window {length_words(self.reach.ns) if self.reach.ns else rows}"

    @property
    def needs(self) -> str:
        """Which other rows it needs."""
        if not self.start:
            return reach_words(self.reach)
        before = f", and {reach_words(self.reach)}" if self.reach != Reach() else ""
        return SINCE[self.start] + (before if self.start == "session" else "")

    @property
    def hangs_on(self) -> str:
        """Which rows its bits hang on."""
        return SINCE[self.start] or ("the row" if self.reach == Reach() else "the window")


class GraphView:
    """A graph as people see it; raises UsageError where it has errors, or is none."""

    def __init__(self, settings: Settings, columns: InputColumns, to: str | None = None) -> None:
        """With `to` only the part of the graph that this node is made of."""
        plan = identity_plan(settings, columns.asof)
        if plan is None:
            where = settings.file or "settings"
            raise UsageError(f"{where}: there is no graph, no table [graph.NAME] with features")
        self._settings = settings
        self._source = columns.source
        self._plan: Plan = plan if to is None else ancestors(plan, to)
        self._meanings = {(one.node, one.column): one for one in feature_meanings(settings, columns.asof)}
        path = lock_path(settings)
        self._locked = read_lock(path) if path is not None and path.exists() else None

    def lines(self, name: str | None = None) -> Iterator[str]:
        """The screen; with the name of a node that node alone, and the formulas of its features."""
        plan, settings = self._plan, self._settings
        nodes = plan.nodes if name is None else (self._node(name),)
        yield (
            f"{plan.name} {plan.meaning[:GRAPH_MEANING_LENGTH]} · clock {settings.pipeline.clock} · anchor "
            f"{plan.sessions.describe()} · {settings.bus.partitions} partitions"
            + (f" · {self._source}" if self._source else "")
        )
        for leaf in self._leaves() if name is None else nodes:
            yield f"  {' -> '.join(self._chain(leaf))}{self._topics(leaf)}"
        for node in nodes:
            for right in node.reads[1:]:
                path = self._chain(self._node(right)) if right in self._names else [right]
                yield f"  {' -> '.join(path)}        into: {node.name}"
        header = ("", "memory", "needs", "bits hang on", "meaning", "" if self._locked is None else NAME)
        rows = []
        for node in nodes:
            rows.append((node.name, "", "", "", node.meaning[:MEANING_LENGTH], ""))
            if node.join is not None:
                rows += [_joined(right, node.join) for right in node.reads[1:]]
            if node.bars is not None:
                rows.append(_summed_up(node.bars.settings, Past.of(node.features, "close")))
            if node.label is not None:
                rows.append(_labelled(node.label))
            for column in node.features.columns:
                past = Past.of(node.features, column)
                one = self._meanings[node.name, column]
                version = f"@{one.version}" if one.version > 1 and "@" not in column else ""
                words = (past.memory, past.needs, past.hangs_on)
                if node.tiles is not None:
                    words = _of_tile(node.tiles)
                shown = (*words, one.meaning[:MEANING_LENGTH])
                rows.append((f"  {column}{version}", *shown, self._lock_word(one) or ""))
        for line in table_lines(header, rows):
            yield f"  {line}"
        if name is not None:
            yield from self._formulas(nodes[0])
        yield from self._context()
        for node in nodes:
            if node.tiles is not None:
                length, place = length_words(node.tiles.settings.tile_ns), node.tiles.function.place
                yield f"  {node.name} ({place}) is out up to {length} after {node.upstream}"

    def listed(self, selection: str) -> Iterator[str]:
        """A line for each node of a selection (`app.graph.select`): where from, its features, its topic."""
        nodes = selected(self._plan, selection, self._changed) if selection else self._plan.nodes
        rows = [
            (
                node.name,
                ", ".join(node.reads),
                node.meaning[:MEANING_LENGTH],
                "" if node.carried is None else self._settings.topic(node.name),
                ", ".join(node.features.columns),
            )
            for node in nodes
        ]
        yield from table_lines(("node", "from", "meaning", "topic", "features"), rows) if rows else ()

    @property
    def _changed(self) -> set[str]:
        """The nodes with a feature that the lock does not know as it is; without a lock all are such."""
        return {
            node.name
            for node in self._plan.nodes
            for column in node.features.columns
            if self._lock_word(self._meanings[node.name, column]) != "same"
        }

    def as_json(self, name: str | None = None) -> dict[str, Any]:
        """The same, with whole meanings, for programs."""
        nodes = self._plan.nodes if name is None else (self._node(name),)
        return {
            "name": self._plan.name,
            "meaning": self._plan.meaning,
            "clock": self._settings.pipeline.clock,
            "anchor": {
                "sessions": self._plan.sessions.describe(),
                "meaning": self._plan.sessions.meaning,
            },
            "partitions": self._settings.bus.partitions,
            "streams": list(self._settings.stream_names),
            "columns_from": self._source or "registry",
            "nodes": [self._node_json(node) for node in nodes],
        }

    def _context(self) -> Iterator[str]:
        """What the graph needs of the past, and what is read again for it where there is no local state."""
        remembered = [name for name in self._plan.streams if self._remembers(name)]
        if remembered:
            topic = self._settings.topic(STATE)
            yield (
                f"  nodes of {', '.join(remembered)}: what they remember is in {topic}; rows since then are "
                "read again"
            )
        pasts = {
            f"{node.name}.{column}": Past.of(node.features, column)
            for node in self._plan.nodes
            for column in _shown(node)
            if node.roots == (ALIGNED,)
        }
        if remembered and not any(past.memory != "row" for past in pasts.values()):
            return
        reach = farthest([past.reach for past in pasts.values()])
        start = latest_start([past.start for past in pasts.values()])
        if reach == Reach() and not start:
            yield "  context of the graph: none, each row hangs on itself alone"
            yield "  restart without local state: nothing is read again for the graph"
            return
        since = [
            f"{', '.join(name for name, past in pasts.items() if past.start == kind)} on {SINCE[kind]}"
            for kind in STARTS[1:]
            if kind in {past.start for past in pasts.values()}
        ]
        words = "; ".join([f"{reach_words(reach)} of a symbol", *since])
        yield f"  context of the graph: {words}"
        topic = self._settings.topic(ALIGNED)
        before = "" if reach == Reach() else f", with {reach_words(reach)} of each symbol before it"
        read = {
            "": f"{reach_words(reach)} of each symbol of {topic} before the last commit",
            "session": f"{topic} from the start of the session of the last commit{before}",
            "genesis": f"all of {topic}",
        }
        yield f"  restart without local state: read again is {read[start]}"

    def _remembers(self, stream: str) -> bool:
        """Whether a node that has rows of a stream hangs on earlier ones."""
        nodes = [node for node in self._plan.nodes if stream in node.roots]
        return any(
            node.has_own_rows
            or any(Past.of(node.features, column).memory != "row" for column in node.features.columns)
            for node in nodes
        )

    def _node_json(self, node: PlannedNode) -> dict[str, Any]:
        return {
            "name": node.name,
            "from": node.upstream,
            "right": list(node.reads[1:]),
            "topic": None if node.carried is None else self._settings.topic(node.name),
            "columns": None if node.output is None else node.output.layout.names,
            "meaning": node.meaning,
            "features": [self._feature_json(node, column) for column in node.features.columns],
            "labels": [name for name in node.features.layout.names if name in node.labels],
        }

    def _feature_json(self, node: PlannedNode, column: str) -> dict[str, Any]:
        one: FeatureMeaning = self._meanings[node.name, column]
        past = Past.of(node.features, column)
        return {
            "name": column,
            "version": one.version,
            "formula": one.formula,
            "type": str(node.features.layout.field(column).type),
            "memory": node.features.memories[column],
            "needs": past.needs if node.tiles is None else _of_tile(node.tiles)[1],
            "needs_rows": past.reach.rows,
            "needs_ns": past.reach.ns,
            "since": past.start or None,
            "hangs_on": past.hangs_on if node.tiles is None else _of_tile(node.tiles)[2],
            "meaning": one.meaning,
            "lock": self._lock_word(one),
        }

    def _lock_word(self, one: FeatureMeaning) -> str | None:
        """Whether the feature is as its lock says; None without a lock."""
        if self._locked is None:
            return None
        locked = self._locked.get(one.identity)
        return "new" if locked is None else "same" if locked.meaning == one.meaning else "changed"

    def _formulas(self, node: PlannedNode) -> Iterator[str]:
        header = ("", "type", "formula")
        rows = []
        for column in node.features.columns:
            kind = str(node.features.layout.field(column).type)
            rows.append((f"  {column}", kind, self._meanings[node.name, column].formula))
        for line in table_lines(header, rows):
            yield f"  {line}"

    def _node(self, name: str) -> PlannedNode:
        return self._plan.nodes[self._names.index(require_node(self._plan, name))]

    @property
    def _names(self) -> list[str]:
        return [node.name for node in self._plan.nodes]

    def _leaves(self) -> list[PlannedNode]:
        """The nodes that no other one reads: each ends a chain."""
        read = {name for node in self._plan.nodes for name in node.reads}
        return [node for node in self._plan.nodes if node.name not in read]

    def _path(self, node: PlannedNode) -> list[PlannedNode]:
        path = [node]
        while path[0].upstream in self._names:
            path.insert(0, self._node(path[0].upstream))
        return path

    def _chain(self, leaf: PlannedNode) -> list[str]:
        path = self._path(leaf)
        root = path[0].upstream
        joined = (self._settings.pipeline.left, *self._settings.pipeline.right)
        before = [", ".join(joined)] if root == ALIGNED else []
        return [*before, root, *map(_link, path)]

    def _topics(self, leaf: PlannedNode) -> str:
        topics = [self._settings.topic(node.name) for node in self._path(leaf) if node.carried is not None]
        return f"        out: {', '.join(topics)}" if topics else "        out: none"


def _link(node: PlannedNode) -> str:
    """A node in a chain, with what it looks up beside it."""
    return node.name if node.join is None else f"{node.name} ({', '.join(node.reads[1:])})"


def _of_tile(tiles: PlannedTiles) -> tuple[str, str, str]:
    """Memory, needs and what bits hang on of the columns that a function gives."""
    settings = tiles.settings
    parts = [f"{settings.rows:,} rows a symbol"] if settings.rows else []
    parts += [length_words(settings.ns)] if settings.ns else []
    needs = f"{' and '.join(parts) or 'nothing'} before it"
    return f"tile {length_words(settings.tile_ns)}", needs, f"the tile ({tiles.function.engine})"


def _summed_up(bars: BarSettings, past: Past) -> tuple[str, str, str, str, str, str]:
    """The line of what closes bars: of which rows they are."""
    if not bars.is_of_calendar:
        return (f"  every {bars.describe()}", past.memory, past.needs, past.hangs_on, "", "")
    rows = f"rows since the {bars.every} began"
    return (f"  every {bars.describe()}", f"since {bars.every}", rows, rows, "", "")


def _shown(node: PlannedNode) -> tuple[str, ...]:
    """The columns that say what a node needs of the past."""
    if node.bars is not None:
        return ("close",)
    return node.features.columns if node.label is None else node.label.values


def _labelled(label: PlannedLabel) -> tuple[str, str, str, str, str, str]:
    """The line of a label: which later rows it is made of."""
    length = length_words(label.bound_ns)
    later = f"rows up to {length} after it"
    return (f"  {label.key} of {label.price}", f"held {length}", later, "the row, and those after it", "", "")


def _joined(right: str, join: PlannedJoin) -> tuple[str, str, str, str, str, str]:
    """The line of what a node looks up: how far back a row of it may be."""
    tolerance_ns, before = join.settings.tolerance_ns, ""
    if join.lag_ns:
        before = f" {length_words(join.lag_ns)} before"
    memory = f"last row{before}" if tolerance_ns is None else f"window {length_words(tolerance_ns)}{before}"
    needs = f"the last row of a symbol{before}"
    if tolerance_ns is not None:
        needs = length_words(tolerance_ns + join.lag_ns)
    return (f"  {right}", memory, needs, "the row, and that it finds", "", "")
