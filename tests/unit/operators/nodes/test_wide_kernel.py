"""Numbers of several words are the integers that they stand for, in instructions as in plain Python."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numba import njit

from operators.nodes import wide_kernel as wide

WORDS = st.one_of(
    st.sampled_from([0, 1, -1, -(2**63), 2**63 - 1, 2**32, -(2**32)]), st.integers(-(2**63), 2**63 - 1)
)
SIZES = st.integers(0, 2**60)
SIGNS = st.sampled_from([1, -1])
COUNTS = st.integers(1, 2**16)


def compiled(name: str) -> Any:
    """A function as a kernel has it."""
    function = getattr(wide, name)
    return njit(lambda *words: function(*words))


SHIFTED, TWO_SUM, WITH_SQUARE, SPREAD, DISTANCE, NORMAL, TOP = map(
    compiled, ["shifted", "two_sum", "with_square", "spread", "distance", "normal", "top"]
)


def signed(number: int, words: int) -> int:
    """The number that is left of one of more bits."""
    number &= (1 << 64 * words) - 1
    return number - (1 << 64 * words) if number >> (64 * words - 1) else number


@given(st.integers(0, 2**63 - 1), st.integers(0, 63))
def test_a_mantissa_is_shifted(mantissa: int, shift: int) -> None:
    low, high = SHIFTED(mantissa, shift)
    assert (low, high) == wide.shifted(mantissa, shift)
    assert wide.integer((low, high)) == mantissa << shift


@given(WORDS, WORDS, WORDS, WORDS, SIGNS)
def test_a_number_is_added_or_taken_away(low: int, high: int, x: int, x_high: int, sign: int) -> None:
    words = TWO_SUM(low, high, x, x_high, sign)
    assert words == wide.two_sum(low, high, x, x_high, sign)
    assert wide.integer(words) == signed(wide.integer((low, high)) + sign * wide.integer((x, x_high)), 2)


@given(st.tuples(WORDS, WORDS, WORDS, WORDS), WORDS, SIZES, SIGNS)
def test_a_square_is_added_or_taken_away(sum_: tuple[int, ...], x: int, x_high: int, sign: int) -> None:
    words = WITH_SQUARE(*sum_, x, x_high, sign)
    assert words == wide.with_square(*sum_, x, x_high, sign)  # type: ignore[call-arg]
    assert wide.integer(words) == signed(wide.integer(sum_) + sign * wide.integer((x, x_high)) ** 2, 4)


@given(COUNTS, WORDS, st.integers(-(2**60), 2**60), st.tuples(WORDS, WORDS, WORDS, WORDS))
def test_a_spread_is_that_of_its_sums(n: int, low: int, high: int, squares: tuple[int, ...]) -> None:
    words = SPREAD(n, low, high, *squares)
    assert words == wide.spread(n, low, high, *squares)
    assert wide.integer(words) == signed(n * wide.integer(squares) - wide.integer((low, high)) ** 2, 4)


@given(COUNTS, WORDS, WORDS, WORDS, WORDS)
def test_a_distance_is_that_of_its_sum(n: int, x: int, x_high: int, low: int, high: int) -> None:
    words = DISTANCE(n, x, x_high, low, high)
    assert words == wide.distance(n, x, x_high, low, high)
    assert wide.integer(words) == signed(n * wide.integer((x, x_high)) - wide.integer((low, high)), 2)


@given(WORDS, WORDS | st.integers(-2, 2))
def test_a_number_is_moved_up_as_far_as_its_sign_allows(low: int, high: int) -> None:
    *words, power = NORMAL(low, high)
    assert (*words, power) == wide.normal(low, high)
    moved = wide.integer(tuple(words))
    assert moved == wide.integer((low, high)) << power
    assert moved == 0 or not -(2**126) <= moved < 2**126


@given(WORDS, WORDS, WORDS)
def test_the_highest_bits_of_three_words(low: int, middle: int, high: int) -> None:
    assume(high != 0)
    upper, lower, zeros = TOP(low, middle, high)
    assert (upper, lower, zeros) == wide.top(low, middle, high)
    number = sum((word & (2**64 - 1)) << 64 * place for place, word in enumerate((low, middle, high)))
    assert wide.integer((lower, upper)) == number << zeros >> 65
    assert 2**62 <= upper < 2**63


@pytest.mark.parametrize("number", [0, 1, -1, 2**127 - 1, -(2**127)])
def test_words_are_the_number_again(number: int) -> None:
    low, high = wide.two_sum(0, 0, number & (2**64 - 1), number >> 64, 1)
    assert wide.integer((low, high)) == number
