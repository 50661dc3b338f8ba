"""Estimators over bars, for the audit: Q14, M8 to M11, M25, M26 and M28."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from app.audit.exact import ratio
from app.audit.formula_values import alike, arithmetic, choose, finite, without
from app.audit.lags import diff, lag, log_return, logarithm
from app.audit.past import NONE, Past
from app.audit.windows import FLOAT, Windows, least_of, rolling_mean, rolling_std, rolling_var

BARS: Final = 20
LN2: Final = math.log(2.0)


def _settings(settings: dict[str, Any], reset: str = "session") -> dict[str, Any]:
    return {"rows": BARS, "reset": reset, **settings}


def _counting(prices: Sequence[pl.Series], empty: pl.Series | None) -> list[pl.Series]:
    """High, low and other prices of bars that count, null in all others."""
    prices = [price.cast(FLOAT) for price in prices]
    high, low = prices[:2]
    counts = (high >= low) & ~pl.Series([False]).new_from_index(0, high.len())
    for price in prices[1:]:
        counts &= price > 0
    if empty is not None:
        counts &= ~empty
    return [without(price, ~counts.fill_null(value=False)) for price in prices]


def _log(value: pl.Series, of: pl.Series) -> pl.Series:
    return logarithm(arithmetic("/", value, of))


def _square(x: pl.Series) -> pl.Series:
    return arithmetic("*", x, x)


def _root(x: pl.Series) -> pl.Series:
    return finite(x.sqrt())


def parkinson(
    past: Past, high: pl.Series, low: pl.Series, empty: pl.Series | None = None, **settings: Any
) -> pl.Series:
    """M8."""
    high, low = _counting([high, low], empty)
    mean = rolling_mean(past, _square(_log(high, low)), **_settings(settings))
    return _root(arithmetic("/", mean, 4 * LN2))


def garman_klass(
    past: Past,
    first: pl.Series,
    high: pl.Series,
    low: pl.Series,
    last: pl.Series,
    empty: pl.Series | None = None,
    **settings: Any,
) -> pl.Series:
    """M9."""
    high, low, first, last = _counting([high, low, first, last], empty)
    wide, change = _square(_log(high, low)), _square(_log(last, first))
    terms = arithmetic("-", arithmetic("*", wide, 0.5), arithmetic("*", change, 2 * LN2 - 1))
    return _root(rolling_mean(past, terms, **_settings(settings)))


def _without_drift(high: pl.Series, low: pl.Series, first: pl.Series, last: pl.Series) -> pl.Series:
    ends = [arithmetic("*", _log(end, last), _log(end, first)) for end in (high, low)]
    return arithmetic("+", *ends)


def rogers_satchell(
    past: Past,
    first: pl.Series,
    high: pl.Series,
    low: pl.Series,
    last: pl.Series,
    empty: pl.Series | None = None,
    **settings: Any,
) -> pl.Series:
    """M10."""
    terms = _without_drift(*_counting([high, low, first, last], empty))
    return rolling_mean(past, terms, **_settings(settings)).clip(lower_bound=0.0).sqrt()


def yang_zhang(
    past: Past,
    first: pl.Series,
    high: pl.Series,
    low: pl.Series,
    last: pl.Series,
    empty: pl.Series | None = None,
    **settings: Any,
) -> pl.Series:
    """M11."""
    settings = _settings(settings, "none")
    close = _counting([high, low, first, last], None)[-1]
    before = lag(past, close, reset=settings["reset"])
    high, low, first, last = _counting([high, low, first, last], empty)
    terms = [_log(first, before), _log(last, first), _without_drift(high, low, first, last)]
    missing = terms[0].is_null() | terms[1].is_null() | terms[2].is_null()
    overnight, change, no_drift = (without(term, missing) for term in terms)
    windows = Windows(past, settings)
    counts = np.array(windows.counts(windows.units(no_drift)), np.float64)
    with np.errstate(all="ignore"):
        share = windows.put((0.34 / (1.34 + (counts + 1) / (counts - 1))).tolist())
    least = {**settings, "min_count": least_of(settings, 2)}
    variances = [rolling_var(past, term, **least) for term in (overnight, change)]
    rest = arithmetic("*", 1 - share, rolling_mean(past, no_drift, **least))
    return _root(variances[0] + arithmetic("*", share, variances[1]) + rest)


def bvc(
    past: Past, close: pl.Series, *, dist: str = "normal", df: float = 0.25, **settings: Any
) -> pl.Series:
    """Q14."""
    settings = _settings(settings)
    change = diff(past, close.cast(FLOAT), reset=settings["reset"])
    sigma = rolling_std(past, change, **settings)
    stretches = past.stretches(by_session=settings["reset"] == "session")
    there = stretches.pick(stretches.of(close), stretches.here).is_not_null().to_list()
    values: list[float | None] = []
    for known, step, scale in zip(there, change.to_list(), sigma.to_list(), strict=True):
        share = None if not known else 0.5
        if known and step is not None and scale:
            z = step / scale
            share = None
            if math.isfinite(z):
                share = _below(z, df) if dist == "t" else math.erfc(-z / math.sqrt(2)) / 2
        values.append(share)
    return pl.Series(values, dtype=FLOAT)


def _below(z: float, df: float) -> float:
    """How much of Student's t lies below z: by the series of the incomplete beta function."""
    squares = z * z + df
    x, y = (df / squares, z * z / squares) if math.isfinite(squares) else (0.0, 1.0)
    if y == 0:
        return 0.5
    of_x = math.log(df) - 2 * math.log(abs(z)) + math.log(y) if y > 0.5 else math.log1p(-y)
    of_y = math.log(y) if x > 0.5 else math.log1p(-x)
    a, b = df / 2, 0.5
    weight = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * of_x + b * of_y)
    near_end = x < (a + 1) / (a + b + 2)
    tails = weight * _series(a, b, x) if near_end else 1 - weight * _series(b, a, y)
    return tails / 2 if z < 0 else 1 - tails / 2


def _series(a: float, b: float, x: float) -> float:
    """The sum of (a + b) .. (a + b + n - 1) / ((a + 1) .. (a + n)) * x**n, by a."""
    term, total, n = 1.0, 1.0, 0
    while term > total * 1e-17:
        term *= (a + b + n) / (a + 1 + n) * x
        total, n = total + term, n + 1
    return total / a


def amihud(
    past: Past, close: pl.Series, volume: pl.Series, *, scale: float = 1.0, **settings: Any
) -> pl.Series:
    """M25."""
    settings = _settings(settings)
    close, volume = close.cast(FLOAT), without(volume, volume <= 0).cast(FLOAT)
    worth = arithmetic("*", close, volume)
    moved = log_return(past, close, reset=settings["reset"]).abs()
    return arithmetic("*", rolling_mean(past, arithmetic("/", moved, worth), **settings), float(scale))


def hasbrouck(
    past: Past,
    close: pl.Series,
    volume: pl.Series,
    signed_volume: pl.Series | None = None,
    **settings: Any,
) -> pl.Series:
    """M26."""
    settings = _settings(settings)
    r = log_return(past, close.cast(FLOAT), reset=settings["reset"])
    side = r.sign()
    if signed_volume is not None:
        side = choose(signed_volume.is_null(), *alike(side, signed_volume.sign().cast(FLOAT)))
    worth = arithmetic("*", close.cast(FLOAT), volume.cast(FLOAT))
    x = arithmetic("*", side, without(worth, worth < 0).sqrt())
    products = arithmetic("*", r, x), _square(x)
    missing = products[0].is_null() | products[1].is_null()
    windows = Windows(past, settings)
    own = [windows.units(without(each, missing)) for each in products]
    least = least_of(settings)
    values = [
        ratio(rx, xx, own[0].exponent - own[1].exponent) if n >= least else None
        for rx, xx, n in zip(*(windows.sums(each) for each in own), windows.counts(own[0]), strict=True)
    ]
    return windows.put(values)


def _crosses(past: Past) -> list[bool]:
    """Of each row whether the one before it is of another session, or none."""
    stretches = past.stretches(by_session=True)
    before = np.where(stretches.here > stretches.begin, stretches.here, NONE)
    return stretches.pick(pl.Series(stretches.here), before).is_null().to_list()


def _spread(h0: float, l0: float, h1: float, l1: float) -> float | None:
    """Of two bars, at least 0."""
    if min(l0, l1) <= 0:
        return None
    both = math.log(max(h0, h1) / min(l0, l1))
    first, second = math.log(h0 / l0), math.log(h1 / l1)
    beta = first * first + second * second
    by = 3 - 2 * math.sqrt(2)
    alpha = (math.sqrt(2 * beta) - math.sqrt(beta)) / by - math.sqrt(both * both / by)
    return max(0.0, 2 * (math.exp(alpha) - 1) / (1 + math.exp(alpha))) if alpha < 709 else None


def corwin_schultz(
    past: Past,
    high: pl.Series,
    low: pl.Series,
    close: pl.Series,
    empty: pl.Series | None = None,
    **settings: Any,
) -> pl.Series:
    """M28."""
    settings = _settings(settings, "none")
    own = _counting([high, low, close], empty)
    before = [lag(past, price, reset=settings["reset"]).to_list() for price in own]
    now = (price.to_list() for price in own[:2])
    values: list[float | None] = []
    for h0, l0, c0, h1, l1, crosses in zip(*before, *now, _crosses(past), strict=True):
        if None in (h0, h1):
            values.append(None)
            continue
        step = (min(c0 - l1, 0.0) + max(c0 - h1, 0.0)) if crosses else 0.0
        values.append(_spread(h0, l0, h1 + step, l1 + step))
    return rolling_mean(past, pl.Series(values, dtype=FLOAT), **settings)
