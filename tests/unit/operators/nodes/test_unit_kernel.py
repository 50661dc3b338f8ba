"""Columns in units of 1/scale: a value is the whole number of units that the handbook's K1 says, or null."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.formula.features import read_features, root_source
from operators.nodes.decimals import TOO_LARGE, digits_of
from operators.nodes.formula import FormulaNode
from operators.sealed import Sealed
from schemas.reasons import REASONS

SCALES = st.sampled_from([1, 2, 3, 100, 10_000, 10**8, 10**12])
UNITS = st.integers(-(2**41), 2**41) | st.integers(-5, 5)


def units_of(column: pa.Array, scale: int, formula: str = "x") -> tuple[list[int | None], list[str]]:
    """The values of a formula over a scaled column `x`, and the reason of each."""
    rows = pa.record_batch({"x": column})
    source = root_source("aligned", rows.schema, scales={"x": scale})
    features, errors = read_features("tick", source, {"units": formula})
    assert features is not None, errors
    sealed = FormulaNode("tick", features).take((Sealed(rows, 0),))
    assert sealed.rows is not None
    codes = sealed.reasons.get("units", np.zeros(len(column), np.uint8))
    return sealed.rows.column("units").to_pylist(), [REASONS[code] for code in codes]


def float_slowly(value: float | None, scale: int) -> int | None:
    """K1: the nearest whole number of units, half to even, where the product lies within 1e-6 of it."""
    if value is None or value != value or abs(value) == float("inf"):
        return None
    product = value * float(scale)
    if abs(product) > 1e15:
        return None
    near = round(Fraction(product))
    return near if abs(Fraction(product) - near) <= Fraction(1e-6) and abs(near) < 2**40 else None


@st.composite
def floats(draw: st.DrawFn) -> tuple[int, list[float | None]]:
    scale = draw(SCALES)
    on_grid = st.builds(lambda units, off: units / scale + off, UNITS, st.sampled_from([0.0, 1e-7, 0.3]))
    halves = st.builds(lambda units: (2 * units + 1) / (2 * scale), UNITS)
    return scale, draw(st.lists(on_grid | halves | st.none() | st.floats(), min_size=1, max_size=20))


@given(floats())
def test_a_float_is_a_whole_number_of_units_or_null(drawn: tuple[int, list[float | None]]) -> None:
    scale, values = drawn
    made, reasons = units_of(pa.array(values, pa.float64()), scale)
    assert made == [float_slowly(value, scale) for value in values]
    for value, units, reason in zip(values, made, reasons, strict=True):
        entered = value is not None and np.isfinite(value)
        assert reason == ("ok" if units is not None else "domain" if entered else "null_in")


@given(
    SCALES,
    st.integers(0, 12),
    st.lists(st.none() | st.integers(-(10**20), 10**20) | UNITS, min_size=1, max_size=20),
)
def test_a_decimal_is_exact_or_null(scale: int, point: int, digits: list[int | None]) -> None:
    values = [None if one is None else Decimal(one).scaleb(-point) for one in digits]
    column = pa.array(values, pa.decimal128(38, point))
    made, reasons = units_of(column, scale)
    for one, units, reason in zip(digits, made, reasons, strict=True):
        exact = None if one is None else Fraction(one * scale, 10**point)
        fits = one is not None and exact is not None and abs(one) < 2**63
        right = fits and exact is not None and exact.denominator == 1 and -(2**63) <= exact < 2**63
        assert units == (int(exact) if right and exact is not None else None)
        assert reason == ("ok" if right else "null_in" if one is None else "domain")


@pytest.mark.parametrize("offset", [0, 1, 3])
def test_digits_are_read_wherever_a_column_begins(offset: int) -> None:
    column = pa.array(
        [Decimal("1.25"), None, Decimal("-0.01"), Decimal(10) ** 20, Decimal(5)], pa.decimal128(38, 2)
    )
    part = column.slice(offset)
    wanted = [125, None, -1, TOO_LARGE, 500][offset:]
    there = [one is not None for one in wanted]
    assert digits_of(part)[there].tolist() == [one for one in wanted if one is not None]


def test_what_is_computed_in_units_stays_whole_and_a_ratio_is_a_float() -> None:
    prices = pa.array([100.02, 100.005, 100.04, 1e300, None])
    assert units_of(prices, 100, "x * 2") == (
        [20004, None, 20008, None, None],
        ["ok", "domain", "ok", "domain", "null_in"],
    )
    assert units_of(prices, 100, "x / 100")[0] == [100.02, None, 100.04, None, None]


def test_a_narrow_float_is_read_as_the_double_that_it_is() -> None:
    assert units_of(pa.array([0.5, 100.02], pa.float32()), 100)[0] == [50, None]
