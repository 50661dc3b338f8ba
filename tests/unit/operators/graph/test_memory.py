"""What a graph takes beside its join, alone or in a task: 40 KB a symbol, and its longest window."""

import tracemalloc
from typing import Final

import numpy as np
import pyarrow as pa
import pytest
from numba import config

from operators.formula.history import STATEFUL
from operators.graph.declare import GraphSettings, NodeSettings, Output
from operators.graph.graph import Graph
from operators.graph.plan import Plan, plan_graph
from operators.graph.row_keys import row_keys
from operators.graph.task_graph import TaskGraph
from operators.join.settings import AsofSettings
from operators.nodes.program import lay_out, make_program
from operators.sealed import ALIGNED, Sealed
from schemas.arrived import Arrived
from schemas.clocks import NS_PER_S
from schemas.frame import LEFT_INDEX, LEFT_OFFSET
from schemas.stream import Stream
from tests.bench import features

pytestmark = [
    pytest.mark.skipif(
        bool(config.DISABLE_JIT),  # type: ignore[attr-defined]
        reason="plain Python is too slow for as many rows as fill the windows",
    ),
    pytest.mark.takes_s(15),
]

SYMBOLS: Final = 2_000
BYTES_PER_SYMBOL: Final = 40_000
WINDOW_NS: Final = 300 * NS_PER_S  # the longest of the reference set
CUT_ROWS: Final = 20_000
SPANS: Final = 3  # windows that go by: what they held before has to be given back

CLOCK_AND_KEY: Final = (pa.field("event_ns", pa.int64()), pa.field("symbol", pa.string()))
PRICE, SIZE = pa.field("price", pa.float64()), pa.field("size", pa.int64())
QUOTED: Final = ("bid_price", "ask_price", "bid_size", "ask_size")
SIZES: Final = [pa.field(name, pa.int64()) for name in QUOTED[2:]]


def reference_plan(layout: pa.Schema) -> Plan:
    """The thirty features of the bench in one node."""
    node = NodeSettings(name="tick", upstream="aligned", features=features.FORMULAS, output=Output())
    return plan_graph(GraphSettings(name="reference", nodes=(node,)), layout)


def rows_of(count: int) -> pa.RecordBatch:
    """Rows of all symbols, evenly over `SPANS` windows, with places."""
    rows, _ = features.market(count)
    codes = np.arange(count) % SYMBOLS
    columns = dict(zip(rows.schema.names, rows.columns, strict=True))
    columns["event_ns"] = pa.array(features.START_NS + np.arange(count) * (SPANS * WINDOW_NS // count))
    columns["symbol"] = pa.array([f"S{code:04d}" for code in codes])
    columns[LEFT_OFFSET] = pa.array(np.arange(count))
    columns[LEFT_INDEX] = pa.array(np.zeros(count, np.int64))
    return pa.record_batch(columns)


def bytes_of_a_row(plan: Plan) -> int:
    """What a kept row may take: its columns twice, as rings have room for a power of two of rows.

    And twice again, for rings that have grown leave holes, until there are as many as rows.
    """
    (node,) = plan.nodes
    steps, roots = node.features.steps, node.features.roots
    kept = make_program(steps, roots, lay_out(steps, roots, node.features.columns)).kept
    own = sum(bool(STATEFUL[step.function].own) for step in steps if step.function in STATEFUL)
    return 2 * 2 * (9 * (len(kept) + own) + 8)


@pytest.mark.parametrize("rows_in_window", [10_000, 100_000])
def test_a_graph_takes_40_kb_a_symbol_and_the_rows_of_its_longest_window(rows_in_window: int) -> None:
    rows = rows_of(SPANS * rows_in_window)
    plan = reference_plan(rows.schema)
    Graph(plan)  # loads its kernels, so that they are not measured
    tracemalloc.start()
    try:
        graph = Graph(plan)
        run(graph, rows)
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(graph.groups) == SYMBOLS
    assert taken < SYMBOLS * BYTES_PER_SYMBOL + rows_in_window * bytes_of_a_row(plan)


TRADE: Final = Stream(name="trade", schema=pa.schema([*CLOCK_AND_KEY, PRICE, SIZE]))
QUOTE: Final = Stream(
    name="quote",
    schema=pa.schema([*CLOCK_AND_KEY, *(pa.field(name, pa.float64()) for name in QUOTED[:2]), *SIZES]),
)
JOIN: Final = AsofSettings(left=TRADE, rights=(QUOTE,), grace_ns={"trade": NS_PER_S, "quote": NS_PER_S})


def memory_of_task(rows: pa.RecordBatch, plan: Plan | None) -> int:
    """What a worker's task holds once it has taken trades and quotes: the join, and the graph behind it."""
    names = ["event_ns", "symbol"]
    trades = rows.select([*names, "price", "size"])
    quotes = rows.select([*names, *(f"quote_{name}" for name in QUOTED)]).rename_columns([*names, *QUOTED])
    TaskGraph(JOIN, plan)  # loads its kernels, so that they are not measured
    tracemalloc.start()
    try:
        task = TaskGraph(JOIN, plan)
        for lower in range(0, rows.num_rows, CUT_ROWS):
            task.push("quote", Arrived(quotes.slice(lower, CUT_ROWS)))
            task.push("trade", Arrived(trades.slice(lower, CUT_ROWS)))
            sealed = task.seal()
            task.kept()
            task.snapshot()
        assert sealed["aligned"].rows is not None
        del sealed
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    return taken


def test_a_task_of_a_worker_takes_that_beside_its_join() -> None:
    rows_in_window = 10_000
    rows = rows_of(SPANS * rows_in_window)
    plan = reference_plan(JOIN.aligned_schema())
    beside = memory_of_task(rows, plan) - memory_of_task(rows, None)
    assert 0 < beside < SYMBOLS * BYTES_PER_SYMBOL + rows_in_window * bytes_of_a_row(plan)


def run(graph: Graph, rows: pa.RecordBatch) -> None:
    """Take all rows, and write down what is remembered behind each cut, as a task does."""
    for lower in range(0, rows.num_rows, CUT_ROWS):
        part = rows.slice(lower, CUT_ROWS)
        keys = row_keys(part, ("symbol",), "event_ns", graph.groups)
        graph.take(Sealed(part, 0, keys=keys))
        through = {ALIGNED: (int(keys.time_ns[-1]), 0, lower + part.num_rows - 1, 0)}
        graph.snapshot(through)
        graph.kept(through)
