"""Numbers as digits: sums of products and what is made of them are those of fractions."""

import struct
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.formula.history import PRODUCT_DIGITS
from operators.nodes import digit_kernel as digit
from operators.nodes import double_kernel as double
from operators.nodes import exact_kernel as exact
from operators.nodes.digit_kernel import PRODUCT_UNIT, ROOM
from operators.nodes.exact_kernel import UNIT

WILD = st.floats(allow_nan=False, allow_infinity=False)
NEAR = st.integers(9_990, 10_010).map(lambda cents: cents / 100)
VALUES = st.one_of(WILD, NEAR, st.sampled_from([0.0, 1.0, 1e300, -1e300, 1e-300, 5e-324]))
LISTS = st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=12)
Number = tuple[int, int, int]


@pytest.fixture(autouse=True)
def _products_wrap() -> object:
    """Where kernels run as plain Python, numpy warns of a product whose sign is none."""
    with np.errstate(all="ignore"):
        yield


def bits(value: float) -> Any:  # an int64, as a word of a state
    return np.int64(struct.unpack("<q", struct.pack("<d", value))[0])


def sums(pairs: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States of the sums of x, of y, and of their products."""
    x, y = np.zeros(exact.SIZE, np.int64), np.zeros(exact.SIZE, np.int64)
    products = np.zeros(2 + PRODUCT_DIGITS, np.int64)
    for a, b in pairs:
        exact.add(x, 0, bits(a), 1)
        exact.add(y, 0, bits(b), 1)
        digit.add_product(products, 0, bits(a), bits(b), 1)
    return x, y, products


def value_of(digits: np.ndarray, base: int, number: Number, unit: int) -> Fraction:
    sign, low, high = number
    places = range(low, high + 1) if sign else ()
    assert all(0 <= digits[base + k] < 2**32 for k in places)
    units = [Fraction(2) ** int(32 * k - unit) for k in places]
    values = [int(digits[base + k]) for k in places]
    return int(sign) * sum((value * u for value, u in zip(values, units, strict=True)), Fraction())


@given(LISTS)
def test_a_sum_of_products_has_every_digit(pairs: list[tuple[float, float]]) -> None:
    _, _, products = sums(pairs)
    digits = np.zeros(ROOM, np.int64)
    number = digit.take(products, 0, digits, 0)
    assert value_of(digits, 0, number, PRODUCT_UNIT) == sum(Fraction(a) * Fraction(b) for a, b in pairs)


@given(LISTS, st.randoms())
def test_what_came_and_went_leaves_nothing(pairs: list[tuple[float, float]], order: object) -> None:
    x, _, products = sums(pairs)
    order.shuffle(pairs)  # type: ignore[attr-defined]
    for a, b in pairs:
        exact.add(x, 0, bits(a), -1)
        digit.add_product(products, 0, bits(a), bits(b), -1)
    assert not x[exact.DIGITS :].any()
    assert digit.take(products, 0, np.zeros(ROOM, np.int64), 0)[0] == 0
    assert not products[2:].any()


@given(LISTS)
def test_differences_and_distances_have_every_digit(pairs: list[tuple[float, float]]) -> None:
    n, digits = len(pairs), np.zeros(5 * ROOM, np.int64)
    x, y, products = sums(pairs)
    of_x, of_y = digit.take(x, 0, digits, 0), digit.take(y, 0, digits, ROOM)
    of_xy = digit.take(products, 0, digits, 2 * ROOM)
    sx, sy = (sum((Fraction(pair[k]) for pair in pairs), Fraction()) for k in (0, 1))
    sxy = sum((Fraction(a) * Fraction(b) for a, b in pairs), Fraction())
    centred = digit.centred(digits, n, 2 * ROOM, of_xy, 0, of_x, ROOM, of_y, 3 * ROOM)
    assert value_of(digits, 3 * ROOM, centred, PRODUCT_UNIT) == n * sxy - sx * sy
    crossed = digit.crossed(digits, 2 * ROOM, of_xy, 0, of_x, 0, of_x, 2 * ROOM, of_xy, 4 * ROOM)
    assert crossed[0] == 0
    crossed = digit.crossed(digits, 2 * ROOM, of_xy, 0, of_x, ROOM, of_y, 2 * ROOM, of_xy, 4 * ROOM)
    assert value_of(digits, 4 * ROOM, crossed, UNIT + PRODUCT_UNIT) == sxy * (sx - sy)
    away = digit.distance(digits, n, bits(pairs[0][0]), 0, of_x, 4 * ROOM)
    assert value_of(digits, 4 * ROOM, away, UNIT) == n * Fraction(pairs[0][0]) - sx


@given(LISTS)
def test_the_leading_digits_make_the_nearest_float(pairs: list[tuple[float, float]]) -> None:
    _, _, products = sums(pairs)
    digits = np.zeros(ROOM, np.int64)
    sign, low, high = digit.take(products, 0, digits, 0)
    if sign:
        exactly = abs(value_of(digits, 0, (sign, low, high), PRODUCT_UNIT))
        first, second = digit.leading(digits, 0, low, high)
        unit = Fraction(2) ** int(digit.power(high, PRODUCT_UNIT))
        pair = (Fraction(float(first)) + Fraction(float(second))) * unit
        assert abs(pair - exactly) <= exactly / 2**74


@given(st.floats(1.0, 2.0**64), st.floats(1.0, 2.0**64), st.floats(-1.0, 1.0), st.floats(-1.0, 1.0))
def test_pairs_of_floats_keep_a_hundred_bits(x: float, y: float, a: float, b: float) -> None:
    x, x_low = double.settled(x, a * x * 2.0**-54)
    y, y_low = double.settled(y, b * y * 2.0**-54)
    first, second = Fraction(float(x)) + Fraction(float(x_low)), Fraction(float(y)) + Fraction(float(y_low))
    for result, exactly in (
        (double.multiplied(x, x_low, y, y_low), first * second),
        (double.divided(x, x_low, y, y_low), first / second),
    ):
        assert abs(sum(map(Fraction, map(float, result))) - exactly) <= exactly / 2**96
    root = Fraction(float(double.root(x, x_low)))
    assert abs(root * root - first) <= first * Fraction(1, 2**52) * Fraction(101, 100)


@pytest.mark.parametrize(
    ("x", "power", "value"),
    [
        (1.5, 3, 12.0),
        (2.0**40, -1114, 5e-324),
        (3.0, -1076, 5e-324),
        (1.0, -4_000, 0.0),
        (1.0, 4_000, float("inf")),
        (0.0, 4_000, 0.0),
        (2.0**63, 960, 2.0**1023),
        (2.0**64, 960, float("inf")),
    ],
)
def test_a_power_of_two_rounds_once(x: float, power: int, value: float) -> None:
    assert double.scaled(x, power) == value
