"""The laws of the synthetic market."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from replay.dates import NEW_YORK, parse_date
from replay.errors import HistoryError
from replay.market.generate import generate_day
from replay.store.days import HistoryStore
from replay.zones import local_instant_ns
from tests.stage.days import DATE, NOON_NS, keep_day, rows_of

SMALL = {"symbols": 20, "trades": 2_000, "quotes": 8_000}
ANOTHER_PROCESS = """
import sys
from pathlib import Path
from replay.market.generate import generate_day
from replay.store.days import HistoryStore
days = generate_day(HistoryStore(Path(sys.argv[1])), sys.argv[2], symbols=20, trades=2_000, quotes=8_000)
sys.stdout.write(" ".join(day.summary.digest for day in days))
"""


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> tuple[pl.DataFrame, pl.DataFrame]:
    days = generate_day(HistoryStore(tmp_path_factory.mktemp("history")), DATE, **SMALL)
    trade, quote = (pl.DataFrame(pl.from_arrow(rows_of(day))) for day in days)
    return trade, quote


def test_the_same_seed_makes_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    here = generate_day(HistoryStore(tmp_path / "here"), DATE, **SMALL)
    command = [sys.executable, "-c", ANOTHER_PROCESS, str(tmp_path / "there"), DATE]
    there = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert [day.summary.digest for day in here] == there


def test_another_seed_makes_another_day(tmp_path: Path) -> None:
    one, other = (generate_day(HistoryStore(tmp_path / str(s)), DATE, seed=s, **SMALL) for s in (1, 2))
    assert one[0].summary.digest != other[0].summary.digest


@pytest.mark.parametrize(("date", "utc_hour"), [("2024-01-15", 14), ("2024-07-15", 13)])
def test_rows_lie_in_the_session_of_new_york(tmp_path: Path, date: str, utc_hour: int) -> None:
    opens_ns = local_instant_ns(parse_date(date), 9, 30, NEW_YORK)
    assert opens_ns // 3_600_000_000_000 % 24 == utc_hour
    for day in generate_day(HistoryStore(tmp_path), date, **SMALL):
        clock = day.summary.clocks["event_ns"]
        assert opens_ns <= clock.first_ns <= clock.last_ns < opens_ns + 6.5 * 3_600e9


def test_a_day_has_exactly_the_rows_asked_for(market: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    trade, quote = market
    assert (trade.height, quote.height) == (2_000, 8_000)


def test_the_receiver_is_later_than_the_exchange_and_sorts_rows_otherwise(
    market: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    for rows in market:
        assert rows.select((pl.col("known_ns") > pl.col("event_ns")).all()).item()
        assert rows["known_ns"].is_sorted()
    assert not market[1]["event_ns"].is_sorted()


def test_the_first_symbols_are_the_busiest(market: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    counts = dict(market[1].group_by("symbol").len().iter_rows())
    assert counts["AAA"] > 2 * counts["AAE"] > 2 * counts["AAT"]


def test_volume_is_heavier_at_the_open_and_the_close(market: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    opens_ns = local_instant_ns(parse_date(DATE), 9, 30, NEW_YORK)
    share = (market[1]["event_ns"].to_numpy() - opens_ns) / (6.5 * 3_600e9)
    thirds = np.histogram(share, bins=3, range=(0, 1))[0]
    assert min(thirds[0], thirds[2]) > 1.5 * thirds[1]


def test_times_repeat_inside_a_symbol(market: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    quote = market[1]
    assert quote.select("symbol", "event_ns").n_unique() < quote.height


def test_quotes_never_cross(market: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    assert market[1].select((pl.col("bid_price") < pl.col("ask_price")).all()).item()


def test_trades_print_between_a_bid_and_an_ask_of_their_nanosecond(
    market: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    trade, quote = (rows.sort("symbol", "event_ns", maintain_order=True) for rows in market)
    joined = trade.sort("event_ns").join_asof(
        quote.sort("event_ns"), on="event_ns", by="symbol", check_sortedness=False
    )
    inside = (pl.col("bid_price") <= pl.col("price")) & (pl.col("price") <= pl.col("ask_price"))
    assert joined.select(inside.mean()).item() > 0.95  # the rest: several quotes at that very time


def test_a_day_is_made_once(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    first, second = (generate_day(store, DATE, **SMALL) for _ in range(2))
    assert [day.summary.parts for day in first] == [day.summary.parts for day in second]
    other = generate_day(store, DATE, symbols=5, trades=10, quotes=20)
    assert [day.rows for day in other] == [10, 20]


@pytest.mark.parametrize("stream", ["trade", "quote"])
def test_an_imported_day_is_not_replaced(tmp_path: Path, stream: str) -> None:
    store = HistoryStore(tmp_path)
    keep_day(store, stream, {"event_ns": [NOON_NS], "symbol": ["A"]})
    with pytest.raises(HistoryError, match=f"imported {stream} day"):
        generate_day(store, DATE, **SMALL)
    assert store.day(stream, DATE).rows == 1
    assert store.streams(DATE) == [stream]


@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 200, 2), (300, 1, 70)])
def test_any_size_can_be_made(tmp_path: Path, sizes: tuple[int, int, int]) -> None:
    symbols, trades, quotes = sizes
    days = generate_day(HistoryStore(tmp_path), DATE, symbols=symbols, trades=trades, quotes=quotes)
    assert [day.rows for day in days] == [trades, quotes]


@pytest.mark.parametrize("wrong", [{"symbols": 0}, {"trades": 0}, {"quotes": -1}, {"seed": -1}])
def test_sizes_below_one_are_refused(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(HistoryError, match=next(iter(wrong)).rstrip("s")):
        generate_day(HistoryStore(tmp_path), DATE, **wrong)
    assert HistoryStore(tmp_path).dates() == []
