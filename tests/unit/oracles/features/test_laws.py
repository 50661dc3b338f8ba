"""Laws of the reference: which rows a row sees, and where a recursion starts."""

import math
from fractions import Fraction
from typing import Any

import pytest

from tests.oracles.features.exact import root
from tests.oracles.features.handbook import F1, rows_of, values
from tests.oracles.features.rows import Column, Rows
from tests.oracles.features.table import ORACLES

SESSIONS = Rows(
    time_ns=list(range(8)),
    group=[0] * 8,
    session=[None, 1, 1, None, None, 2, 2, None],
    columns={"x": [1, 2, 3, 4, 5, 6, 7, 8]},
)
WALK: Column = [math.sin(step * step) for step in range(200)]


def test_groups_do_not_see_each_other_and_a_row_without_one_sees_nobody() -> None:
    rows = Rows([0, 1, 2, 3, 4], [1, 2, 1, None, 2], [0] * 5, {"x": [1, 10, 2, 100, 20]})
    assert values(rows, "rolling_sum", "x", rows=9, min_count=1) == [1, 10, 3, None, 30]
    assert values(rows, "lag", "x") == [None, None, 1, None, 10]
    assert values(rows, "ewma", "x", alpha=1.0) == [1, 10, 2, None, 20]


def test_a_window_begins_anew_with_a_session_only_where_it_is_reset() -> None:
    assert values(SESSIONS, "rolling_sum", "x", rows=3, min_count=1) == [1, 3, 6, 9, 12, 15, 18, 21]
    reset = values(SESSIONS, "rolling_sum", "x", rows=3, min_count=1, reset="session")
    assert reset == [None, 2, 5, None, None, 6, 13, None]
    regular = values(SESSIONS, "rolling_sum", "x", rows=3, min_count=1, hours="regular")
    assert regular == [None, 2, 5, None, None, 11, 16, None]


def test_a_lag_across_a_break_is_null_where_it_is_reset() -> None:
    assert values(SESSIONS, "lag", "x", reset="session") == [None, None, 2, None, None, None, 6, None]
    by_time = values(SESSIONS, "lag", "x", ns=1, reset="session")
    assert by_time == [None, None, 2, None, None, None, 6, None]


def test_memory_is_of_the_session_or_of_all_rows() -> None:
    settings: dict[str, Any] = {"alpha": 0.5, "adjust": False}
    session = values(SESSIONS, "ewma", "x", **settings)
    assert session == [None, 2, 2.5, None, None, 6, 6.5, None]
    genesis = values(SESSIONS, "ewma", "x", memory="genesis", **settings)
    assert genesis[:3] == [1, 1.5, 2.25]
    assert None not in genesis


@pytest.mark.parametrize(
    ("function", "settings", "context"),
    [
        ("ewma", {"alpha": 0.8}, 2 * 16),  # ln 1e-9 / ln 0.2 = 12.9
        ("ewma", {"alpha": 0.8, "adjust": False}, 2 * 16),
        ("ewm_std", {"alpha": 0.8}, 2 * 16),
        ("ewma_time", {"half_life_ns": 1}, 2 * 32),  # 29.9 half-lives
        ("decay_accum", {"half_life_ns": 1}, 2 * 32),
    ],
)
def test_anchored_memory_needs_two_blocks_and_is_near_all_of_it(
    function: str, settings: dict[str, Any], context: int
) -> None:
    rows = rows_of(list(range(200)), x=WALK)
    anchored = values(rows, function, "x", memory="anchored", **settings)
    later = 3 * context // 2  # at an anchor, as blocks of rows are counted from the first one
    cut = rows_of(list(range(later, 200)), x=WALK[later:])
    assert values(cut, function, "x", memory="anchored", **settings)[context:] == anchored[later + context :]
    genesis = values(rows, function, "x", memory="genesis", **settings)
    assert genesis != anchored
    for a, b in zip(genesis, anchored, strict=True):
        assert (a is None) == (b is None)
        assert a is None or a == pytest.approx(b, abs=1e-8)


def test_anchors_of_time_are_at_multiples_of_a_power_of_two() -> None:
    ones: Column = [1.0] * 8
    rows = rows_of([-33, -1, 0, 31, 32, 63, 64, 200], x=ones)
    counts = values(rows, "decay_accum", "x", memory="anchored", half_life_ns=1, eps=2.0**-32)
    seen = [(-33,), (-33, -1), (-1, 0), (-1, 0, 31), (0, 31, 32), (0, 31, 32, 63), (32, 63, 64), (200,)]
    expected = [sum(0.5 ** (times[-1] - then) for then in times) for times in seen]
    assert counts == pytest.approx(expected, rel=1e-12)


def test_a_time_window_is_open_on_the_left_and_no_row_sees_a_later_one_of_its_time() -> None:
    rows = rows_of([0, 1, 1, 1, 3], x=[1, 2, 3, 4, 5])
    assert values(rows, "rolling_sum", "x", ns=2) == [1, 3, 6, 10, 5]
    assert values(rows, "rolling_sum", "x", ns=3) == [1, 3, 6, 10, 14]


def test_a_time_window_holds_the_newest_rows() -> None:
    rows = rows_of([0, 0, 0, 0], x=[1, 2, 3, 4])
    assert values(rows, "rolling_sum", "x", ns=1, max_rows=2) == [1, 3, 5, 7]
    assert values(rows, "lag", "x", ns=1) == [None] * 4
    rows = rows_of([0, 5, 5, 5], x=[1, 2, 3, 4])
    assert values(rows, "lag", "x", ns=1, max_rows=2) == [None, 1, 1, None]


def test_fewer_values_than_the_least_give_null_whatever_the_minimum() -> None:
    rows = rows_of([0, 1, 2, 3], x=[1.0, 2.0, None, 4.0])
    assert values(rows, "rolling_var", "x", rows=4, min_count=1)[:2] == [None, 0.5]
    assert values(rows, "rolling_var", "x", rows=4, min_count=1, ddof=0)[0] == 0
    assert values(rows, "rolling_sum", "x", rows=2) == [None, 3.0, None, None]
    assert values(rows, "rolling_sum", "x", rows=2, min_count=1) == [1.0, 3.0, 2.0, 4.0]


def test_without_variance_there_is_no_shape_and_no_slope() -> None:
    rows = rows_of(list(range(6)), x=[0.1] * 6, y=[1, 2, 3, 4, 5, 6])
    for function in ("rolling_skew", "rolling_kurt", "rolling_zscore"):
        assert values(rows, function, "x", rows=6)[-1] is None
    for function in ("rolling_corr", "rolling_beta"):
        assert values(rows, function, "y", "x", rows=6)[-1] is None
    assert values(rows, "rolling_var", "x", rows=6)[-1] == 0.0
    assert values(rows, "rolling_std", "x", rows=6)[-1] == 0.0


def test_a_score_may_leave_its_own_row_out() -> None:
    rows = rows_of([0, 1, 2, 3], x=[1.0, 3.0, 5.0, 6.0])
    scores = values(rows, "rolling_zscore", "x", rows=2, exclude_current=True)
    assert scores[:2] == [None, None]
    assert scores[2:] == pytest.approx([3 / math.sqrt(2), 2 / math.sqrt(2)], rel=1e-15)
    by_time = values(rows, "rolling_zscore", "x", ns=3, exclude_current=True)
    assert by_time[2:] == pytest.approx(scores[2:], rel=1e-15)


def test_filling_forward_ends_at_its_limits_and_not_before() -> None:
    rows = rows_of([0, 10, 20, 30], x=[7, None, None, None])
    assert values(rows, "fill_forward", "x", limit_rows=2) == [7, 7, 7, None]
    assert values(rows, "fill_forward", "x", limit_ns=10) == [7, 7, None, None]


def test_integers_stay_exact_and_do_not_wrap() -> None:
    large = 2**62
    rows = rows_of([0, 1, 2], x=[large, large - 1, -large])
    assert values(rows, "rolling_sum", "x", rows=3, min_count=1) == [large, 2**63 - 1, large - 1]
    assert values(rows, "diff", "x") == [None, -1, -(2**63) + 1]
    rows = rows_of([0, 1], x=[large, large])
    assert values(rows, "cumsum", "x") == [large, None]


def test_a_null_row_repeats_what_a_recursion_has() -> None:
    rows = rows_of([0, 1, 9], x=[2.0, 4.0, None])
    for function in ("ewma_time", "decay_accum"):
        column = values(rows, function, "x", half_life_ns=2)
        assert column[2] == column[1]
    before = values(rows, "decay_accum", "x", half_life_ns=1, at="before")
    assert before == [0.0, 1.0, 5.0]


def test_one_value_has_no_deviation_however_long_ago_it_was() -> None:
    column: Column = [1.0, *[None] * 50, 2.0]
    rows = rows_of(list(range(52)), x=column)
    for alpha in (0.1, 0.3):
        deviations = values(rows, "ewm_std", "x", alpha=alpha)
        assert deviations[:-1] == [None] * 51
        assert deviations[-1] is not None


def test_returns_do_not_cross_a_session() -> None:
    rows = rows_of(list(range(6)), breaks=(3,), price=[100.0, 101.0, 102.0, 50.0, 51.0, 52.0])
    variances = values(rows, "realised_variance", "price")
    first, second = math.log(51 / 50), math.log(52 / 51)
    assert variances[3] is None
    assert variances[5] == first * first + second * second
    assert values(rows, "trade_return", "price")[3] is None
    assert values(rows, "tick_rule", "price") == [0, 1, 1, 0, 1, 1]


def test_a_missing_side_of_a_quote_has_no_size() -> None:
    quotes = rows_of([0, 1, 2], bid=[10, None, 10], ask=[11, 11, 11], qb=[5, None, 6], qa=[3, 3, 4])
    assert values(quotes, "ofi", "bid", "ask", "qb", "qa") == [None, -5, 5]


def test_the_guard_keeps_the_covariance_from_growing() -> None:
    price: Column = [100 + (step % 2) for step in range(4000)]
    rows = rows_of(list(range(4000)), price=price, size=[1] * 4000, d=[1] * 4000)
    slopes = values(rows, "kyle_rls", "price", "size", "d", lambda_f=0.9)
    assert None not in slopes[10:]


def test_a_large_trade_fills_several_buckets_and_they_outlive_the_session() -> None:
    rows = rows_of([0, 1, 2], breaks=(1,), size=[3, 9, 2], d=[-1, 1, 0])
    shares = values(rows, "vpin", "size", "d", V=4, n=3)
    assert shares == [None, (2 + 4 + 4) / 12, (2 + 4 + 4) / 12]
    assert values(rows, "vpin", "size", "d", V=4, n=1) == [None, 1.0, 1.0]


def test_a_price_stands_until_the_next_later_one_even_over_nulls() -> None:
    rows = rows_of([0, 10, 10, 20, 30], price=[1, 5, 2, None, 9])
    assert values(rows, "twap", "price", ns=20) == [None, 1.0, 1.0, 1.5, 2.0]
    assert values(rows, "twap", "price", ns=100, max_rows=2) == [None, 1.0, None, 2.0, None]


def test_a_root_is_rounded_once() -> None:
    assert root(Fraction(0)) == 0.0
    assert root(Fraction(2)) == math.sqrt(2)
    assert root(Fraction(9, 10**400)) == 3e-200
    assert root(Fraction(10) ** 600) == 1e300
    just_over_half = Fraction(2**53 + 1, 2**53) + Fraction(1, 2**120)
    assert root(just_over_half * just_over_half) == 1.0 + 2.0**-52


OPERANDS = {
    **dict.fromkeys(
        ["rolling_cov", "rolling_corr", "rolling_beta", "vwap", "trade_imbalance", "vpin"], "y x"
    ),
    **dict.fromkeys(["lee_ready", "emo", "clnv", "direction", "kyle_rls", "kyle_window"], "x y e"),
    **dict.fromkeys(["parkinson", "amihud", "hasbrouck"], "y x"),
    **dict.fromkeys(["garman_klass", "rogers_satchell"], "x y x y"),
    "yang_zhang": "y y y y",
    **dict.fromkeys(["hedge_ratio", "cusum"], "y x"),
    **dict.fromkeys(["hawkes", "hawkes_two_sided"], "e"),
    "corwin_schultz": "y x x",
    **dict.fromkeys(["ofi", "ofi_levels"], "x y e y"),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "rolling_quantile": {"rows": 4, "q_ppm": 250_000},
    "ewma": {"alpha": 0.5},
    "ewm_std": {"alpha": 0.5},
    "twap": {"ns": 10**10},
    "two_scale_variance": {"K": 2},
    "vpin": {"V": 2, "n": 1},
    "hedge_ratio": {"warm": 2, "output": "z"},
    "hawkes": {"mu": 0.5, "alpha": 0.8, "beta": 1.0},
    "hawkes_two_sided": {"mu": (0.5, 0.5), "a": ((0.6, 0.2), (0.2, 0.6)), "beta": 1.0},
    "local_level": {"q": 1.0, "r": 4.0},
    "hmm": {"pi": (0.5, 0.5), "A": ((0.9, 0.1), (0.2, 0.8)), "mean": (0.0, 3.0), "sd": (1.0, 2.0)},
    "cusum": {},
    "trend_scan": {"min": 3, "max": 4},
    **{name: {"half_life_ns": 10**9} for name in ("ewma_time", "decay_accum", "ewma_variance_rate")},
    **{name: {"rows": 1} for name in ("lag", "diff", "pct_change", "log_return", "trade_return")},
}


@pytest.mark.parametrize("function", ORACLES)
def test_a_row_s_value_does_not_depend_on_what_comes_later(function: str) -> None:
    names = OPERANDS.get(function, "x").split()
    settings = {"min_count": 1, **SETTINGS.get(function, {"rows": 4})}
    whole = values(F1, function, *names, **settings)
    assert any(value is not None for value in whole)
    for length in range(1, len(whole)):
        columns = {name: column[:length] for name, column in F1.columns.items()}
        head = Rows(F1.time_ns[:length], F1.group[:length], F1.session[:length], columns)
        assert values(head, function, *names, **settings) == whole[:length]
