"""How far back rows that nodes make of others hang on these, as bars do: by time, and each node for itself.

A bar hangs on the rows since its session began, or on all there are, and no number of rows says how many
these are.  So what a node needs is told in time, by the rule by which a worker makes it anew.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final

import numpy as np
import pyarrow.compute as pc

from app.graph.day_rows import DayRows
from app.graph.labels import alike
from app.graph.outcome import Outcome
from app.graph.trial import Outputs, Trial, difference
from operators.graph.graph import Graph
from operators.graph.past import Past, pasts_of
from operators.graph.plan import Plan
from operators.sessions.sessions import started_by

MOMENTS: Final = 16
COMPARED_ROWS: Final = 2_000  # from each moment on
WHAT: Final = "no row before the session, or the time, that each node names"
CAUSE: Final = "hangs on rows before those that it says it needs"


def take_since(trial: Trial, plan: Plan, graph: Graph, first: int) -> None:
    """Let a new graph take what its nodes need of the rows before a place, for nothing but its state."""
    if first == 0:
        return
    complete_ns = trial.day.complete_ns(first)
    begins_ns = _begins_ns(plan, pasts_of(plan).values(), complete_ns)
    rows = _rows_since(trial.day, begins_ns, first)
    if rows.count:
        list(trial.pass_through(graph, rows, complete_ns=complete_ns))


def context_by_time(trial: Trial, plan: Plan, wanted: Outputs, draws: np.random.Generator) -> Outcome:
    """Rows from a moment on, with no more before them than each node says that it needs."""
    day = trial.day
    drawn_ns = day.times_ns[draws.integers(0, day.count, MOMENTS)]
    pasts = _pasts_of_rows(plan)
    for first in np.unique(np.searchsorted(day.times_ns, drawn_ns)).tolist():
        end = _end_of_time(day, first + COMPARED_ROWS)
        first_ns, end_ns = int(day.times_ns[first]), day.complete_ns(end)
        by_begin: dict[int, list[str]] = {}
        for name in wanted:
            begins_ns = _begins_ns(plan, pasts[name], first_ns)
            if begins_ns is not None:  # else it has all rows before, and there is nothing to try
                by_begin.setdefault(begins_ns, []).append(name)
        for begins_ns, names in by_begin.items():
            made = trial.run(_rows_since(day, begins_ns, end, end_ns))
            as_it_was = {name: wanted[name] for name in names}
            sides = [_between(trial, outputs, names, first_ns, end_ns) for outputs in (as_it_was, made)]
            apart = difference(trial, *alike(trial, *sides))
            if apart is not None:
                ways = ("with all rows", "with those alone")
                return Outcome("context", WHAT, "differs", apart, CAUSE, ways)
    ever = [name for name in wanted if any(past.ever for past in pasts[name])]
    return Outcome("context", WHAT, "enough" + (f"; all rows before: {', '.join(ever)}" if ever else ""))


def _pasts_of_rows(plan: Plan) -> Mapping[str, list[Past]]:
    """Of each node what it remembers, and what those do that it reads."""
    own, by_node = pasts_of(plan), dict[str, list[Past]]()
    for node in plan.nodes:
        of_reads = [past for name in node.reads for past in by_node.get(name, [])]
        by_node[node.name] = [*of_reads, *([own[node.name]] if node.name in own else [])]
    return by_node


def _begins_ns(plan: Plan, pasts: Iterable[Past], time_ns: int) -> int | None:
    """The time of the first row that is needed at a time; None for the first row there is."""
    session_start = partial(started_by, plan.sessions)
    begins = [past.begins_ns(time_ns, session_start) for past in pasts]
    known = [begin for begin in begins if begin is not None]
    return None if len(known) < len(begins) else min([time_ns, *known])


def _rows_since(day: DayRows, begins_ns: int | None, end: int, end_ns: int = 0) -> DayRows:
    """The rows of all roots from a time to before a place; complete below `end_ns` with the last of them."""
    first = 0 if begins_ns is None else int(np.searchsorted(day.times_ns, begins_ns))
    return day.with_rows(day.part(first, max(first, end)), end_ns)


def _end_of_time(day: DayRows, place: int) -> int:
    """The place behind all rows of the time of the row before this one."""
    if place >= day.count:
        return day.count
    return int(np.searchsorted(day.times_ns, day.times_ns[place - 1], "right"))


def _between(trial: Trial, outputs: Outputs, names: list[str], first_ns: int, end_ns: int) -> Outputs:
    """The rows of these nodes from a time to before another one."""
    between = {}
    for name in names:
        times = outputs[name].column(trial.on)
        inside = pc.and_(pc.greater_equal(times, first_ns), pc.less(times, end_ns))
        between[name] = outputs[name].filter(inside)
    return between
