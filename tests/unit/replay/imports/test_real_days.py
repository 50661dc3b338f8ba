"""Real market data comes in whole: every row, on the day of its session."""

from pathlib import Path

import polars as pl
import pytest

from replay.imports.folder import import_folder
from replay.store.day import Day
from replay.store.days import HistoryStore
from tests.stage.days import rows_of
from tests.stage.market_data import market_data

pytestmark = pytest.mark.data


def imported(tmp_path: Path, name: str) -> HistoryStore:
    store = HistoryStore(tmp_path)
    report = import_folder(store, market_data(name))
    assert not report.refused
    return store


def frame(day: Day) -> pl.DataFrame:
    found = pl.from_arrow(rows_of(day))
    assert isinstance(found, pl.DataFrame)
    return found


def test_a_day_of_equities_is_whole_though_it_crosses_midnight(tmp_path: Path) -> None:
    store = imported(tmp_path, "lean_us_equity_ticks")
    assert store.dates() == ["2013-10-07"]
    for stream, rows in (("trade", 137_816), ("quote", 1_665_857)):
        day = store.day(stream, "2013-10-07")
        assert (day.rows, day.summary.keys) == (rows, 3)
        file = market_data("lean_us_equity_ticks") / f"{stream}s_20131007.parquet"
        assert frame(day).equals(pl.read_parquet(file).rename({"ts_ns": "event_ns"}))


def test_two_days_and_two_schemas_in_one_folder_come_apart(tmp_path: Path) -> None:
    store = imported(tmp_path, "taq_highfrequency")
    found = {
        (stream, date): store.day(stream, date).rows
        for date in store.dates()
        for stream in store.streams(date)
    }
    assert found == {
        ("trade", "2014-09-17"): 43_581,
        ("quote", "2014-09-17"): 0,
        ("trade", "2018-01-02"): 39_470,
        ("quote", "2018-01-02"): 66_695,
        ("trade", "2018-01-03"): 37_793,
        ("quote", "2018-01-03"): 64_706,
    }
    assert store.day("trade", "2014-09-17").stream.schema.names == ["event_ns", "symbol", "price", "size"]
    assert "corr" in store.day("trade", "2018-01-02").stream.schema.names


def test_a_market_with_two_clocks_is_ordered_by_the_receivers(tmp_path: Path) -> None:
    store = imported(tmp_path, "binance_20240808")
    assert store.dates() == ["2024-08-08"]
    for stream, rows in (("trade", 78_638), ("quote", 335_931)):
        day = store.day(stream, "2024-08-08")
        assert (day.rows, day.summary.order, day.summary.keys) == (rows, "known", 6)
        assert day.stream.key == ("market", "symbol")
        assert day.disorder_ns("known") == 0
        assert day.disorder_ns("event") > 0
        original = pl.read_parquet(market_data("binance_20240808") / f"{stream}s.parquet")
        expected = original.rename({"event_ts_ns": "event_ns", "recv_ts_ns": "known_ns"})
        assert frame(day).equals(expected.sort("known_ns", maintain_order=True))
    assert store.day("quote", "2024-08-08").summary.clocks["event_ns"].nulls == 131_932
