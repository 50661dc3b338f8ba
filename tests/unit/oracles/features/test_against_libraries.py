"""The reference agrees with pandas, polars and the standard library where they mean the same."""

import math
import random
import statistics
from collections.abc import Callable
from typing import Any

import pandas as pd
import polars as pl
import pytest

from tests.oracles.features.handbook import rows_of, values
from tests.oracles.features.rows import Column, Rows

COUNT = 120
STEP_NS = 1_000_000_000
WINDOWS = [{"rows": 9, "min_count": 5}, {"ns": 7 * STEP_NS, "min_count": 5}]


def series(seed: int) -> Rows:
    """Two columns with nulls and equal values, at times of which up to five are equal."""
    draw = random.Random(seed)
    time_ns: list[int] = []
    now_ns = 10**18
    while len(time_ns) < COUNT:
        now_ns += draw.randrange(1, 4) * STEP_NS
        time_ns += [now_ns] * draw.choice([1, 1, 1, 2, 5])
    time_ns = time_ns[:COUNT]

    def column() -> Column:
        return [None if draw.random() < 0.15 else round(draw.gauss(100, 3), 1) for _ in range(COUNT)]

    return rows_of(time_ns, x=column(), y=column())


def frame(rows: Rows) -> pd.DataFrame:
    """The columns under their times, NaN for null."""
    return pd.DataFrame(
        {name: pd.Series(column, dtype="float64") for name, column in rows.columns.items()}
    ).set_index(pd.to_datetime(rows.time_ns, unit="ns"))


def window_of(settings: dict[str, Any]) -> dict[str, Any]:
    """The same window in pandas' words."""
    wide = settings["rows"] if "rows" in settings else pd.Timedelta(settings["ns"], unit="ns")
    return {"window": wide, "min_periods": settings["min_count"]}


def assert_close(column: Column, others: Any) -> None:
    expected = [None if math.isnan(value) else value for value in others]
    assert [value is None for value in column] == [value is None for value in expected]
    assert any(value is not None for value in expected)
    pairs = zip(column, expected, strict=True)
    assert [a for a, b in pairs if a is not None and a != pytest.approx(b, rel=1e-9, abs=1e-12)] == []


OF_ONE: dict[str, Callable[[Any], Any]] = {
    "rolling_sum": lambda rolled: rolled.sum(),
    "rolling_mean": lambda rolled: rolled.mean(),
    "rolling_var": lambda rolled: rolled.var(),
    "rolling_std": lambda rolled: rolled.std(),
    "rolling_min": lambda rolled: rolled.min(),
    "rolling_max": lambda rolled: rolled.max(),
    "rolling_median": lambda rolled: rolled.median(),
    "rolling_quantile": lambda rolled: rolled.quantile(0.3, interpolation="linear"),
    "rolling_rank": lambda rolled: rolled.rank(method="average"),
    "rolling_skew": lambda rolled: rolled.skew(),
    "rolling_kurt": lambda rolled: rolled.kurt(),
}


@pytest.mark.parametrize("settings", WINDOWS, ids=["rows", "time"])
@pytest.mark.parametrize("function", OF_ONE)
def test_rolling_functions_of_one_column_are_those_of_pandas(function: str, settings: dict[str, Any]) -> None:
    rows = series(1)
    others = OF_ONE[function](frame(rows)["x"].rolling(**window_of(settings)))
    assert_close(values(rows, function, "x", q_ppm=300_000, **settings), others)


@pytest.mark.parametrize("settings", WINDOWS, ids=["rows", "time"])
def test_rolling_functions_of_two_columns_are_those_of_pandas(settings: dict[str, Any]) -> None:
    rows = series(2)
    table = frame(rows).where(lambda both: both.notna().all(axis=1))
    rolled = table["y"].rolling(**window_of(settings))
    assert_close(values(rows, "rolling_cov", "y", "x", **settings), rolled.cov(table["x"]))
    assert_close(values(rows, "rolling_corr", "y", "x", **settings), rolled.corr(table["x"]))
    beta = rolled.cov(table["x"]) / table["x"].rolling(**window_of(settings)).var()
    assert_close(values(rows, "rolling_beta", "y", "x", **settings), beta)


def test_exponential_weights_by_rows_are_those_of_pandas() -> None:
    rows = series(3)
    for settings in ({"span": 7}, {"com": 2.5}, {"alpha": 0.3}, {"half_life": 4}):
        words = {name.replace("_", ""): value for name, value in settings.items()}
        weighted = frame(rows)["x"].ewm(adjust=True, ignore_na=False, **words)
        assert_close(values(rows, "ewma", "x", **settings), weighted.mean())
        assert_close(values(rows, "ewm_std", "x", **settings), weighted.std())
        assert_close(values(rows, "ewm_std", "x", bias=True, **settings), _of_two(weighted.std(bias=True)))


def _of_two(column: Any) -> list[float]:
    """pandas has 0 for the biased deviation of one value, the handbook nothing."""
    return [math.nan if index == 0 or value == 0 else value for index, value in enumerate(column)]


def test_the_unadjusted_average_is_that_of_pandas_over_the_rows_with_a_value() -> None:
    rows = series(4)
    known = frame(rows)["x"].dropna()
    expected = iter(known.ewm(span=7, adjust=False).mean())
    column = values(rows, "ewma", "x", span=7, adjust=False)
    there = [value for value, x in zip(column, rows.columns["x"], strict=True) if x is not None]
    assert_close(there, expected)


def test_exponential_weights_by_time_are_those_of_pandas_over_the_rows_with_a_value() -> None:
    rows = series(5)
    known = frame(rows)["x"].dropna()
    weighted = known.ewm(halflife=pd.Timedelta(3 * STEP_NS, unit="ns"), times=known.index)
    column = values(rows, "ewma_time", "x", half_life_ns=3 * STEP_NS)
    there = [value for value, x in zip(column, rows.columns["x"], strict=True) if x is not None]
    assert_close(there, weighted.mean())


def test_decayed_sums_are_those_of_polars() -> None:
    draw = random.Random(6)
    time_ns = [step * STEP_NS for step in sorted(draw.sample(range(1000), 80))]
    rows = rows_of(time_ns, x=[draw.gauss(0, 1) for _ in time_ns])
    table = pl.DataFrame({"time": time_ns, "x": rows.columns["x"]}).with_columns(
        pl.col("time").cast(pl.Datetime("ns"))
    )
    others = table.select(pl.col("x").ewm_sum_by("time", half_life="5s")).to_series()
    assert_close(values(rows, "decay_accum", "x", half_life_ns=5 * STEP_NS), others)


def test_sums_are_those_of_the_standard_library_to_the_last_bit() -> None:
    draw = random.Random(7)
    x: Column = [draw.choice([-1, 1]) * draw.random() * 10.0 ** draw.randrange(-9, 17) for _ in range(60)]
    y: Column = [draw.gauss(0, 1) for _ in x]
    rows = rows_of(list(range(60)), x=x, y=y)
    windows: list[tuple[Any, Any]] = [(x[n - 11 : n + 1], y[n - 11 : n + 1]) for n in range(11, 60)]
    expected = {
        "rolling_sum": [math.fsum(v) for v, _ in windows],
        "rolling_mean": [statistics.mean(v) for v, _ in windows],
        "rolling_var": [statistics.variance(v) for v, _ in windows],
    }
    for function, results in expected.items():
        assert values(rows, function, "x", rows=12)[11:] == results
    assert_close(
        values(rows, "rolling_corr", "x", "y", rows=12)[11:],
        [statistics.correlation(v, w) for v, w in windows],
    )
    assert values(rows, "cumsum", "x") == [math.fsum(x[: n + 1]) for n in range(60)]  # type: ignore[arg-type]
