"""`graph check` of graphs that read streams and join them: honest ones pass, each planted fault is named."""

from pathlib import Path
from typing import Any

import pytest

from app.graph.check import verdict
from app.graph.experiments import experiments
from app.graph.judge import second_judge
from app.graph.trial import Trial
from tests.stage.graphs import graph_file
from tests.stage.planted_joins import (
    JOINS,
    LosesARow,
    NextRow,
    OneRowLate,
    SlowJoin,
    drawn_day,
    in_place_of,
    trial_of_joins,
)
from tests.stage.planted_nodes import differing
from tests.stage.programs import App

pytestmark = [pytest.mark.slow, pytest.mark.takes_s(110)]


def outcomes_of(trial: Trial, seed: int = 1) -> list[Any]:
    wanted = trial.run()
    return [*experiments(trial, wanted, seed), second_judge(trial, wanted, JOINS)]


@pytest.mark.parametrize("make", [None, in_place_of("joined", SlowJoin)], ids=["own", "row by row"])
def test_an_honest_graph_of_joins_passes_every_experiment(make: Any) -> None:
    for seed in range(2):
        outcomes = outcomes_of(trial_of_joins(drawn_day(seed), make=make), seed)
        assert differing(outcomes) == set()
    by_name = {one.name: one for one in outcomes}
    assert by_name["restart"].what == "40 kills, 10 of them without local state"
    assert by_name["context"].result.startswith("enough; ")
    assert by_name["symbols"].what == "each of 3 symbols alone"


@pytest.mark.parametrize(
    ("at", "node", "words"),
    [
        ("joined", OneRowLate, "joined.flow_bid: comes from another row by the settings of the join"),
        ("joined", NextRow, "joined.flow_bid: looks ahead: its value hangs on rows that come later"),
        ("flow", LosesARow, "flow: loses rows, or has others than what it reads"),
    ],
)
def test_a_planted_fault_is_named_with_its_node(at: str, node: Any, words: str) -> None:
    trial = trial_of_joins(drawn_day(), make=in_place_of(at, node))
    lines = verdict(trial, trial.run(), outcomes_of(trial))
    assert lines[0].startswith(words)
    assert "399 rows by the node, 400 by the audit" in lines[1] or lines[1].startswith("  first at ")


FLOW = """\
[graph.flow]
from = "quote"
[graph.flow.features]
moved = "bid_price - lag(bid_price, rows=1)"
five = "rolling_mean(bid_price, '5m')"
[graph.tick]
kind = "asof"
from = "aligned"
right = ["flow"]
tolerance = "1m"
[graph.then]
from = "tick"
[graph.then.features]
gap = "price - flow_five"
[graph.then.out]
"""


def test_a_check_over_a_day_plays_streams_and_joins(run_app: App, tmp_path: Path) -> None:
    answer = run_app(
        "graph", "check", "-c", graph_file(tmp_path, FLOW), "--store", tmp_path / "history", "--seed", "5"
    )
    assert answer.code == 0, (answer.out, answer.err)
    first, *lines, last = answer.out.splitlines()
    assert first.startswith("flow, tick, then: 3,000 rows, ")
    assert " of quote, 12 symbols, seed 5" in first
    assert [line.split("  ")[1] for line in lines] == [
        "twice", "cuts", "look-ahead", "restart", "symbols", "context", "arrival", "second judge",
    ]  # fmt: skip
    assert "not judged" not in answer.out
    assert last.startswith("parity flow ")
