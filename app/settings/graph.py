"""The tables `[graph]` and `[graph.NAME]`: nodes of row formulas behind the join, and where their rows go."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Literal

from pydantic import Field, model_validator

from app.settings.section import Name, Section, TopicName
from app.settings.sessions import AnchorTable
from operators.formula.functions.table import FUNCTIONS
from operators.formula.read import read_formula
from operators.formula.tree import Broken, Call, Tree
from operators.graph.declare import RESERVED, GraphSettings, NodeSettings, Output
from operators.graph.plan import formula_version
from operators.sessions.sessions import Sessions

Formula = Annotated[str, Field(min_length=1)]


class OutputSettings(Section):
    """The table `[graph.NAME.out]`: without it a node feeds other nodes only."""

    topic: TopicName | None = None  # none: <prefix>.NAME
    columns: tuple[str, ...] | None = None  # those to carry; none: all.  Key, clocks and place go always
    status: Literal["column"] | None = None  # a column NAME_status for each feature: why it is null
    available: bool = False  # a column available_ns: the earliest moment a reader could have had the row

    def declared(self) -> Output:
        """The output as the core plans it."""
        return Output(self.columns, status=self.status == "column", available=self.available)


class NodeTable(Section):
    """The table `[graph.NAME]`: rows of `from`, with a column more for each feature."""

    from_: Annotated[Name, Field(alias="from")]  # `aligned`, a stream of the pipeline, or another node
    features: dict[str, Formula]  # column = "formula", in order; " @2" behind it is its version
    out: OutputSettings | None = None


class GraphTable(Section):
    """The graph: a name, the sessions of its venue, and its nodes in any order."""

    name: Name = "graph"
    anchor: AnchorTable | None = None  # none: days of UTC
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
    def remembers(self) -> bool:
        """Whether a formula of any node looks back at earlier rows; one that is wrong does not count."""
        return any(_looks_back(text) for node in self.nodes.values() for text in node.features.values())

    def declared(
        self,
        sessions: Sessions,
        scales: Mapping[str, Mapping[str, int]],
        aliases: Mapping[str, Mapping[str, str]],
    ) -> GraphSettings:
        """The graph as the core plans it; scales and aliases are by root those of its columns."""
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
