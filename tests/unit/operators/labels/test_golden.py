"""The worked examples of the handbook's labels, L1 to L5 and L8."""

from typing import Any

import pytest

from operators.labels.settings import Bins, FixedHorizon, Label, Meta, Sign, TrendScan, TripleBarrier
from tests.oracles.features.handbook import F2, F4, MS_NS, SECOND_NS
from tests.oracles.labels import Row, Status, trend_slowly
from tests.property.label_cases import feed

PRICES = [price / 100 for price in F2.columns["price"] if price is not None]
TRADES = [Row(ns, "A", ns, price, scale=1.0, side=1.0) for ns, price in zip(F2.time_ns, PRICES, strict=True)]
BARRIERS: dict[str, Any] = {
    "price": "price",
    "scale": 100,
    "sigma": "sigma",
    "up": 0.0003,
    "down": 0.0002,
    "horizon_ns": 3 * SECOND_NS,
    "across_sessions": True,
}


def labels(label: Label, rows: list[Row], complete_ns: int, column: str = "label") -> list[Any]:
    """One column of the labels that come out."""
    return [row[column] for row in feed(label, rows, [], complete_ns).rows]


def test_the_triple_barrier_of_trades() -> None:
    label = TripleBarrier(**BARRIERS)
    end_ns = F2.time_ns[-1]
    assert labels(label, TRADES, end_ns) == [1, 0, 0, 0, 0]  # the sixth is open
    assert labels(label, TRADES, end_ns, "barrier") == ["up", *["time"] * 4]
    assert labels(label, TRADES, end_ns, "ret") == pytest.approx(
        [0.0004, 0.00019996, 0.00019996, 0.00019998, 0.00019998], abs=5e-9
    )
    assert labels(label, TRADES, end_ns, "exit_price") == [100.04, 100.04, 100.04, 100.03, 100.03]
    assert labels(label, TRADES, end_ns, "label_end_ns") == [
        3100 * MS_NS,
        3500 * MS_NS,
        3500 * MS_NS,
        4200 * MS_NS,
        5000 * MS_NS,
    ]
    assert labels(TripleBarrier(**BARRIERS, vertical="sign"), TRADES, end_ns) == [1, 1, 1, 1, 1]


def test_the_pause_of_the_handbook_is_inside_the_labels_that_reach_it() -> None:
    """D11: paused at 2.0 s, trading again at 5.0 s; the fifth label ends in the nanosecond of its end."""
    statuses = [Status(2 * SECOND_NS, "A", 0, True), Status(5 * SECOND_NS, "A", 0, False)]
    for horizon_s, wanted in ((1, [False, False, False, True, True, True, True]), (3, [True] * 7)):
        label = TripleBarrier(**BARRIERS | {"horizon_ns": horizon_s * SECOND_NS}, halted="halted")
        rows = feed(label, TRADES, [], 10 * SECOND_NS, statuses, 10 * SECOND_NS).rows
        assert [row["halted_inside"] for row in rows] == [*wanted, False]


def test_the_meta_label_of_trades() -> None:
    assert labels(Meta(**BARRIERS), TRADES, F2.time_ns[-1])[1] == 1
    assert labels(Meta(**BARRIERS, need_barrier=True), TRADES, F2.time_ns[-1]) == [1, 0, 0, 0, 0]


def test_a_bar_that_reaches_both_barriers_stops() -> None:
    names = ("open", "high", "low", "close")
    bars = [
        Row(ns, "A", ns, close, (opened, high, low), 1.0)
        for ns, opened, high, low, close in zip(
            F4.time_ns, *(F4.columns[name] for name in names), strict=True
        )
    ]
    wide = BARRIERS | {"scale": 10, "up": 0.003, "down": 0.005, "ohlc": ("open", "high", "low")}
    row = feed(TripleBarrier(**wide), bars[2:], [], 10 * SECOND_NS).rows[0]
    assert (row["label"], row["exit_price"], row["barrier"]) == (-1, 99.5, "down")
    assert row["ret"] == pytest.approx(-0.005)
    none = feed(TripleBarrier(**wide, both="null"), bars[2:], [], 10 * SECOND_NS).rows[0]
    assert (none["label"], none["label_reason"]) == (None, "both")


def test_the_return_over_a_fixed_horizon() -> None:
    label = FixedHorizon(price="price", horizon_ns=2 * SECOND_NS, returns="log", across_sessions=True)
    in_bps = [1e4 * value for value in labels(label, TRADES, F2.time_ns[-1] + 1)]
    wanted = [0.99995, -0.99985, -0.99985, 2.99925, 1.9996, -0.99965, 2.998651]  # the eighth is open
    assert in_bps == pytest.approx(wanted, rel=2e-6)


def test_the_sign_beyond_a_band_of_noise() -> None:
    label = Sign(price="price", horizon_ns=2 * SECOND_NS, returns="log", band=1e-4, across_sessions=True)
    assert labels(label, TRADES, F2.time_ns[-1] + 1) == [0, 0, 0, 1, 1, 0, 1]


def test_the_bins_between_edges() -> None:
    common: dict[str, Any] = {"price": "price", "horizon_ns": 2 * SECOND_NS, "across_sessions": True}
    end_ns = F2.time_ns[-1] + 1
    fixed = Bins(**common, returns="log", edges=(-1e-4, 1e-4))
    assert labels(fixed, TRADES, end_ns) == [1, 1, 1, 2, 2, 1, 2]
    wide = [row._replace(scale=2.0) for row in TRADES]
    by_sigma = Bins(**common, returns="log", edges=(-0.5e-4, 0.5e-4), sigma="sigma")
    assert labels(by_sigma, wide, end_ns) == [1, 1, 1, 2, 2, 1, 2]
    none = feed(by_sigma, [row._replace(scale=0.0) for row in TRADES], [], end_ns).rows
    assert [row["label_reason"] for row in none] == ["null_in"] * 8


def test_the_bins_between_quantiles_of_labels_that_had_ended() -> None:
    common: dict[str, Any] = {"price": "price", "horizon_ns": 2 * SECOND_NS, "across_sessions": True}
    median = Bins(**common, returns="log", trailing=3, q_ppm=(500_000,))
    end_ns = F2.time_ns[-1] + 1
    # Only at 3.1 s had three labels ended; at 4.0 s those of the third to the fifth trade are the last three.
    assert labels(median, TRADES, end_ns) == [None] * 5 + [1, 1]
    assert labels(median, TRADES, end_ns, "label_reason") == ["warming"] * 5 + [None] * 2
    assert labels(median, TRADES, end_ns, "ret")[0] == pytest.approx(0.99995e-4)
    high = Bins(**common, returns="log", trailing=3, min_count=1, q_ppm=(250_000, 1_000_000 - 1))
    assert labels(high, TRADES, end_ns) == [None] * 5 + [1, 1]


def test_the_scan_of_trends() -> None:
    wanted = [1.7320508, 0.62554324, 0.33333333, 1.6053601, 2.1213203]
    assert [trend_slowly(PRICES[:rows]) for rows in range(3, 8)] == pytest.approx(wanted, rel=1e-7)
    label = TrendScan(price="price", shortest=3, longest=7, max_ns=9 * SECOND_NS, across_sessions=True)
    row = feed(label, TRADES, [], F2.time_ns[-1]).rows[0]
    assert (row["label"], row["t_value"]) == (1, pytest.approx(2.1213203))
    assert row["label_end_ns"] == row["info_end_ns"] == F2.time_ns[6]
