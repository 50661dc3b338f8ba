"""Compiles or loads the kernels of bars and of labels, so that no partition has to wait for them.

`python -m operators.graph.warm bars` does so for kinds of nodes: a process that compiles them beforehand
saves it to all others.
"""

import sys
from collections.abc import Set as AbstractSet
from typing import Final

import pyarrow as pa

from operators.bars.settings import BarSettings
from operators.graph.declare import GraphSettings, NodeSettings, Output
from operators.graph.graph import Graph
from operators.graph.plan import plan_graph
from operators.graph.row_keys import row_keys
from operators.labels.declare import LabelSettings
from operators.rows.groups import Groups
from operators.sealed import ALIGNED, Sealed
from operators.sessions.sessions import DAYS_OF_UTC

BARRIERS: Final = LabelSettings(
    key="triple_barrier", values={"horizon_ns": 1, "sigma": "size", "up": 1.0, "down": 1.0}
)
TRAILING: Final = LabelSettings(key="bins", values={"horizon_ns": 1, "trailing": 1, "q_ppm": (500_000,)})
HALTED: Final = LabelSettings(
    key="fixed_horizon", values={"horizon_ns": 1, "halted": "left_index"}, halts=ALIGNED
)
# These have the kernels of all nodes of their kind.
NODES: Final = {
    "bars": (
        NodeSettings(
            name="bars",
            upstream=ALIGNED,
            features={},
            bars=BarSettings(every="trades", limit="2"),
            output=Output(),
        ),
    ),
    "label": (
        NodeSettings(name="label", upstream=ALIGNED, features={}, label=BARRIERS, output=Output()),
        NodeSettings(name="follows", upstream=ALIGNED, features={}, label=TRAILING, output=Output()),
        NodeSettings(name="halted", upstream=ALIGNED, features={}, label=HALTED, output=Output()),
    ),
}
LAYOUT: Final = pa.schema(
    [
        pa.field("event_ns", pa.int64(), nullable=False),
        ("known_ns", pa.int64()),
        ("symbol", pa.string()),
        ("price", pa.float64()),
        ("size", pa.float64()),
        pa.field("left_offset", pa.int64(), nullable=False),
        pa.field("left_index", pa.int32(), nullable=False),
    ]
)


def warm(kinds: AbstractSet[str]) -> None:
    """Run two trades through nodes of each of these kinds; one without kernels of its own is passed over."""
    for kind in sorted(NODES.keys() & kinds):
        groups = Groups()
        graph = Graph(plan_graph(GraphSettings(name="warm", nodes=NODES[kind]), LAYOUT), groups=groups)
        rows = pa.record_batch([[1, 2], [1, 2], ["A", "A"], [3.0, 4.0], [5.0, 6.0], [0, 1], [0, 0]], LAYOUT)
        keys = row_keys(rows, ("symbol",), "event_ns", groups)
        graph.take(Sealed(rows, 9, keys=keys._replace(session=DAYS_OF_UTC.ids(keys.time_ns))))


if __name__ == "__main__":
    warm(frozenset(sys.argv[1:]))
