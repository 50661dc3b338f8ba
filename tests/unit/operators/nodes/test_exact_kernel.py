"""Exact sums: whatever was added and taken away, in any order, they are the true sum rounded once."""

import math
import os
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.nodes import exact_kernel as exact

SUBNORMALS = st.integers(-(2**53), 2**53).map(lambda k: math.ldexp(k, -1074))
FLOATS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**6), 10**6).map(lambda ticks: ticks / 100),
    st.builds(math.ldexp, st.sampled_from([1.0, -1.0, 1 + 2**-52, 0.1]), st.integers(-1074, 1023)),
    SUBNORMALS,
    st.sampled_from([0.0, -0.0, 5e-324, 2.0**-1022, 1.7976931348623157e308, -1.7976931348623157e308]),
)
COUNTS = st.one_of(st.integers(1, 100), st.integers(1, 2**31 - 1), st.sampled_from([2, 3, 2**14 + 1]))
SMALLEST_EXACT = Fraction(2) ** -968  # of a product whose error is a float too


class Sum:
    """An exact sum in words of its own."""

    def __init__(self) -> None:
        self.words = np.zeros(3 + exact.SIZE, np.int64)
        self.floats = self.words.view(np.float64)

    def add(self, value: float, sign: int = 1) -> None:
        with np.errstate(all="ignore"):
            exact.add(self.words, 3, np.array([value]).view(np.int64)[0], sign)

    def add_product(self, x: float, y: float, sign: int = 1) -> bool:
        with np.errstate(all="ignore"):
            return bool(exact.add_product(self.words, self.floats, 3, np.float64(x), np.float64(y), sign))

    def rounded(self) -> tuple[float, float]:
        with np.errstate(all="ignore"):
            total, rest = exact.rounded(self.words, 3)
        return float(total), float(rest)

    def nearest(self) -> float:
        with np.errstate(all="ignore"):
            return float(exact.nearest(self.words, 3))

    def mean(self, count: int) -> float:
        with np.errstate(all="ignore"):
            return float(exact.mean(self.words, 3, count))


def nearest(value: Fraction) -> float:
    """The nearest float, of two the even one; infinite where it is too large."""
    try:
        return value.numerator / value.denominator
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def summed(values: list[float]) -> Sum:
    total = Sum()
    for value in values:
        total.add(value)
    return total


@given(st.lists(FLOATS, max_size=40))
def test_a_sum_is_the_true_one_rounded_and_its_rest_what_that_leaves(values: list[float]) -> None:
    truth = sum(map(Fraction, values), Fraction())
    total, rest = summed(values).rounded()
    assert total == summed(values).nearest() == nearest(truth)
    if math.isfinite(total):
        assert rest == nearest(truth - Fraction(total))


@given(st.lists(FLOATS, max_size=30), st.lists(FLOATS, max_size=30), st.randoms(use_true_random=False))
def test_what_was_taken_away_again_leaves_nothing_behind(
    kept: list[float], gone: list[float], order: random.Random
) -> None:
    total = Sum()
    entering = [(value, True) for value in kept] + [(value, False) for value in gone]
    order.shuffle(entering)
    for number, (value, _) in enumerate(entering):
        total.add(value)
        if number % 3 == 0:
            total.rounded()  # tidies the digits, and nothing else
    for value, stays in reversed(entering):
        if not stays:
            total.add(value, -1)
    assert total.rounded() == summed(kept).rounded()


@given(st.lists(FLOATS, min_size=1, max_size=30), COUNTS)
def test_a_mean_is_the_true_one_rounded_once(values: list[float], count: int) -> None:
    truth = sum(map(Fraction, values), Fraction())
    if math.isfinite(nearest(truth)):
        assert summed(values).mean(count) == nearest(truth / count)


@given(st.integers(0, 2**52 - 2), st.integers(1, 2**20), st.sampled_from([-1, 0, 1]))
def test_a_mean_below_the_normal_numbers_is_rounded_once_too(whole: int, half: int, beside: int) -> None:
    count = 2 * half + (beside == 0)
    units = whole * count + half + beside  # of 5e-324: the quotient is next to the middle of two, or there
    total = summed([math.ldexp(units % 2**52, -1074), math.ldexp(units >> 52, -1022)])
    assert total.mean(count) == nearest(Fraction(units, count) * Fraction(2) ** -1074)


@given(st.lists(st.tuples(FLOATS, FLOATS), max_size=20))
def test_products_are_added_exactly_where_their_error_is_a_float(pairs: list[tuple[float, float]]) -> None:
    total, truth, lost = Sum(), Fraction(), Fraction()
    for x, y in pairs:
        product = Fraction(x) * Fraction(y)
        if total.add_product(x, y):
            truth += product
            lost += Fraction(2) ** -1021 if 0 < abs(product) < SMALLEST_EXACT else 0
        else:
            largest = max(abs(product), abs(Fraction(x)), abs(Fraction(y)))
            assert largest > Fraction(2) ** 990
    value = total.rounded()[0]
    if math.isfinite(value):
        assert abs(Fraction(value) - truth) <= lost + abs(Fraction(nearest(truth)) - truth)


@given(st.lists(st.tuples(FLOATS, FLOATS), max_size=20))
def test_products_that_are_taken_away_leave_nothing_behind(pairs: list[tuple[float, float]]) -> None:
    total = Sum()
    taken = [pair for pair in pairs if total.add_product(*pair)]
    for x, y in taken:
        assert total.add_product(x, y, -1)
    assert total.rounded() == (0.0, 0.0)


@given(st.lists(FLOATS, max_size=20))
def test_a_cleared_sum_is_that_of_nothing(values: list[float]) -> None:
    total = summed(values)
    exact.clear(total.words, 3)
    total.words[3 + exact.SCRATCH] = 0
    assert not total.words[3 + exact.DIGITS :].any()
    assert total.words[3 + exact.HIGHEST] == 0
    assert total.rounded() == (0.0, 0.0)
    total.add(0.1)
    assert total.rounded() == (0.1, 0.0)


def test_the_words_in_front_of_a_sum_are_not_its_own() -> None:
    total = Sum()
    total.words[:3] = 7
    total.add(1e308)
    total.add(5e-324, -1)
    total.rounded()
    total.mean(3)
    assert total.words[:3].tolist() == [7, 7, 7]


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="too slow as plain Python")
def test_a_million_small_values_behind_an_outlier_that_leaves_are_not_lost() -> None:
    total = Sum()
    values = [0.1 * (k % 7) - 0.2 for k in range(1_000_000)]
    total.add(1e300)
    for value in values:
        total.add(value)
    total.add(1e300, -1)
    assert total.rounded()[0] == math.fsum(values)
