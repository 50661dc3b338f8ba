"""`graph check` of graphs with bars: honest ones pass every experiment, each planted fault is named."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from app.graph.check import verdict
from app.graph.experiments import experiments
from app.graph.judge import second_judge
from app.graph.trial import Trial
from operators.bars.node import BarsNode
from operators.bars.settings import BarSettings, Expected
from operators.graph.declare import GraphSettings, JoinSettings, NodeSettings, Output
from operators.graph.graph import Graph
from operators.graph.plan import PlannedNode, plan_graph
from operators.graph.running import MakeNode
from operators.rows.groups import Groups
from operators.sealed import Sealed, Snapshot
from schemas.clocks import NS_PER_S
from tests.stage.bar_nodes import SESSIONS, drawn_rows, layout_of
from tests.stage.graphs import graph_file
from tests.stage.planted_joins import in_place_of
from tests.stage.planted_nodes import differing
from tests.stage.programs import App

END_NS = 70 * NS_PER_S


def bars(name: str, every: Any, **more: Any) -> NodeSettings:
    settings = BarSettings(every=every, **{"direction": "d", "limit": "5", **more})
    return NodeSettings(name=name, upstream="aligned", features={}, bars=settings, output=Output())


SUMS = BarSettings(every="trades", limit="3")
GRAPH = GraphSettings(
    name="g",
    sessions=SESSIONS,
    nodes=(
        bars("grid", "time", step_ns=3 * NS_PER_S, empty=True),
        bars("lots", "volume", remainder="carry"),
        bars("renko", "renko", limit="2"),
        bars("leaning", "imbalance", expected=Expected(measure="volume", exp_ticks_init=3, span_b=3.0)),
        bars("ever", "range", close_at_session_end=False),
        NodeSettings(
            name="sums",
            upstream="aligned",
            features={"paid": "sum(price * size)", "mean": "mean(price - lag(price, rows=1))"},
            bars=SUMS,
            output=Output(),
        ),
        NodeSettings(
            name="signal",
            upstream="sums",
            features={"last": "rolling_mean(close, rows=2)", "slow": "ewma(volume, span=3)"},
            output=Output(),
        ),
        NodeSettings(
            name="seen",
            upstream="aligned",
            features={},
            join=JoinSettings(
                rights=("signal", "grid"),
                allow_exact=False,
                columns={"signal": ("last", "slow"), "grid": ("close", "bar_no")},
            ),
            output=Output(),
        ),
    ),
)


def trial_of(seed: int = 1, make: MakeNode | None = None, graph: GraphSettings = GRAPH) -> Trial:
    plan = plan_graph(graph, layout_of(int), meaning="0")
    return Trial(
        make=lambda: Graph(plan, make),
        rows=drawn_rows(seed),
        on="event_ns",
        key=("symbol",),
        plan=plan,
        end_ns=END_NS,
    )


def outcomes_of(trial: Trial, seed: int = 1) -> list[Any]:
    return list(experiments(trial, trial.run(), seed))


@pytest.mark.slow
def test_an_honest_graph_of_bars_passes_every_experiment() -> None:
    for seed in range(2):
        trial = trial_of(seed)
        assert all(rows.num_rows for rows in trial.run().values())
        outcomes = outcomes_of(trial, seed)
        assert differing(outcomes) == set()
    by_name = {one.name: one for one in outcomes}
    assert by_name["restart"].what.endswith("7 of them without local state")
    assert by_name["context"].result == "enough; all rows before: ever, sums, signal, seen"


class Planted(BarsNode):
    """Bars with a fault."""

    def __init__(self, planned: PlannedNode, groups: Groups) -> None:
        assert planned.bars is not None
        super().__init__(planned.name, planned.meaning, planned.bars, groups)


class Forgets(Planted):
    """Loses the open bars with its life."""

    def snapshot(self) -> Snapshot:
        snapshot = super().snapshot()
        return replace(snapshot, puts=[put for put in snapshot.puts if put[0][:2] != b"bs"])


class PerCall(Planted):
    """Numbers the bars of each call anew."""

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        sealed = super().take(upstream)
        if sealed.rows is None:
            return sealed
        place = self.layout.get_field_index("bar_no")
        numbers = pa.array(range(sealed.rows.num_rows), pa.int64())
        return sealed._replace(rows=sealed.rows.set_column(place, self.layout.field(place), numbers))


class WithTheLast(Planted):
    """Has in each bar the last price of the call, which may come after the bar."""

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        sealed = super().take(upstream)
        (trades,) = upstream
        if sealed.rows is None or trades.rows is None:
            return sealed
        place = self.layout.get_field_index("high")
        last = trades.rows.column("price").drop_null()[-1]
        highs = pa.array([last.as_py()] * sealed.rows.num_rows, pa.int64())
        return sealed._replace(rows=sealed.rows.set_column(place, self.layout.field(place), highs))


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (Forgets, "loses state: its snapshot lacks what it needs"),
        (PerCall, "mixes symbols: its value hangs on rows of another symbol"),
        (WithTheLast, "looks ahead: its value hangs on rows that come later"),
    ],
)
def test_a_planted_fault_of_bars_is_named_with_its_node(node: Any, words: str) -> None:
    trial = trial_of(make=in_place_of("lots", node))
    line = verdict(trial, trial.run(), outcomes_of(trial))[0]
    assert line.startswith(("lots: ", "lots."))
    assert line.endswith(words)


def test_a_bar_that_hangs_on_the_session_before_is_found_by_its_context() -> None:
    graph = GraphSettings(name="g", sessions=SESSIONS, nodes=(bars("grid", "trades", limit="3"),))
    assert {one.name: one.result for one in outcomes_of(trial_of(graph=graph))}["context"] == "enough"

    def over_sessions(planned: PlannedNode, groups: Groups) -> BarsNode:
        assert planned.bars is not None
        settings = replace(planned.bars.settings, close_at_session_end=False)
        rule = planned.bars.rule._replace(numbered=False)
        bars_of = planned.bars._replace(settings=settings, rule=rule)
        return BarsNode(planned.name, planned.meaning, bars_of, groups)

    trial = trial_of(make=over_sessions, graph=graph)
    first, _ = verdict(trial, trial.run(), outcomes_of(trial))
    assert first.endswith("hangs on rows before those that it says it needs")


def test_the_second_judge_makes_bars_of_its_own_and_finds_one_that_is_another() -> None:
    trial = trial_of()
    outcome = second_judge(trial, trial.run(), GRAPH)
    assert (outcome.difference, outcome.result) == (None, "equal")

    class OneTooHigh(Planted):
        """Has another high price in its third bar."""

        def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
            sealed = super().take(upstream)
            if sealed.rows is None:
                return sealed
            place = self.layout.get_field_index("high")
            highs = sealed.rows.column("high").to_pylist()
            highs[2:3] = [highs[2] + 1]
            made = sealed.rows.set_column(place, self.layout.field(place), pa.array(highs, pa.int64()))
            return sealed._replace(rows=made)

    trial = trial_of(make=in_place_of("lots", OneTooHigh))
    outcome = second_judge(trial, trial.run(), GRAPH)
    first, second = verdict(trial, trial.run(), [outcome])
    assert first == "lots.high: is another bar by its definition, as the audit makes it of the same rows"
    assert second.endswith("by the node and by the audit")


BARS = """\
[graph]
anchor = { session = "09:30-16:00", timezone = "America/New_York" }
[graph.minutes]
kind = "bars"
from = "aligned"
every = { time = "1m" }
[graph.minutes.features]
spread = "mean(quote_ask_price - quote_bid_price)"
[graph.lots]
kind = "bars"
from = "trade"
every = { volume = 5000 }
[graph.signal]
from = "minutes"
[graph.signal.features]
ret_5 = "log_return(close, rows=5)"
[graph.signal.out]
"""


@pytest.mark.slow
def test_a_check_over_a_day_plays_bars(run_app: App, tmp_path: Path) -> None:
    answer = run_app(
        "graph", "check", "-c", graph_file(tmp_path, BARS), "--store", tmp_path / "history", "--seed", "5"
    )
    assert answer.code == 0, (answer.out, answer.err)
    first, *lines, last = answer.out.splitlines()
    assert first.startswith("minutes, lots, signal: ")
    by_name = {line.split()[0]: line for line in lines}
    assert by_name["arrival"].endswith("equal")
    assert "not judged" not in by_name["second"]
    assert last.startswith("parity minutes ")
