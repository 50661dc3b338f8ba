"""Longer bars put together of shorter ones are those of the trades, however calls are cut."""

from typing import TYPE_CHECKING, Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from operators.bars.settings import BarSettings
from operators.graph.declare import GraphSettings, NodeSettings, Output
from operators.graph.graph import Graph
from operators.graph.plan import plan_graph
from schemas.clocks import NS_PER_S
from tests.oracles.bars import Bars, Trade, bars_slowly
from tests.property.bar_cases import END_NS, trades_of
from tests.stage.bar_nodes import SESSIONS, SPANS, declared, layout_of, plain, sealed_of

if TYPE_CHECKING:
    import pyarrow as pa

    from operators.sealed import Sealed

STEPS: Final = st.sampled_from([(1, 2), (1, 7), (3, 3), (3, 30), (5, 30)])


def graph_of(fine: BarSettings, coarse: BarSettings) -> GraphSettings:
    nodes = (
        NodeSettings(name="fine", upstream="aligned", features={}, bars=fine),
        NodeSettings(name="coarse", upstream="fine", features={}, bars=coarse, output=Output()),
    )
    return GraphSettings(name="g", nodes=nodes, sessions=SESSIONS)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[BarSettings, Bars]:
    """Bars of trades, and longer ones of them."""
    fine, coarse = draw(STEPS)
    common: dict[str, Any] = {
        "origin": draw(st.sampled_from(["utc", "session"])),
        "known_after_ns": draw(st.sampled_from([0, NS_PER_S])),
        "spans": SPANS,
    }
    if draw(st.booleans()):
        common |= {"in_sessions": False, "origin": "utc"}
    of_trades = Bars("time", step_ns=fine * NS_PER_S, empty=draw(st.booleans()), **common)
    if not of_trades.in_sessions:
        of_trades = Bars("time", step_ns=fine * NS_PER_S, **common)
    return declared(of_trades), Bars("time", step_ns=coarse * NS_PER_S, **common)


@given(pairs(), trades_of(int), st.data())
@settings(deadline=None)
def test_bars_of_bars_are_those_of_the_trades(
    pair: tuple[BarSettings, Bars], rows: list[Trade], data: st.DataObject
) -> None:
    fine, longer = pair
    coarse = declared(longer, direction="")
    plan = plan_graph(graph_of(fine, coarse), layout_of(int), meaning="0")
    graph = Graph(plan)
    made: list[pa.RecordBatch] = []
    lower, complete_ns = 0, 0
    while complete_ns < END_NS:
        upper = data.draw(st.integers(lower, len(rows)))
        latest = rows[upper].time_ns if upper < len(rows) else END_NS
        complete_ns = data.draw(st.integers(complete_ns, max(complete_ns, latest)))
        if upper == lower == len(rows):
            complete_ns = END_NS
        sealed: Sealed = graph.take(sealed_of(rows[lower:upper], complete_ns, int, graph.groups))["coarse"]
        if sealed.rows is not None:
            made.append(sealed.rows)
        lower = upper
    assert plain(made) == bars_slowly(rows, longer, END_NS)
