"""Nodes made warm again: whichever lost their state, wherever the others stand, they go on as one life."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pytest

from operators.entries import KeptEntries
from operators.graph.declare import GraphSettings, NodeSettings, Output
from operators.graph.graph import Graph
from operators.graph.plan import Plan, plan_graph
from operators.graph.row_keys import row_keys
from operators.graph.row_places import row_places
from operators.inputs.progress import RowPlace
from operators.sealed import Sealed

SECOND: Final = 1_000_000_000
KEPT, THROUGH, END = 60, 120, 140  # rows: when state was kept, of the commit, and in all


def rows_between(lower: int, upper: int) -> pa.RecordBatch:
    """A row each second, of two symbols by turns."""
    number = np.arange(lower, upper)
    return pa.record_batch(
        {
            "symbol": pa.array(["AB"[row % 2] for row in number.tolist()]),
            "event_ns": pa.array(number * SECOND),
            "price": pa.array(np.sin(number)),
            "left_offset": pa.array(number),
            "left_index": pa.array(np.zeros(number.size, np.int32)),
        }
    )


def sealed(graph: Graph, lower: int, upper: int) -> Sealed:
    rows = rows_between(lower, upper)
    return Sealed(rows, upper * SECOND, keys=row_keys(rows, ("symbol",), "event_ns", graph.groups))


def place_of(row: int) -> RowPlace:
    return row * SECOND, 0, row, 0


def plan_of(formulas: Mapping[str, str]) -> Plan:
    """A chain of nodes, each reading the one before."""
    names = ["aligned", *formulas]
    nodes = tuple(
        NodeSettings(name=name, upstream=upstream, features={f"of_{name}": formula}, output=Output())
        for (name, formula), upstream in zip(formulas.items(), names, strict=False)
    )
    return plan_graph(GraphSettings(name="g", nodes=nodes), rows_between(0, 1).schema)


def last_of(graph: Graph, last: str) -> list[Any]:
    rows = graph.take(sealed(graph, THROUGH, END))[last].rows
    assert rows is not None
    return list(rows[f"of_{last}"].to_pylist())


@pytest.mark.parametrize("between", ["of_a + 1", "rolling_max(of_a, '5s')"])
@pytest.mark.parametrize("end", ["rolling_sum(of_b, '90s')", "ewma(of_b, alpha=0.01, memory='genesis')"])
@pytest.mark.parametrize("lost", [("a",), ("b",), ("c",), ("a", "b"), ("a", "b", "c")])
def test_nodes_that_lost_their_state_give_those_that_did_not_the_rows_of_one_life(
    between: str, end: str, lost: tuple[str, ...]
) -> None:
    plan = plan_of({"a": "rolling_sum(price, '20s')", "b": between, "c": end})
    life = Graph(plan)
    life.resume({})
    life.take(sealed(life, 0, KEPT))
    entries = life.snapshot({"aligned": place_of(KEPT - 1)}).puts
    life.take(sealed(life, KEPT, THROUGH))
    graph = Graph(plan)
    damaged = tuple(name.encode() + b"\0" for name in lost)
    # Without the place of a node nothing of it can be used.
    graph.restore(
        KeptEntries([e for e in entries if not (e[0].startswith(damaged) and e[0].endswith(b"\0place"))]), {}
    )
    graph.resume({"aligned": place_of(THROUGH - 1)})
    missing = graph.missing
    assert missing is not None
    first = max(-(-missing.start[0] // SECOND), 0)
    rows = sealed(graph, first, THROUGH)
    assert rows.rows is not None
    graph.warm(rows, row_places(rows.rows, "event_ns", None))
    assert graph.missing is None
    assert last_of(graph, "c") == last_of(life, "c")
