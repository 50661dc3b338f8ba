"""Formulas by definition: one row at a time, in Python's own numbers, with a reason for each null."""

import enum
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

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
def logarithm(x: float) -> Value:
    return math.log(float(x)) if x > 0 else Null.DOMAIN


@strict
def exp(x: float) -> Value:
    try:
        return math.exp(float(x))
    except OverflowError:
        return Null.DOMAIN


@strict
def sqrt(x: float) -> Value:
    return math.sqrt(float(x)) if x >= 0 else Null.DOMAIN


def power(x: Value, *, k: float) -> Value:
    """Products for whole k up to 4, 1 / product for negative ones."""
    if k == 0.5:
        return sqrt(x)
    products = {
        1: x,
        2: multiply(x, x),
        3: multiply(multiply(x, x), x),
        4: multiply(multiply(x, x), multiply(x, x)),
    }
    if k in products:
        return products[int(k)]
    return divide(1.0, products[int(-k)]) if -k in products else libm_pow(x, k)


@strict
def libm_pow(x: float, k: float) -> Value:
    try:
        return fits(math.pow(x, k))
    except (OverflowError, ValueError):
        return Null.DOMAIN


def smallest(*values: Value, skip_null: bool) -> Value:
    """Of equals the first."""
    known = [value for value in values if not isinstance(value, Null)]
    null = null_of(*values)
    return min(known) if null is None or (skip_null and known) else null


def largest(*values: Value, skip_null: bool) -> Value:
    """Of equals the first."""
    known = [value for value in values if not isinstance(value, Null)]
    null = null_of(*values)
    return max(known) if null is None or (skip_null and known) else null


def clip(x: Value, lo: Value | None, hi: Value | None) -> Value:
    """A bound that is null or left out is none."""
    if isinstance(x, Null):
        return x
    lower = None if isinstance(lo, Null) else lo
    upper = None if isinstance(hi, Null) else hi
    if lower is not None and upper is not None and lower > upper:
        return Null.DOMAIN
    if lower is not None and x < lower:
        return lower
    return upper if upper is not None and x > upper else x


@strict
def xor(x: bool, y: bool) -> Value:
    return (x and not y) or (y and not x)


@strict
def valid(bid: float, ask: float) -> Value:
    """The bid of a valid quote."""
    return bid if bid > 0 and ask > 0 else Null.DOMAIN


@strict
def uncrossed(bid: float, ask: float) -> Value:
    """The bid of a valid quote that is not crossed."""
    return valid(bid, ask) if bid <= ask else Null.DOMAIN


@strict
def direction(d: float) -> Value:
    """A direction as an integer."""
    return int(d) if d in (-1, 0, 1) else Null.DOMAIN


@strict
def without_minus(x: float) -> Value:
    """Zero has no sign."""
    return 0 * x if x == 0 and isinstance(x, int) else 0.0 if x == 0 else x


def mid(bid: Value, ask: Value, *, crossed: str) -> Value:
    quote = valid(bid, ask) if crossed == "use" else uncrossed(bid, ask)
    return divide(add(quote, ask), 2)


def spread(bid: Value, ask: Value) -> Value:
    return subtract(ask, uncrossed(bid, ask))


def relative_spread(bid: Value, ask: Value, *, log: bool, unit: str) -> Value:
    bid = uncrossed(bid, ask)
    fraction = divide(multiply(2, subtract(ask, bid)), add(ask, bid))
    if log:
        fraction = logarithm(divide(ask, bid))
    return multiply(fraction, 1e4) if unit == "bps" else fraction


def weighted_mid(bid: Value, ask: Value, bid_size: Value, ask_size: Value) -> Value:
    bid = valid(bid, ask)
    return divide(add(multiply(bid, ask_size), multiply(ask, bid_size)), add(ask_size, bid_size))


def queue_imbalance(bid_size: Value, ask_size: Value) -> Value:
    return divide(subtract(bid_size, ask_size), add(bid_size, ask_size))


def quote_rule(price: Value, bid: Value, ask: Value) -> Value:
    """0 without a quote that is valid and not crossed."""
    if isinstance(uncrossed(bid, ask), Null):
        return price if isinstance(price, Null) else 0
    return sign(subtract(multiply(2, price), add(ask, bid)))


def p_buy(d: Value) -> Value:
    side = direction(d)
    return side if isinstance(side, Null) else {1: 1.0, -1: 0.0, 0: 0.5}[int(side)]


def signed_volume(size: Value, d: Value) -> Value:
    return without_minus(multiply(direction(d), size))


def effective_spread(price: Value, bid: Value, ask: Value, d: Value, *, half: bool, unit: str) -> Value:
    middle = mid(bid, ask, crossed="null")
    sides = direction(d) if half else multiply(2, direction(d))
    cost = multiply(sides, subtract(price, middle))
    if unit != "price":
        cost = divide(cost, middle)
    return without_minus(multiply(cost, 1e4) if unit == "bps" else cost)


def micro_price(
    bid: Value,
    ask: Value,
    bid_size: Value,
    ask_size: Value,
    *,
    G: Sequence[Any],  # noqa: N803 - the setting's name
    tick: float,
) -> Value:
    """Q5: `G` has for each share of the bid's size a number, or one for each spread of 1, 2, .. ticks."""
    middle = mid(bid, ask, crossed="null")
    share = divide(multiply(len(G), bid_size), add(ask_size, bid_size))
    wide = divide(subtract(ask, bid), tick)
    if not isinstance(share, Null) and share < 0:
        share = Null.DOMAIN
    if isinstance(share, Null) or isinstance(middle, Null):
        return null_of(middle, share) or Null.DOMAIN
    row = G[min(math.floor(share), len(G) - 1)]
    numbers = list(row) if isinstance(row, Sequence) else [row]
    if len(numbers) > 1 and isinstance(wide, Null):
        return wide
    column = 0 if isinstance(wide, Null) else min(max(round(wide), 1), len(numbers)) - 1
    return add(middle, float(numbers[column]))


def quote_age(age: Value, *, output: str, max_age_ns: int | None = None) -> Value:
    if output == "age" or isinstance(age, Null):
        return age
    assert max_age_ns is not None
    return age > max_age_ns


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

# By the names of the table.
FUNCTIONS: dict[str, Callable[..., Value]] = {
    "where": where,
    "sign": sign,
    "abs": absolute,
    "log": logarithm,
    "exp": exp,
    "sqrt": sqrt,
    "power": power,
    "min": smallest,
    "max": largest,
    "clip": clip,
    "xor": xor,
    "mid": mid,
    "spread": spread,
    "relative_spread": relative_spread,
    "weighted_mid": weighted_mid,
    "micro_price": micro_price,
    "queue_imbalance": queue_imbalance,
    "quote_rule": quote_rule,
    "p_buy": p_buy,
    "signed_volume": signed_volume,
    "effective_spread": effective_spread,
    "quote_age": quote_age,
}
