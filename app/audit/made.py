"""What the rows of nodes promise that make rows of others: bars, labels, and what functions of users give."""

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias

from app.audit.past import Sessions
from operators.bars.settings import BarSettings
from operators.graph.declare import GraphSettings, NodeSettings
from schemas.clocks import EVENT_NS, KNOWN_NS

Node: TypeAlias = Any  # the rules of a node, `NodeRules`, which has these for its own: no type names both
Kind: TypeAlias = Literal["bar", "label", "function value"]

THERE: Final = "audit_there_"  # before a column: whether all rows that its value hangs on are there
MAYBE: Final = "audit_maybe"  # of a row that may be there or not: what nobody has said yet decides it
SESSION: Final = "audit_session"  # of a row whose own time is that of its end: the session it is of
VALUE: Final = "audit_value_"  # before the name of what the formulas of bars take of a row
BAR_COLUMNS: Final = (
    *("start_ns", "end_ns", "bar_no", "first_event_ns", "last_event_ns", "open", "high", "low", "close"),
    *("volume", "notional", "vwap", "count", "buy_volume", "sell_volume", "close_reason", "empty", "partial"),
)
HALTED_INSIDE: Final = "halted_inside"  # before the last column of a label
ENDS: Final = ("label_end_ns", "info_end_ns", "label_known_ns")
BARRIERS: Final = ("label", "ret", "side_ret", "barrier", "exit_price", *ENDS, "label_reason")
LABEL_COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "fixed_horizon": ("label", *ENDS, "label_reason"),
    "sign": ("label", "ret", *ENDS, "label_reason"),
    "bins": ("label", "ret", *ENDS, "label_reason"),
    "triple_barrier": BARRIERS,
    "meta": BARRIERS,
    "trend_scan": ("label", "t_value", "ret", *ENDS, "label_reason"),
    "realised_spread": ("realised_spread", "later_mid", *ENDS),
    "price_impact": ("price_impact", "later_mid", *ENDS),
}


@dataclass(frozen=True)
class MadeRules:
    """What the rows of a node promise that are none of those it takes, or that wait.

    `upstream` are those it takes, and `values` these with what the formulas of bars make of each; `beside`
    are those that a label reads beside them: with the later mids of a spread, or with statuses.
    """

    node: NodeSettings
    upstream: Node
    values: Node
    beside: Node | None = None

    @classmethod
    def of(
        cls, graph: GraphSettings, node: NodeSettings, rules_of: Callable[[str], Node]
    ) -> "MadeRules | None":
        """Those of a node, None for one whose rows are those it takes; `rules_of` gives those of a name."""
        if node.bars is None and node.label is None and node.tiles is None:
            return None
        upstream = rules_of(node.upstream)
        if node.bars is not None and _of_bars(upstream):
            # Longer bars take of each bar its close and its volume.
            of_each = replace(node.bars, price="close", size="volume", direction="", where="")
            node = replace(node, bars=of_each)
        values = replace(
            upstream,
            name=node.name,
            root=node.upstream,
            features=own_formulas(node),
            statuses={},
            aliases={},
            available=False,
            join=None,
            made=None,
        )
        beside = None if node.label is None or not node.label.beside else rules_of(node.reads[1])
        return cls(node, upstream, values, beside)

    @property
    def kind(self) -> Kind:
        """What it makes."""
        if self.node.bars is not None:
            return "bar"
        return "label" if self.node.label is not None else "function value"

    @property
    def bars(self) -> BarSettings:
        """What closes its bars."""
        assert self.node.bars is not None, f"{self.node.name} makes no bars"
        return self.node.bars

    @property
    def of_bars(self) -> bool:
        """Whether it makes bars of bars."""
        return self.node.bars is not None and _of_bars(self.upstream)

    @property
    def on(self) -> str:
        """The clock."""
        on: str = self.upstream.on
        return on

    @property
    def key(self) -> Sequence[str]:
        """The columns that tell symbols apart."""
        key: Sequence[str] = self.upstream.key
        return key

    @property
    def sessions(self) -> Sessions:
        """Those of the venue."""
        sessions: Sessions = self.upstream.sessions
        return sessions

    @property
    def roots(self) -> set[str]:
        """All that its rows hang on."""
        roots: set[str] = self.upstream.roots | (set() if self.beside is None else self.beside.roots)
        return roots

    @property
    def brought(self) -> list[str]:
        """The columns of its own."""
        if self.node.bars is not None:
            clocks = [EVENT_NS, KNOWN_NS] if self.on == EVENT_NS else [KNOWN_NS]
            return [*self.key, *clocks, *BAR_COLUMNS, *self.node.features]
        if self.node.label is not None:
            columns = [*LABEL_COLUMNS[self.node.label.key]]
            halts = [HALTED_INSIDE] if self.node.label.halts else []
            return [*columns[:-1], *halts, columns[-1]]
        assert self.node.tiles is not None, f"{self.node.name} makes no rows"
        return [*self.node.tiles.returns]

    @property
    def columns(self) -> list[str]:
        """Those of its rows, in order."""
        return [*([] if self.node.bars is not None else self.upstream.columns), *self.brought]

    @property
    def scales(self) -> Mapping[str, int]:
        """Those of the columns that formulas see in units."""
        scales: Mapping[str, int] = self.upstream.scales
        return {"notional": 1} if self.node.bars is not None else scales

    @property
    def strange(self) -> str:
        """What the audit cannot compute of it; empty for nothing."""
        sides = (self.upstream, *(() if self.beside is None else (self.beside,)))
        strange = [side.strange for side in sides if side.strange]
        strange += sorted({why for side in sides for why in side.unjudged.values()})
        strange += sorted({why for name, why in self.values.unjudged.items() if name in self.values.features})
        if self.node.bars is not None and self.currency == 0:
            strange.append(f"currency for the prices of {self.node.name}, which are in units of formulas")
        return strange[0] if strange else ""

    @cached_property
    def tolerances(self) -> dict[str, float]:
        """How far a value may be off, relative, by column, where it is made of what is not exact."""
        if self.node.tiles is not None:
            return dict(self.upstream.tolerances)
        worst = max([0.0, *self.upstream.tolerances.values(), *self.values.tolerances.values()])
        kept = {} if self.node.bars is not None else dict(self.upstream.tolerances)
        return kept | (dict.fromkeys(self.brought, worst) if worst else {})

    @property
    def sided(self) -> bool:
        """Whether it is known of trades which were buys."""
        return bool(self.bars.direction) if not self.of_bars else _fine(self.upstream).sided

    @property
    def currency(self) -> int:
        """How many units of price times size are 1 of it; 0 where nobody here can say, and it matters."""
        bars, scale = self.bars, 1
        if bars.every != "dollars" and (bars.expected is None or bars.expected.measure != "dollars"):
            return scale
        for name, text in (("price", bars.price), ("size", bars.size)):
            if text.strip() in self.values.scales:
                scale *= self.values.scales[text.strip()]
            elif self._in_units(self.values.reads[VALUE + name]):
                return 0
        return scale

    def _in_units(self, columns: Iterable[str]) -> bool:
        """Whether any of these columns, or what they are made of, is in units."""
        reads = self.upstream.reads
        return any(part in self.values.scales for name in columns for part in reads.get(name, {name}))


def own_formulas(node: NodeSettings) -> dict[str, str]:
    """What the formulas of bars take of a row, by column."""
    if node.bars is None:
        return {}
    bars = node.bars
    named = {"price": bars.price, "size": bars.size, "direction": bars.direction, "where": bars.where}
    taken = [text for formula in node.features.values() for text in aggregate_of(formula)[1]]
    return {
        **{VALUE + name: text for name, text in named.items() if text},
        **{f"{VALUE}{number}": text for number, text in enumerate(taken)},
    }


def aggregate_of(formula: str) -> tuple[str, list[str]]:
    """The name of an aggregate, and the formulas of what it takes."""
    text = formula.strip()
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call), f"{formula} is no aggregate"
    assert isinstance(call.func, ast.Name), f"{formula} is no aggregate"
    return call.func.id, [ast.get_source_segment(text, part) or "" for part in call.args]


def _of_bars(rules: Node) -> bool:
    return isinstance(rules.made, MadeRules) and rules.made.node.bars is not None


def _fine(rules: Node) -> MadeRules:
    assert isinstance(rules.made, MadeRules), f"{rules.name} is no node of bars"
    return rules.made
