"""Functions with planted faults, and rows for them."""

from collections.abc import Callable
from random import Random
from typing import Any, Final

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from app.graph.trial import Trial
from app.wiring.function_frames import engine_of
from operators.graph.declare import GraphSettings, NodeSettings, Output
from operators.graph.graph import Graph
from operators.graph.plan import plan_graph
from operators.graph.running import MakeNode
from operators.tiles.settings import TileSettings, UserFunction
from schemas.clocks import NS_PER_S

ROWS: Final = 600
WINDOW: Final = 5
DRAWS: Final = Random(3)


def honest(rows: pl.DataFrame) -> pl.DataFrame:
    """The mean of the last rows of the symbol."""
    return rows.select(y=pl.col("price").rolling_mean(WINDOW).over("symbol"))


def next_row(rows: pl.DataFrame) -> pl.DataFrame:
    """Looks ahead."""
    return rows.select(y=pl.col("price").shift(-1).over("symbol"))


def noise(rows: pl.DataFrame) -> pl.DataFrame:
    """Reads something besides its rows."""
    return rows.select(y=pl.Series([DRAWS.random() for _ in range(rows.height)]))


def any_symbol(rows: pl.DataFrame) -> pl.DataFrame:
    """Mixes symbols."""
    return rows.select(y=pl.col("price").rolling_mean(2, min_samples=1))


def in_pandas(rows: pd.DataFrame) -> pd.DataFrame:
    """The mean of the last rows of the symbol, which pandas adds up and takes away."""
    means = rows.groupby("symbol")["price"].rolling(WINDOW).mean()
    return pd.DataFrame({"y": means.reset_index(level=0, drop=True).sort_index()})


def failing(rows: pl.DataFrame) -> pl.DataFrame:
    """Raises where a tile has many rows."""
    if rows.height > 60:
        raise ArithmeticError("so many")
    return honest(rows)


def rows_of(seed: int = 1) -> pa.RecordBatch:
    draws = np.random.default_rng(seed)
    return pa.record_batch(
        {
            "event_ns": np.cumsum(draws.integers(0, NS_PER_S // 10, ROWS)),
            "symbol": pa.array(draws.choice(["A", "B", "C"], ROWS)),
            "price": draws.uniform(1, 9, ROWS),
            "left_offset": np.arange(ROWS),
            "left_index": pa.array(np.zeros(ROWS), pa.int32()),
        }
    )


def graph_of(function: Callable[[Any], Any], *, rows: int = WINDOW - 1) -> GraphSettings:
    """A graph with this function."""
    engine = engine_of(function.__annotations__["return"])
    assert engine is not None

    def run(rows: pa.RecordBatch) -> Any:
        frame = engine.give(rows)
        return engine.take(function(frame), rows.num_rows, ["y"])

    tiles = TileSettings(
        text="my_nodes.py:f",
        returns={"y": "float64"},
        tile_ns=NS_PER_S,
        rows=rows,
        function=UserFunction(run, "f" * 16, "polars 2", "my_nodes.py:4"),
    )
    node = NodeSettings(name="smooth", upstream="aligned", features={}, tiles=tiles, output=Output())
    return GraphSettings(name="g", nodes=(node,))


def trial_of(
    function: Callable[[Any], Any], *, rows: int = WINDOW - 1, make: MakeNode | None = None
) -> Trial:
    """A day of rows, and a graph with this function; `make` makes its nodes."""
    batch = rows_of()
    plan = plan_graph(graph_of(function, rows=rows), batch.schema)
    return Trial(make=lambda: Graph(plan, make), rows=batch, on="event_ns", key=("symbol",), plan=plan)
