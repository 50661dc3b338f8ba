"""The tables `[graph]` and `[graph.NAME]`: their nodes by kind, and where their rows go."""

from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field, model_validator

from app.settings.bars import BAR_KEYS, BarsTable, EveryTable
from app.settings.durations import in_whole_units
from app.settings.functions import FUNCTION_KEYS, ContextTable
from app.settings.labels import LABELS, LabelTable, labels_in_whole_units
from app.settings.models import MODEL_KEYS, EmbargoTable, ModelTable
from app.settings.section import Name, Section, TopicName, WholeNs
from app.settings.sessions import AnchorTable
from operators.formula.functions.table import FUNCTIONS
from operators.formula.read import read_formula
from operators.formula.tree import Broken, Call, Tree
from operators.graph.declare import LAG_NS_MAX, RESERVED, GraphSettings, JoinSettings, NodeSettings, Output
from operators.graph.versions import formula_version
from operators.sessions.sessions import Sessions
from operators.tiles.settings import Mistake, TileSettings, UserFunction

JOIN_KEYS: Final = ("right", "direction", "allow_exact", "tolerance_ns", "carry", "columns", "lag_ns")
Formula = Annotated[str, Field(min_length=1)]
Loaded: TypeAlias = tuple[UserFunction | None, tuple[Mistake, ...]]
NO_FUNCTIONS: Final[Mapping[str, Loaded]] = MappingProxyType({})


class OutputSettings(Section):
    """The table `[graph.NAME.out]`: without it a node feeds other nodes only."""

    topic: TopicName | None = None  # none: <prefix>.NAME
    columns: tuple[str, ...] | None = None  # those to carry; none: all.  Key, clocks and place go always
    status: Literal["column"] | None = None  # a column NAME_status for each feature: why it is null
    available: bool = False  # a column available_ns: the earliest moment a reader could have had the row

    def declared(self) -> Output:
        """The output as the core plans it."""
        return Output(self.columns, status=self.status == "column", available=self.available)


class NodeTable(LabelTable, BarsTable, ModelTable):
    """The table `[graph.NAME]`: rows of `from`, with features, joined, summed up, labelled, or made."""

    # Features, a join with rows of `right`, bars, labels, or what a function or a model gives.
    kind: Literal["formula", "asof", "bars", "label", "function", "model"] = "formula"
    from_: Annotated[Name, Field(alias="from")]  # `aligned`, a stream of the pipeline, or another node
    features: dict[str, Formula] = Field(
        default_factory=dict
    )  # column = "formula", in order; " @2" behind it is its version
    out: OutputSettings | None = None
    hours: Literal["all", "regular"] = "all"  # regular: what looks back sees no row outside every session
    # Of a join alone, each as in `[pipeline]`.
    right: tuple[Name, ...] = ()  # nodes and streams that are looked up for each row
    direction: Literal["backward", "forward", "nearest"] = "backward"  # a node looks back
    allow_exact: bool = True  # may a row of the same nanosecond match
    tolerance_ns: WholeNs | None = None  # farthest row that still matches; none: any
    carry: Literal["row", "column"] = "row"  # the row as it is, or per column the last value
    columns: dict[Name, tuple[str, ...]] = Field(default_factory=dict)  # by right: those taken; none: all
    lag_ns: Annotated[int, Field(ge=0, le=LAG_NS_MAX)] = 0  # look up what was there so long before the row

    @model_validator(mode="after")
    def _keys_are_of_the_kind(self) -> "NodeTable":
        if self.kind != "asof":
            self._require_none_of(JOIN_KEYS, "a join", "asof")
        if self.kind != "bars":
            self._require_none_of(BAR_KEYS, "bars", "bars")
        if self.kind != "label":
            self._require_none_of(tuple(LABELS), "a label", "label")
        if self.kind not in ("function", "model"):
            self._require_none_of(FUNCTION_KEYS, "a function", "function")
        if self.kind != "model":
            self._require_none_of(MODEL_KEYS, "a model", "model")
        if self.kind == "formula":
            return self
        if self.hours != "all":
            raise ValueError(f'hours is a key of features, and kind = "{self.kind}" has none that look back')
        if self.kind in ("function", "model"):
            self.require_function() if self.kind == "function" else self.require_model()
            if self.features:
                raise ValueError(f"a {self.kind} has no features; write them into a node that reads this one")
            return self
        if self.kind == "bars":
            self.require_bars()
            return self
        if self.features:
            raise ValueError(f'kind = "{self.kind}" has no features; write them into a node of their own')
        if self.kind == "label":
            self.label()
            return self
        if not self.right:
            raise ValueError('kind = "asof" needs right, the nodes or streams to join with: right = ["flow"]')
        if self.direction != "backward":
            raise ValueError(
                f'direction = "{self.direction}" looks ahead; a node joins backward, and what looks ahead is '
                "the join of [pipeline]"
            )
        if len({self.from_, *self.right}) != 1 + len(self.right):
            raise ValueError(f"from {self.from_!r} and right {list(self.right)} must be different")
        if strange := sorted(self.columns.keys() - set(self.right)):
            raise ValueError(f"columns names {strange[0]}, which is not in right {list(self.right)}")
        return self

    def _require_none_of(self, keys: tuple[str, ...], what: str, kind: str) -> None:
        """Raise ValueError for a key of another kind of nodes."""
        fields = type(self).model_fields
        for key in keys:  # a file that is written out has every key, as it is by default
            if getattr(self, key) != fields[key].get_default(call_default_factory=True):
                raise ValueError(f'{key} is a key of {what}: it needs kind = "{kind}"')

    def calls(self, function: UserFunction | None, mistakes: tuple[Mistake, ...]) -> TileSettings | None:
        """What it calls with its rows, as that was loaded; None for another node."""
        if self.kind == "model":
            return self.model_tiles(function, mistakes)
        return self.tiles(function, mistakes) if self.kind == "function" else None

    @property
    def sources(self) -> tuple[str, ...]:
        """The nodes and streams whose rows it takes."""
        label = self.label() if self.kind == "label" else None
        beside = label.quotes or label.halts if label is not None else ""
        return (self.from_, *self.right, *([beside] if beside else []))

    @property
    def join(self) -> JoinSettings | None:
        """How it joins; None for another node."""
        if self.kind != "asof":
            return None
        return JoinSettings(
            rights=self.right,
            allow_exact=self.allow_exact,
            tolerance_ns=self.tolerance_ns,
            carry=self.carry,
            columns=dict(self.columns),
            lag_ns=self.lag_ns,
        )


def node_in_whole_units(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of one node's table, with durations as `in_whole_units` has them."""
    table = labels_in_whole_units(name, in_whole_units(NodeTable, given, ("graph", name)))
    if isinstance(every := table.get("every"), dict):
        table["every"] = in_whole_units(EveryTable, every, ("graph", name, "every"))
    if isinstance(context := table.get("context"), dict):
        table["context"] = in_whole_units(ContextTable, context, ("graph", name, "context"))
    if isinstance(fit := table.get("fit"), dict) and isinstance(embargo := fit.get("embargo"), dict):
        where = ("graph", name, "fit", "embargo")
        table["fit"] = {**fit, "embargo": in_whole_units(EmbargoTable, embargo, where)}
    return table


class GraphTable(Section):
    """The graph: a name, the sessions of its venue, and its nodes in any order."""

    name: Name = "graph"
    anchor: AnchorTable | None = None  # none: days of UTC
    models: str = "models"  # folder of fitted models, beside the settings
    nodes: dict[Name, NodeTable] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _tables_are_nodes(cls, value: object) -> object:
        """In the file a node is a table beside `name` and `anchor`."""
        if not isinstance(value, dict) or "nodes" in value:
            return value
        nodes = {key: one for key, one in value.items() if isinstance(one, dict) and key != "anchor"}
        return {**{key: one for key, one in value.items() if key not in nodes}, "nodes": nodes}

    @model_validator(mode="after")
    def _names_are_free(self) -> "GraphTable":
        for name in self.nodes:
            if name in RESERVED:
                raise ValueError(f"graph.{name} cannot be a node: {name} names something else of a pipeline")
        return self

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of nodes that it has."""
        return frozenset(node.kind for node in self.nodes.values())

    @property
    def has_models(self) -> bool:
        """Whether any node has a model."""
        return any(node.kind == "model" for node in self.nodes.values())

    @property
    def remembers(self) -> bool:
        """Whether any node has rows of its own or looks back; a formula that is wrong does not count."""
        if any(node.kind != "formula" for node in self.nodes.values()):
            return True
        return any(_looks_back(text) for node in self.nodes.values() for text in node.features.values())

    def declared(
        self,
        sessions: Sessions,
        scales: Mapping[str, Mapping[str, int]],
        aliases: Mapping[str, Mapping[str, str]],
        known_after_ns: int = 0,
        functions: Mapping[str, Loaded] = NO_FUNCTIONS,
    ) -> GraphSettings:
        """The graph as the core plans it; scales and aliases are by root those of its columns.

        `known_after_ns` is that of bars which do not say it, `functions` are by node as they were loaded.
        """
        return GraphSettings(
            name=self.name,
            sessions=sessions,
            scales=scales,
            aliases=aliases,
            nodes=tuple(
                NodeSettings(
                    name=name,
                    upstream=node.from_,
                    features=dict(node.features),
                    output=None if node.out is None else node.out.declared(),
                    join=node.join,
                    bars=node.bars(known_after_ns) if node.kind == "bars" else None,
                    label=node.label() if node.kind == "label" else None,
                    tiles=node.calls(*functions.get(name, (None, ()))),
                    hours=node.hours,
                )
                for name, node in self.nodes.items()
            ),
        )


@cache
def _looks_back(text: str) -> bool:
    tree, _ = read_formula(formula_version(text)[0])
    called = {one.function for one in _trees(tree) if isinstance(one, Call)}
    return any(name in FUNCTIONS and FUNCTIONS[name].memory != "row" for name in called)


def _trees(tree: Tree) -> Iterator[Tree]:
    yield tree
    if isinstance(tree, Call | Broken):
        for operand in tree.operands:
            yield from _trees(operand)
