"""The price breakout of docs/breakout.md: its truth table, its months and days as of a row, its errors."""

import itertools
import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from app.config import Settings
from app.graph.experiments import experiments
from app.graph.trial import Trial
from app.settings.graph import node_in_whole_units
from app.wiring.planning import declared_graph
from operators.graph.graph import Graph
from operators.graph.plan import Plan, plan_graph
from schemas.clocks import NS_PER_DAY, NS_PER_S
from tests.stage.programs import ROOT

Trade = tuple[int, str, float]

PAGE = (ROOT / "docs/breakout.md").read_text()
CHECKS = ("month_rose", "above_month_close", "above_month_open", "above_day_high")
NAN = float("nan")


def of_page(name: str) -> str:
    """A file that the page writes."""
    found = re.search(rf"cat > build/{name} <<'EOF'\n(.*?)^EOF$", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def function() -> ModuleType:
    module = ModuleType("my_breakout")
    exec(compile(of_page("my_breakout.py"), "my_breakout.py", "exec"), module.__dict__)  # noqa: S102 (the page)
    return module


def plan(folder: Path) -> Plan:
    (folder / "my_breakout.py").write_text(of_page("my_breakout.py"))
    tables: dict[str, Any] = tomllib.loads(of_page("breakout.toml"))["graph"]
    nodes = {
        name: node_in_whole_units(name, table) if isinstance(table, dict) else table
        for name, table in tables.items()
    }
    nodes["breakout"]["out"] = {}
    settings = Settings.model_validate({"graph": nodes}).read_from(folder / "my.toml")
    return plan_graph(declared_graph(settings), rows_of([]).schema, meaning="0")


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_S


def rows_of(trades: list[Trade]) -> pa.RecordBatch:
    count = len(trades)
    return pa.record_batch(
        {
            "event_ns": pa.array([time_ns for time_ns, _, _ in trades], pa.int64()),
            "symbol": pa.array([symbol for _, symbol, _ in trades], pa.string()),
            "price": pa.array([price for *_, price in trades], pa.float64()),
            "size": pa.array([1.0] * count, pa.float64()),
            "left_offset": pa.array(np.arange(count), pa.int64()),
            "left_index": pa.array([0] * count, pa.int32()),
        }
    )


def trial_of(folder: Path, trades: list[Trade]) -> Trial:
    planned = plan(folder)
    return Trial(
        make=lambda: Graph(planned), rows=rows_of(trades), on="event_ns", key=("symbol",), plan=planned
    )


def three_months(seed: int = 1) -> list[Trade]:
    """A few trades every other day of two symbols."""
    draws = np.random.default_rng(seed)
    first = datetime(2024, 1, 1, tzinfo=UTC)
    trades = []
    prices = {"A": 100.0, "B": 50.0}
    for day in range(0, 91, 2):
        begin_ns = ns((first + timedelta(days=day)).replace(tzinfo=None).isoformat())
        for time_ns in np.sort(draws.integers(0, NS_PER_DAY, 6)).tolist():
            symbol = str(draws.choice(["A", "B"]))
            prices[symbol] *= float(np.exp(draws.normal(0.0, 0.03)))
            trades.append((begin_ns + time_ns, symbol, prices[symbol]))
    return trades


def slowly(trades: list[Trade]) -> list[tuple[bool | None, ...]]:
    """The four checks of each trade from the trades of its symbol up to it, by the calendar alone."""
    out: list[tuple[bool | None, ...]] = []
    for place, (time_ns, symbol, price) in enumerate(trades):
        months: dict[tuple[int, int], list[float]] = {}
        days: dict[object, list[float]] = {}
        for at, of, value in trades[: place + 1]:
            if of == symbol:
                when = datetime.fromtimestamp(at // NS_PER_S, UTC)
                months.setdefault((when.year, when.month), []).append(value)
                days.setdefault(when.date(), []).append(value)
        now = datetime.fromtimestamp(time_ns // NS_PER_S, UTC)
        *earlier, current = months.values()
        month = earlier[-1] if earlier else None
        day = list(days.values())[-2] if len(days) > 1 else None
        assert next(reversed(months)) == (now.year, now.month)
        out.append(
            (
                None if month is None else month[-1] > month[0],
                None if month is None else price > month[-1],
                None if month is None else price > current[0],
                None if day is None else price > max(day),
            )
        )
    return out


def test_the_truth_table_has_all_sixteen_cases() -> None:
    cases = list(itertools.product([False, True], repeat=4))
    rows = pl.DataFrame(
        {
            "months_open": [10.0 if rose else 30.0 for rose, *_ in cases],
            "months_close": [20.0] * 16,
            "price": [25.0 if above else 15.0 for _, above, _, _ in cases],
            "month_open": [1.0 if above else 99.0 for _, _, above, _ in cases],
            "days_high": [1.0 if above else 99.0 for *_, above in cases],
        }
    )
    made = function().breakout(rows)
    assert list(zip(*(made[name].to_list() for name in CHECKS), strict=True)) == cases
    assert made["breakout"].to_list() == [all(case) for case in cases]


def test_equal_is_not_above() -> None:
    names = ("months_open", "months_close", "price", "month_open", "days_high")
    made = function().breakout(pl.DataFrame({name: [5.0] for name in names}))
    assert [made[name].item() for name in (*CHECKS, "breakout")] == [False] * 5


def test_months_and_days_are_those_that_had_ended_by_the_trade(tmp_path: Path) -> None:
    trades = three_months()
    made = trial_of(tmp_path, trades).run()["breakout"]
    got = list(zip(*(made.column(name).to_pylist() for name in CHECKS), strict=True))
    assert made.column("event_ns").to_pylist() == [time_ns for time_ns, _, _ in trades]
    assert got == slowly(trades)
    assert {row for row in got if None not in row} > {(True,) * 4}
    assert made.column("breakout").to_pylist() == [
        False if False in row else None if None in row else True for row in got
    ]


def test_a_trade_at_midnight_of_the_first_has_the_month_before_it(tmp_path: Path) -> None:
    trades = [
        (ns("2024-01-10T12:00:00"), "A", 10.0),
        (ns("2024-01-31T23:59:59"), "A", 12.0),
        (ns("2024-02-01T00:00:00"), "A", 13.0),
        (ns("2024-02-01T00:00:01"), "A", 14.0),
    ]
    made = trial_of(tmp_path, trades).run()["breakout"]
    assert made.column("month_rose").to_pylist() == [None, None, True, True]
    assert made.column("above_month_open").to_pylist() == [None, None, False, True]
    assert made.column("above_day_high").to_pylist() == [None, True, True, True]


def test_a_price_that_is_nan_is_an_error_event_and_no_result(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a price is NaN"):
        function().breakout(pl.DataFrame({"price": [1.0, NAN]}))
    good = [(ns(f"2024-01-{day:02d}T12:00:00"), "A", float(day)) for day in range(1, 20)]
    trial = trial_of(tmp_path, [*good[:10], (good[10][0], "A", NAN), *good[11:]])
    graph = trial.make()
    made = trial.gather(list(trial.pass_through(graph, trial.day)))["breakout"]
    (failed,) = graph.failures()
    assert (failed.node, failed.begin_ns) == ("breakout", good[10][0])
    assert failed.reason == "ValueError: a price is NaN: nobody can say whether it broke out"
    above = made.column("above_day_high").to_pylist()
    assert above[10] is None
    assert None not in above[1:10] + above[11:]


@pytest.mark.slow
def test_it_passes_every_experiment_of_the_check(tmp_path: Path) -> None:
    trial = trial_of(tmp_path, three_months()[:90])
    outcomes = list(experiments(trial, trial.run(), 1))
    assert {one.name for one in outcomes} > {"twice", "cuts", "look-ahead", "restart", "symbols", "functions"}
    assert [(one.name, one.cause) for one in outcomes if one.difference is not None] == []
