"""What rounding leaves of a product is exact, by one instruction or by many."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from operators.nodes.double_kernel import product
from operators.nodes.fused_kernel import left_of

NUMBERS = st.floats(-1e130, 1e130).map(lambda x: 0.0 if abs(x) < 1e-120 else x)


@given(NUMBERS, NUMBERS)
def test_a_product_and_what_is_left_of_it_are_the_true_product(x: float, y: float) -> None:
    value, left = product(x, y)
    assert Fraction(value) + Fraction(left) == Fraction(x) * Fraction(y)
    assert left == left_of(x, y, x * y)
