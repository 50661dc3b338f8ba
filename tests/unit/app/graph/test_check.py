"""`graph check`: an honest graph passes, and each planted fault is named for what it is."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from app.config import load_settings
from app.graph.arrival import Joined, join_shuffled
from app.graph.check import arrival, verdict
from app.graph.experiments import experiments
from app.graph.judge import second_judge
from app.graph.outcome import Outcome
from app.graph.trial import Trial
from app.reading.partition import read_partition
from operators.graph.declare import GraphSettings, NodeSettings, Output
from operators.graph.graph import Graph, MakeNode, make_node
from operators.graph.plan import PlannedNode, plan_graph
from operators.node import Context
from operators.nodes.formula import FormulaNode
from operators.rows.groups import Groups
from operators.sealed import Entries, Sealed, Snapshot
from operators.sessions.sessions import OUTSIDE
from replay.store.days import HistoryStore
from schemas.batch import Int64s
from tests.stage.day_runs import DATE, TRADES, small_days
from tests.stage.graphs import TICK, graph_file
from tests.stage.programs import App
from topics.block import TopicPartition

GRAPH = GraphSettings(
    name="equities",
    nodes=(
        NodeSettings(name="tick", upstream="aligned", features={"x": "price * 2"}, output=Output()),
        NodeSettings(name="side", upstream="tick", features={"y": "x - price"}, output=Output()),
    ),
)
ROWS = 3_000


def rows_of(seed: int = 1) -> pa.RecordBatch:
    draws = np.random.default_rng(seed)
    return pa.record_batch(
        {
            "event_ns": np.cumsum(draws.integers(0, 3, ROWS)),
            "symbol": pa.array(draws.choice(["A", "B", "C"], ROWS)),
            "price": pa.array(
                [None if draws.random() < 0.01 else float(n) for n in draws.uniform(1, 9, ROWS)]
            ),
            "left_offset": np.arange(ROWS),
            "left_index": pa.array(np.zeros(ROWS), pa.int32()),
        }
    )


def trial_of(make: MakeNode | None = None) -> Trial:
    rows = rows_of()
    plan = plan_graph(GRAPH, rows.schema)
    return Trial(make=lambda: Graph(plan, make), rows=rows, on="event_ns", key=("symbol",))


class Planted:
    """A node that gives a column of its own making for its feature; it keeps `kept` over calls."""

    saves: ClassVar[bool] = True

    def __init__(self, planned: PlannedNode, _groups: Groups | None = None) -> None:
        self.name, self.meaning, self.layout = planned.name, planned.meaning, planned.features.layout
        self.needs = Context()
        self.kept: dict[str, float] = {}

    def value(self, rows: pl.DataFrame) -> pl.Series:
        """The feature for the rows of one call."""
        raise NotImplementedError

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        (sealed,) = upstream
        if sealed.rows is None:
            return sealed
        value = self.value(pl.DataFrame(pa.Table.from_batches([sealed.rows]))).cast(pl.Float64)
        column = pa.array(value.to_numpy(), pa.float64(), from_pandas=True)
        return sealed._replace(
            rows=sealed.rows.append_column(self.layout.field(self.layout.names[-1]), column)
        )

    def snapshot(self) -> Snapshot:
        puts = [(name.encode(), repr(value).encode()) for name, value in self.kept.items()]
        return Snapshot(puts if self.saves else [], [])

    def restore(self, entries: Entries) -> None:
        self.kept = {key.decode(): float(value) for key, value in entries}


class NextPrice(Planted):
    """Looks ahead: the next price of the symbol."""

    def value(self, rows: pl.DataFrame) -> pl.Series:
        return rows.select(pl.col("price").shift(-1).over("symbol"))["price"]


class SinceTheCall(Planted):
    """Keeps state over cuts: how many rows of the symbol came in this call."""

    def value(self, rows: pl.DataFrame) -> pl.Series:
        return rows.select(pl.int_range(pl.len()).over("symbol").alias("n"))["n"]


class LastOfAnySymbol(Planted):
    """Mixes symbols: the price before, whosever it was."""

    def value(self, rows: pl.DataFrame) -> pl.Series:
        prices = [self.kept.get("last", 0.0), *rows["price"].fill_null(0.0).to_list()]
        self.kept["last"] = prices[-1]
        return pl.Series(prices[:-1])


class Noise(Planted):
    """Not the same twice."""

    draws: ClassVar[Random] = Random(7)

    def value(self, rows: pl.DataFrame) -> pl.Series:
        return pl.Series([self.draws.random() for _ in range(rows.height)])


class RunningSum(Planted):
    """Honest, with state: the sum of all whole prices of the symbol so far."""

    def value(self, rows: pl.DataFrame) -> pl.Series:
        sums = []
        for symbol, price in zip(
            rows["symbol"].to_list(), rows["price"].fill_null(0.0).to_list(), strict=True
        ):
            self.kept[symbol] = self.kept.get(symbol, 0.0) + round(price)
            sums.append(self.kept[symbol])
        return pl.Series(sums)


class ForgetfulSum(RunningSum):
    """Loses its state with the process."""

    saves: ClassVar[bool] = False


def planted(node: Callable[[PlannedNode], Planted], at: str = "tick") -> MakeNode:
    """A graph of honest nodes but for one."""
    return lambda planned, groups: node(planned) if planned.name == at else make_node(planned, groups)


def outcomes_of(trial: Trial, seed: int = 1) -> list[Outcome]:
    return list(experiments(trial, trial.run(), seed))


def differing(outcomes: list[Outcome]) -> set[str]:
    return {outcome.name for outcome in outcomes if outcome.difference is not None}


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


class ShortSessions:
    """A session every 700 ns, but for the last 100 of them."""

    meaning = "0" * 16

    def ids(self, time_ns: Int64s) -> Int64s:
        return np.where(time_ns % 700 < 600, time_ns - time_ns % 700, OUTSIDE)

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
