"""Bars come out of workers as of one call over all trades, whatever dies, and whatever is lost with it."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.audit.topics import audit
from app.config import Settings
from app.graph.open_bars import open_bars
from tests.stage.graph_lives import (
    LOSSES,
    each_death,
    live,
    require_death_changes_nothing,
    require_lost_nodes_are_made_anew,
    require_moved_tasks_go_on,
    require_state_behind_is_brought_up,
    rows_of,
)
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet

pytestmark = pytest.mark.takes_s(95)

# Bars of trades and of quotes, closed by trades and by time; what looks back at them, and joins them.
BARS: Mapping[str, Any] = {
    "ticks": {
        "kind": "bars",
        "from": "aligned",
        "every": {"trades": 3},
        "price": "quote_bid",
        "size": "quote_bid",
        "out": {},
    },
    "lots": {
        "kind": "bars",
        "from": "quote",
        "every": {"volume": 50},
        "price": "bid",
        "size": "bid",
        "remainder": "carry",
        "out": {"columns": ["close", "volume"]},
    },
    "grid": {
        "kind": "bars",
        "from": "aligned",
        "every": {"time_ns": 4},
        "price": "quote_bid",
        "size": "quote_bid",
        "side": "sign(quote_bid - ewma(quote_bid, alpha=0.5))",
        "known_after_ns": 2,
        "out": {},
    },
    "longer": {
        "kind": "bars",
        "from": "grid",
        "every": {"time_ns": 12},
        "known_after_ns": 2,
        "features": {"most": "max(vwap)"},
        "out": {},
    },
    "signal": {
        "from": "grid",
        "features": {"mean": "rolling_mean(close, rows=2)", "slow": "ewma(volume, alpha=0.3)"},
        "out": {},
    },
    "seen": {
        "kind": "asof",
        "from": "aligned",
        "right": ["signal", "lots"],
        "allow_exact": False,
        "columns": {"signal": ["mean", "slow", "bar_no"], "lots": ["close"]},
        "out": {},
    },
    "months": {
        "kind": "bars",
        "from": "aligned",
        "every": {"calendar": "month"},
        "price": "quote_bid",
        "size": "quote_bid",
        "out": {},
    },
}


def test_time_bars_have_the_trades_of_their_time(tmp_path: Path) -> None:
    market = Market(tmp_path, graph=BARS)
    live(market, range(1, 21))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    rows = rows_of(market)
    joined, bars = rows["aligned", 0], rows["grid", 0]
    assert [row["end_ns"] for row in bars] == sorted(row["end_ns"] for row in bars)
    for symbol in "ABCDEF":
        trades = [row for row in joined if row["symbol"] == symbol]
        for bar in (row for row in bars if row["symbol"] == symbol):
            own = [row for row in trades if bar["start_ns"] <= row["event_ns"] < bar["end_ns"]]
            assert bar["count"] == len(own)
            assert bar["close"] == own[-1]["quote_bid"]
            assert bar["volume"] == sum(row["quote_bid"] for row in own)
        ended = {row["end_ns"] for row in bars if row["symbol"] == symbol}
        assert ended == {4 * (row["event_ns"] // 4) + 4 for row in trades if row["event_ns"] < 20}


def test_longer_bars_have_the_trades_of_the_shorter_ones(tmp_path: Path) -> None:
    market = Market(tmp_path, graph=BARS)
    live(market, range(1, 21))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    rows = rows_of(market)
    longer = rows["longer", 0]
    assert longer
    for bar in longer:
        own = [
            row
            for row in rows["grid", 0]
            if row["symbol"] == bar["symbol"] and bar["start_ns"] <= row["start_ns"] < bar["end_ns"]
        ]
        assert (bar["count"], bar["volume"]) == tuple(
            sum(row[name] for row in own) for name in ("count", "volume")
        )
        assert (bar["close"], bar["left_offset"]) == (own[-1]["close"], own[-1]["left_offset"])
        assert (bar["high"], bar["most"]) == tuple(max(row[name] for row in own) for name in ("high", "vwap"))


def test_trades_are_given_bars_that_ended_before(tmp_path: Path) -> None:
    market = Market(tmp_path, graph=BARS)
    live(market, range(1, 21))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    rows = rows_of(market)
    looked_up = [row for row in rows["seen", 0] if row["signal_event_ns"] is not None]
    assert looked_up
    assert all(row["signal_event_ns"] < row["event_ns"] <= row["signal_event_ns"] + 8 for row in looked_up)


def test_open_bars_are_read_from_outside(tmp_path: Path) -> None:
    market = Market(tmp_path, graph={"ticks": BARS["ticks"]}, worker={"state_interval_ms": 1})
    live(market, range(1, 21))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    rows = rows_of(market)
    opened = {row["symbol"]: row for row in open_bars(market.pipeline, "ticks").to_pylist()}
    assert opened
    for symbol in "ABCDEF":
        taken = sum(row["count"] for row in rows["ticks", 0] if row["symbol"] == symbol)
        trades = [row["quote_bid"] for row in rows["aligned", 0] if row["symbol"] == symbol]
        left = [price for price in trades if price][taken:]
        assert (symbol in opened) == bool(left)
        if left:
            bar = opened[symbol]
            assert (bar["count"], bar["close"], bar["volume"]) == (len(left), left[-1], sum(left))


@each_death(LOSSES)
def test_a_worker_that_dies_goes_on_with_every_bit(
    tmp_path: Path, point: str, guarantee: str, lose: Callable[[Market], None]
) -> None:
    market = require_death_changes_nothing(tmp_path, BARS, point, guarantee, lose)
    assert audit(market.pipeline).violations == []


def test_state_behind_the_commit_is_brought_up_to_it(tmp_path: Path) -> None:
    require_state_behind_is_brought_up(tmp_path, BARS)


def test_bars_that_lost_all_are_made_anew_from_aligned_rows_and_streams(tmp_path: Path) -> None:
    require_lost_nodes_are_made_anew(tmp_path, BARS)


def test_bars_are_the_same_over_partitions_that_move(tmp_path: Path) -> None:
    require_moved_tasks_go_on(tmp_path, BARS)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"kind": "bars", "from": "aligned"}, "needs every"),
        (
            {
                "kind": "bars",
                "from": "aligned",
                "every": {"calendar": "day"},
                "close_at_session_end": False,
            },
            "a day that is the session ends with it",
        ),
        ({"kind": "bars", "from": "aligned", "every": {}}, "none is given"),
        ({"kind": "bars", "from": "aligned", "every": {"trades": 2, "volume": 1}}, "2 of them are given"),
        (
            {"kind": "bars", "from": "aligned", "every": {"trades": 2}, "remainder": "carry"},
            "remainder is of",
        ),
        ({"kind": "bars", "from": "aligned", "every": {"trades": 2}, "empty": True}, "empty is of time bars"),
        ({"kind": "bars", "from": "aligned", "every": {"time_ns": 5}, "empty": True}, "a second long"),
        ({"kind": "bars", "from": "aligned", "every": {"trades": 2}, "origin": "utc"}, "origin is of"),
        ({"kind": "bars", "from": "aligned", "every": {"time_ns": 2}, "timezone": "UTC"}, "timezone is of"),
        (
            {"kind": "bars", "from": "aligned", "every": {"trades": 2}, "right": ["quote"]},
            "is a key of a join",
        ),
        ({"from": "aligned", "features": {"x": "1"}, "every": {"trades": 2}}, "is a key of bars"),
    ],
)
def test_bars_that_cannot_be_are_refused_with_their_key(node: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings.model_validate({"graph": {"bars": node}})
