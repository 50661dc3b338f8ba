"""Nodes with planted faults for `graph check`, rows for them, and what the experiments find."""

import json
import math
from collections.abc import Callable
from random import Random
from typing import ClassVar

import numpy as np
import polars as pl
import pyarrow as pa

from app.graph.experiments import experiments
from app.graph.outcome import Outcome
from app.graph.trial import Trial
from operators.graph.declare import GraphSettings, NodeSettings, Output
from operators.graph.graph import Graph, make_node
from operators.graph.plan import PlannedNode, plan_graph
from operators.graph.running import MakeNode
from operators.node import Context
from operators.rows.groups import Groups
from operators.sealed import Entries, Sealed, Snapshot

GRAPH = GraphSettings(
    name="equities",
    nodes=(
        NodeSettings(name="tick", upstream="aligned", features={"x": "price * 2"}, output=Output()),
        NodeSettings(name="side", upstream="tick", features={"y": "x - price"}, output=Output()),
    ),
)
ROWS = 3_000
WINDOW_ROWS = 5


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


def window_trial(make: MakeNode | None = None) -> Trial:
    """Rows for a window, with the plan that says how far it looks back."""
    rows = rows_of()
    features = {"x": f"rolling_sum(price, rows={WINDOW_ROWS})"}
    node = NodeSettings(name="tick", upstream="aligned", features=features, output=Output())
    plan = plan_graph(GraphSettings(name="window", nodes=(node,)), rows.schema)
    return Trial(make=lambda: Graph(plan, make), rows=rows, on="event_ns", key=("symbol",), plan=plan)


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


class WindowSum(Planted):
    """The sum of the last rows of the symbol: of one more than it says."""

    rows: ClassVar[int] = 6

    def __init__(self, planned: PlannedNode, groups: Groups | None = None) -> None:
        super().__init__(planned, groups)
        self.needs = Context(rows=WINDOW_ROWS - 1)
        self.lasts: dict[str, list[float]] = {}

    def value(self, rows: pl.DataFrame) -> pl.Series:
        symbols, prices = rows["symbol"].to_list(), rows["price"].fill_null(0.0).to_list()
        return pl.Series([self.next(symbol, price) for symbol, price in zip(symbols, prices, strict=True)])

    def next(self, symbol: str, price: float) -> float:
        """The sum with one more price of the symbol."""
        last = self.lasts[symbol] = [*self.lasts.get(symbol, []), price][-self.rows :]
        return math.fsum(last)

    def snapshot(self) -> Snapshot:
        return Snapshot([(name.encode(), json.dumps(last).encode()) for name, last in self.lasts.items()], [])

    def restore(self, entries: Entries) -> None:
        self.lasts = {key.decode(): json.loads(value) for key, value in entries}


class RollingSum(WindowSum):
    """Adds what comes and takes away what goes, as pandas does: its last bits hang on all rows before."""

    rows: ClassVar[int] = 5

    def next(self, symbol: str, price: float) -> float:
        """The sum so far, which is kept in front, and one more price; the oldest goes."""
        total, *last = self.lasts.get(symbol, [0.0])
        total += price
        if len(last) == self.rows:
            total -= last.pop(0)
        self.lasts[symbol] = [total, *last, price]
        return total


def planted(node: Callable[[PlannedNode], Planted], at: str = "tick") -> MakeNode:
    """A graph of honest nodes but for one."""
    return lambda planned, groups: node(planned) if planned.name == at else make_node(planned, groups)


def outcomes_of(trial: Trial, seed: int = 1) -> list[Outcome]:
    return list(experiments(trial, trial.run(), seed))


def differing(outcomes: list[Outcome]) -> set[str]:
    return {outcome.name for outcome in outcomes if outcome.difference is not None}
