"""A sum in a few words is the whole exact sum, whatever values are in it, and in whatever order."""

import math
from collections.abc import Sequence
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.formula.history import EXACT_WORDS, NEAR_SQUARES_WORDS, NEAR_WORDS
from operators.nodes import digit_kernel as digit
from operators.nodes import exact_kernel as exact
from operators.nodes import near_kernel as near
from operators.nodes import round_kernel as rounding
from operators.nodes import wide_kernel as wide
from operators.nodes.near_kernel import FAR_ONE, NEAR_ONE, STATES, WHOLE, WHOLE_SQUARES
from operators.nodes.row_kernel import WARMING

# A sum of values, and beside it one that has their squares, too.
PLAIN = STATES
SQUARED = STATES + NEAR_WORDS
FAR_PLAIN = STATES + 16
FAR = FAR_PLAIN + EXACT_WORDS
WORDS = FAR + EXACT_WORDS + 200

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
            near.add(self.words, PLAIN, FAR_PLAIN, bits, sign)
            near.add_with_square(self.words, SQUARED, FAR, bits, sign)
            exact.add(self.whole, 0, bits, sign)
            digit.add_product(self.whole, WORDS, bits, bits, sign)

    def is_far(self) -> bool:
        """Whether anything of the sums is far."""
        return bool(self.words[SQUARED] >= FAR_ONE)

    def rounded(self, o: int, far: int, n: int) -> tuple[float, float, float]:
        """The sum at o rounded, what is left of it, and the sum by n, as of a row of a tile."""
        rounding.note_sum(self.words, 1, o, far, n)
        rounding.note_nothing(self.words, 0, WARMING)
        with np.errstate(all="ignore"):  # in plain Python numpy warns
            rounding.round_sums(self.words, 2)
        total, rest, mean = self.floats[[rounding.TOTAL + 1, rounding.REST + 1, rounding.MEAN + 1]].tolist()
        return total, rest, mean

    def require_equal(self) -> None:
        """Whatever is asked of both has the same bits."""
        for o, far in ((PLAIN, FAR_PLAIN), (SQUARED, FAR)):
            total, rest, mean = self.rounded(o, far, 7)
            assert near.nearest(self.words, o, far) == total
            near.whole(self.words, o, far)
            assert number(self.words, WHOLE) == number(self.whole, 0)
            assert total == exact.nearest(self.whole.copy(), 0)
            assert (total, rest) == exact.rounded(self.whole, 0)
            if math.isfinite(total):
                assert mean == exact.quotient(self.whole, 0, 7, total, rest)
        near.whole_squares(self.words, SQUARED, FAR)
        assert number(self.words, WHOLE_SQUARES) == number(self.whole, WORDS)


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
    assert near.nearest(sums.words, PLAIN, FAR_PLAIN) == math.fsum(second)
    sums.enter(second, -1)
    assert all(sums.words[[PLAIN, SQUARED]] < NEAR_ONE), "nothing is counted of what came and went"
    sums.words[[PLAIN, SQUARED]] = 0
    assert not sums.words[PLAIN:FAR_PLAIN].any()
    assert near.nearest(sums.words, PLAIN, FAR_PLAIN) == 0.0


@given(VALUES)
def test_what_is_cleared_is_the_sum_of_nothing(values: list[float]) -> None:
    sums = Sums()
    sums.enter(values, 1)
    near.clear(sums.words, PLAIN, FAR_PLAIN, NEAR_WORDS)
    near.clear(sums.words, SQUARED, FAR, NEAR_SQUARES_WORDS)
    assert not sums.words[PLAIN:FAR_PLAIN].any()
    near.whole(sums.words, SQUARED, FAR)
    near.whole_squares(sums.words, SQUARED, FAR)
    assert (number(sums.words, WHOLE), number(sums.words, WHOLE_SQUARES)) == (0, 0)


def highest(value: int) -> tuple[int, int]:
    """The 127 highest bits of a number above 0, and what is to be added to their power."""
    zeros = 127 - value.bit_length()
    return (value << zeros if zeros >= 0 else value >> -zeros), -zeros


@given(st.lists(CLOSE, min_size=1, max_size=20), CLOSE | WIDE)
def test_differences_of_sums_have_every_bit(values: list[float], x: float) -> None:
    sums, n = Sums(), len(values)
    sums.enter(values, 1)
    assert not sums.is_far()
    exactly = [Fraction(value) for value in values]
    spread = (n * sum(one * one for one in exactly) - sum(exactly) ** 2) * 2**digit.PRODUCT_UNIT
    low, high, w0, w1, w2, w3 = sums.words[SQUARED + near.LOW : SQUARED + NEAR_SQUARES_WORDS].tolist()
    base = int(sums.words[SQUARED]) & near.BASE
    upper, lower, unit = near.spread(n, low, high, w0, w1, w2, w3, base)
    assert spread.denominator == 1
    if spread == 0:
        assert upper == 0
    else:
        bits, power = highest(int(spread))
        assert (wide.integer((lower, upper)), unit - 64 + digit.PRODUCT_UNIT) == (bits, power)
    (of_x,) = np.array([x]).view(np.int64)
    if near.is_near(base, of_x):
        away, rest, away_unit = near.distance(n, low, high, base, of_x)
        exact_away = n * Fraction(x) - sum(exactly)
        assert Fraction(wide.integer((rest, away))) * Fraction(2) ** (int(away_unit) - 64) == exact_away
    else:
        assert not any(values) or not 200.0 < abs(x) < 1e15


def test_values_like_one_another_are_near_and_others_are_far() -> None:
    sums = Sums()
    sums.enter([100.01, 99.99, 1e-5, 1e8, 2e-8], 1)
    assert not sums.is_far()
    sums.require_equal()
    sums.enter([1e-30, 1e30], 1)
    assert sums.is_far()
    sums.require_equal()


@pytest.mark.parametrize("values", [[0.1] * 50, [1e300, 1e-300, 1.5], [-3.5, 2.25, 1e9]])
def test_a_sum_that_is_almost_full_goes_far_and_is_the_same_number(
    values: list[float],
) -> None:
    sums = Sums()
    sums.enter(values, 1)
    near.count_one(sums.words, PLAIN)
    near.settle(sums.words, PLAIN, FAR_PLAIN)
    assert near.nearest(sums.words, PLAIN, FAR_PLAIN) == math.fsum(values)
    full = 2.0**50  # of the first value: 2**26 of them would be too much
    sums = Sums()
    sums.enter([1.0], 1)
    sums.words[PLAIN + near.HIGH] = near.ALMOST_FULL
    before = wide.integer(tuple(sums.words[[PLAIN + near.LOW, PLAIN + near.HIGH]].tolist()))
    near.settle(sums.words, PLAIN, FAR_PLAIN)
    assert sums.words[PLAIN] >= FAR_ONE
    assert not sums.words[PLAIN + 1 : PLAIN + 3].any()
    near.add(sums.words, PLAIN, FAR_PLAIN, int(np.float64(full).view(np.int64)), 1)
    expected = Fraction(before) * Fraction(2) ** (1023 - exact.UNIT) + Fraction(full)
    assert Fraction(near.nearest(sums.words, PLAIN, FAR_PLAIN)) == Fraction(float(expected))


@given(st.lists(st.integers(0, 60), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_what_came_near_goes_as_it_came(exponents: list[int], random: Random) -> None:
    sums, values = Sums(), [math.ldexp(1.0 + random.random(), -one) for one in exponents]
    sums.enter(values, 1)
    sums.require_equal()
    apart = max(exponents) - min(exponents)
    assert sums.is_far() or apart < near.SPAN
    assert not sums.is_far() or apart >= near.SPAN - near.MARGIN
    random.shuffle(values)
    while values:
        sums.enter([values.pop()], -1)
        sums.require_equal()
    assert not sums.words[[PLAIN + near.LOW, PLAIN + near.HIGH]].any()


def test_a_sum_without_room_keeps_its_base_and_a_smaller_value_goes_far() -> None:
    sums = Sums()
    sums.enter([1.0], 1)
    sums.words[PLAIN + near.HIGH] = near.ALMOST_FULL - 1
    near.add(sums.words, PLAIN, FAR_PLAIN, int(np.float64(2.0**-40).view(np.int64)), 1)
    assert sums.words[PLAIN] >= FAR_ONE
    assert sums.words[PLAIN + near.HIGH] == near.ALMOST_FULL - 1
