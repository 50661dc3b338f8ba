"""A node of bars and two of labels compile the kernels of all."""

import os
import subprocess
import sys

import pyarrow as pa
import pytest

from operators.bars.settings import BarSettings
from operators.graph.declare import GraphSettings, NodeSettings, Output
from operators.graph.graph import Graph
from operators.graph.plan import plan_graph
from operators.graph.row_keys import row_keys
from operators.graph.warm import LAYOUT
from operators.labels.declare import LabelSettings
from operators.rows.groups import Groups
from operators.sealed import ALIGNED, Sealed
from operators.sessions.sessions import DAYS_OF_UTC
from tests.stage.programs import ROOT

SCRIPT = """
from operators import warm as join
from operators.graph.warm import NODES, warm
from tests.stage.kernels import exit_with_new_forms
from tests.unit.operators.graph.test_kernels_of_nodes import live

exit_with_new_forms(lambda: (join.warm(), warm(NODES.keys())), live)
"""
BARS = {
    "time": BarSettings(every="time", step_ns=2),
    "trades": BarSettings(every="trades", limit="2"),
    "volume": BarSettings(every="volume", limit="3", remainder="carry"),
    "dollars": BarSettings(every="dollars", limit="30"),
    "range": BarSettings(every="range", limit="1"),
    "renko": BarSettings(every="renko", limit="1"),
    "day": BarSettings(every="day"),
}
LABELS = {
    "later": LabelSettings(key="fixed_horizon", values={"horizon_ns": 2}),
    "follows": LabelSettings(key="bins", values={"horizon_ns": 2, "trailing": 3, "q_ppm": (500_000,)}),
    "halted": LabelSettings(
        key="trend_scan", values={"shortest": 3, "max_ns": 9, "halted": "left_index"}, halts=ALIGNED
    ),
    "way": LabelSettings(key="sign", values={"horizon_rows": 2, "max_ns": 9}),
    "barrier": LabelSettings(
        key="triple_barrier", values={"horizon_ns": 3, "sigma": "size", "up": 1.0, "down": 1.0}
    ),
}


def live() -> None:
    """A graph of bars of several kinds and of labels, which takes trades, whole numbers and floats."""
    for kind in (pa.int64(), pa.float64()):
        layout = pa.schema(
            [field.with_type(kind) if field.name in ("price", "size") else field for field in LAYOUT]
        )
        nodes = [
            NodeSettings(name=f"bars_{name}", upstream=ALIGNED, features={}, bars=bars, output=Output())
            for name, bars in BARS.items()
        ]
        nodes += [
            NodeSettings(name=name, upstream=ALIGNED, features={}, label=label, output=Output())
            for name, label in LABELS.items()
        ]
        groups = Groups()
        graph = Graph(plan_graph(GraphSettings(name="g", nodes=tuple(nodes)), layout), groups=groups)
        numbers = list(range(1, 41))
        columns = [
            numbers,
            numbers,
            ["A", "B"] * 20,
            [9 + n % 4 for n in numbers],
            [1 + n % 3 for n in numbers],
        ]
        rows = pa.record_batch([*columns, numbers, numbers], schema=layout)
        keys = row_keys(rows, ("symbol",), "event_ns", groups)
        sealed = graph.take(Sealed(rows, 41, keys=keys._replace(session=DAYS_OF_UTC.ids(keys.time_ns))))
        assert all(sealed[name].rows is not None for name in ("bars_time", "later", "way"))


@pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled under NUMBA_DISABLE_JIT"
)
def test_no_kernel_is_new_to_bars_and_labels_after_their_warm_up() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
