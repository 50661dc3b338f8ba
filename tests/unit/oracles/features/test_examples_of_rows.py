"""The reference gives the handbook's worked examples of sections 1.2 to 1.4, to the digits written there."""

from typing import Any

import pytest

from tests.oracles.features.handbook import F1, SECOND_NS, as_written, rows_of, values, written

WITH_BREAK = rows_of(F1.time_ns, breaks=(5,), **F1.columns)
LAST_ROWS = {"rows": 4, "min_count": 2}
SECONDS = {"ns": 3 * SECOND_NS}
LAST_PAIRS = {"rows": 4, "min_count": 3}


def assert_example(function: str, columns: str, settings: dict[str, Any], text: str) -> None:
    assert as_written(values(F1, function, *columns.split(), **settings)) == written(text)


@pytest.mark.parametrize(
    ("function", "settings", "text"),
    [
        ("lag", {}, "null 1 2 null 4 8 3 3"),
        ("lag", {"ns": SECOND_NS}, "null 1 1 null 4 4 3 3"),
        ("diff", {}, "null 1 null null 4 -5 0 2"),
        ("pct_change", {}, "null 1 null null 1 -0.625 0 0.6666666667"),
        ("log_return", {}, "null .6931471806 null null .6931471806 -.980829253 0 .5108256238"),
        (
            "log_return",
            {"ns": 2 * SECOND_NS},
            "null null null 1.386294361 .6931471806 -.2876820725 -.2876820725 .5108256238",
        ),
        ("fill_forward", {}, "1 2 2 4 8 3 3 5"),
    ],
)
def test_lags(function: str, settings: dict[str, Any], text: str) -> None:
    assert_example(function, "x", settings, text)


def test_a_sum_begins_anew_with_its_session() -> None:
    assert values(WITH_BREAK, "cumsum", "x") == [1, 3, None, 7, 15, 3, 6, 11]


def test_time_and_rows_since_an_event() -> None:
    seconds = [None, 0, 0, 1, 0, 0, 1, 5]
    assert values(F1, "time_since", "e") == [None if s is None else s * SECOND_NS for s in seconds]
    assert values(F1, "count_since", "e") == [None, 0, 1, 2, 0, 1, 2, 3]


@pytest.mark.parametrize(
    ("function", "settings", "text"),
    [
        ("rolling_count", LAST_ROWS, "1 2 2 3 3 3 4 4"),
        ("rolling_count", SECONDS, "1 2 2 3 2 3 3 1"),
        ("rolling_sum", LAST_ROWS, "null 3 3 7 14 15 18 19"),
        ("rolling_sum", SECONDS, "1 3 3 7 12 15 14 5"),
        ("rolling_mean", LAST_ROWS, "null 1.5 1.5 2.333333333 4.666666667 5 4.5 4.75"),
        ("rolling_mean", SECONDS, "1 1.5 1.5 2.333333333 6 5 4.666666667 5"),
        ("rolling_var", LAST_ROWS, "null .5 .5 2.333333333 9.333333333 7 5.666666667 5.583333333"),
        (
            "rolling_std",
            LAST_ROWS,
            "null .7071067812 .7071067812 1.527525232 3.055050463 2.645751311 2.380476143 2.362907813",
        ),
        ("rolling_min", LAST_ROWS, "null 1 1 1 2 3 3 3"),
        ("rolling_max", LAST_ROWS, "null 2 2 4 8 8 8 8"),
        ("rolling_median", LAST_ROWS, "null 1.5 1.5 2 4 4 3.5 4"),
        ("rolling_quantile", {**LAST_ROWS, "q_ppm": 250_000}, "null 1.25 1.25 1.5 3 3.5 3 3"),
        # The handbook's line has a value in row 1, as with a minimum of one.
        ("rolling_rank", {"rows": 4, "min_count": 1}, "1 2 null 3 3 1 1.5 3"),
        (
            "rolling_skew",
            {"rows": 5, "min_count": 3},
            "null null null .9352195296 1.137624367 1.443058836 1.779179401 1.446728467",
        ),
        (
            "rolling_kurt",
            {"rows": 6, "min_count": 4},
            "null null null null .7576559546 2.021017076 3.32231405 1.930773391",
        ),
        (
            "rolling_zscore",
            LAST_ROWS,
            "null .7071067812 null 1.091089451 1.091089451 -.755928946 -.6301260378 .1058018424",
        ),
        ("rolling_argmax", {"rows": 4, "min_count": 1}, "0 0 1 0 0 1 2 3"),
    ],
)
def test_windows(function: str, settings: dict[str, Any], text: str) -> None:
    assert_example(function, "x", settings, text)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("rolling_cov", "2.666666667 8.666666667 1 .8333333333 .3333333333"),
        ("rolling_corr", ".8386278694 .9285714286 .3273268354 .3656362121 .09975093361"),
        ("rolling_beta", "1.142857143 .9285714286 .1428571429 .1470588235 .05970149254"),
    ],
)
def test_windows_of_two(function: str, text: str) -> None:
    assert_example(function, "y x", LAST_PAIRS, f"null null null {text}")


@pytest.mark.parametrize(
    ("function", "settings", "text"),
    [
        (
            "ewma",
            {"alpha": 0.5},
            "1 1.666666667 1.666666667 3.363636364 6.111111111 4.423728814 3.682926829 4.354581673",
        ),
        ("ewma", {"alpha": 0.5, "adjust": False}, "1 1.5 1.5 2.75 5.375 4.1875 3.59375 4.296875"),
        (
            "ewma_time",
            {"half_life_ns": 2 * SECOND_NS},
            "1 1.585786438 1.585786438 2.679622759 5.208856039 4.497137643 4.028483022 4.56862401",
        ),
        (
            "decay_accum",
            {"half_life_ns": 2 * SECOND_NS},
            "1 2.707106781 2.707106781 5.914213562 10.95710678 13.95710678 12.86916485 8.217291213",
        ),
        (
            "ewm_std",
            {"alpha": 0.5},
            "null .7071067812 .7071067812 1.629062968 3.194208869 2.854343979 2.128318533 1.684491297",
        ),
    ],
)
def test_exponential_weights(function: str, settings: dict[str, Any], text: str) -> None:
    assert_example(function, "x", settings, text)
