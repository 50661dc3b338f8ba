"""Real days, end to end on the embedded bus: every column as Polars joins the files it came from."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from app.day.request import ReplayRequest
from app.day.run import replay_day
from app.day.summary import Summary
from tests.stage.market_data import market_data

pytestmark = [pytest.mark.data, pytest.mark.slow, pytest.mark.takes_s(110)]

NEW_YORK_NS = 5 * 3_600 * 10**9  # behind UTC in winter, which no session here comes near enough to tell


def replayed(data: Path, date: str, out: Path, **asked: Any) -> tuple[Summary, pl.DataFrame]:
    """Replay a day and return what it says and its rows, partition after partition."""
    request = ReplayRequest(
        date=date, data=data, store=out.parent / "history", bus="embedded", out=out, **asked
    )
    summary = replay_day(request, lambda _: None)
    assert summary.audit_violations == 0, summary.audit_findings
    assert set(summary.rows_late.values()) == {0}
    return summary, pl.read_parquet(out / "aligned")


def source(file: Path, on: str, date: str | None = None) -> pl.DataFrame:
    """The rows of a file in its order, the time under its own name; with `date`, of that day alone."""
    rows = pl.read_parquet(file).rename({"ts_ns": on}, strict=False)
    if date is not None:
        day = pl.lit(date).str.to_date()
        rows = rows.filter(pl.from_epoch(pl.col(on) - NEW_YORK_NS, time_unit="ns").dt.date() == day)
    return rows


def joined(trades: pl.DataFrame, quotes: pl.DataFrame, on: str, keys: list[str]) -> pl.DataFrame:
    """Each trade with the last quote at or before it; quotes of one time stay in the file's order."""
    looked_up = quotes.sort(on, maintain_order=True).with_columns(quote_time=pl.col(on))
    rows = trades.sort(on, maintain_order=True).join_asof(
        looked_up, on=on, by=keys, strategy="backward", suffix="_of_quote", check_sortedness=False
    )
    carried = [name for name in quotes.columns if name not in (on, *keys)]
    quote_of = {
        name: (f"{name}_of_quote" if f"{name}_of_quote" in rows.columns else name) for name in carried
    }
    return rows.select(
        *trades.columns,
        *[pl.col(column).alias(f"quote_{name}") for name, column in quote_of.items()],
        pl.col("quote_time").alias(f"quote_{on}"),
        (pl.col(on) - pl.col("quote_time")).alias("quote_age_ns"),
    )


def assert_same(aligned: pl.DataFrame, expected: pl.DataFrame, on: str, keys: list[str]) -> None:
    """Every column, in the order of each key; what lies between keys of one time is not promised."""
    order = [*keys, on]
    found = aligned.drop("left_offset", "left_index").sort(order, maintain_order=True)
    wanted = expected.sort(order, maintain_order=True)
    assert found.columns == wanted.columns
    assert found.height == wanted.height
    for name in wanted.columns:
        differs = found[name].cast(wanted[name].dtype).ne_missing(wanted[name])
        assert not differs.any(), f"{name}: {differs.sum()} rows differ"


LEAN_TRADES, LEAN_QUOTES = "trades_20131007.parquet", "quotes_20131007.parquet"


def test_lean_with_the_quote_row_as_it_is(tmp_path: Path) -> None:
    data = market_data("lean_us_equity_ticks")
    summary, aligned = replayed(data, "2013-10-07", tmp_path / "out")
    assert summary.rows_in == {"trade": 137_816, "quote": 1_665_857}
    assert summary.rows_aligned == 137_816
    trades, quotes = (source(data / name, "event_ns") for name in (LEAN_TRADES, LEAN_QUOTES))
    assert_same(aligned, joined(trades, quotes, "event_ns", ["symbol"]), "event_ns", ["symbol"])


def test_lean_with_each_sides_last_value(tmp_path: Path) -> None:
    data = market_data("lean_us_equity_ticks")
    _, aligned = replayed(data, "2013-10-07", tmp_path / "out", carry="column")
    trades, quotes = (source(data / name, "event_ns") for name in (LEAN_TRADES, LEAN_QUOTES))
    carried = [name for name in quotes.columns if name not in ("event_ns", "symbol")]
    filled = quotes.sort("event_ns", maintain_order=True).with_columns(
        pl.col(carried).forward_fill().over("symbol")
    )
    assert_same(aligned, joined(trades, filled, "event_ns", ["symbol"]), "event_ns", ["symbol"])


@pytest.mark.parametrize(
    ("date", "trades", "quotes"), [("2018-01-02", 39_470, 66_695), ("2018-01-03", 37_793, 64_706)]
)
def test_taq_day_by_day(tmp_path: Path, date: str, trades: int, quotes: int) -> None:
    data = market_data("taq_highfrequency")
    summary, aligned = replayed(data, date, tmp_path / "out")
    assert summary.rows_in == {"trade": trades, "quote": quotes}
    left, right = (source(data / f"{name}s_raw.parquet", "event_ns", date) for name in ("trade", "quote"))
    assert_same(aligned, joined(left, right, "event_ns", ["symbol"]), "event_ns", ["symbol"])


def test_partitions_workers_and_shape_do_not_change_a_row(tmp_path: Path) -> None:
    data = market_data("taq_highfrequency")
    told = [
        replayed(
            data, "2018-01-02", tmp_path / f"{number}", partitions=partitions, workers=workers, shape=shape
        )[0]
        for number, (partitions, workers, shape) in enumerate(
            [(1, 1, "block"), (1, 2, "record"), (3, 2, "block"), (8, 1, "record"), (8, 2, "block")]
        )
    ]
    assert len({summary.hash for summary in told}) == 1
    assert told[0].parity == told[1].parity
    assert told[3].parity == told[4].parity
    assert [len(summary.parity) for summary in told] == [1, 1, 3, 8, 8]


def test_binance_on_the_receivers_clock(tmp_path: Path) -> None:
    data = market_data("binance_20240808")
    summary, aligned = replayed(data, "2024-08-08", tmp_path / "out", clock="known")
    assert set(summary.rows_refused.values()) == {0}
    assert summary.rows_in == {"trade": 78_638, "quote": 335_931}
    assert_binance(data, aligned, "known_ns")


def test_binance_on_the_exchanges_clock_refuses_the_quotes_that_have_none(tmp_path: Path) -> None:
    data = market_data("binance_20240808")
    summary, aligned = replayed(data, "2024-08-08", tmp_path / "out", clock="event")
    assert summary.rows_refused == {"trade": 0, "quote": 131_932}
    assert summary.rows_in == {"trade": 78_638, "quote": 335_931 - 131_932}
    assert_binance(data, aligned, "event_ns")


def assert_binance(data: Path, aligned: pl.DataFrame, on: str) -> None:
    names = {"event_ts_ns": "event_ns", "recv_ts_ns": "known_ns"}
    keys = ["market", "symbol"]
    trades, quotes = (
        pl.read_parquet(data / f"{name}s.parquet").rename(names).filter(pl.col(on).is_not_null())
        for name in ("trade", "quote")
    )
    assert_same(aligned, joined(trades, quotes, on, keys), on, keys)
