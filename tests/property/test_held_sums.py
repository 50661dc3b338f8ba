"""Sums that three floats and digits hold are the exact ones, rounded once."""

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.bars import held_kernel as held
from operators.bars.words import HELD
from operators.nodes.exact_kernel import SIZE

HELD_AT, DIGITS_AT = 1, 1 + HELD

NUMBERS = st.one_of(
    st.floats(-1e305, 1e305),
    st.floats(0.0, 1e6),
    st.integers(-(10**7), 10**7).map(lambda cents: cents / 100),
    st.sampled_from([0.0, 5e-324, 2.0**-53, 1.0, 1e16, -1e16, 1e300, -1e300]),
)
ADDENDS = st.one_of(
    st.tuples(st.just("add"), NUMBERS, NUMBERS),
    st.tuples(st.just("product"), NUMBERS, NUMBERS),
    st.tuples(st.sampled_from(["nearest", "below", "settle"]), NUMBERS, NUMBERS),
)


def rounded(exact: Fraction) -> float:
    try:
        return float(exact)
    except OverflowError:
        return float("inf") if exact > 0 else float("-inf")


@given(st.lists(ADDENDS, max_size=40))
@settings(deadline=None)
@np.errstate(all="ignore")  # where kernels run as plain Python, numpy warns of every overflow
def test_a_sum_is_the_exact_one_rounded_once_whatever_was_asked_before(
    steps: list[tuple[str, float, float]],
) -> None:
    words = np.zeros(DIGITS_AT + SIZE, np.int64)
    floats = words.view(np.float64)
    exact = Fraction(0)
    for step, x, y in steps:
        if step == "add":
            held.add(words, floats, HELD_AT, DIGITS_AT, x)
            exact += Fraction(x)
        elif step == "product":
            if abs(x * y) > 1e-280 and held.add_product(words, floats, HELD_AT, DIGITS_AT, x, y):
                exact += Fraction(x) * Fraction(y)
        elif step == "nearest":
            assert held.nearest(words, floats, HELD_AT, DIGITS_AT) == rounded(exact)
        elif step == "settle":
            held.put_down(words, floats, HELD_AT, DIGITS_AT)
        else:
            for limit in (x, rounded(exact)):
                assert held.is_below(words, floats, HELD_AT, DIGITS_AT, limit) == (rounded(exact) < limit)
    assert held.nearest(words, floats, HELD_AT, DIGITS_AT) == rounded(exact)


def test_a_sum_of_prices_of_cents_times_lots_needs_no_digits() -> None:
    words = np.zeros(DIGITS_AT + SIZE, np.int64)
    floats = words.view(np.float64)
    random = np.random.default_rng(5)
    exact = Fraction(0)
    for cents, lots in zip(random.integers(9_000, 11_000, 500), random.integers(1, 200, 500), strict=True):
        held.add_product(words, floats, HELD_AT, DIGITS_AT, cents / 100, float(lots))
        exact += Fraction(float(cents / 100)) * int(lots)
    assert held.is_short(words, floats, HELD_AT, DIGITS_AT)
    assert held.nearest(words, floats, HELD_AT, DIGITS_AT) == float(exact)
