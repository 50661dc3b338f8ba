"""Which moments of a day are shown, and that they are those of one key."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from app.config import Settings
from app.day.close_up import TRADES, close_up, most_visible, nearer
from replay.store.days import HistoryStore
from tests.stage.days import NOON_NS, keep_day

SETTINGS = Settings()


def rows_of(symbols: str, **changes: Any) -> pa.Table:
    """Aligned rows, one for each letter, a second apart and matched 100 ns before."""
    times = NOON_NS + 10**9 * np.arange(len(symbols))
    columns = {
        "event_ns": times,
        "symbol": list(symbols),
        "price": [10.0 + i for i in range(len(symbols))],
        "quote_bid_price": [9.5 + i for i in range(len(symbols))],
        "quote_ask_price": [11.0 + i for i in range(len(symbols))],
        "quote_event_ns": pa.array(times - 100, pa.int64()),
    }
    return pa.table({name: value for name, value in (columns | changes).items() if value is not None})


def found(tmp_path: Path, rows: pa.Table, **quotes: Any) -> Any:
    columns = {
        "event_ns": [NOON_NS + 30, NOON_NS + 10, NOON_NS + 20],
        "known_ns": [NOON_NS + 30, NOON_NS + 31, NOON_NS + 32],  # the order in which they were published
        "symbol": ["A", "A", "B"],
        "bid_price": [None, 9.0, 1.0],
        "ask_price": [12.0, 11.0, 2.0],
    }
    day = keep_day(HistoryStore(tmp_path), "quote", columns | quotes)
    return close_up(rows, SETTINGS, [day])


def test_the_busiest_key_is_shown_with_its_own_quotes_in_their_order(tmp_path: Path) -> None:
    near = found(tmp_path, rows_of("BA" * TRADES + "A"))
    assert near.key == "A"
    assert near.trade_ns.size == TRADES
    assert (near.quote_ns - NOON_NS).tolist() == [10, 30]
    assert near.ask.tolist() == [11.0, 12.0]
    assert set((near.trade_ns - near.match_ns).tolist()) == {100}


def test_a_side_that_a_quote_lacks_is_carried_over(tmp_path: Path) -> None:
    assert found(tmp_path, rows_of("A" * TRADES)).bid.tolist() == [9.0, 9.0]


def test_what_stands_at_a_time_is_the_last_quote_up_to_it(tmp_path: Path) -> None:
    near = found(tmp_path, rows_of("A" * TRADES))
    bid, ask = near.standing(NOON_NS + np.array([9, 10, 29, 30]))
    assert np.isnan([bid[0], ask[0]]).all()
    assert ask[1:].tolist() == [11.0, 11.0, 12.0]


@pytest.mark.parametrize(
    "rows",
    [
        rows_of("A"),
        rows_of("A" * TRADES, price=None),
        rows_of("A" * TRADES, quote_ask_price=None),
        rows_of("A" * TRADES, quote_event_ns=pa.nulls(TRADES, pa.int64())),
        rows_of(""),
    ],
    ids=["too few", "no price", "no ask", "no match", "no row"],
)
def test_without_trades_or_quotes_to_show_there_is_none(tmp_path: Path, rows: pa.Table) -> None:
    assert found(tmp_path, rows) is None


def test_a_small_day_is_shown_whole(tmp_path: Path) -> None:
    assert found(tmp_path, rows_of("AAB")).trade_ns.tolist() == [NOON_NS, NOON_NS + 10**9]


def test_prices_of_other_usual_names_are_shown_and_words_are_none(tmp_path: Path) -> None:
    rows = rows_of("AAA").rename_columns({"price": "px", "quote_bid_price": "quote_bid"})
    rows = rows.rename_columns({"quote_ask_price": "quote_ask"})
    quotes = {"bid": [None, 9.0, 1.0], "ask": [12.0, 11.0, 2.0]}
    assert found(tmp_path, rows, **quotes).price.tolist() == [10.0, 11.0, 12.0]
    words = rows.set_column(rows.column_names.index("px"), "px", pa.array(["a", "b", "c"]))
    assert found(tmp_path, words, **quotes) is None


def test_moments_with_more_matches_apart_and_more_prices_are_shown() -> None:
    times = np.arange(3 * TRADES) * 100
    matches = times.copy()
    matches[TRADES : 2 * TRADES] -= 50
    price = np.ones(3 * TRADES)
    price[TRADES : 2 * TRADES : 2] = 2.0
    assert most_visible(times, matches, price) == TRADES


def test_a_match_is_drawn_at_the_nearer_side_or_the_one_there_is() -> None:
    price, bid, ask = np.array([10.0, 10.0, 10.0]), np.array([9.9, 9.0, np.nan]), np.array([10.2, 10.1, 10.3])
    assert nearer(price, bid, ask).tolist() == [9.9, 10.1, 10.3]
