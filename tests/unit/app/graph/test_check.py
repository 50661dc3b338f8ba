"""`graph check`: an honest graph passes, and each planted fault is named for what it is."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from app.config import load_settings
from app.graph.arrival import Joined, join_shuffled
from app.graph.check import arrival, verdict
from app.graph.judge import second_judge
from app.graph.trial import Trial
from app.reading.partition import read_partition
from operators.graph.declare import GraphSettings, NodeSettings, Output
from operators.graph.graph import Graph
from operators.graph.plan import plan_graph
from operators.graph.running import MakeNode
from replay.store.days import HistoryStore
from tests.stage.day_runs import DATE, TRADES, small_days
from tests.stage.graphs import TICK, graph_file
from tests.stage.planted_nodes import (
    GRAPH,
    ROWS,
    ForgetfulSum,
    LastOfAnySymbol,
    NextPrice,
    Noise,
    Planted,
    RollingSum,
    RunningSum,
    SinceTheCall,
    WindowSum,
    differing,
    outcomes_of,
    planted,
    rows_of,
    trial_of,
    window_trial,
)
from tests.stage.programs import App
from topics.block import TopicPartition

pytestmark = [pytest.mark.slow, pytest.mark.takes_s(75)]


@pytest.mark.parametrize("make", [None, planted(RunningSum)], ids=["formulas", "with state"])
def test_an_honest_graph_passes_every_experiment(make: MakeNode | None) -> None:
    for seed in range(3):
        assert differing(outcomes_of(trial_of(make), seed)) == set()


@pytest.mark.parametrize(
    ("node", "experiment", "cause"),
    [
        (Noise, "twice", "not the same twice"),
        (NextPrice, "look-ahead", "looks ahead"),
        (LastOfAnySymbol, "symbols", "mixes symbols"),
        (SinceTheCall, "cuts", "keeps state over cuts"),
        (ForgetfulSum, "restart", "loses state"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
@pytest.mark.parametrize(("at", "feature"), [("tick", "tick.x"), ("side", "side.y")])
def test_a_planted_fault_is_named_with_its_node_and_both_values(
    node: type[Planted], experiment: str, cause: str, at: str, feature: str
) -> None:
    trial = trial_of(planted(node, at))
    outcomes = outcomes_of(trial)
    assert experiment in differing(outcomes)
    first, second = verdict(trial, trial.run(), outcomes)
    assert first.startswith(f"{feature}: {cause}")
    named = next(outcome for outcome in outcomes if outcome.name == experiment)
    assert named.difference is not None
    assert repr(named.difference.value) in second or named.difference.value is None
    assert f"first at {named.difference.key[0]} 00:00:00." in second


@pytest.mark.parametrize("node", [WindowSum, RollingSum])
def test_a_planted_window_that_hangs_on_rows_before_it_is_named_with_its_context(node: type[Planted]) -> None:
    assert differing(outcomes_of(window_trial())) == set()
    trial = window_trial(planted(node))
    first, _ = verdict(trial, trial.run(), outcomes_of(trial))
    assert first == "tick.x: hangs on rows before its context, which is 4 rows"


def test_the_first_row_that_differs_is_the_one_named() -> None:
    trial = trial_of(planted(SinceTheCall))
    (cuts,) = [outcome for outcome in outcomes_of(trial) if outcome.name == "cuts"]
    assert cuts.difference is not None
    symbols = trial.rows["symbol"].to_pylist()
    times = trial.times_ns.tolist()
    at = next(
        n
        for n, key in enumerate(zip(symbols, times, strict=True))
        if key == (cuts.difference.key[0], cuts.difference.time_ns)
    )
    whole, cut = trial.run()["tick"]["x"][at].as_py(), cuts.difference.other
    assert whole > cut


def test_a_node_that_is_not_its_formula_is_found_by_the_second_judge() -> None:
    class Off(Planted):
        def value(self, rows: pl.DataFrame) -> pl.Series:
            return rows["price"] * 2 + (rows["left_offset"] == 99).cast(pl.Float64) * 1e-9

    trial = trial_of(planted(Off))
    assert second_judge(trial_of(), trial_of().run(), GRAPH).result == "equal"
    outcome = second_judge(trial, trial.run(), GRAPH)
    lines = verdict(trial, trial.run(), [outcome])
    assert lines[0].startswith("tick.x: is another value by its formula")
    assert outcome.difference is not None
    assert (outcome.difference.node, outcome.difference.column) == ("tick", "x")
    assert outcome.difference.time_ns == trial.times_ns[99]


def test_the_worst_last_bit_of_a_logarithm_is_told_with_its_feature() -> None:
    graph = GraphSettings(
        name="g",
        nodes=(
            NodeSettings(
                name="tick", upstream="aligned", features={"p": "power(price, 0.3)"}, output=Output()
            ),
        ),
    )

    class Inexact(Planted):
        def value(self, rows: pl.DataFrame) -> pl.Series:
            return (rows["price"] ** 0.3) * (1 + 2e-16)

    rows = rows_of()
    plan = plan_graph(graph, rows.schema)
    trial = Trial(make=lambda: Graph(plan, Inexact), rows=rows, on="event_ns", key=("symbol",))
    assert second_judge(trial, trial.run(), graph).result.endswith("e-16 at most (tick.p)")


def test_rows_that_a_worker_made_otherwise_are_found_and_their_places_do_not_count() -> None:
    trial = trial_of()
    wanted = trial.run()
    pipeline: Any = None
    moved = {
        name: pa.Table.from_batches([rows.set_column(3, "left_offset", pa.array(np.arange(ROWS)[::-1]))])
        for name, rows in wanted.items()
    }
    assert arrival(trial, wanted, [("moved", Joined(pipeline, moved))]).difference is None
    short = {**moved, "side": moved["side"].slice(1)}
    outcome = arrival(trial, wanted, [("moved", Joined(pipeline, moved)), ("short", Joined(pipeline, short))])
    assert outcome.difference is not None
    assert (outcome.difference.node, outcome.ways[1]) == ("side", "short")


def test_arrival_is_shuffled_and_no_row_is_late(tmp_path: Path) -> None:
    settings = load_settings(graph_file(tmp_path))
    days = [HistoryStore(tmp_path / "history").day(name, DATE) for name in settings.stream_names]
    run = join_shuffled(settings, days, tmp_path / "run", 2, np.random.default_rng(1))
    arrived_ms = [
        message.timestamp_ms
        for block in read_partition(run.pipeline.bus, TopicPartition("graph-check.trade", 0), group="test")
        for message in map(block.originals.__getitem__, range(block.messages))
        if message.key is not None
    ]
    assert len(arrived_ms) > 100
    assert arrived_ms != sorted(arrived_ms)
    assert {name: table.num_rows for name, table in run.rows.items()} == dict.fromkeys(
        ("aligned", "tick", "side"), TRADES
    )
    late = [
        read_partition(run.pipeline.bus, TopicPartition("graph-check.late", n), group="test") for n in (0, 1)
    ]
    assert [block.messages for blocks in late for block in blocks if block.messages] == []


def test_a_check_over_a_day_says_every_line_and_repeats_with_its_seed(run_app: App, tmp_path: Path) -> None:
    file = graph_file(tmp_path)
    words = ("graph", "check", "-c", file, "--store", tmp_path / "history", "--seed", "5")
    one, other = run_app(*words), run_app(*words, "--on", DATE)
    assert (one.code, other.code) == (0, 0), one.err
    first, *lines, last = one.out.splitlines()
    assert first == "tick, side: 3,000 rows, 12 symbols, seed 5"
    assert [line.split("  ")[1] for line in lines] == [
        "twice", "cuts", "look-ahead", "restart", "symbols", "context", "arrival", "second judge",
    ]  # fmt: skip
    assert last.startswith("parity tick ")
    assert [*other.out.splitlines()[:-1], other.out.splitlines()[-1].split("·")[0]] == [
        first, *lines, last.split("·")[0],
    ]  # fmt: skip


def test_a_fault_ends_with_exit_code_1_and_its_cause(
    run_app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = graph_file(tmp_path, "[graph.tick]\nfrom = 'aligned'\n[graph.tick.features]\nx = 'price * 2'\n")
    monkeypatch.setattr("operators.graph.graph.make_node", NextPrice)
    answer = run_app("graph", "check", "-c", file, "--store", tmp_path / "history")
    assert answer.code == 1
    assert "tick.x: looks ahead: its value hangs on rows that come later" in answer.out.splitlines()


def test_what_cannot_be_checked_is_said_before_anything_starts(run_app: App, tmp_path: Path) -> None:
    small_days(tmp_path / "history")
    file = graph_file(tmp_path, "")
    words = ("graph", "check", "-c", file, "--store", tmp_path / "history")
    assert "there is no graph" in run_app(*words).error
    file.write_text(TICK.replace("/ 2", "/ two"))
    assert "tick.mid: aligned has no column two" in run_app(*words).err
    file.write_text(TICK)
    assert run_app("graph", "lock", *words[2:]).code == 0
    file.write_text(TICK.replace("/ 2", "/ 3"))
    answer = run_app(*words)
    assert (answer.code, answer.out) == (2, "")
    assert "tick.mid@1 meant" in answer.err
    assert "2024-01-15" in run_app(*words, "--on", "2024-01-16").error
    assert "--data needs --on" in run_app("graph", "check", "-c", file, "--data", tmp_path).error
