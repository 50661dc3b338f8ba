"""Formulas by definition: one row at a time, in Python's own numbers, with a reason for each null."""

import enum
import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

INT_MIN = -(2**63)
INT_MAX = 2**63 - 1


class Null(enum.Enum):
    """Why there is no value; of two reasons the larger one counts."""

    NULL_IN = 1
    DOMAIN = 2


Value: TypeAlias = bool | int | float | Null
Row: TypeAlias = Mapping[str, bool | int | float | None]


def enters(value: bool | float | None) -> Value:
    """A value of a column: what is not finite is a null, and zero has no sign."""
    if value is None:
        return Null.NULL_IN
    if isinstance(value, float):
        return value + 0.0 if math.isfinite(value) else Null.NULL_IN
    return value


def null_of(*values: Value) -> Null | None:
    """The reason why a function of these values is null, if one of them is."""
    nulls = [value for value in values if isinstance(value, Null)]
    return max(nulls, key=lambda null: null.value, default=None)


def fits(value: float) -> Value:
    """The value, where 64 bits can hold it."""
    if type(value) is int and not INT_MIN <= value <= INT_MAX:
        return Null.DOMAIN
    return value if math.isfinite(value) else Null.DOMAIN


def strict(function: Callable[..., Value]) -> Callable[..., Value]:
    """The function, null where any of its values is."""

    def of(*values: Value) -> Value:
        null = null_of(*values)
        return null if null is not None else function(*values)

    return of


@strict
def add(x: float, y: float) -> Value:
    return fits(x + y)


@strict
def subtract(x: float, y: float) -> Value:
    return fits(x - y)


@strict
def multiply(x: float, y: float) -> Value:
    return fits(x * y)


@strict
def divide(x: float, y: float) -> Value:
    return Null.DOMAIN if y == 0 else fits(float(x) / float(y))


@strict
def negate(x: float) -> Value:
    return fits(-x)


@strict
def absolute(x: float) -> Value:
    return fits(abs(x))


@strict
def sign(x: float) -> Value:
    return (x > 0) - (x < 0)


@strict
def log(x: float) -> Value:
    return math.log(float(x)) if x > 0 else Null.DOMAIN


@strict
def to_float(x: float) -> Value:
    return float(x)


@strict
def opposite(x: bool) -> Value:
    return not x


def both(x: Value, y: Value) -> Value:
    """Three-valued and."""
    if x is False or y is False:
        return False
    null = null_of(x, y)
    return null if null is not None else True


def either(x: Value, y: Value) -> Value:
    """Three-valued or."""
    if x is True or y is True:
        return True
    null = null_of(x, y)
    return null if null is not None else False


def where(condition: Value, x: Value, y: Value) -> Value:
    """The branch that is taken, whatever the other one is."""
    if isinstance(condition, Null):
        return condition
    return x if condition else y


COMPARISONS: dict[str, Callable[..., Value]] = {  # Python compares an int with a float exactly
    "<": strict(lambda x, y: x < y),
    "<=": strict(lambda x, y: x <= y),
    ">": strict(lambda x, y: x > y),
    ">=": strict(lambda x, y: x >= y),
    "==": strict(lambda x, y: x == y),
    "!=": strict(lambda x, y: x != y),
}
