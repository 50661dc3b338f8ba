"""A graph on one screen: its nodes in chains, and of each feature what it hangs on and what it means."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from app.config import Settings
from app.errors import UsageError
from app.graph.columns import InputColumns
from app.lock.file import NAME, lock_path, read_lock
from app.lock.meanings import FeatureMeaning, feature_meanings, identity_plan
from app.words import table_lines
from operators.formula.functions.declare import Memory
from operators.formula.suggest import suggest
from operators.graph.plan import Plan, PlannedNode
from operators.sealed import ALIGNED

MEANING_LENGTH: Final = 6  # hex digits that are shown
GRAPH_MEANING_LENGTH: Final = 12
# What a feature of a memory class needs of other rows, and which rows the bits of its values hang on.
NEEDS: Final[Mapping[Memory, str]] = {"row": "nothing"}
HANGS_ON: Final[Mapping[Memory, str]] = {"row": "the row"}


class GraphView:
    """A graph as people see it; raises UsageError where it has errors, or is none."""

    def __init__(self, settings: Settings, columns: InputColumns) -> None:
        plan = identity_plan(settings, columns.asof)
        if plan is None:
            where = settings.file or "settings"
            raise UsageError(f"{where}: there is no graph, no table [graph.NAME] with features")
        self._settings = settings
        self._source = columns.source
        self._plan: Plan = plan
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
        header = ("", "memory", "needs", "bits hang on", "meaning", "" if self._locked is None else NAME)
        rows = []
        for node in nodes:
            rows.append((node.name, "", "", "", node.meaning[:MEANING_LENGTH], ""))
            for column in node.features.columns:
                memory = node.features.memories[column]
                one = self._meanings[node.name, column]
                version = f"@{one.version}" if one.version > 1 else ""
                shown = (memory, NEEDS[memory], HANGS_ON[memory], one.meaning[:MEANING_LENGTH])
                rows.append((f"  {column}{version}", *shown, self._lock_word(one) or ""))
        for line in table_lines(header, rows):
            yield f"  {line}"
        if name is not None:
            yield from self._formulas(nodes[0])
        yield "  context of the graph: none, each row hangs on itself alone"
        yield "  restart without local state: nothing is read again for the graph"

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

    def _node_json(self, node: PlannedNode) -> dict[str, Any]:
        return {
            "name": node.name,
            "from": node.upstream,
            "topic": None if node.carried is None else self._settings.topic(node.name),
            "columns": None if node.carried is None else list(node.carried),
            "meaning": node.meaning,
            "features": [self._feature_json(node, column) for column in node.features.columns],
        }

    def _feature_json(self, node: PlannedNode, column: str) -> dict[str, Any]:
        one: FeatureMeaning = self._meanings[node.name, column]
        memory = node.features.memories[column]
        return {
            "name": column,
            "version": one.version,
            "formula": one.formula,
            "type": str(node.features.layout.field(column).type),
            "memory": memory,
            "needs": NEEDS[memory],
            "hangs_on": HANGS_ON[memory],
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
        names = [node.name for node in self._plan.nodes]
        if name not in names:
            raise UsageError(f"the graph has no node {name}{suggest(name, names, listed='there are')}")
        return self._plan.nodes[names.index(name)]

    def _leaves(self) -> list[PlannedNode]:
        """The nodes that no other one reads: each ends a chain."""
        read = {node.upstream for node in self._plan.nodes}
        return [node for node in self._plan.nodes if node.name not in read]

    def _path(self, node: PlannedNode) -> list[PlannedNode]:
        path = [node]
        while path[0].upstream != ALIGNED:
            path.insert(0, self._node(path[0].upstream))
        return path

    def _chain(self, leaf: PlannedNode) -> list[str]:
        return [", ".join(self._settings.stream_names), ALIGNED, *(node.name for node in self._path(leaf))]

    def _topics(self, leaf: PlannedNode) -> str:
        topics = [self._settings.topic(node.name) for node in self._path(leaf) if node.carried is not None]
        return f"        out: {', '.join(topics)}" if topics else "        out: none"
