"""What a check tells of functions: whether their context is enough, and which of their tiles fail."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from app.graph.outcome import Outcome
from app.graph.trial import Difference, Outputs, Trial, difference
from operators.graph.graph import Graph, make_node
from operators.graph.plan import Plan, PlannedNode
from operators.node import Node
from operators.rows.groups import Groups
from operators.tiles.settings import CONTEXT_ROWS_MAX, TileSettings

WHAT: Final = "functions with ten times their context, and with half of it"
TIMES: Final = 10
ROWS_MORE: Final = 100  # of a context that has none, ten times are none
ROUNDING: Final = 1e-9  # relative: what sums that are added and taken away have in their last bits
CAUSE: Final = "its context is too small: rows before it change the value"
WAYS: Final = ("with its context", "with more rows before each tile")


def functions(trial: Trial, wanted: Outputs, _: np.random.Generator) -> Outcome:
    """The same rows, with other context before each tile."""
    plan = trial.plan
    assert plan is not None, "functions are of a plan"
    words = []
    failed = trial_failures(trial)
    for node in plan.nodes:
        if node.tiles is None or node.tiles.settings.model is not None:  # a model has no context
            continue
        settings = node.tiles.settings
        more = _run(trial, plan, node.name, _larger)
        worst, apart = _apart(trial, node, wanted, more)
        if apart is not None:
            context = settings.describe().rpartition(", ")[2]
            cause = f"{CAUSE}; it has {context}"
            return Outcome("functions", WHAT, "differs", apart, cause, WAYS)
        shorter = _apart(trial, node, wanted, _run(trial, plan, node.name, _half))[1]
        result = f"{node.name} enough" + (f" but for rounding, {worst:.1e} at most" if worst else "")
        if shorter is None and (settings.rows or settings.ns):
            result += ", and so is half"
        words.append(result)
    words += [f"{count:,} tiles of {name} fail: {first}" for name, (count, first) in failed.items()]
    return Outcome("functions", WHAT, "; ".join(words))


def trial_failures(trial: Trial) -> dict[str, tuple[int, str]]:
    """By node how many of its tiles fail, and the reason of the first."""
    graph = trial.make()
    for _ in trial.pass_through(graph, trial.day):
        pass
    counts: dict[str, tuple[int, str]] = {}
    for failed in graph.failures():
        count, first = counts.get(failed.node, (0, failed.reason))
        counts[failed.node] = count + 1, first
    return counts


def _larger(settings: TileSettings) -> TileSettings:
    rows = min(TIMES * settings.rows + ROWS_MORE, CONTEXT_ROWS_MAX)
    return replace(settings, rows=rows, ns=TIMES * settings.ns)


def _half(settings: TileSettings) -> TileSettings:
    return replace(settings, rows=settings.rows // 2, ns=settings.ns // 2)


def _run(trial: Trial, plan: Plan, name: str, other: Callable[[TileSettings], TileSettings]) -> Outputs:
    """What comes of a graph in which the function of one node has another context."""

    def make(planned: PlannedNode, groups: Groups) -> Node:
        if planned.name == name and planned.tiles is not None:
            tiles = planned.tiles._replace(settings=other(planned.tiles.settings))
            planned = replace(planned, tiles=tiles)
        return make_node(planned, groups)

    return replace(trial, make=lambda: Graph(plan, make)).run()


def _apart(
    trial: Trial, node: PlannedNode, wanted: Outputs, actual: Outputs
) -> tuple[float, Difference | None]:
    """The largest relative difference that is rounding, and the first that is none."""
    worst = 0.0
    sides = []
    for outputs in (wanted, actual):
        rows = outputs[node.name]
        sides.append([rows.column(name) for name in node.features.columns])
    columns = {}
    for name, one, other in zip(node.features.columns, *sides, strict=True):
        if pa.types.is_floating(one.type):
            error = _relative(one, other)
            rounding = error <= ROUNDING
            worst = max(worst, float(error[rounding].max(initial=0.0)))
            other = pa.array(np.where(rounding, _floats(one), _floats(other)), one.type, from_pandas=True)
        columns[name] = other
    rows = wanted[node.name]
    made = [columns.get(name, rows.column(name)) for name in rows.schema.names]
    as_if = pa.RecordBatch.from_arrays(made, schema=rows.schema)
    return worst, difference(trial, {node.name: rows}, {node.name: as_if})


def _relative(one: pa.Array, other: pa.Array) -> npt.NDArray[np.float64]:
    """How far values are apart, 0 where both are null, infinite where one is."""
    left, right = _floats(one), _floats(other)
    with np.errstate(all="ignore"):
        error = np.abs(left - right) / np.maximum(np.abs(left), np.abs(right))
    error[left == right] = 0.0
    error[np.isnan(left) & np.isnan(right)] = 0.0
    return np.where(np.isnan(error), np.inf, error)


def _floats(column: pa.Array) -> npt.NDArray[np.float64]:
    return np.array(column.to_numpy(zero_copy_only=False), np.float64)
