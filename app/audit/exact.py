"""Sums without a rounding: float64 values as whole numbers of a power of two, added by Python's integers."""

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import polars as pl

from schemas.batch import Bools, Int64s

MANTISSA_BITS = 53


class Units(NamedTuple):
    """Values as whole numbers of 2**exponent; a null is 0, and not `valid`."""

    values: Sequence[int]
    exponent: int
    valid: Bools

    def times(self, other: "Units") -> "Units":
        """The products; null where one of both is."""
        products = [a * b for a, b in zip(self.values, other.values, strict=True)]
        return Units(products, self.exponent + other.exponent, self.valid & other.valid)

    def at(self, exponent: int) -> "Units":
        """The same values in units that are no larger."""
        more = self.exponent - exponent
        return self._replace(values=[value << more for value in self.values], exponent=exponent)

    def where(self, valid: Bools) -> "Units":
        """The values of these rows alone."""
        kept = valid & self.valid
        return Units(
            [v if keep else 0 for v, keep in zip(self.values, kept.tolist(), strict=True)],
            self.exponent,
            kept,
        )


def units(values: pl.Series) -> Units:
    """Integers as they are, floats by their mantissas."""
    valid = values.is_not_null().to_numpy().astype(np.bool_)
    if not values.dtype.is_float():
        return Units(values.cast(pl.Int64).fill_null(0).to_list(), 0, valid)
    mantissa, power = np.frexp(values.fill_null(0.0).to_numpy())
    whole = np.ldexp(mantissa, MANTISSA_BITS).astype(np.int64)
    zeros = np.frexp((whole & -whole).astype(np.float64))[1] - 1  # at the end of the mantissa
    zeros = np.where(whole == 0, 0, zeros)
    shift = power.astype(np.int64) - MANTISSA_BITS + zeros
    exponent = int(shift[whole != 0].min()) if (whole != 0).any() else 0
    shift = np.where(whole == 0, 0, shift - exponent)
    odd = (whole >> zeros).tolist()
    return Units([m << s for m, s in zip(odd, shift.tolist(), strict=True)], exponent, valid)


class Sums:
    """Sums and counts of slices of values."""

    def __init__(self, values: Units) -> None:
        self.exponent = values.exponent
        self._until = list(accumulate(values.values, initial=0))
        self._count = np.concatenate([[0], np.cumsum(values.valid)])

    def over(self, first: Int64s, end: Int64s) -> list[int]:
        """The sum of each slice, in units."""
        until = self._until
        return [until[b] - until[a] for a, b in zip(first.tolist(), end.tolist(), strict=True)]

    def counts(self, first: Int64s, end: Int64s) -> list[int]:
        """How many values each slice has."""
        counted: list[int] = (self._count[end] - self._count[first]).tolist()
        return counted


def ratio(numerator: int, denominator: int, exponent: int = 0) -> float | None:
    """numerator * 2**exponent / denominator, rounded once; None for a division by 0, and an overflow."""
    if exponent > 0:
        numerator <<= exponent
    else:
        denominator <<= -exponent
    try:
        return numerator / denominator  # of integers of any length, with one rounding
    except (OverflowError, ZeroDivisionError):
        return None


def root_of_ratio(numerator: int, denominator: int, sign: int = 1) -> float | None:
    """The root of a ratio >= 0, with the sign of a number: of the rounded ratio, as near as a last bit."""
    square = ratio(numerator, denominator)
    return None if square is None else math.copysign(math.sqrt(square), sign)
