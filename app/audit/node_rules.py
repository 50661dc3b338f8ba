"""What the rows of nodes promise: the formulas of a chain of nodes, and the join that it begins with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property, partial
from types import MappingProxyType
from typing import Final

import polars as pl
import pyarrow as pa

from app.audit.findings import PLACE
from app.audit.formula_values import in_units
from app.audit.formulas import (
    columns_of,
    needs_of,
    tolerances,
    unjudged_features,
    with_features,
)
from app.audit.join import Rules
from app.audit.made import SESSION, MadeRules
from app.audit.past import Past, Sessions
from app.audit.reach import Need
from app.settings.pipeline import PipelineSettings
from operators.graph.declare import GraphSettings, JoinSettings, NodeSettings
from operators.sessions.sessions import ids_if_known
from schemas.batch import Int64s
from schemas.clocks import KNOWN_NS
from schemas.reasons import STATUS

ORDER: Final = "audit_order"  # of a row that a join takes: its number among those of its side
KNOWN: Final = frozenset(
    {"name", "upstream", "features", "output", "join", "bars", "label", "tiles", "hours"}
)
NO_COLUMNS: Final[Mapping[str, Sequence[str]]] = MappingProxyType({})


@dataclass(frozen=True)
class NodeRules:
    """What the rows of one output promise: by column, in order, the formula over a row of `root`.

    `root` is `aligned`, the stream whose rows it has, or the node that joins, whose rules are `join`, or that
    makes rows, whose rules are `made`.  `key` are the columns that tell symbols apart, `on` is the clock,
    `sessions` the session of each moment at the venue, and `ends` when it ends.  `statuses`
    are the columns that say why a feature is null, and of which feature; `scales` are those of columns that
    formulas see in units, `aliases` the names of the root's columns there, by their own.  `columns` are those
    of its rows, where those of the roots are known; a root without nodes has rules, too.  `strange` names a
    setting of a node on the way that the audit knows nothing of: of such rows nothing is judged.
    """

    name: str
    root: str
    features: Mapping[str, str]
    key: Sequence[str]
    on: str
    sessions: Sessions
    statuses: Mapping[str, str] = field(default_factory=dict)
    scales: Mapping[str, int] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    available: bool = False
    join: "JoinRules | None" = None
    columns: Sequence[str] = ()
    strange: str = ""
    made: MadeRules | None = None
    ends: Sessions = field(default=lambda time_ns: time_ns)
    of_regular_hours: frozenset[str] = frozenset()  # the features that see no row outside every session

    @classmethod
    def of(
        cls,
        graph: GraphSettings,
        name: str,
        keys: Mapping[str, Sequence[str]],
        on: str,
        columns: Mapping[str, Sequence[str]] = NO_COLUMNS,
    ) -> "NodeRules":
        """The formulas of a node and of those it comes from, the first first, up to a root or a join.

        `keys` are by root, and so are `columns`, which only joins have to know.
        """
        nodes = {node.name: node for node in graph.nodes}
        chain, root = list[NodeSettings](), name
        while root in nodes and nodes[root].kind == "formula":
            chain.insert(0, nodes[root])
            root = nodes[root].upstream
        features = {column: formula for node in chain for column, formula in node.features.items()}
        join = made = None
        if root in nodes and nodes[root].join is not None:
            join = JoinRules.of(graph, nodes[root], keys, on, columns)
        elif root in nodes:
            made = MadeRules.of(graph, nodes[root], lambda one: cls.of(graph, one, keys, on, columns))
        source = join or made
        output = nodes[name].output if name in nodes else None
        aliases = {} if source is not None else graph.aliases.get(root, {})
        scales = graph.scales.get(root, {}) if source is None else source.scales
        reasoned = [*(() if join is None else join.reasoned), *features]
        of_root = columns.get(root, ()) if source is None else source.columns
        own = [aliases.get(column, column) for column in of_root if column not in PLACE]
        strange = [f"{setting} of {node.name}" for node in chain for setting in _strange(node)]
        strange += [source.strange] if source is not None and source.strange else []
        return cls(
            name,
            root,
            features,
            keys[root] if source is None else source.key,
            on,
            graph.sessions.ids,
            {column + STATUS: column for column in reasoned if output is not None and output.status},
            {aliases.get(column, column): scale for column, scale in scales.items()},
            aliases,
            output is not None and output.available,
            join,
            [*own, *features],
            strange[0] if strange else "",
            made,
            graph.sessions.ends,
            frozenset(column for node in chain if node.hours == "regular" for column in node.features),
        )

    @property
    def roots(self) -> set[str]:
        """All that its rows hang on: `aligned`, and streams by their names."""
        return {self.root} if self.source is None else self.source.roots

    @property
    def source(self) -> "JoinRules | MadeRules | None":
        """The rules of the node that its rows begin with, where that makes rows or joins them."""
        return self.join or self.made

    @property
    def has_bars(self) -> bool:
        """Whether its rows are bars, which several rows of one place may be."""
        if self.join is not None:
            return self.join.left.has_bars
        return self.made is not None and (self.made.node.bars is not None or self.made.upstream.has_bars)

    @property
    def identity(self) -> list[str]:
        """The columns that tell its rows apart."""
        return [*PLACE, *(("start_ns", "bar_no") if self.has_bars else ())]

    @property
    def labels(self) -> frozenset[str]:
        """The columns of its rows that are labels."""
        if self.join is not None:
            sides = self.join.rights.items()
            looked_up = {f"{name}_{column}" for name, right in sides for column in right.labels}
            return self.join.left.labels | looked_up
        if self.made is None or self.made.node.bars is not None:
            return frozenset()
        own = self.made.brought if self.made.node.label is not None else ()
        labels: frozenset[str] = self.made.upstream.labels.union(own)
        return labels

    @property
    def sums_of_bars(self) -> frozenset[str]:
        """The columns that formulas see in units where they are decimals, and else as they are."""
        if self.join is not None:
            sides = self.join.rights.items()
            looked_up = {f"{name}_{column}" for name, right in sides for column in right.sums_of_bars}
            return self.join.left.sums_of_bars | looked_up
        if self.made is None:
            return frozenset()
        sums: frozenset[str] = (
            frozenset({"notional"}) if self.made.node.bars is not None else self.made.upstream.sums_of_bars
        )
        return sums

    @property
    def hangs_on_made(self) -> bool:
        """Whether any row is made of others on the way, so that it hangs on rows that it does not name."""
        if self.join is None:
            return self.made is not None
        return any(side.hangs_on_made for side in (self.join.left, *self.join.rights.values()))

    def named(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of the root under the names that formulas have for their columns."""
        return rows.rename(dict(self.aliases), strict=False)

    @cached_property
    def tolerances(self) -> Mapping[str, float]:
        """How far a value may be off, relative, of each feature and of what a join brings."""
        return tolerances(self.features, {} if self.source is None else self.source.tolerances)

    @cached_property
    def unjudged(self) -> Mapping[str, str]:
        """The columns that cannot be judged, and the function that has no judge."""
        return unjudged_features(self.features, {} if self.join is None else self.join.unjudged)

    @cached_property
    def needs(self) -> Mapping[str, Need]:
        """Of each feature that looks back the rows it hangs on."""
        needs = needs_of(self.features)
        return {name: needs[name] for name in self.features if needs[name] != Need()}

    @cached_property
    def reads(self) -> Mapping[str, frozenset[str]]:
        """Of each feature the columns of the root that go into it."""
        return columns_of(self.features)

    def past(self, rows: pl.DataFrame) -> Past:
        """Which of these rows see each other."""
        return Past.of(rows, self.key, self.on, partial(sessions_of, rows, self.sessions))

    def values(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The features that can be judged, for all rows, in order."""
        plain = {name for name in self.sums_of_bars if not isinstance(rows.schema.get(name), pl.Decimal)}
        rows = in_units(rows, {name: scale for name, scale in self.scales.items() if name not in plain})
        past = self.past(rows) if self.needs else None
        judged = {name: text for name, text in self.features.items() if name not in self.unjudged}
        return with_features(rows, judged, past, self.of_regular_hours).select(list(judged))


@dataclass(frozen=True)
class JoinRules:
    """What the rows of a node that joins promise.

    `left` are the rows that it adds columns to, and `rights` by name those that it looks up; `rules` say
    how, as those of the pipeline's join do, and `lag_ns` how long before its own time a row looks.
    """

    name: str
    left: NodeRules
    rights: Mapping[str, NodeRules]
    rules: Rules
    lag_ns: int = 0

    @classmethod
    def of(
        cls,
        graph: GraphSettings,
        node: NodeSettings,
        keys: Mapping[str, Sequence[str]],
        on: str,
        columns: Mapping[str, Sequence[str]],
    ) -> "JoinRules":
        """Those of a node with a join; `keys` and `columns` are by root."""
        join = node.join
        assert join is not None, f"node {node.name} joins nothing"
        left, *rights = (NodeRules.of(graph, name, keys, on, columns) for name in node.reads)
        sides = dict(zip(node.reads, (left, *rights), strict=True))
        rules = Rules(
            pipeline=_settings(node.upstream, join, on),
            keys={name: side.key for name, side in sides.items()},
            sequences=dict.fromkeys(sides, ORDER),
            columns={name: _looked_up(sides[name], join.columns.get(name)) for name in join.rights},
            left_key=pa.schema([]),
        )
        return cls(node.name, left, {name: sides[name] for name in join.rights}, rules, join.lag_ns)

    @property
    def roots(self) -> set[str]:
        """All that its rows hang on."""
        return self.left.roots.union(*(right.roots for right in self.rights.values()))

    @property
    def strange(self) -> str:
        """A setting of a node on the way that the audit knows nothing of; empty for none."""
        return next((side.strange for side in (self.left, *self.rights.values()) if side.strange), "")

    @property
    def upstream(self) -> NodeRules:
        """The rows that it adds columns to."""
        return self.left

    @property
    def key(self) -> Sequence[str]:
        """The columns that tell symbols apart."""
        return self.left.key

    @property
    def columns(self) -> list[str]:
        """Those of its rows, in order."""
        return [*self.left.columns, *self.brought]

    @property
    def brought(self) -> list[str]:
        """The columns that come from other rows, and ages."""
        more = (self.rules.on, "age_ns")
        return [f"{name}_{c}" for name in self.rights for c in (*self.rules.columns[name], *more)]

    @property
    def reasoned(self) -> list[str]:
        """The columns that a status says a reason of."""
        of_left = [] if self.left.join is None else self.left.join.reasoned
        return [*of_left, *self.left.features, *self.brought]

    @cached_property
    def needs(self) -> set[str]:
        """The columns that may be null since their symbol has too few rows yet."""
        own = set(self.left.needs) if self.left.join is None else {*self.left.needs, *self.left.join.needs}
        for right, name, column in self._taken():
            if name in right.needs or (right.join is not None and name in right.join.needs):
                own.add(column)
        return own

    @cached_property
    def tolerances(self) -> dict[str, float]:
        """How far a value may be off, relative, of each column that is not exact."""
        return dict(self.left.tolerances) | {
            column: right.tolerances[name]
            for right, name, column in self._taken()
            if name in right.tolerances
        }

    @cached_property
    def unjudged(self) -> dict[str, str]:
        """The columns that cannot be judged, and the function that has no judge."""
        return dict(self.left.unjudged) | {
            column: right.unjudged[name] for right, name, column in self._taken() if name in right.unjudged
        }

    @property
    def scales(self) -> dict[str, int]:
        """Those of the columns that formulas see in units."""
        return dict(self.left.scales) | {
            column: right.scales[name] for right, name, column in self._taken() if name in right.scales
        }

    def _taken(self) -> Iterator[tuple[NodeRules, str, str]]:
        """Of each column that is looked up whose it is, its name there and here."""
        for name, right in self.rights.items():
            for column in self.rules.columns[name]:
                yield right, column, f"{name}_{column}"


def sessions_of(rows: pl.DataFrame, sessions: Sessions, time_ns: Int64s) -> Int64s:
    """The session of each row: what it says itself, or that of its time."""
    if SESSION not in rows.columns:
        return ids_if_known(sessions, time_ns)
    return rows[SESSION].to_numpy()


def _strange(node: NodeSettings) -> list[str]:
    """The settings of a node that say something and that nothing here reads."""
    return [one.name for one in fields(node) if one.name not in KNOWN and getattr(node, one.name)]


def _settings(left: str, join: JoinSettings, on: str) -> PipelineSettings:
    """The join as a pipeline of its own; names of nodes may be others than a pipeline's streams have."""
    return PipelineSettings.model_construct(
        left=left,
        right=join.rights,
        clock="known" if on == KNOWN_NS else "event",
        allow_exact=join.allow_exact,
        tolerance_ns=join.tolerance_ns,
        carry=join.carry,
    )


def _looked_up(right: NodeRules, chosen: Sequence[str] | None) -> list[str]:
    """The columns of a right side that are taken, in its order; its key and its clock are not among them."""
    own = {*right.key, right.on}
    return [c for c in right.columns if c not in own and (chosen is None or c in chosen)]
