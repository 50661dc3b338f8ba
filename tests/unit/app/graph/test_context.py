"""`graph check` over graphs that look back: context, restarts without state, nodes that say too little."""

import numpy as np

from app.graph.check import verdict
from app.graph.judge import second_judge
from app.graph.trial import Trial
from operators.graph.declare import GraphSettings, NodeSettings, Output
from operators.graph.graph import Graph, make_node
from operators.graph.plan import PlannedNode, plan_graph
from operators.graph.running import MakeNode
from operators.node import Context
from operators.nodes.formula import FormulaNode
from operators.rows.groups import Groups
from operators.sessions.sessions import OUTSIDE
from schemas.batch import Int64s
from tests.stage.planted_nodes import GRAPH, RunningSum, differing, outcomes_of, planted, rows_of


class ShortSessions:
    """A session every 700 ns, but for the last 100 of them."""

    meaning = "0" * 16

    def ids(self, time_ns: Int64s) -> Int64s:
        return np.where(time_ns % 700 < 600, time_ns - time_ns % 700, OUTSIDE)

    def ends(self, time_ns: Int64s) -> Int64s:
        return np.where(time_ns % 700 < 600, time_ns - time_ns % 700 + 600, OUTSIDE)

    def describe(self) -> str:
        return "short sessions"


LOOKS_BACK = GraphSettings(
    name="equities",
    nodes=(
        NodeSettings(
            name="tick",
            upstream="aligned",
            features={
                "w": "rolling_mean(price, '60ns')",
                "r": "rolling_sum(lag(price, rows=2), rows=5, reset='session')",
                "s": "ewma(w, span=9)",
            },
            output=Output(),
        ),
        NodeSettings(
            name="side",
            upstream="tick",
            features={"g": "ewma(price, span=3, memory='genesis')", "l": "lag(w, rows=3)"},
            output=Output(),
        ),
    ),
    sessions=ShortSessions(),
)


def trial_that_looks_back(make: MakeNode | None = None, graph: GraphSettings = LOOKS_BACK) -> Trial:
    rows = rows_of()
    plan = plan_graph(graph, rows.schema)
    return Trial(make=lambda: Graph(plan, make), rows=rows, on="event_ns", key=("symbol",), plan=plan)


def test_a_graph_that_looks_back_passes_and_the_least_context_is_told() -> None:
    trial = trial_that_looks_back()
    outcomes = {one.name: one for one in outcomes_of(trial)}
    assert differing([*outcomes.values()]) == set()
    assert outcomes["restart"].what == "40 kills, 10 of them without local state"
    assert outcomes["context"].result.startswith("enough; side.l fails with ")
    assert second_judge(trial, trial.run(), LOOKS_BACK).difference is None


def test_a_context_of_rows_is_bisected_to_the_last_row() -> None:
    node = NodeSettings(
        name="tick", upstream="aligned", features={"far": "lag(price, rows=7)"}, output=Output()
    )
    (context,) = (
        one
        for one in outcomes_of(trial_that_looks_back(graph=GraphSettings(name="g", nodes=(node,))))
        if one.name == "context"
    )
    assert context.result == "enough; tick.far fails with 6 rows"


class Short(FormulaNode):
    """Says that it needs less than it does."""

    def __init__(self, planned: PlannedNode, groups: Groups) -> None:
        super().__init__(planned.name, planned.features, groups)
        self.needs = Context(rows=1)


def test_a_node_with_too_short_a_context_is_named() -> None:
    node = NodeSettings(
        name="tick", upstream="aligned", features={"w": "rolling_mean(price, '60ns')"}, output=Output()
    )
    trial = trial_that_looks_back(
        lambda planned, groups: (
            Short(planned, groups) if planned.name == "tick" else make_node(planned, groups)
        ),
        GraphSettings(name="g", nodes=(node,), sessions=ShortSessions()),
    )
    first, second = verdict(trial, trial.run(), outcomes_of(trial))
    assert first == "tick.w: hangs on rows before its context, which is 1 row"
    assert second.endswith("with all rows and with its context alone")


def test_state_that_a_node_does_not_speak_of_is_found() -> None:
    plan = plan_graph(GRAPH, rows_of().schema)
    make = planted(RunningSum)
    trial = Trial(make=lambda: Graph(plan, make), rows=rows_of(), on="event_ns", key=("symbol",), plan=plan)
    outcomes = outcomes_of(trial)
    assert differing(outcomes) == {"context", "restart"}
    assert {one.cause.partition(":")[0] for one in outcomes if one.difference} == {
        "hangs on rows before its context, which is nothing",
        "cannot be made anew",
    }
