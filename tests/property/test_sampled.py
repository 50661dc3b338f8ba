"""Rows on a grid of time (R20), made of bars and a look-up: the last row by each moment of it."""

import itertools
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.bars.settings import BarSettings, Origin
from operators.graph.declare import GraphSettings, JoinSettings, NodeSettings, Output
from operators.graph.graph import Graph
from operators.graph.plan import Plan, plan_graph
from schemas.clocks import NS_PER_S
from tests.oracles.bars import Bars, Trade, bars_slowly
from tests.oracles.features.handbook import F2, MS_NS, rows_of, values
from tests.property.bar_cases import END_NS, trades_of
from tests.stage.bar_nodes import SESSIONS, SPANS, layout_of, sealed_of

Sample = tuple[str | None, int, float | None, int | None]


# What the handbook lets a step in time sample: M3, M5, M6, M7.
ESTIMATORS = {
    "volatility": ("ewma_volatility", {}),
    "variance": ("realised_variance", {}),
    "bipower": ("bipower_variation", {}),
    "two_scales": ("two_scale_variance", {"K": 2}),
}


def plan_of(step_ns: int, origin: Origin = "session") -> Plan:
    """What docs/graph.md says of a grid: bars of time that are rows without trades, too, and a look-up."""
    nodes = (
        NodeSettings(
            name="grid",
            upstream="aligned",
            features={},
            bars=BarSettings(every="time", step_ns=step_ns, origin=origin, empty=True),
        ),
        NodeSettings(
            name="sampled",
            upstream="grid",
            features={},
            join=JoinSettings(rights=("aligned",), columns={"aligned": ("price",)}),
            output=Output(),
        ),
        NodeSettings(
            name="estimated",
            upstream="sampled",
            features={
                name: f"{function}({', '.join(['aligned_price', *(f'{k}={v}' for k, v in more.items())])})"
                for name, (function, more) in ESTIMATORS.items()
            },
            output=Output(),
        ),
    )
    return plan_graph(GraphSettings(name="g", nodes=nodes, sessions=SESSIONS), layout_of(int), meaning="0")


def samples_of(outputs: list[dict[str, Any]]) -> list[Sample]:
    return [(row["symbol"], row["end_ns"], row["aligned_price"], row["aligned_age_ns"]) for row in outputs]


def slowly(rows: list[Trade], step_ns: int, origin: str) -> list[Sample]:
    """R20 by its definition, at the ends of all bars."""
    bars = Bars("time", step_ns=step_ns, origin=origin, empty=True, spans=SPANS)
    found: list[Sample] = []
    for bar in bars_slowly(rows, bars, END_NS):
        symbol, at_ns = bar["symbol"], bar["end_ns"]
        last = [row for row in rows if row.symbol == symbol and row.time_ns <= at_ns][-1]
        found.append((symbol, at_ns, last.price, at_ns - last.time_ns))
    return found


@given(data=st.data())
@settings(deadline=None)
def test_each_moment_of_the_grid_has_the_last_row_by_then(data: st.DataObject) -> None:
    rows = data.draw(trades_of(int))
    step_ns = data.draw(st.sampled_from([1, 2, 7, 30])) * NS_PER_S
    origin: Origin = data.draw(st.sampled_from(["session", "utc"]))
    plan = plan_of(step_ns, origin)
    graph = Graph(plan)
    made: list[dict[str, Any]] = []
    lower, complete_ns = 0, 0
    while lower < len(rows) or complete_ns < END_NS:
        upper = data.draw(st.integers(lower, len(rows)))
        latest = rows[upper].time_ns if upper < len(rows) else END_NS
        complete_ns = data.draw(st.integers(complete_ns, max(complete_ns, latest)))
        if upper == lower == len(rows):
            complete_ns = END_NS
        out = graph.take(sealed_of(rows[lower:upper], complete_ns, int, graph.groups, SESSIONS))["sampled"]
        made += [] if out.rows is None else out.rows.to_pylist()
        lower = upper
    assert sorted(samples_of(made), key=repr) == sorted(slowly(rows, step_ns, origin), key=repr)


def test_the_worked_example_of_the_handbook() -> None:
    """F1 with a step of 2 s; its row at 0 comes before the end of the first bar."""
    seconds, values = (0, 1, 1, 2, 4, 4, 5, 9), (1, 2, None, 4, 8, 3, 3, 5)
    rows = [
        Trade(second * NS_PER_S, "A", value, 1, place=(number, 0))
        for number, (second, value) in enumerate(zip(seconds, values, strict=True))
    ]
    graph = Graph(plan_of(2 * NS_PER_S))
    out = graph.take(sealed_of(rows, 9 * NS_PER_S + 1, int, graph.groups))["sampled"].rows
    assert out is not None
    made = [(at_ns // NS_PER_S, value) for _, at_ns, value, _ in samples_of(out.to_pylist())]
    assert made == [(2, 4), (4, 3), (6, 3), (8, 3)]


def test_estimators_sampled_at_a_step_are_those_of_the_last_prices_by_each_moment() -> None:
    """F2 with a step of 500 ms: at 0.5 and 1.0 s the price is 10,002 ticks, from 1.5 to 3.0 s 10,001."""
    prices = [price for price in F2.columns["price"] if price is not None]
    rows = [
        Trade(ns, "A", round(price), 1, place=(number, 0))
        for number, (ns, price) in enumerate(zip(F2.time_ns, prices, strict=True))
    ]
    moments = range(500 * MS_NS, 6_501 * MS_NS, 500 * MS_NS)
    by_then = [[row.price or 0 for row in rows if row.time_ns <= at_ns][-1] for at_ns in moments]
    assert by_then[:6] == [10002, 10002, 10001, 10001, 10001, 10001]
    graph = Graph(plan_of(500 * MS_NS, "utc"))
    out = graph.take(sealed_of(rows, 7_000 * MS_NS, int, graph.groups))["estimated"].rows
    assert out is not None
    assert out["end_ns"].to_pylist()[: len(moments)] == list(moments)
    sampled = rows_of(list(moments), price=[*by_then])
    for name, (function, more) in ESTIMATORS.items():
        wanted = values(sampled, function, "price", **more)
        assert wanted[-1] is not None
        for one, other in zip(out[name].to_pylist(), wanted, strict=False):
            assert one == (None if other is None else pytest.approx(other, rel=1e-14)), name
    variance = sum(math.log(b / a) ** 2 for a, b in itertools.pairwise(by_then))
    assert out["variance"].to_pylist()[len(moments) - 1] == pytest.approx(variance)
