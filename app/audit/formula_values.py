"""Values of formulas in Polars: kinds, arithmetic and comparisons, with the nulls that formulas have."""

import math
import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import polars as pl

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_GRID_ERROR_MAX: Final = 1e-6  # units that a float may lie beside a whole number of them
_UNITS_MAX: Final = 2**40
_EXACT_MAX: Final = 2**53  # integers up to it are exact as floats
_ARITHMETIC: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def entering(column: pl.Series) -> pl.Series:
    """A column as formulas see it: int64, float64 without NaN and infinity, bool, or text."""
    if column.dtype.is_integer():
        return column.cast(pl.Int64)
    if column.dtype.is_float():
        return finite(column.cast(pl.Float64) + 0.0)
    return column.cast(pl.String) if column.dtype in (pl.Categorical, pl.Enum) else column


def in_units(rows: pl.DataFrame, scales: Mapping[str, int]) -> pl.DataFrame:
    """The rows with scaled columns as int64 in units of 1/scale; null where one is no whole number of them.

    Exact, in Python's numbers.  A float counts as the whole number of units that its product with the scale
    lies within 1e-6 of; of a decimal the digits and the units fit int64.
    """
    made = []
    for name, scale in scales.items():
        if name in rows.columns:
            kind = rows[name].dtype
            digits = 10**kind.scale if isinstance(kind, pl.Decimal) else None
            values = rows[name].to_list()
            units = [
                _units_of_float(value, scale) if digits is None else _units_of_decimal(value, scale, digits)
                for value in values
            ]
            made.append(pl.Series(name, units, pl.Int64))
    return rows.with_columns(made)


def _units_of_float(value: float | None, scale: int) -> int | None:
    if value is None or not math.isfinite(value):
        return None
    product = value * float(scale)
    if abs(product) >= _UNITS_MAX:
        return None
    near = abs(Fraction(product) - round(product)) <= Fraction(_GRID_ERROR_MAX)
    return round(product) if near and abs(round(product)) < _UNITS_MAX else None


def _units_of_decimal(value: Decimal | None, scale: int, digits: int) -> int | None:
    if value is None or abs(Fraction(value) * digits) > _INT64_MAX:
        return None
    units = Fraction(value) * scale
    return int(units) if units.denominator == 1 and _INT64_MIN <= units <= _INT64_MAX else None


def constant(value: object, rows: int) -> pl.Series:
    """The same value in each row."""
    kinds = {bool: pl.Boolean(), int: pl.Int64(), float: pl.Float64(), str: pl.String()}
    return pl.Series([value], dtype=kinds[type(value)]).new_from_index(0, rows)


def arithmetic(symbol: str, left: pl.Series, right: pl.Series | float) -> pl.Series:
    """`+ - * /` of two columns, or of one and a number; integers are exact, and null where they overflow."""
    if not isinstance(right, pl.Series):
        right = constant(right, left.len())
    if symbol == "/":
        return finite(left.cast(pl.Float64) / right.cast(pl.Float64))
    compute = _ARITHMETIC[symbol]
    if left.dtype.is_integer() and right.dtype.is_integer():
        return whole(compute(left.cast(pl.Int128), right.cast(pl.Int128)))
    return finite(compute(left.cast(pl.Float64), right.cast(pl.Float64)))


def compared(symbol: str, left: pl.Series, right: pl.Series) -> pl.Series:
    """A comparison, exact also of integers with floats."""
    compute = _COMPARISONS[symbol]
    if left.dtype.is_integer() == right.dtype.is_integer():
        result: pl.Series = compute(left, right)
        return result
    left, right = (side.cast(pl.Int64) if side.dtype.is_integer() else side for side in (left, right))
    integers = left if left.dtype.is_integer() else right  # of 64 bits: 2**53 is no Int8
    result = compute(left.cast(pl.Float64), right.cast(pl.Float64))
    large = ~integers.is_between(-_EXACT_MAX, _EXACT_MAX).fill_null(value=True)
    if large.any():  # a float cannot hold them; Python compares exactly
        exact = [
            None if a is None or b is None else compute(a, b)
            for a, b in zip(left.filter(large).to_list(), right.filter(large).to_list(), strict=True)
        ]
        result = result.scatter(large.arg_true(), pl.Series(exact, dtype=pl.Boolean))
    return result


def alike(*values: pl.Series) -> list[pl.Series]:
    """Columns in one type: float64 where one of them is."""
    if any(value.dtype.is_float() for value in values):
        return [value.cast(pl.Float64) for value in values]
    if values[0].dtype.is_integer():
        return [value.cast(pl.Int64) for value in values]
    return list(values)


def choose(condition: pl.Series, yes: pl.Series, no: pl.Series) -> pl.Series:
    """One of two columns of one type, by row; null where the condition is."""
    frame = pl.DataFrame([condition.alias("if"), yes.alias("yes"), no.alias("no")])
    chosen = pl.when(pl.col("if")).then(pl.col("yes")).when(~pl.col("if")).then(pl.col("no"))
    return frame.select(chosen.alias("chosen"))["chosen"]


def without(values: pl.Series, refused: pl.Series) -> pl.Series:
    """The values, null where `refused` is true."""
    return values.set(refused.fill_null(value=False), None)


def negative(values: pl.Series) -> pl.Series:
    """The values with the other sign."""
    return whole(_opposite(values)) if values.dtype.is_integer() else -values


def absolute(values: pl.Series) -> pl.Series:
    """The values without their sign."""
    if not values.dtype.is_integer():
        return values.abs()
    positive = (values >= 0).fill_null(value=True)
    return whole(values.cast(pl.Int128).zip_with(positive, _opposite(values)))


def finite(values: pl.Series) -> pl.Series:
    """Floats, null where they are not finite."""
    return values.set(~values.is_finite().fill_null(value=True), None)


def whole(values: pl.Series) -> pl.Series:
    """Int128 as int64, null where it does not fit."""
    fits = values.is_between(_INT64_MIN, _INT64_MAX).fill_null(value=True)
    return values.set(~fits, None).cast(pl.Int64)


def _opposite(values: pl.Series) -> pl.Series:
    """Of an integer, as Int128, which holds that of every int64."""
    return values.cast(pl.Int128) * pl.Series([-1], dtype=pl.Int128())
