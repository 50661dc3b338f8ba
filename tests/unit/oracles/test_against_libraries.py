"""The references of bars and labels agree with Polars, pandas and NumPy where they mean the same."""

import math
import random
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from schemas.clocks import END_NS
from tests.oracles.bars import Bars, Trade, bars_slowly
from tests.oracles.labels import trend_slowly

STEP_NS = 30_000_000_000


def trades(seed: int, count: int = 400) -> list[Trade]:
    """Trades of one symbol, some at one time, some on the edge of a bar, with gaps of several bars."""
    draw, now_ns, made = random.Random(seed), 1_700_000_000_000_000_000 // STEP_NS * STEP_NS, []
    for place in range(count):
        now_ns += draw.choice([0, 0, 1, 7_000_000_000, STEP_NS - now_ns % STEP_NS, 95_000_000_000])
        made.append(Trade(now_ns, "A", draw.randint(9_990, 10_010), draw.randint(1, 9), place=(place, 0)))
    return made


def bars_of_ours(rows: list[Trade]) -> list[tuple[Any, ...]]:
    made = bars_slowly(rows, Bars("time", step_ns=STEP_NS, in_sessions=False), END_NS)
    names = ("start_ns", "open", "high", "low", "close", "volume", "count")
    return [tuple(bar[name] for name in names) for bar in made]


@pytest.mark.parametrize("seed", range(3))
def test_time_bars_are_those_of_polars_and_pandas(seed: int) -> None:
    rows = trades(seed)
    table = pl.DataFrame([(row.time_ns, row.price, row.size) for row in rows], ("ns", "p", "q"), orient="row")
    grouped = table.with_columns(pl.col("ns").cast(pl.Datetime("ns"))).group_by_dynamic(
        "ns", every="30s", closed="left"
    )
    price = pl.col("p")
    by_polars = grouped.agg(
        price.first().alias("open"),
        price.max().alias("high"),
        price.min().alias("low"),
        price.last().alias("close"),
        pl.col("q").sum(),
        pl.len().alias("count"),
    )
    ours = bars_of_ours(rows)
    assert ours == by_polars.with_columns(pl.col("ns").cast(pl.Int64)).rows()
    frame = pd.DataFrame(
        {"p": [row.price for row in rows], "q": [row.size for row in rows]},
        index=pd.to_datetime([row.time_ns for row in rows], unit="ns"),
    )
    resampled = frame.resample("30s", closed="left")
    by_pandas = pd.concat([resampled["p"].ohlc(), resampled["q"].sum(), resampled["q"].count()], axis=1)
    there = by_pandas[by_pandas.iloc[:, -1] > 0]
    assert [bar[1:] for bar in ours] == [tuple(bar) for bar in there.itertuples(index=False)]


def test_the_t_value_of_a_trend_is_that_of_least_squares() -> None:
    draw = random.Random(7)
    for count in (3, 5, 20, 100):
        prices = [100 + 0.01 * n + draw.gauss(0, 1) for n in range(count)]
        x = np.column_stack([np.ones(count), np.arange(count)])
        (_, slope), (residual,), *_ = np.linalg.lstsq(x, np.array(prices), rcond=None)
        error = math.sqrt(residual / (count - 2) * np.linalg.inv(x.T @ x)[1, 1])
        assert trend_slowly(prices) == pytest.approx(slope / error, rel=1e-9)
