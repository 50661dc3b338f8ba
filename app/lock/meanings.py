"""What each feature of a graph means: its formula, the rows it is computed from, and a hash of both."""

from collections.abc import Collection
from dataclasses import dataclass

from app.config import Settings
from app.wiring.planning import graph_plan, rows_meaning
from operators.formula.names import split_name
from operators.formula.read import names_in, one_form
from operators.graph.plan import Plan, PlannedNode
from operators.graph.versions import formula_version
from operators.join.settings import AsofSettings
from operators.sealed import ALIGNED


@dataclass(frozen=True, slots=True)
class FeatureMeaning:
    """A feature, and what it means.

    `formula`  in one form, whatever brackets, comments and white space it is written with.
    `join`     how the rows it is computed from are joined, or which rows in order they are, in words.
    `meaning`  16 hex digits that are equal where the same is computed.
    `reads`    the features of its graph that its formula names, as `node.column`.
    `of_function`  whether a function of the user gives it; `formula` says which, and how it is called.
    `of_node`      whether it is a node's own, of a label or of bars; `formula` says which.  Its version is 1.
    """

    node: str
    column: str
    version: int
    formula: str
    join: str
    meaning: str
    reads: tuple[str, ...] = ()
    of_function: bool = False
    of_node: bool = False

    @property
    def name(self) -> str:
        """`node.feature`, which the versions of a feature share: `vol@2` is a column of `vol`."""
        return f"{self.node}.{split_name(self.column)[0]}"

    @property
    def identity(self) -> str:
        """`node.feature@version`: what may mean one thing alone."""
        return f"{self.name}@{self.version}"


def identity_plan(settings: Settings, asof: AsofSettings) -> Plan | None:
    """The plan whose meanings a lock keeps, None without a graph; raises UsageError as `graph_plan`.

    A column of the join means its name, its type and the rule of the join, whatever other columns there are:
    a field that a producer adds to its records changes no feature.
    """
    return graph_plan(settings, asof, rows_meaning(asof))


def feature_meanings(settings: Settings, asof: AsofSettings) -> list[FeatureMeaning]:
    """Every feature of the graph, node by node; none without a graph.  Raises UsageError as `graph_plan`."""
    plan = identity_plan(settings, asof)
    if plan is None:
        return []
    join = f"by {', '.join(asof.left.key) or 'nothing'}, {asof.rule().describe()}"
    # By node: where the features of its rows come from.
    homes: dict[str, dict[str, str]] = {root: {} for root in (ALIGNED, *plan.streams)}
    meanings = []
    for node in plan.nodes:
        home = dict(homes[node.upstream])
        of_streams = f"rows of {', '.join(node.roots)} by their {asof.clock} time"
        for column, formula, read in (*_own_columns(node), *_formulas(settings, node)):
            meanings.append(
                FeatureMeaning(
                    node=node.name,
                    column=column,
                    version=node.versions.get(column, 1),
                    formula=formula,
                    join=join if ALIGNED in node.roots else of_streams,
                    meaning=node.features.meanings[column],
                    reads=tuple(home[name] for name in read if name in home),
                    of_function=node.tiles is not None,
                    of_node=column not in node.features.columns,
                )
            )
            home[column] = f"{node.name}.{column}"
        homes[node.name] = home
    return meanings


def _formulas(settings: Settings, node: PlannedNode) -> list[tuple[str, str, Collection[str]]]:
    """The features of a node: the formula of each in one form, or its function, and the columns it reads."""
    if node.tiles is not None:
        function, read = node.tiles.settings.describe(), node.tiles.read
        return [(column, function, read) for column in node.features.columns]
    formulas: list[tuple[str, str, Collection[str]]] = []
    for column in node.features.columns:
        formula = one_form(formula_version(settings.graph.nodes[node.name].features[column])[0])
        formulas.append((column, formula, names_in(formula)))
    return formulas


def _own_columns(node: PlannedNode) -> list[tuple[str, str, Collection[str]]]:
    """What a label or bars give by themselves, as `_formulas`; nothing of another node."""
    if node.label is not None:
        words = node.label.describe()
        return [(field.name, words, node.label.reads) for field in node.label.fields]
    if node.bars is None:
        return []
    words = f"bars, every {node.bars.settings.describe()}"
    others = {*node.key, *node.features.columns}
    own = [name for name in node.features.layout.names if name in node.features.meanings]
    return [(name, words, ()) for name in own if name not in others]
