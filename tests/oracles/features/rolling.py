"""Rolling functions, R30 to R45: the values of each row's window, and the formula."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from tests.oracles.features.exact import distances, moments, rounded, signed_root, sum4, total
from tests.oracles.features.rows import (
    MAX_ROWS,
    Column,
    Function,
    Settings,
    Stretch,
    Value,
    fewest,
    finite,
    known,
    over_rows,
    setting,
    window,
)

SHAPE_MAX_ROWS = 4_096  # of a time window of skew and kurt
PPM = 1_000_000
Least = int | Callable[[Settings], int]


def rolling(
    of: Callable[..., Value],
    *,
    least: Least,
    reset: str = "none",
    max_rows: int = MAX_ROWS,
) -> Function:
    """A function `of(settings, *operands)` of the values in the window, at least so many of them."""

    @over_rows(reset=reset)
    def function(stretch: Stretch, settings: Settings) -> Column:
        wanted = fewest(settings, least if isinstance(least, int) else least(settings))
        values: Column = []
        for n in range(len(stretch.time_ns)):
            columns = known(stretch.operands, window(stretch.time_ns, n, settings, max_rows))
            values.append(of(settings, *columns) if len(columns[0]) >= wanted else None)
        return values

    return function


def degrees(settings: Settings) -> int:
    """ddof."""
    return int(setting(settings, "ddof", 1))


@over_rows(reset="none")
def rolling_count(stretch: Stretch, settings: Settings) -> Column:
    """R30; it has no `min_count`."""
    windows = [window(stretch.time_ns, n, settings) for n in range(len(stretch.time_ns))]
    return [len(known(stretch.operands, rows)[0]) for rows in windows]


def mean(_: Settings, v: Sequence[Any]) -> Value:
    """R32."""
    return rounded(sum(map(Fraction, v), Fraction()) / len(v))


def variance(settings: Settings, v: Sequence[Any]) -> Value:
    """R33."""
    return rounded(moments(v, v).sxx / (len(v) - degrees(settings)))


def deviation(settings: Settings, v: Sequence[Any]) -> Value:
    """R34: the root of R33."""
    square = variance(settings, v)
    return None if square is None else math.sqrt(square)


def quantile(q_ppm: int, v: Sequence[Any]) -> Value:
    """R37: between the sorted values k and k + 1."""
    s = sorted(float(value) for value in v)
    k, ppm = divmod(q_ppm * (len(s) - 1), PPM)
    return s[k] if ppm == 0 else finite(s[k] + (s[k + 1] - s[k]) * (ppm / PPM))


def skew(settings: Settings, v: Sequence[Any]) -> Value:
    """R39, with its products from left to right."""
    n, d = len(v), distances(v)
    m2 = sum4([e * e for e in d]) / n
    m3 = sum4([(e * e) * e for e in d]) / n
    if m2 * math.sqrt(m2) == 0:
        return None
    if setting(settings, "bias", False):
        return finite(m3 / (m2 * math.sqrt(m2)))
    return finite(math.sqrt(n * (n - 1)) / (n - 2) * m3 / (m2 * math.sqrt(m2)))


def kurtosis(settings: Settings, v: Sequence[Any]) -> Value:
    """R40, with its products from left to right."""
    n, d = len(v), distances(v)
    m2 = sum4([e * e for e in d]) / n
    m4 = sum4([(e * e) * (e * e) for e in d]) / n
    if m2 * m2 == 0:
        return None
    if setting(settings, "bias", False):
        return finite(m4 / (m2 * m2) - 3)
    return finite((n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * m4 / (m2 * m2) - 3 * (n - 1)))


def covariance(_: Settings, a: Sequence[Any], b: Sequence[Any]) -> Value:
    """R41."""
    return rounded(moments(a, b).sxy / (len(a) - 1))


def correlation(_: Settings, a: Sequence[Any], b: Sequence[Any]) -> Value:
    """R42, rounded once."""
    m = moments(a, b)
    return None if m.sxx == 0 or m.syy == 0 else signed_root(m.sxy, m.sxy * m.sxy / (m.sxx * m.syy))


def beta(settings: Settings, y: Sequence[Any], x: Sequence[Any]) -> Value:
    """R43, y on x; `output="intercept"` rounded once, too."""
    m = moments(x, y)
    if m.sxx == 0:
        return None
    slope = m.sxy / m.sxx
    if setting(settings, "output", "beta") == "intercept":
        return rounded(m.mean_y - slope * m.mean_x)
    return rounded(slope)


rolling_sum = rolling(lambda _, v: total(v), least=1)  # R31
rolling_mean = rolling(mean, least=1)
rolling_var = rolling(variance, least=lambda settings: degrees(settings) + 1)
rolling_std = rolling(deviation, least=lambda settings: degrees(settings) + 1)
rolling_min = rolling(lambda _, v: min(v), least=1)  # R35
rolling_max = rolling(lambda _, v: max(v), least=1)
rolling_median = rolling(lambda _, v: quantile(500_000, v), least=1)  # R36
rolling_quantile = rolling(lambda settings, v: quantile(settings["q_ppm"], v), least=1)
rolling_skew = rolling(skew, least=3, max_rows=SHAPE_MAX_ROWS)
rolling_kurt = rolling(kurtosis, least=4, max_rows=SHAPE_MAX_ROWS)
rolling_cov = rolling(covariance, least=2)
rolling_corr = rolling(correlation, least=2)
rolling_beta = rolling(beta, least=2)


@over_rows(reset="none")
def rolling_rank(stretch: Stretch, settings: Settings) -> Column:
    """R38: the average rank of the row's own value, which must be there."""
    (x,) = stretch.operands
    ranks: Column = []
    for n, now in enumerate(x):
        (v,) = known([x], window(stretch.time_ns, n, settings))
        if now is None or len(v) < fewest(settings, 1):
            ranks.append(None)
            continue
        rank = sum(value < now for value in v) + (sum(value == now for value in v) + 1) / 2
        ranks.append(rank / len(v) if setting(settings, "pct", False) else rank)
    return ranks


@over_rows(reset="none")
def rolling_zscore(stretch: Stretch, settings: Settings) -> Column:
    """R44, rounded once.  `exclude_current`: over the window's length of rows before this one."""
    (x,) = stretch.operands
    without_itself = setting(settings, "exclude_current", False)
    scores: Column = []
    for n, now in enumerate(x):
        rows = window(stretch.time_ns, n, settings)
        if without_itself:
            by_rows = setting(settings, "rows", None) is not None
            rows = range(max(0, n - settings["rows"]) if by_rows else rows.start, n)
        (v,) = known([x], rows)
        if now is None or len(v) < fewest(settings, max(2, degrees(settings) + 1)):
            scores.append(None)
            continue
        m = moments(v, v)
        distance = Fraction(now) - m.mean_x
        square = m.sxx / (m.n - degrees(settings))
        scores.append(None if square == 0 else signed_root(distance, distance * distance / square))
    return scores


def rows_back(extreme: Callable[[Sequence[Any]], Any]) -> Function:
    """R45: rows back to the newest of the extreme values; null rows count as rows."""

    @over_rows(reset="none")
    def function(stretch: Stretch, settings: Settings) -> Column:
        (x,) = stretch.operands
        back: Column = []
        for n in range(len(x)):
            rows = [row for row in window(stretch.time_ns, n, settings) if x[row] is not None]
            values = [x[row] for row in rows]
            enough = len(rows) >= fewest(settings, 1)
            back.append(n - max(row for row in rows if x[row] == extreme(values)) if enough else None)
        return back

    return function


rolling_argmax = rows_back(max)
rolling_argmin = rows_back(min)
