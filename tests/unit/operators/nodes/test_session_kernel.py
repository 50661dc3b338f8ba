"""Sums since the session or the symbol began: exact, with what is left of them and their mean."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from operators.nodes import exact_kernel as exact
from operators.nodes import places as at
from operators.nodes.row_kernel import DOMAIN, NULL_IN, OK, WARMING, Grid
from operators.nodes.session_kernel import (
    COUNT,
    SETTLE_VALUES,
    SUM,
    TAKEN,
    WEIGHTS,
    session_products,
    session_sum,
)
from tests.oracles.features.exact import rounded

X, Y, RESET, OUT, LOW, MEAN, REGISTERS = range(7)
WORDS = WEIGHTS + exact.SIZE

NUMBERS = st.floats(-1e12, 1e12).map(lambda x: 0.0 if abs(x) < 1e-120 else x) | st.sampled_from(
    [1e100, -1e100, 0.1, 1e-100]
)


def summed(
    x: list[float], y: list[float] | None = None, words: Grid | None = None, null_rows: int = 0
) -> tuple[Grid, Grid]:
    """The registers and their statuses after the rows of one session; with `y` of products.

    The first `null_rows` have no x.
    """
    rows = len(x)
    values = [X] if y is None else [X, Y]
    line = np.zeros(at.LINE, np.int64)
    line[at.OUT], line[at.STRIDE] = OUT, WORDS
    line[at.OPERANDS : at.OPERANDS + len(values) + 1] = [*values, RESET]
    line[at.PARTS_AT : at.PARTS_AT + 2] = LOW, MEAN
    floats, ints = np.zeros((REGISTERS, rows)), np.ones((REGISTERS, rows), np.int64)
    status = np.zeros((REGISTERS, rows), np.uint8)
    floats[X], floats[Y] = x, x if y is None else y
    status[X, :null_rows] = NULL_IN
    places = np.zeros((at.PLACES, rows), np.int64)
    state = np.zeros(WORDS, np.int64) if words is None else words
    places[at.ORDINAL] = np.arange(rows) + state[TAKEN]
    kernel = session_sum if y is None else session_products
    with np.errstate(all="ignore"):
        kernel(line, floats, ints, status, places, state, state.view(np.float64), rows)
    return floats, status


@given(st.lists(NUMBERS, min_size=1, max_size=8))
def test_a_sum_its_rest_and_its_mean_are_those_of_fractions(x: list[float]) -> None:
    floats, status = summed(x)
    assert (status == OK).all()
    for row in range(len(x)):
        total = sum(map(Fraction, x[: row + 1]), Fraction())
        assert floats[OUT, row] == rounded(total)
        assert floats[LOW, row] == rounded(total - Fraction(float(floats[OUT, row])))
        assert floats[MEAN, row] == rounded(total / (row + 1))


@given(st.lists(st.tuples(NUMBERS, NUMBERS.map(abs)), min_size=1, max_size=8))
def test_a_sum_of_products_is_exact_and_its_mean_weighted(pairs: list[tuple[float, float]]) -> None:
    x, y = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    floats, status = summed(x, y)
    for row in range(len(x)):
        total = sum((Fraction(a) * Fraction(b) for a, b in pairs[: row + 1]), Fraction())
        weight = sum(map(Fraction, y[: row + 1]), Fraction())
        assert floats[OUT, row] == rounded(total)
        assert floats[LOW, row] == rounded(total - Fraction(float(floats[OUT, row])))
        assert status[OUT, row] == OK
        assert status[MEAN, row] == (OK if weight else DOMAIN)
        if weight:
            mean = total / weight
            assert abs(Fraction(float(floats[MEAN, row])) - mean) <= abs(mean) * Fraction(3, 2**53)


def test_a_sum_of_nothing_is_zero_and_has_no_mean() -> None:
    for y in (None, [3.0, 3.0]):
        floats, status = summed([5.0, 5.0], y, null_rows=1)
        assert floats[[OUT, LOW], 0].tolist() == [0.0, 0.0]
        assert status[[OUT, LOW, MEAN], 0].tolist() == [OK, OK, WARMING]
        assert status[[OUT, LOW, MEAN], 1].tolist() == [OK, OK, OK]
        assert floats[MEAN, 1] == 5.0


def test_what_is_too_large_is_null_and_stays_so() -> None:
    _, status = summed([1e300, 1.0], [1e300, 1.0])
    assert status[[OUT, LOW, MEAN]].tolist() == [[DOMAIN] * 2] * 3
    _, status = summed([1.7e308, 1.7e308, -1.7e308])
    assert status[OUT].tolist() == [OK, DOMAIN, OK]


def test_digits_are_brought_in_order_before_they_overflow() -> None:
    """As if the sum had taken nearly so many values that its digits are full."""
    state = np.zeros(WORDS, np.int64)
    summed([1.0, 2.0**-40], None, state)
    digits = slice(SUM + exact.DIGITS, SUM + exact.DIGITS + 72)
    state[digits] <<= 30
    state[COUNT] = SETTLE_VALUES - 1
    floats, _ = summed([2.0**-10], None, state)
    assert floats[OUT, 0] == 2.0**30 + 2.0**-9
    assert (state[digits] >= 0).all()
    assert (state[digits] < 2**33).all()
