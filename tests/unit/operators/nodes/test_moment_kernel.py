"""Second moments over windows: exact where all digits cancel, and each sum made once."""

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.formula.features import read_features, root_source
from operators.nodes.formula import FormulaNode
from operators.nodes.program import lay_out, make_program
from operators.rows.groups import Groups
from operators.sealed import RowKeys, Sealed

SECOND_NS = 1_000_000_000


def values(formulas: dict[str, str], **columns: list[Any]) -> dict[str, list[Any]]:
    """Features of rows of one symbol, a second apart."""
    rows = pa.record_batch({name: pa.array(cells) for name, cells in columns.items()})
    features, errors = read_features("tick", root_source("aligned", rows.schema), formulas)
    assert features is not None, errors
    groups = Groups()
    code = groups.codes(pa.array([b"A"], pa.binary()), np.zeros(rows.num_rows, np.int32))
    time_ns = np.arange(rows.num_rows, dtype=np.int64) * SECOND_NS
    keys = RowKeys(code, time_ns, np.zeros(rows.num_rows, np.int64))
    out = FormulaNode("tick", features, groups).take((Sealed(rows, 0, keys=keys),)).rows
    assert out is not None
    return {name: out[name].to_pylist() for name in formulas}


def last(formula: str, **columns: list[Any]) -> Any:
    return values({"y": formula}, **columns)["y"][-1]


@pytest.mark.parametrize("value", [0.1, 100.01, 1e300, 1e-300, -1e15 / 3, 5e-324, 0.0])
def test_a_constant_window_varies_by_nothing_at_all(value: float) -> None:
    results = values(
        {
            "var": "rolling_var(x, rows=7, min_count=2)",
            "std": "rolling_std(x, '7s', ddof=0)",
            "zscore": "rolling_zscore(x, '7s')",
            "cov": "rolling_cov(x, z, '7s')",
            "corr": "rolling_corr(x, z, '7s')",
            "beta": "rolling_beta(z, x, '7s')",
            "skew": "rolling_skew(x, '7s')",
        },
        x=[value] * 12,
        z=[float(n) for n in range(12)],
    )
    assert results["var"] == [None] + [0.0] * 11
    assert results["std"] == [0.0] * 12
    assert results["cov"] == [None] + [0.0] * 11
    assert {value for name in ("zscore", "corr", "beta", "skew") for value in results[name]} == {None}


def test_far_from_zero_no_digit_of_a_variance_is_lost() -> None:
    x = [1e9 + k * 2.0**-20 for k in (0, 1, 2, 3)]
    assert last("rolling_var(x, rows=4)", x=x) == 5 / 3 * 2.0**-40
    assert last("rolling_cov(x, x, rows=4)", x=x) == 5 / 3 * 2.0**-40
    assert last("rolling_corr(x, z, rows=4)", x=x, z=[-value for value in x]) == -1.0


def test_a_huge_value_that_left_the_window_leaves_nothing_behind() -> None:
    x = [1e308, -1e308, 0.25, 0.5, 0.75]
    assert values({"y": "rolling_var(x, rows=3)"}, x=x)["y"] == [None, None, None, None, 0.0625]
    assert last("rolling_corr(x, z, rows=3)", x=x, z=[1e308, 1.0, 1e-300, 2e-300, 3e-300]) == 1.0


ALIKE = st.floats(90.0, 110.0) | st.floats(-1e-3, 1e-3) | st.sampled_from([0.0, 100.25, -100.25])


@given(st.lists(ALIKE, min_size=9, max_size=25), st.sampled_from([1e200, 1e-200]))
def test_sums_that_are_far_give_the_bits_of_those_that_are_near(x: list[float], outlier: float) -> None:
    """Where a sum begins is said by its first value: behind an outlier all others are far (`near_kernel`)."""
    formulas = {
        "var": "rolling_var(x, rows=7)",
        "std": "rolling_std(x, '5s', ddof=0)",
        "score": "rolling_zscore(x, rows=7)",
        "total": "rolling_sum(x, rows=7)",
        "mean": "rolling_mean(x, rows=7)",
    }
    near = values(formulas, x=x)
    far = values(formulas, x=[outlier, *x])
    for name, cells in near.items():
        assert cells[7:] == far[name][8:], name


def test_what_does_not_need_the_variance_itself_is_there_where_that_overflows() -> None:
    x, z = [1e300, 2e300, 3e300], [1e-300, 2e-300, 3e-300]
    assert last("rolling_var(x, rows=3)", x=x) is None
    assert last("rolling_zscore(x, rows=3)", x=x) == 1.0
    assert last("rolling_beta(x, z, rows=3)", x=x, z=z) is None
    assert last("rolling_beta(z, x, rows=3)", x=x, z=z) == 0.0
    assert last("rolling_corr(z, x, rows=3)", x=x, z=z) == 1.0
    assert last("vwap(x, z, rows=3, min_count=1)", x=x, z=x) == pytest.approx(14 / 6 * 1e300, rel=1e-15)


def test_a_line_through_all_points_has_the_intercept_and_no_t_value() -> None:
    x = [0.1, 0.2, 0.7, 1e6]
    z = [value * 4 for value in x]
    assert last("rolling_beta(z, x, rows=4, output='intercept')", x=x, z=z) == 0.0
    size, d = [1.0, 2.0, 3.0, 4.0], [1, 1, 1, 1]
    price = [0.0, 2.0, 5.0, 9.0]
    assert last("kyle_window(p, q, d, rows=4, min_count=3)", p=price, q=size, d=d) == 1.0
    assert last("kyle_window(p, q, d, rows=4, min_count=3, output='t')", p=price, q=size, d=d) is None


@pytest.mark.parametrize("window", ["rows=3", "'3s'"])
def test_the_row_at_hand_may_stand_outside_its_window(window: str) -> None:
    x, near = [1.0, 2.0, 3.0, None, 10.0], pytest.approx
    results = values({"y": f"rolling_zscore(x, {window}, min_count=2, exclude_current=True)"}, x=x)["y"]
    if window == "rows=3":  # the rows before: 2, 3, null
        assert results == [None, None, near(1.5 / math.sqrt(0.5)), None, near(7.5 / math.sqrt(0.5))]
    else:  # of the last 3 s: 3, null
        assert results == [None, None, near(1.5 / math.sqrt(0.5)), None, None]


def test_a_sum_of_integers_is_an_integer_or_null() -> None:
    x = [2**63 - 1, 1, -1, -(2**63), 5]
    results = values({"y": "rolling_sum(x, rows=3, min_count=1)", "f": "rolling_sum(1.0 * x, rows=2)"}, x=x)
    assert results["y"] == [2**63 - 1, None, 2**63 - 1, -(2**63), 4 - 2**63]
    assert results["f"][-1] == float(5 - 2**63)


@given(st.lists(st.one_of(st.none(), st.floats(-1e3, 1e3)), min_size=1, max_size=20))
def test_mean_sum_and_moments_over_one_window_are_made_by_one_line(x: list[float | None]) -> None:
    formulas = {
        "mean": "rolling_mean(x, rows=5, min_count=2)",
        "std": "rolling_std(x, rows=5, min_count=2)",
        "z": "rolling_zscore(x, rows=5, min_count=2)",
        "sum": "rolling_sum(x, rows=5, min_count=2)",
        "var0": "rolling_var(x, rows=5, min_count=2, ddof=0)",
    }
    columns: dict[str, list[Any]] = {"x": [*x, 0.0]}
    together = values(formulas, **columns)
    sums = values({name: formulas[name] for name in ("mean", "sum")}, **columns)
    for name, formula in formulas.items():
        alone = values({name: formula}, **columns)[name]
        assert alone == together[name] == sums.get(name, alone), name


def test_the_sum_is_made_by_the_line_that_squares() -> None:
    source = root_source("aligned", pa.schema({"x": pa.float64()}))
    for first, second in (("mean", "std"), ("std", "mean")):
        formulas = {name: f"rolling_{name}(x, rows=5)" for name in (first, second)}
        features, _ = read_features("tick", source, formulas)
        assert features is not None
        layout = lay_out(features.steps, features.roots, features.columns)
        segments = make_program(features.steps, features.roots, layout).segments
        places = [int(line[1]) for segment in segments for line in segment.lines]
        functions = [features.steps[place].function for place in places if place >= 0]
        assert functions.count("window_squares") == 1
        assert "window_sum" not in functions
