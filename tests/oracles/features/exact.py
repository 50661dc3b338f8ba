"""Sums and moments without any rounding but the last, and the four-lane sums of 0.6."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from tests.oracles.features.rows import Value, finite

ROOT_BITS = 110  # of a root before it is rounded to 53: what is cut off is then marked in the last one


def rounded(value: Fraction) -> float | None:
    """The nearest float64, of two the even one; null on overflow."""
    try:
        return value.numerator / value.denominator  # Python divides integers of any length with one rounding
    except OverflowError:
        return None


def root(value: Fraction) -> float | None:
    """The square root, rounded once."""
    numerator, denominator = value.numerator, value.denominator
    shift = max(0, ROOT_BITS - (numerator.bit_length() - denominator.bit_length()) // 2)
    scaled = numerator << (2 * shift)
    bits = math.isqrt(scaled // denominator)
    inexact = bits * bits * denominator != scaled
    return rounded(Fraction(bits | inexact, 1 << shift))


def signed_root(sign: Fraction, square: Fraction) -> float | None:
    """The root with the sign of another value."""
    size = root(square)
    return -size if size is not None and sign < 0 else size


def total(values: Sequence[Any]) -> Value:
    """The sum: of integers an integer, else rounded once."""
    if all(isinstance(value, int) for value in values):
        return finite(sum(values))
    return rounded(sum(map(Fraction, values), Fraction()))


class Moments(NamedTuple):
    """Of pairs (x, y): their number, means, and the sums of products of their distances to the means."""

    n: int
    mean_x: Fraction
    mean_y: Fraction
    sxx: Fraction
    sxy: Fraction
    syy: Fraction


def moments(x: Sequence[Any], y: Sequence[Any]) -> Moments:
    """Those of at least one pair, as fractions."""
    n = len(x)
    xs, ys = [Fraction(value) for value in x], [Fraction(value) for value in y]
    mean_x, mean_y = sum(xs, Fraction()) / n, sum(ys, Fraction()) / n
    return Moments(
        n,
        mean_x,
        mean_y,
        sum(((a - mean_x) * (a - mean_x) for a in xs), Fraction()),
        sum(((a - mean_x) * (b - mean_y) for a, b in zip(xs, ys, strict=True)), Fraction()),
        sum(((b - mean_y) * (b - mean_y) for b in ys), Fraction()),
    )


def sum4(values: Sequence[float]) -> float:
    """Four lanes, value i in lane i mod 4, each added from 0.0 on in order; (l0 + l1) + (l2 + l3)."""
    lanes = [0.0, 0.0, 0.0, 0.0]
    for i, value in enumerate(values):
        lanes[i % 4] += value
    return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])


def distances(values: Sequence[float]) -> list[float]:
    """v - mean, with the mean v0 + sum4(v - v0) / n."""
    first = float(values[0])
    mean = first + sum4([value - first for value in values]) / len(values)
    return [value - mean for value in values]
