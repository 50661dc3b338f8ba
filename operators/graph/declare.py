"""A graph as it is declared: plain settings, as they stand in the tables `[graph]` and `[graph.NAME]`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from operators.bars.settings import BarSettings
from operators.labels.declare import LabelSettings
from operators.sealed import ALIGNED
from operators.sessions.sessions import DAYS_OF_UTC, Sessions
from operators.tiles.settings import TileSettings
from schemas.rule import Carry

# Topics of a pipeline and folders of a replay besides those of its nodes, and the keys of `[graph]` itself.
RESERVED: Final = frozenset(
    {
        ALIGNED,
        "late",
        "dead",
        "last-known",
        "last_known",
        "tasks",
        "state",
        "models",
        "schemas",
        "inputs",
        "name",
        "anchor",
    }
)

NODES_MAX: Final = 200
LAG_NS_MAX: Final = 31 * 24 * 3_600 * 1_000_000_000  # of a join, as of a window
NODE_NAME_LENGTH_MAX: Final = 64  # characters; a topic's name has it behind the prefix


@dataclass(frozen=True, slots=True)
class Output:
    """That the rows of a node go out, and which of their columns.

    `columns` are those chosen, None for all.  What names a row is carried in any case: its key, its clocks
    and the place of its left row.  With `status` there is a column more for each feature: why it is null.
    With `available` there is one more: the earliest moment a row could have been in a reader's hands.
    """

    columns: tuple[str, ...] | None = None
    status: bool = False
    available: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinSettings:
    """What a node of `kind = "asof"` joins its rows with, looking back, and how: as in `[pipeline]`.

    `rights`   the nodes and streams that are looked up.
    `columns`  of each of them those that are taken; all but the key where not named.
    `lag_ns`   how long before its own time a row looks them up.
    """

    rights: tuple[str, ...]
    allow_exact: bool = True
    tolerance_ns: int | None = None
    carry: Carry = "row"
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lag_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """One table `[graph.NAME]`: row formulas, a join, bars, a label, a function, or a model.

    `name`      an identifier, unlike every other node's, stream's and topic's.
    `upstream`  the node whose rows it reads, a stream, or `aligned`: the key `from`.
    `features`  by column, in order: the formula, and behind it its version where that is not 1: `x + y @2`.
    `output`    None where the rows only feed other nodes.
    `join`      of a node that joins those rows with others; it has no features.
    `bars`      of a node that sums those rows up; its features are aggregates.
    `label`     of a node that labels those rows by later ones; it has no features.
    `tiles`     of a node that calls a function or a model with those rows; it has no features.
    `hours`     of a node of features: whether rows outside every session are rows to what looks back (`all`)
                or not (`regular`).
    """

    name: str
    upstream: str
    features: Mapping[str, str]
    output: Output | None = None
    join: JoinSettings | None = None
    bars: BarSettings | None = None
    label: LabelSettings | None = None
    tiles: TileSettings | None = None
    hours: Literal["all", "regular"] = "all"

    @property
    def kind(self) -> str:
        """What it does, as its table says."""
        if self.label is not None:
            return "label"
        if self.tiles is not None:
            return "function" if self.tiles.model is None else "model"
        return "asof" if self.join is not None else "formula" if self.bars is None else "bars"

    @property
    def has_own_rows(self) -> bool:
        """Whether its rows are not those it takes, one for one and at once."""
        return self.kind != "formula"

    @property
    def reads(self) -> tuple[str, ...]:
        """The nodes and roots whose rows it takes, the one that gives it its own rows first."""
        if self.label is not None and self.label.beside:
            return (self.upstream, self.label.quotes or self.label.halts)
        return (self.upstream,) if self.join is None else (self.upstream, *self.join.rights)

    @property
    def hangs_on(self) -> tuple[str, ...]:
        """The nodes and roots that are planned before it: those it reads, and the one a model learns."""
        model = None if self.tiles is None else self.tiles.model
        return self.reads if model is None else (*self.reads, model.y_node)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSettings:
    """The table `[graph]`: its name, the nodes in any order, and the sessions that `anchor` names.

    `scales` are by root those of its columns that enter formulas in units of 1/scale, and `aliases` the names
    that its columns have behind it, by their own.  A root is `aligned`, or a stream.
    """

    name: str
    nodes: tuple[NodeSettings, ...]
    sessions: Sessions = DAYS_OF_UTC
    scales: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
