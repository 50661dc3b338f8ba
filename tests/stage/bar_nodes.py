"""A node of bars, and trades as it takes them."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from operators.bars.node import BarsNode
from operators.bars.settings import BarSettings, Expected
from operators.graph.declare import GraphSettings, NodeSettings, Output
from operators.graph.plan import Plan, plan_graph
from operators.graph.row_keys import row_keys
from operators.rows.groups import Groups
from operators.sealed import Sealed
from operators.sessions.sessions import Sessions, Spans
from operators.sessions.table import SessionTable
from schemas.clocks import NS_PER_S
from tests.oracles.bars import Bars, Trade

# Sessions with a break between them, and one right behind another.
SPANS: Final = [(0, 20 * NS_PER_S), (25 * NS_PER_S, 40 * NS_PER_S), (40 * NS_PER_S, 61 * NS_PER_S)]
SESSIONS: Final = SessionTable(
    name="X",
    version=1,
    spans=Spans(np.array([one for one, _ in SPANS]), np.array([end for _, end in SPANS])),
    from_ns=0,
    until_ns=1_000 * NS_PER_S,
)

DRAWN: Final = 60  # rows


def layout_of(numbers: type) -> pa.Schema:
    """The columns of trades whose prices and sizes are of this type."""
    kind = pa.int64() if numbers is int else pa.float64()
    return pa.schema(
        [
            ("event_ns", pa.int64()),
            ("known_ns", pa.int64()),
            ("symbol", pa.string()),
            ("price", kind),
            ("size", kind),
            ("d", pa.int8()),
            pa.field("left_offset", pa.int64(), nullable=False),
            pa.field("left_index", pa.int32(), nullable=False),
        ]
    )


def declared(bars: Bars, **more: Any) -> BarSettings:
    """The settings of the bars."""
    every: Any = bars.every
    measure: Any = bars.measure
    if bars.measure:
        spans: dict[str, Any] = {"span_b": bars.span_b, "span_t": bars.span_t, "theta_min": bars.theta_min}
        bounds: dict[str, Any] = {"min_ticks": bars.least, "max_ticks": bars.most}
        more = {
            "direction": "d" if bars.sided else "",
            "expected": Expected(measure=measure, exp_ticks_init=bars.first, **spans, **bounds),
            **more,
        }
    origin: Any = bars.origin
    remainder: Any = bars.remainder
    return BarSettings(
        every=every,
        limit=str(bars.limit),
        step_ns=bars.step_ns,
        origin=origin,
        remainder=remainder,
        empty=bars.empty,
        known_after_ns=bars.known_after_ns,
        close_at_session_end=bars.in_sessions,
        reversal=bars.reversal,
        **{"direction": "d", **more},
    )


def plan_of(bars: BarSettings, numbers: type = int, sessions: Sessions = SESSIONS) -> Plan:
    """A graph of bars alone."""
    node = NodeSettings(name="bars", upstream="aligned", features={}, bars=bars, output=Output())
    settings = GraphSettings(name="g", nodes=(node,), sessions=sessions)
    return plan_graph(settings, layout_of(numbers), meaning="0")


def node_of(
    bars: Bars, numbers: type, groups: Groups, sessions: Sessions = SESSIONS, **more: Any
) -> BarsNode:
    """The node of these bars."""
    (planned,) = plan_of(declared(bars, **more), numbers, sessions).nodes
    assert planned.bars is not None
    return BarsNode("bars", planned.meaning, planned.bars, groups)


def sealed_of(
    rows: Sequence[Trade], complete_ns: int, numbers: type, groups: Groups, sessions: Sessions = SESSIONS
) -> Sealed:
    """These rows, complete up to a time."""
    if not rows:
        return Sealed(None, complete_ns)
    columns = [
        [row.time_ns for row in rows],
        [row.known_ns for row in rows],
        [row.symbol for row in rows],
        [row.price for row in rows],
        [row.size for row in rows],
        [row.direction for row in rows],
        [row.place[0] for row in rows],
        [row.place[1] for row in rows],
    ]
    layout = layout_of(numbers)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, layout, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, schema=layout)
    keys = row_keys(batch, ("symbol",), "event_ns", groups)
    return Sealed(batch, complete_ns, keys=keys._replace(session=sessions.ids(keys.time_ns)))


def plain(rows: Sequence[pa.RecordBatch]) -> list[dict[str, Any]]:
    """Bars as dicts, decimals as whole numbers."""
    return [
        {**row, "notional": row["notional"] if isinstance(row["notional"], float) else int(row["notional"])}
        for batch in rows
        for row in batch.to_pylist()
    ]


def drawn_rows(seed: int) -> pa.RecordBatch:
    """Trades of three symbols in and between sessions; some share their time, some values are null."""
    draws = np.random.default_rng(seed)
    times = np.sort(draws.integers(0, 2 * SPANS[-1][1] // NS_PER_S, DRAWN)) * (NS_PER_S // 2)
    prices = 10 + np.cumsum(draws.integers(-1, 2, DRAWN))
    return pa.RecordBatch.from_arrays(
        [
            pa.array(times),
            pa.array(times + draws.integers(0, NS_PER_S, DRAWN)),
            pa.array(draws.choice(["A", "B", "C"], DRAWN)),
            pa.array(prices, mask=draws.random(DRAWN) < 0.05),
            pa.array(draws.integers(0, 9, DRAWN), mask=draws.random(DRAWN) < 0.05),
            pa.array(draws.integers(-1, 2, DRAWN).astype(np.int8)),
            pa.array(np.arange(DRAWN)),
            pa.array(np.zeros(DRAWN, np.int32)),
        ],
        schema=layout_of(int),
    )
