"""How much of the past nodes need, so that what they remember is right where rows are taken anew.

A node that lost its state takes rows again from before the place where it goes on.  How many hangs on its
formulas: those of its windows, of the session so far, or all there are.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from operators.bars.planned import PlannedBars
from operators.formula.history import STATEFUL, Window, own_reach
from operators.formula.steps import Step
from operators.graph.plan import Plan, PlannedNode
from operators.graph.plan_join import PlannedJoin, looked_up_columns
from operators.labels.planned import PlannedLabel
from operators.sealed import ALIGNED
from operators.tiles.settings import TileSettings
from schemas.clocks import BEGINNING_NS, NS_PER_DAY


class Past(NamedTuple):
    """Which rows before a place make what is remembered there.

    `ever`      all there are: recursions without an end, and rows of a symbol however old.
    `sessions`  those since the beginning of the session; of one more session for each value that is made of
                values which need that themselves.
    `ns`        those so long before, in all.
    """

    ever: bool = False
    sessions: int = 0
    ns: int = 0

    def behind(self, other: "Past") -> "Past":
        """The past of a value with this one, made of values with the other one."""
        return Past(self.ever or other.ever, self.sessions + other.sessions, self.ns + other.ns)

    def begins_ns(self, time_ns: int, session_start: Callable[[int], int]) -> int | None:
        """The time of the first row that is needed at `time_ns`; None for the first row there is.

        `session_start` gives the start of the last session that began by a time.  How windows and sessions
        are nested is not known here, so each session is looked for behind all of the windows.
        """
        if self.ever:
            return None
        begins_ns = time_ns - self.ns
        for _ in range(self.sessions):
            if begins_ns <= BEGINNING_NS:  # no row has been sealed: no session lies before
                return None
            begins_ns = session_start(begins_ns) - self.ns
        return begins_ns


NOTHING: Final = Past()
DAYS_MAX: Final = {"day": 3, "week": 9, "month": 33, "year": 368}  # with room for what clocks are put back
RESET_AT: Final = Window._fields.index("reset")


def pasts_of(plan: Plan) -> dict[str, Past]:
    """The past of each node that remembers earlier rows, by name."""
    held = _held_back(plan)
    return {name: past.behind(Past(ns=held[name])) for name, past in _own_pasts(plan).items()}


def _held_back(plan: Plan) -> dict[str, int]:
    """How far the rows that each node takes are behind those of its roots at most, in ns: labels wait."""
    of_rows: dict[str, int] = {}  # of each node so far: how far its own rows are
    held = {}
    for node in plan.nodes:
        held[node.name] = max(of_rows.get(name, 0) for name in node.reads)
        of_rows[node.name] = held[node.name] + (0 if node.label is None else node.label.bound_ns)
    return held


def _own_pasts(plan: Plan) -> dict[str, Past]:
    """The past of each node that remembers earlier rows, were its own rows as new as those of its roots."""
    columns: dict[str, Mapping[str, Past]] = {}  # of the features of each node so far, its upstreams' as well
    holds: dict[str, int] = {}  # how long functions hold the rows of each node back
    of_nodes = {}
    for node in plan.nodes:
        tile_ns = 0 if node.tiles is None else node.tiles.settings.tile_ns
        holds[node.name] = tile_ns + max(holds.get(name, 0) for name in node.reads)
        if node.join is not None:
            held = Past(ns=holds[node.name])
            of_nodes[node.name], columns[node.name] = _join_pasts(node, node.join, columns, held)
            continue
        upstream = columns.get(node.upstream, {})
        if node.label is not None:
            of_nodes[node.name], columns[node.name] = _label_pasts(node.label, upstream)
            continue
        if node.bars is not None:
            of_nodes[node.name] = _bars_past(node.bars, upstream)
            columns[node.name] = dict.fromkeys(node.features.layout.names, of_nodes[node.name])
            continue
        if node.tiles is not None:
            of_nodes[node.name], columns[node.name] = _tiles_pasts(node, node.tiles.settings, upstream)
            continue
        pasts = _pasts(node.features.steps, upstream)
        features = zip(node.features.columns, node.features.roots, strict=True)
        columns[node.name] = {**upstream, **{name: pasts[root] for name, root in features}}
        steps = zip(node.features.steps, pasts, strict=True)
        looks_back = {name for name, what in STATEFUL.items() if not what.begin}  # by itself
        remembered = [past for step, past in steps if step.function in looks_back]
        if remembered:
            of_nodes[node.name] = _farthest(remembered)
    return of_nodes


def _bars_past(bars: PlannedBars, upstream: Mapping[str, Past]) -> Past:
    """The past of open bars: the rows since their session, or their day, month or year began."""
    of_values = _farthest(_pasts(bars.values.steps, upstream))
    every = bars.settings.every
    if bars.settings.in_sessions:
        own = Past(sessions=1)
    elif bars.settings.is_of_calendar:
        own = Past(ns=DAYS_MAX[every] * NS_PER_DAY)
    else:
        own = Past(ever=True)
    return own.behind(of_values)


def _label_pasts(label: PlannedLabel, upstream: Mapping[str, Past]) -> tuple[Past, Mapping[str, Past]]:
    """The past of a node of labels, and those of its columns.

    Rows wait with all of their columns.  Which events are crowded out hangs on those that waited before, and
    so on back to where none did: the beginning of the session, where a session ends every label.
    """
    own = Past(label.since_ever, sessions=1, ns=label.bound_ns).behind(_farthest(list(upstream.values())))
    return own, {**upstream, **{field.name: own for field in label.fields}}


def _tiles_pasts(
    node: PlannedNode, tiles: TileSettings, upstream: Mapping[str, Past]
) -> tuple[Past, Mapping[str, Past]]:
    """The past of a node with a function, and those of its columns: rows wait for the end of their tile.

    Rows of a symbol that are context may be however old.
    """
    waits = Past(ns=tiles.tile_ns)
    own = Past(ever=True) if tiles.rows else Past(ns=tiles.tile_ns + tiles.ns)
    of_node = own.behind(_farthest([*upstream.values()]))
    pasts = {name: waits.behind(upstream.get(name, NOTHING)) for name in node.features.layout.names}
    return of_node, {**pasts, **dict.fromkeys(node.features.columns, of_node)}


def remembered_streams(plan: Plan) -> frozenset[str]:
    """The streams that nodes which remember rows hang on, where rows of any node go out."""
    pasts = pasts_of(plan) if plan.outputs() else {}
    return frozenset(root for node in plan.nodes if node.name in pasts for root in node.roots) - {ALIGNED}


def _join_pasts(
    node: PlannedNode, join: PlannedJoin, columns: Mapping[str, Mapping[str, Past]], held: Past
) -> tuple[Past, Mapping[str, Past]]:
    """The past of a join node, and those of its columns: the left one's own, and the looked up ones'.

    The last row of a symbol may be however old, but for a tolerance; left rows wait no longer than that, and
    as long as they were `held` before.
    """
    tolerance_ns = join.settings.tolerance_ns
    own = Past(ever=True) if tolerance_ns is None else Past(ns=tolerance_ns + join.lag_ns).behind(held)
    pasts = dict(columns.get(node.upstream, {}))
    for name, right in zip(node.reads[1:], join.settings.rights, strict=True):
        of_right = columns.get(name, {})
        looked_up = looked_up_columns(join.settings, right)
        pasts |= {column: own.behind(of_right.get(name_there, NOTHING)) for column, name_there in looked_up}
    return _farthest([own, *pasts.values()]), pasts


def _pasts(steps: Sequence[Step], upstream: Mapping[str, Past]) -> list[Past]:
    """Of each step."""
    pasts: list[Past] = []
    for step in steps:
        if step.reads:
            pasts.append(_farthest([upstream.get(column, NOTHING) for column in step.reads]))
            continue
        made_of = _farthest([pasts[place] for place in step.operands])
        if step.function in STATEFUL:
            values = STATEFUL[step.function].values
            constants = [steps[place].bits for place in step.operands[values:]]
            made_of = _own_past(step.function, constants).behind(made_of)
        pasts.append(made_of)
    return pasts


def _farthest(pasts: Sequence[Past]) -> Past:
    return Past(
        any(past.ever for past in pasts),
        max((past.sessions for past in pasts), default=0),
        max((past.ns for past in pasts), default=0),
    )


def _own_past(function: str, constants: Sequence[int]) -> Past:
    """The past of a step over values that need none."""
    what = STATEFUL[function]
    if what.history == "since":
        reset = what.reset is not None and constants[what.reset]
        return Past(sessions=1) if reset else Past(ever=True)
    reach = own_reach(function, constants)
    if not reach.rows:
        return Past(ns=reach.ns)
    # Rows of a symbol may be however old, but for those of a session.
    lags = function in ("lag_rows", "lag_time")
    return Past(sessions=1) if constants[1 if lags else RESET_AT] else Past(ever=True)
