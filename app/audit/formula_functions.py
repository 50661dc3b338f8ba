"""The functions of formulas in Polars, each from its definition; the nodes have others."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import polars as pl

from app.audit.formula_values import absolute, alike, arithmetic, choose, finite, without

# Results of these are a library's in their last bits.
INEXACT: Final = frozenset({"log", "exp", "power"})
_UNITS_NS: Final = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3_600 * 10**9}


def called(name: str, values: list[pl.Series], settings: Mapping[str, Any]) -> pl.Series:
    """What a function gives for the columns it is passed; settings at their default may be left out."""
    assert name in _FUNCTIONS, f"the audit knows no function {name}"
    result: pl.Series = _FUNCTIONS[name](*values, **settings)
    return result


def _where(condition: pl.Series, yes: pl.Series, no: pl.Series) -> pl.Series:
    return choose(condition, *alike(yes, no))


def _sign(x: pl.Series) -> pl.Series:
    return x.sign().cast(pl.Int8)


def _log(x: pl.Series) -> pl.Series:
    return finite(x.cast(pl.Float64).log())


def _exp(x: pl.Series) -> pl.Series:
    return finite(x.cast(pl.Float64).exp())


def _sqrt(x: pl.Series) -> pl.Series:
    return finite(x.cast(pl.Float64).sqrt())


def _power(x: pl.Series, k: float) -> pl.Series:
    x = x.cast(pl.Float64)
    if k == 0.5:
        return _sqrt(x)
    if k not in (-4, -3, -2, -1, 1, 2, 3, 4):
        return finite(x.pow(float(k)))
    square = arithmetic("*", x, x) if abs(k) > 1 else x
    product = [x, square, arithmetic("*", square, x), arithmetic("*", square, square)][int(abs(k)) - 1]
    return product if k > 0 else finite(1.0 / product)


def _min(*values: pl.Series, skip_null: bool = False) -> pl.Series:
    return _extreme(lambda one, other: other < one, alike(*values), skip_null=skip_null)


def _max(*values: pl.Series, skip_null: bool = False) -> pl.Series:
    return _extreme(lambda one, other: other > one, alike(*values), skip_null=skip_null)


def _extreme(
    is_better: Callable[[pl.Series, pl.Series], pl.Series], values: list[pl.Series], *, skip_null: bool
) -> pl.Series:
    best = values[0]
    for value in values[1:]:
        better = is_better(best, value)
        if skip_null:
            better = best.is_null() | better.fill_null(value=False)
        best = choose(better, value, best)
    return best


def _clip(x: pl.Series, lo: pl.Series | None = None, hi: pl.Series | None = None) -> pl.Series:
    bounds = [bound for bound in (lo, hi) if bound is not None]
    x, *bounds = alike(x, *bounds)
    clipped = x
    if hi is not None:
        clipped = choose((x > bounds[-1]).fill_null(value=False), bounds[-1], clipped)
    if lo is not None:
        clipped = choose((x < bounds[0]).fill_null(value=False), bounds[0], clipped)
    return without(clipped, bounds[0] > bounds[-1]) if len(bounds) > 1 else clipped


def _valid(bid: pl.Series, ask: pl.Series, *, crossed: bool = False) -> tuple[pl.Series, pl.Series]:
    """Bid and ask in one type, the bid null where the quote is not valid or, unless they may, they cross."""
    bid, ask = alike(bid, ask)
    refused = (bid <= 0) | (ask <= 0)
    return without(bid, refused if crossed else refused | (bid > ask)), ask


def _mid(bid: pl.Series, ask: pl.Series, crossed: str = "null") -> pl.Series:
    bid, ask = _valid(bid, ask, crossed=crossed == "use")
    return arithmetic("/", arithmetic("+", bid, ask), 2)


def _spread(bid: pl.Series, ask: pl.Series) -> pl.Series:
    bid, ask = _valid(bid, ask)
    return arithmetic("-", ask, bid)


def _relative_spread(
    bid: pl.Series, ask: pl.Series, *, log: bool = False, unit: str = "fraction"
) -> pl.Series:
    bid, ask = _valid(bid, ask)
    if log:
        fraction = _log(arithmetic("/", ask, bid))
    else:
        twice = arithmetic("*", arithmetic("-", ask, bid), 2)
        fraction = arithmetic("/", twice, arithmetic("+", bid, ask))
    return arithmetic("*", fraction, 1e4) if unit == "bps" else fraction


def _weighted_mid(bid: pl.Series, ask: pl.Series, bid_size: pl.Series, ask_size: pl.Series) -> pl.Series:
    bid, ask = _valid(bid, ask, crossed=True)
    weighted = arithmetic("+", arithmetic("*", bid, ask_size), arithmetic("*", ask, bid_size))
    return arithmetic("/", weighted, arithmetic("+", bid_size, ask_size))


def _queue_imbalance(bid_size: pl.Series, ask_size: pl.Series) -> pl.Series:
    return arithmetic("/", arithmetic("-", bid_size, ask_size), arithmetic("+", bid_size, ask_size))


def _quote_rule(price: pl.Series, bid: pl.Series, ask: pl.Series) -> pl.Series:
    bid, ask = _valid(bid, ask)
    quoted = bid.is_not_null() & ask.is_not_null()
    side = _sign(arithmetic("-", arithmetic("*", price, 2), arithmetic("+", bid, ask)))
    unknown = without(pl.Series([0], dtype=pl.Int8).new_from_index(0, price.len()), price.is_null())
    return choose(quoted, side, unknown)


def direction_of(d: pl.Series) -> pl.Series:
    """The side of each trade, null for what is not -1, 0 or 1."""
    return without(d, (d != -1) & (d != 0) & (d != 1)).cast(pl.Int64)


def _p_buy(d: pl.Series) -> pl.Series:
    return direction_of(d).replace_strict({1: 1.0, -1: 0.0, 0: 0.5}, return_dtype=pl.Float64)


def _signed_volume(size: pl.Series, d: pl.Series) -> pl.Series:
    return arithmetic("*", direction_of(d), size)


def _effective_spread(
    price: pl.Series,
    bid: pl.Series,
    ask: pl.Series,
    d: pl.Series,
    *,
    half: bool = False,
    unit: str = "price",
) -> pl.Series:
    mid = _mid(bid, ask)
    sides = arithmetic("*", direction_of(d), 1 if half else 2)
    cost = arithmetic("*", sides, arithmetic("-", price, mid))
    if unit == "price":
        return cost
    fraction = arithmetic("/", cost, mid)
    return arithmetic("*", fraction, 1e4) if unit == "bps" else fraction


def _micro_price(
    bid: pl.Series,
    ask: pl.Series,
    bid_size: pl.Series,
    ask_size: pl.Series,
    *,
    G: Any,  # noqa: N803 - the setting's name
    tick: float = 1.0,
) -> pl.Series:
    """Of each share of the bid's size a number, or one for each spread in ticks, added to the mid."""
    table = [list(row) if isinstance(row, tuple | list) else [row] for row in G]
    share = arithmetic("/", arithmetic("*", bid_size, len(table)), arithmetic("+", bid_size, ask_size))
    ticks = arithmetic("/", _spread(bid, ask), float(tick))
    values: list[float | None] = []
    for middle, part, wide in zip(_mid(bid, ask).to_list(), share.to_list(), ticks.to_list(), strict=True):
        row = [] if part is None or part < 0 else table[min(math.floor(part), len(table) - 1)]
        if middle is None or not row or (wide is None and len(row) > 1):
            values.append(None)
        else:
            values.append(middle + row[min(max(round(wide or 1), 1), len(row)) - 1])
    return finite(pl.Series(values, dtype=pl.Float64()))


def _quote_age(age: pl.Series, output: str = "age", max_age_ns: int | str = 0) -> pl.Series:
    return age > length_ns(max_age_ns) if output == "stale" else age


def length_ns(length: int | str) -> int:
    """Nanoseconds, as they are or by a text such as '5m'."""
    if isinstance(length, int):
        return length
    match = re.fullmatch(r"(\d+)(\w+)", length)
    assert match, f"{length} is no length of time"
    return int(match[1]) * (24 * _UNITS_NS["h"] if match[2] == "d" else _UNITS_NS[match[2]])


_FUNCTIONS: Final[Mapping[str, Callable[..., pl.Series]]] = {
    "where": _where,
    "sign": _sign,
    "abs": absolute,
    "log": _log,
    "exp": _exp,
    "sqrt": _sqrt,
    "power": _power,
    "min": _min,
    "max": _max,
    "clip": _clip,
    "xor": lambda x, y: x ^ y,
    "mid": _mid,
    "spread": _spread,
    "relative_spread": _relative_spread,
    "weighted_mid": _weighted_mid,
    "micro_price": _micro_price,
    "queue_imbalance": _queue_imbalance,
    "quote_rule": _quote_rule,
    "p_buy": _p_buy,
    "signed_volume": _signed_volume,
    "effective_spread": _effective_spread,
    "quote_age": _quote_age,
}

ROW_FUNCTIONS: Final = _FUNCTIONS.keys()
