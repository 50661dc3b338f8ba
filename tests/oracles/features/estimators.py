"""Estimators over bars: Q14, M8 to M11, M25, M26 and M28, by their definition, bar by bar.

The addends are rounded as they are written, their sums are exact and rounded once.
"""

import math
from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from typing import Any

from tests.oracles.features.exact import total
from tests.oracles.features.lags import diff, logarithm_of_ratio
from tests.oracles.features.rolling import deviation, mean, rolling, variance
from tests.oracles.features.rows import (
    Column,
    Function,
    Rows,
    Settings,
    Stretch,
    Value,
    by_stretch,
    divided,
    finite,
    setting,
    with_default,
)

BARS = 20
LN2 = math.log(2.0)


def times(*factors: Any) -> Any:
    """The product from left to right, null where a factor is, or where one does not fit."""
    product: Any = 1.0
    for factor in factors:
        product = None if product is None or factor is None else product * factor
        product = None if product is None or not math.isfinite(product) else product
    return product


def plus(left: Any, right: Any, sign: float = 1.0) -> Any:
    """left + right, or left - right; null where one is, or where it does not fit."""
    value = None if left is None or right is None else left + sign * right
    return None if value is None or not math.isfinite(value) else value


def root(value: Any) -> float | None:
    """The square root, null of what is negative."""
    return None if value is None or value < 0 else math.sqrt(value)


def ratio(value: Any, of: Any) -> Any:
    """log(value / of)."""
    return logarithm_of_ratio(value, of)


def counts(empty: Any, high: Any, low: Any, *others: Any) -> bool:
    """Whether a bar counts: prices above 0, the high not below the low, and not said to be empty."""
    if empty is not False or None in (high, low, *others):
        return False
    return bool(high >= low > 0 and all(price > 0 for price in others))


def of_bars(term: Callable[..., Any]) -> Callable[[Sequence[Column], int], list[Any]]:
    """The terms of bars that count; high and low are first, and behind the `prices` there may be `empty`."""

    def terms(operands: Sequence[Column], prices: int) -> list[Any]:
        empty: Column = operands[prices] if len(operands) > prices else [False] * len(operands[0])
        bars = zip(empty, *operands[:prices], strict=True)
        return [term(*bar) if counts(is_empty, *bar) else None for is_empty, *bar in bars]

    return terms


def root_of_mean(term: Callable[..., Value], prices: int, of: Callable[[float], float | None]) -> Function:
    """The root of what `of` makes of the mean of a term over the window; operands are (high, low, ...)."""

    def root_of(_: Settings, v: Sequence[Any]) -> Value:
        value = mean({}, v)
        return None if value is None else root(of(float(value)))

    def function(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
        terms = of_bars(term)(operands, prices)
        return rolling(root_of, least=1, reset="session")(rows, [terms], with_default(settings, rows=BARS))

    return function


def high_first(function: Function) -> Function:
    """A function of (high, low, open, close, ...) as one of (open, high, low, close, ...)."""

    def of(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
        first, high, low, last, *empty = operands
        return function(rows, [high, low, first, last, *empty], settings)

    return of


def of_range(high: Any, low: Any) -> Any:
    """M8's."""
    return times(ratio(high, low), ratio(high, low))


def of_range_and_change(high: Any, low: Any, first: Any, last: Any) -> Any:
    """M9's."""
    change = times(ratio(last, first), ratio(last, first))
    square = of_range(high, low)
    return plus(times(0.5, square), times(2 * LN2 - 1, change), -1.0)


def without_drift(high: Any, low: Any, first: Any, last: Any) -> Any:
    """M10's."""
    return plus(times(ratio(high, last), ratio(high, first)), times(ratio(low, last), ratio(low, first)))


parkinson = root_of_mean(of_range, 2, lambda value: value / (4 * LN2))
garman_klass = high_first(root_of_mean(of_range_and_change, 4, lambda value: value))
rogers_satchell = high_first(root_of_mean(without_drift, 4, lambda value: max(value, 0.0)))


def _yang_zhang(_: Settings, o: Sequence[Any], c: Sequence[Any], rs: Sequence[Any]) -> Value:
    n = len(o)
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    of_open, of_close, no_drift = variance({}, o), variance({}, c), mean({}, rs)
    return root(plus(plus(of_open, times(k, of_close)), times(1 - k, no_drift)))


def yang_zhang(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """M11 of (open, high, low, close): bars of which the step from the close before is there, too."""
    first, high, low, last, *empty = operands
    settings = with_default(settings, rows=BARS, reset="none")
    fits: Column = [
        price if counts(False, *bar) else None
        for price, *bar in zip(last, high, low, first, last, strict=True)
    ]
    before = before_of(rows, fits, reset=settings["reset"])
    terms = [
        of_bars(lambda *bar: ratio(bar[2], bar[4]))([high, low, first, last, before, *empty], 5),
        of_bars(lambda *bar: ratio(bar[3], bar[2]))([high, low, first, last, *empty], 4),
        of_bars(without_drift)([high, low, first, last, *empty], 4),
    ]
    return rolling(_yang_zhang, least=2)(rows, terms, settings)


def before_of(rows: Rows, column: Column, *, reset: str) -> list[Any]:
    """The value of the row before, with a reset that of the same session."""

    def of(stretch: Stretch) -> Column:
        (values,) = stretch.operands
        return [None, *values[:-1]]

    return by_stretch(rows, [column], of, by_session=reset == "session")


def returns(rows: Rows, close: Column, settings: Settings) -> list[Any]:
    """R15 from bar to bar."""
    before = before_of(rows, close, reset=setting(settings, "reset", "session"))
    return [ratio(*pair) for pair in zip(close, before, strict=True)]


def bvc(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """Q14 of the close."""
    (close,) = operands
    settings = with_default(settings, rows=BARS, reset="session")
    changes: list[Any] = diff(rows, [close], {"rows": 1, "reset": settings["reset"]})
    sigmas: list[Any] = rolling(deviation, least=2, reset="session")(rows, [changes], settings)
    by_session = settings["reset"] == "session"
    reached = by_stretch(rows, [close], lambda stretch: stretch.operands[0], by_session=by_session)
    shares: Column = []
    for price, change, sigma in zip(reached, changes, sigmas, strict=True):
        if price is None:
            shares.append(None)
        elif change is None or sigma is None or sigma == 0:
            shares.append(0.5)
        else:
            z = divided(change, sigma)
            df = setting(settings, "df", 0.25) if setting(settings, "dist", "normal") == "t" else None
            shares.append(None if z is None else _below(z, df))
    return shares


def _below(z: float, df: float | None) -> float:
    """How much of the normal distribution, or of Student's t, lies below z."""
    if df is None:
        return 0.5 * math.erfc(-z / math.sqrt(2.0))
    if z == 0:
        return 0.5
    with localcontext() as context:
        context.prec, context.Emin, context.Emax = 60, -(10**9), 10**9
        a, b, square = Decimal(df) / 2, Decimal("0.5"), Decimal(z) * Decimal(z)
        x, y = Decimal(df) / (Decimal(df) + square), square / (Decimal(df) + square)
        front = Decimal(math.lgamma(df / 2 + 0.5) - math.lgamma(df / 2) - math.lgamma(0.5)).exp()
        if x < (a + 1) / (a + b + 2):
            tail = _incomplete_beta(x, y, a, b) * front / 2
        else:
            tail = (1 - _incomplete_beta(y, x, b, a) * front) / 2
        return float(tail if z < 0 else 1 - tail)


def _incomplete_beta(x: Decimal, y: Decimal, a: Decimal, b: Decimal) -> Decimal:
    """The incomplete beta function of x = 1 - y, by its series of terms above 0."""
    term, total, n = Decimal(1), Decimal(1), 0
    while term > total * Decimal("1e-30"):
        term *= (a + b + n) / (a + 1 + n) * x
        total, n = total + term, n + 1
    return total * (a * x.ln() + b * y.ln()).exp() / a


def amihud(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """M25 of (close, volume)."""
    close, volume = map(list[Any], operands)
    settings = with_default(settings, rows=BARS)
    terms: Column = []
    for r, c, v in zip(returns(rows, close, settings), close, volume, strict=True):
        worth = times(c, v) if r is not None and v is not None and v > 0 else None
        terms.append(None if worth is None else divided(abs(r), worth))
    scale = setting(settings, "scale", 1.0)

    def scaled(_: Settings, v: Sequence[Any]) -> Any:
        return times(mean({}, v), scale)

    return rolling(scaled, least=1, reset="session")(rows, [terms], settings)


def hasbrouck(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """M26 of (close, volume), and maybe the signed volume."""
    close, volume, *signed = map(list[Any], operands)
    settings = with_default(settings, rows=BARS)
    flows: list[Column] = [[], []]
    sides: list[Any] = signed[0] if signed else [None] * len(close)
    for r, c, v, side in zip(returns(rows, close, settings), close, volume, sides, strict=True):
        worth = times(c, v)
        x = None if r is None else times(_sign(r if side is None else side), root(worth))
        products = times(r, x), times(x, x)
        for flow, product in zip(flows, products, strict=True):
            flow.append(None if None in products else product)

    def slope(_: Settings, rx: Sequence[Any], xx: Sequence[Any]) -> Value:
        numerator, denominator = total(rx), total(xx)
        return None if numerator is None or denominator is None else divided(numerator, denominator)

    return rolling(slope, least=1, reset="session")(rows, flows, settings)


def _sign(value: Any) -> float:
    return float((value > 0) - (value < 0))


def spread_of_pair(h0: Any, l0: Any, h1: Any, l1: Any) -> Value:
    """M28's S of two bars."""
    ranges = [ratio(h0, l0), ratio(h1, l1), ratio(max(h0, h1), min(l0, l1))]
    if None in ranges:
        return None
    first, second, gamma = (r * r for r in ranges)
    beta = first + second
    by = 3 - 2 * math.sqrt(2.0)
    alpha = (math.sqrt(2 * beta) - math.sqrt(beta)) / by - math.sqrt(gamma / by)
    try:
        e = math.exp(alpha)
    except OverflowError:
        return None
    value = 2 * (e - 1)
    return None if math.isinf(value) else max(value / (1 + e), 0.0)


def corwin_schultz(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """M28 of (high, low, close): each bar that counts with the one before, of another session moved to it."""
    high, low, close, *empty = operands
    settings = with_default(settings, rows=BARS, reset="none")
    highs, lows, closes = (
        of_bars(lambda *bar, at=at: bar[at])([high, low, close, *empty], 3) for at in range(3)
    )
    numbers: Column = list(range(len(high)))
    before = before_of(rows, numbers, reset=settings["reset"])
    same = before_of(rows, numbers, reset="session")
    spreads: Column = []
    for n, (at, inside) in enumerate(zip(before, same, strict=True)):
        if at is None or None in (highs[n], highs[at]):
            spreads.append(None)
            continue
        h1, l1, c0 = highs[n], lows[n], closes[at]
        step = 0.0 if inside is not None else c0 - l1 if c0 < l1 else c0 - h1 if c0 > h1 else 0.0
        pair = highs[at], lows[at], finite(h1 + step), finite(l1 + step)
        spreads.append(None if None in pair else spread_of_pair(*pair))
    return rolling(mean, least=1)(rows, [spreads], settings)
