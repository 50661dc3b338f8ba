"""A sum in a line of memory is the whole exact sum, whatever digits its values use, and in whatever order."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.formula.history import EXACT_WORDS
from operators.nodes import digit_kernel as digit
from operators.nodes import exact_kernel as exact
from operators.nodes import near_kernel as near
from operators.nodes import spread_kernel
from operators.nodes.near_kernel import (
    FAR_ONE,
    NEAR_ONE,
    SQUARES_NEAR,
    STATES,
    SUM_NEAR,
    WHOLE,
    WHOLE_SQUARES,
)

FAR = STATES + 16
SQUARES = STATES + 8
FAR_SQUARES = FAR + EXACT_WORDS
WORDS = FAR_SQUARES + 200

CLOSE = st.floats(50.0, 200.0) | st.sampled_from([0.0, -0.0, 100.25, -100.25])
WIDE = st.floats(-1e300, 1e300)
VALUES = st.lists(CLOSE, max_size=20) | st.lists(CLOSE | WIDE, max_size=20) | st.lists(WIDE, max_size=20)


class Sums:
    """The sums of values and of their squares, near and far, and beside them whole ones."""

    def __init__(self) -> None:
        self.words = np.zeros(WORDS, np.int64)
        self.floats = self.words.view(np.float64)
        self.whole = np.zeros(2 * WORDS, np.int64)

    def enter(self, values: Sequence[float], sign: int) -> None:
        """Add values, or take them away."""
        for bits in np.array(values, np.float64).view(np.int64):
            near.add(self.words, STATES, FAR, bits, sign)
            near.add_square(self.words, SQUARES, FAR_SQUARES, bits, sign)
            exact.add(self.whole, 0, bits, sign)
            digit.add_product(self.whole, WORDS, bits, bits, sign)

    def require_equal(self) -> None:
        """Whatever is asked of both has the same bits."""
        total, rest = near.rounded(self.words, self.floats, STATES, FAR)
        assert near.nearest(self.words, STATES, FAR) == total
        near.whole(self.words, STATES, FAR, SUM_NEAR, WHOLE)
        near.whole(self.words, SQUARES, FAR_SQUARES, SQUARES_NEAR, WHOLE_SQUARES)
        assert number(self.words, WHOLE) == number(self.whole, 0)
        assert number(self.words, WHOLE_SQUARES) == number(self.whole, WORDS)
        assert total == exact.nearest(self.whole.copy(), 0)
        assert (total, rest) == exact.rounded(self.whole, self.whole.view(np.float64), 0)
        if math.isfinite(total):
            assert near.mean(self.words, STATES, FAR, 7, total, rest) == exact.quotient(
                self.whole, 0, 7, total, rest
            )


def number(words: np.ndarray, o: int) -> int:
    """A whole sum as one integer."""
    digits = words[o + exact.DIGITS : o + exact.DIGITS + 136].tolist()
    if words[o + exact.HIGHEST] == 0:
        return 0
    low, high = words[o + exact.LOWEST], words[o + exact.HIGHEST]
    return sum(digits[k] << (32 * k) for k in range(low, high + 1))


@given(VALUES, VALUES)
def test_near_and_far_are_the_whole_sum_as_values_come_and_go(
    first: list[float], second: list[float]
) -> None:
    sums = Sums()
    sums.enter(first, 1)
    sums.require_equal()
    sums.enter(second, 1)
    sums.enter(first, -1)
    sums.require_equal()
    assert near.nearest(sums.words, STATES, FAR) == math.fsum(second)
    sums.enter(second, -1)
    assert all(sums.words[[STATES, SQUARES]] < NEAR_ONE), "nothing is counted of what came and went"
    assert not sums.words[[*range(STATES + 1, SQUARES), *range(SQUARES + 1, FAR)]].any()
    assert near.nearest(sums.words, STATES, FAR) == 0.0


@given(VALUES)
def test_what_is_cleared_is_the_sum_of_nothing(values: list[float]) -> None:
    sums = Sums()
    sums.enter(values, 1)
    near.clear(sums.words, STATES, FAR, SUM_NEAR)
    near.clear(sums.words, SQUARES, FAR_SQUARES, SQUARES_NEAR)
    assert not sums.words[STATES:FAR].any()
    near.whole(sums.words, STATES, FAR, SUM_NEAR, WHOLE)
    assert number(sums.words, WHOLE) == 0


@given(st.lists(CLOSE, min_size=1, max_size=20))
def test_the_highest_digits_are_those_of_the_whole_sum(values: list[float]) -> None:
    sums = Sums()
    sums.enter(values, 1)
    for got, of, unit in (
        (near.leading_sum(sums.words, STATES, FAR), 0, exact.UNIT),
        (near.leading_squares(sums.words, SQUARES, FAR_SQUARES), WORDS, digit.PRODUCT_UNIT),
    ):
        value, rest, power = spread_kernel.leading(sums.whole, of, unit)
        assert (math.ldexp(got[0], int(got[2] - power)), math.ldexp(got[1], int(got[2] - power))) == (
            value,
            rest,
        )


def test_values_like_one_another_are_near_and_others_are_far() -> None:
    sums = Sums()
    sums.enter([100.01, 99.99, 1e-5, 2e7], 1)
    assert sums.words[STATES] < FAR_ONE
    sums.enter([1e-30, 1e30], 1)
    assert sums.words[STATES] >= FAR_ONE
    sums.require_equal()


@pytest.mark.parametrize("values", [[0.1] * 50, [1e300, 1e-300, 1.5], [-3.5, 2.25, 1e9]])
def test_digits_put_in_order_are_the_same_number(values: list[float]) -> None:
    sums = Sums()
    sums.enter(values, 1)
    near.count_one(sums.words, STATES)
    near.settle(sums.words, STATES, FAR)
    assert all(0 <= digit_ < 1 << 32 for digit_ in sums.words[STATES + 1 : STATES + SUM_NEAR].tolist())
    assert near.nearest(sums.words, STATES, FAR) == math.fsum(values)
