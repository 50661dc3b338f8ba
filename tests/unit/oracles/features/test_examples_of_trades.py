"""The reference gives the handbook's worked examples of sections 2 to 3.2, to the digits written there."""

import math
from typing import Any

import pytest

from tests.oracles.features.handbook import (
    F2,
    F3,
    F4,
    MS_NS,
    SECOND_NS,
    as_written,
    column_of,
    rows_of,
    scaled,
    values,
    written,
)
from tests.oracles.features.rows import Rows

TRADE = ("price", "size", "d")


def last(*arguments: str, digits: int = 10, unit: float = 1.0, of: Rows = F2, **settings: Any) -> str:
    """The last row's value as it is written."""
    return as_written(scaled(values(of, *arguments, **settings)[-1:], unit), digits)[0]


def test_the_tick_rule() -> None:
    assert values(F2, "tick_rule", "price") == [0, 1, 1, -1, -1, 1, -1, 1]


@pytest.mark.parametrize("function", ["lee_ready", "emo", "clnv", "direction"])
def test_rules_of_trade_and_quote(function: str) -> None:
    assert values(F2, function, "price", "bid", "ask") == [0, 1, 1, -1, -1, 1, -1, 1]


def test_the_venue_s_flag_comes_before_the_rule() -> None:
    rows = column_of(F2, maker=[None, True, False, True, None, True, False, None])
    assert values(rows, "direction", "price", "bid", "ask", "maker") == [0, -1, 1, -1, -1, -1, 1, 1]


def test_returns_of_trades() -> None:
    text = "null 1.9998 0 -.99985 0 2.99925 -.9996501 2.998651"
    assert as_written(values(F2, "trade_return", "price"), 7) == written(text, 7)


def test_vwap_of_a_session() -> None:
    text = "100 100.006667 100.013333 100.012 100.011667 100.02 100.020556 100.0245"
    assert as_written(values(F2, "vwap", "price", "size", price_scale=100), 9) == written(text, 9)


def test_twap() -> None:
    assert last("twap", "price", ns=5900 * MS_NS) == "10002.18644"
    assert last("twap", "price", ns=5900 * MS_NS, price_scale=100, digits=12) == "100.021864407"


def test_ewma_volatility() -> None:
    text = "null 1.9998 1.9388781 1.8956991 1.8379485 1.9274599 1.8847158 1.9694006"
    assert as_written(scaled(values(F2, "ewma_volatility", "price"), 1e4), 8) == written(text, 8)


def test_ewma_variance_rate() -> None:
    assert last("ewma_variance_rate", "price", half_life_ns=2 * SECOND_NS, unit=1e9) == "4.181575008e-08"


def test_realised_variance() -> None:
    assert last("realised_variance", "price", unit=1e8) == "23.98560801"
    assert last("realised_variance", "price", ns=3 * SECOND_NS, unit=1e8) == "18.98670779"


def test_bipower_variation() -> None:
    assert last("bipower_variation", "price", unit=1e8) == "9.418184251"
    assert last("bipower_variation", "price", finite_sample=True, unit=1e8) == "10.98788163"


def test_two_scale_variance() -> None:
    assert last("two_scale_variance", "price", K=2, adjust=False, unit=1e8) == "1.214706531"
    assert last("two_scale_variance", "price", K=2, unit=1e8) == "2.125736429"
    # As the session, which has these eight trades.
    assert last("two_scale_variance", "price", K=2, unit=1e8, rows=8) == "2.125736429"
    assert last("two_scale_variance", "price", K=2, unit=1e8, ns=10 * SECOND_NS) == "2.125736429"
    assert values(F2, "two_scale_variance", "price", K=2, rows=4)[-1] is None


QUOTE = ("bid", "ask", "bid_size", "ask_size")


def test_order_flow_imbalance() -> None:
    assert values(F3, "ofi", *QUOTE) == [None, 7, 2, -1, 6, 5, 5]
    assert values(F3, "ofi", *QUOTE, rows=7, min_count=1)[-1] == 24
    assert last("ofi", *QUOTE, of=F3, ns=10 * SECOND_NS, normalise=True) == "7.304347826"


def test_order_flow_imbalance_of_levels() -> None:
    levels = rows_of(
        [0, 1],
        bid_1=[10000, 9999],
        bid_2=[9999, 9998],
        ask_1=[10002, 10001],
        ask_2=[10003, 10002],
        bid_size_1=[5, 7],
        bid_size_2=[7, 2],
        ask_size_1=[3, 1],
        ask_size_2=[4, 3],
    )
    results = [values(levels, "ofi_levels", *levels.columns, output=f"e{level}") for level in (1, 2)]
    assert results == [[None, -6], [None, -10]]
    assert values(levels, "ofi_levels", *levels.columns, integrated=True) == [None, -8.0]
    weighted = values(levels, "ofi_levels", *levels.columns, output="integrated", w=(3, 1))
    assert weighted == [None, (3 * -6 + 1 * -10) / 4]


def test_the_share_that_was_bought_by_a_t_distribution() -> None:
    z = 0.9 / math.sqrt(2.772 / 4)  # of the changes .4 -.9 -.8 .6 .9, by hand
    for df, share in (
        (1, 0.5 + math.atan(z) / math.pi),
        (2, 0.5 + z / (2 * math.sqrt(2 + z * z))),
        (4, 0.5 + 0.75 * z / math.sqrt(4 + z * z) * (1 - z * z / (3 * (4 + z * z)))),
    ):
        assert values(F4, "bvc", "close", rows=5, dist="t", df=df)[-1] == pytest.approx(share, rel=1e-12)
    # And of 0.25 degrees of freedom by Simpson's rule over the density.
    scale = math.exp(math.lgamma(0.625) - math.lgamma(0.125)) / math.sqrt(0.25 * math.pi)
    density = [scale * (1 + 4 * (z * n / 2_000) ** 2) ** -0.625 for n in range(2_001)]
    area = z / 6_000 * (density[0] + 4 * sum(density[1::2]) + 2 * sum(density[2:-1:2]) + density[-1])
    assert values(F4, "bvc", "close", rows=5, dist="t")[-1] == pytest.approx(0.5 + area, rel=1e-12)


def test_trade_imbalance() -> None:
    assert values(F2, "trade_imbalance", "size", "d", ns=10 * SECOND_NS)[-1] == 0.2


def test_kyle_s_lambda() -> None:
    text = "null .9995052 -.9965549 .2308333 .2238593 .3512489 .3817408 .4292006"
    assert as_written(values(F2, "kyle_rls", *TRADE, min_count=1), 7) == written(text, 7)
    assert last("kyle_window", *TRADE, ns=10 * SECOND_NS) == "0.4257425743"
    assert last("kyle_window", *TRADE, ns=10 * SECOND_NS, output="t") == "2.495953599"


def test_roll_s_spread() -> None:
    assert last("roll_spread", "price", min_count=1, output="c") == "-1.6"
    assert last("roll_spread", "price", min_count=1) == "2.529822128"
    assert values(F4, "roll_spread", "close", min_count=1)[-1] == 0


OHLC = ("open", "high", "low", "close")


@pytest.mark.parametrize(
    ("function", "columns", "rows", "text"),
    [
        ("parkinson", ("high", "low"), 6, "7.389004329e-03"),
        ("garman_klass", OHLC, 6, "7.638760449e-03"),
        ("rogers_satchell", OHLC, 6, "7.381621594e-03"),
        ("yang_zhang", OHLC, 5, "6.931789578e-03"),
        ("bvc", ("close",), 5, ".8601792330"),
        ("amihud", ("close", "volume"), 5, "56.24125336e-9"),
        ("hasbrouck", ("close", "volume"), 5, "19.73698734e-6"),
        ("corwin_schultz", ("high", "low", "close"), 5, ".003144230391"),
    ],
)
def test_estimators_over_bars(function: str, columns: tuple[str, ...], rows: int, text: str) -> None:
    assert [last(function, *columns, of=F4, rows=rows)] == written(text)


def test_vpin() -> None:
    assert values(F2, "vpin", "size", "d", V=5, n=4) == [None] * 7 + [0.5]
    shares = rows_of(F2.time_ns, size=F2.columns["size"], share=[0.5, 1, 1, 0, 0, 1, 0, 1])
    assert values(shares, "vpin", "size", "share", V=5, n=4, of="share") == [None] * 7 + [0.5]
