"""What the rows of a node should be: each row of its root with its features, computed from their text.

Features that look back are computed over all rows that are held, a tile and those before it.  Rows that hang
on others which are gone, since the topic keeps no more or since no more are held, are marked and not judged.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import polars as pl

from app.audit.formula_values import in_units
from app.audit.formulas import names_of, needs_of, tolerances, unjudged_features, with_features
from app.audit.past import Past, Sessions
from app.audit.reach import Need, complete
from app.audit.sides import WANTED
from operators.graph.declare import GraphSettings
from schemas.reasons import STATUS

THERE: Final = "audit_there_"  # before a feature: whether all rows that its value hangs on are there
TILE_ROWS: Final = 1 << 18  # computed at once, at least
HELD_ROWS_MAX: Final = 1 << 22  # of rows that have been judged: as later ones hang on them


@dataclass(frozen=True)
class NodeRules:
    """What the rows of one output promise: by column, in order, the formula over an aligned row.

    `root` is `aligned`, or the stream whose rows it has.  `key` are the columns that tell symbols apart, `on`
    is the clock, and `sessions` those of the venue.  `statuses` are the columns that say why a feature is
    null, and of which feature; `scales` are those of columns that formulas see in units, `aliases` the names
    of the root's columns there, by their own.
    `joins` is the node that joins its rows with others, if any does: of such rows nothing is judged.
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
    joins: str = ""

    @classmethod
    def of(cls, graph: GraphSettings, name: str, keys: Mapping[str, Sequence[str]], on: str) -> "NodeRules":
        """The formulas of a node and of those it comes from, the first first; `keys` are by root."""
        nodes = {node.name: node for node in graph.nodes}
        chain = [nodes[name]]
        while (upstream := chain[0].upstream) in nodes:
            chain.insert(0, nodes[upstream])
        features = {column: formula for node in chain for column, formula in node.features.items()}
        joins = next((node.name for node in chain if node.join is not None), "")
        output = nodes[name].output
        reasoned = features if output is not None and output.status else ()
        aliases, scales = graph.aliases.get(upstream, {}), graph.scales.get(upstream, {})
        return cls(
            name,
            upstream,
            features,
            keys[upstream],
            on,
            graph.sessions.ids,
            {column + STATUS: column for column in reasoned},
            {aliases.get(column, column): scale for column, scale in scales.items()},
            aliases,
            output is not None and output.available,
            joins,
        )

    def named(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of the root under the names that formulas have for their columns."""
        return rows.rename(dict(self.aliases), strict=False)

    @cached_property
    def tolerances(self) -> Mapping[str, float]:
        """How far a value of each feature may be off, relative."""
        return tolerances(self.features)

    @cached_property
    def unjudged(self) -> Mapping[str, str]:
        """The features that cannot be judged, and the function that has no judge."""
        return unjudged_features(self.features)

    @cached_property
    def needs(self) -> Mapping[str, Need]:
        """Of each feature that looks back the rows it hangs on."""
        needs = needs_of(self.features)
        return {name: needs[name] for name in self.features if needs[name] != Need()}

    def past(self, rows: pl.DataFrame) -> Past:
        """Which of these rows see each other."""
        return Past.of(rows, self.key, self.on, self.sessions)

    def values(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The features that can be judged, for all rows, in order."""
        rows = in_units(rows, self.scales)
        past = self.past(rows) if self.needs else None
        judged = [name for name in self.features if name not in self.unjudged]
        return with_features(rows, self.features, past).select(judged)


def wanted_rows(
    rules: NodeRules,
    frames: Iterator[pl.DataFrame],
    gone: Callable[[], bool],
    *,
    tile_rows: int = TILE_ROWS,
    held_rows_max: int = HELD_ROWS_MAX,
) -> Iterator[pl.DataFrame]:
    """The aligned rows with what each feature should be under `WANTED`, and `THERE` where rows may be gone.

    `gone` says, once the first rows came, whether there were others before them.
    """
    held, is_cut = pl.DataFrame(), False
    while (tile := _next_tile(frames, max(tile_rows, held.height))).height:
        is_cut = is_cut or gone()
        rows = pl.concat([held, _read(rules, tile)], how="diagonal")
        values = rules.values(rows).tail(tile.height)
        made = [value.alias(WANTED + value.name) for value in values]
        if is_cut:
            past, begin_ns = rules.past(rows), int(rows[rules.on][0])
            made += [
                pl.Series(THERE + name, complete(past, need, begin_ns)).tail(tile.height)
                for name, need in rules.needs.items()
            ]
        yield tile.hstack(made)
        is_cut = is_cut or rows.height > held_rows_max
        held = rows.tail(held_rows_max)


def _next_tile(frames: Iterator[pl.DataFrame], rows: int) -> pl.DataFrame:
    """So many rows, or a few more; fewer at the end."""
    parts = [pl.DataFrame()]
    for frame in frames:
        parts.append(frame)
        rows -= frame.height
        if rows <= 0:
            break
    return pl.concat(parts, how="diagonal")


def _read(rules: NodeRules, rows: pl.DataFrame) -> pl.DataFrame:
    """The columns that formulas read; what rows of an earlier layout lack is null."""
    names = dict.fromkeys([rules.on, *rules.key, *names_of(rules.features)])
    return rows.select(
        pl.col(name) if name in rows.columns else pl.lit(None, pl.Float64).alias(name) for name in names
    )
