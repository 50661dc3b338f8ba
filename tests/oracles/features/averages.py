"""Averages and volatility, M1 to M7.  Returns are R15 of the price, null at the first row of a session."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from tests.oracles.features.ewma import decay, decay_per_ns, half_life_ns_of
from tests.oracles.features.exact import rounded, total
from tests.oracles.features.lags import diff, lag, log_return
from tests.oracles.features.memory import horizon_of_rows, horizon_of_time, recursion
from tests.oracles.features.rolling import SHAPE_MAX_ROWS
from tests.oracles.features.rows import (
    MAX_ROWS,
    Column,
    Rows,
    Settings,
    Stretch,
    Value,
    divided,
    fewest,
    finite,
    known,
    over_rows,
    setting,
    window,
)


def in_units(value: Fraction, settings: Settings) -> Value:
    """A price of integer units divided once more by its scale."""
    price = rounded(value)
    scale = setting(settings, "price_scale", 1)
    return price if price is None or scale == 1 else price / scale


def of_session(function: Any, column: Column, rows: Rows, settings: Settings, **more: Any) -> Column:
    """A lag of R13 to R15 that is null at a session's first row, but with `reset="none"`."""
    reset = setting(settings, "reset", "session")
    hours = setting(settings, "hours", "all")
    values: Column = function(rows, [column], {"reset": reset, "hours": hours, **more})
    return values


@over_rows(reset="session")
def vwap(stretch: Stretch, settings: Settings) -> Column:
    """M1, exact, rounded once."""
    price, size = stretch.operands
    traded: Column = [None if q is None or q <= 0 else q for q in size]
    averages: Column = []
    for n in range(len(price)):
        p, q = known([price, traded], window(stretch.time_ns, n, settings))
        worth = sum((Fraction(a) * Fraction(b) for a, b in zip(p, q, strict=True)), Fraction())
        enough = len(p) >= fewest(settings, 1)
        averages.append(in_units(worth / sum(map(Fraction, q)), settings) if enough else None)
    return averages


@over_rows(reset="session")
def twap(stretch: Stretch, settings: Settings) -> Column:
    """M2, exact, rounded once.  A null price does not end the one before it.

    Where `max_rows` cuts the window, the first price is that of the oldest row left in it.
    """
    (price,) = stretch.operands
    ns, max_rows = settings["ns"], setting(settings, "max_rows", MAX_ROWS)
    averages: Column = []
    for n, now_ns in enumerate(stretch.time_ns):
        begin_ns = now_ns - ns
        cut = n + 1 - max_rows
        is_cut = cut > 0 and stretch.time_ns[cut - 1] > begin_ns
        prices: dict[int, Any] = {  # of equal times the last
            stretch.time_ns[row]: price[row]
            for row in range(cut if is_cut else 0, n + 1)
            if price[row] is not None
        }
        ends = [*list(prices)[1:], now_ns]
        worth, covered_ns = Fraction(), 0
        for (since_ns, value), end_ns in zip(prices.items(), ends, strict=False):
            stood_ns = max(0, min(end_ns, now_ns) - max(since_ns, begin_ns))
            worth += Fraction(value) * stood_ns
            covered_ns += stood_ns
        averages.append(in_units(worth / covered_ns, settings) if covered_ns else None)
    return averages


class Squares(NamedTuple):
    """M3's variance, None before the first return."""

    s2: float | None = None


def ewma_volatility(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """M3; a row without a return has the value of the row before."""
    kept = setting(settings, "decay", 0.94)
    fresh = 1 - kept

    def step(state: Squares, _: int, values: Sequence[Any]) -> Squares:
        (r,) = values
        if r is None:
            return state
        return Squares(r * r if state.s2 is None else kept * state.s2 + fresh * (r * r))

    return recursion(
        rows,
        [of_session(log_return, operands[0], rows, settings)],
        settings,
        start=Squares,
        step=step,
        value=lambda state, _: None if state.s2 is None else finite(math.sqrt(state.s2)),
        horizon=lambda: horizon_of_rows(kept, settings),
    )


class Rate(NamedTuple):
    """M4's two sums, and when the last return came."""

    s: float = 0.0
    d: float = 0.0
    last_ns: int | None = None


def ewma_variance_rate(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """M4, per ns: both sums take a row with a return, and the time since the row that its return is from."""
    c = decay_per_ns(settings)
    times_ns: Column = list(rows.time_ns)

    def step(state: Rate, now_ns: int, values: Sequence[Any]) -> Rate:
        r, dt = values
        if r is None:
            return state
        f = decay(c, state.last_ns, now_ns)
        return Rate(f * state.s + r * r, f * state.d + float(dt), now_ns)

    return recursion(
        rows,
        [
            of_session(log_return, operands[0], rows, settings),
            of_session(diff, times_ns, rows, settings),
        ],
        settings,
        start=Rate,
        step=step,
        value=lambda state, _: divided(state.s, state.d),
        horizon=lambda: horizon_of_time(half_life_ns_of(settings), settings),
    )


@over_rows(reset="session")
def _sum_of_squares(stretch: Stretch, settings: Settings) -> Column:
    (r,) = stretch.operands
    sums: Column = []
    for n in range(len(r)):
        (v,) = known([r], window(stretch.time_ns, n, settings))
        sums.append(total([x * x for x in v]) if len(v) >= fewest(settings, 1) else None)
    return sums


def realised_variance(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """M5: the rounded squares, added exactly; `output="vol"` its root."""
    returns = of_session(log_return, operands[0], rows, settings)
    variances = _sum_of_squares(rows, [returns], settings)
    if setting(settings, "output", "variance") != "vol":
        return variances
    return [None if variance is None else math.sqrt(variance) for variance in variances]


@over_rows(reset="session")
def _bipower(stretch: Stretch, settings: Settings) -> Column:
    r, before = stretch.operands
    sums: Column = []
    for n in range(len(r)):
        rows = window(stretch.time_ns, n, settings)
        count = len(known([r], rows)[0])
        if count < fewest(settings, 2):
            sums.append(None)
            continue
        terms = [abs(x) * abs(y) for x, y in zip(*known([r, before], rows), strict=True)]
        value = math.pi / 2 * math.fsum(terms)
        sums.append(value * (count / (count - 1)) if setting(settings, "finite_sample", False) else value)
    return sums


def bipower_variation(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """M6; the term of a window's first row reaches back to the return before it."""
    returns = of_session(log_return, operands[0], rows, settings)
    return _bipower(rows, [returns, of_session(lag, returns, rows, settings)], settings)


def _log(ratio: float) -> float:
    """The logarithm; of prices too far apart for a float64 the return is infinite."""
    return math.log(ratio) if ratio > 0 else -math.inf


@over_rows(reset="session")
def two_scale_variance(stretch: Stretch, settings: Settings) -> Column:
    """M7 of the prices that are there: returns go from one to the next, sums are exact, rounded once."""
    (price,) = stretch.operands
    k = setting(settings, "K", 30)
    logs: Column = [None if p is None or p <= 0 else math.log(p) for p in price]
    variances: Column = []
    for n in range(len(price)):
        p, x = known([price, logs], window(stretch.time_ns, n, settings, SHAPE_MAX_ROWS))
        count = len(x) - 1
        if count < max(2 * k, setting(settings, "min_count", 1)):
            variances.append(None)
            continue
        far = [x[i] - x[i - k] for i in range(k, count + 1)]
        near = [_log(p[i] / p[i - 1]) for i in range(1, count + 1)]
        average = 1 / k * math.fsum(d * d for d in far)
        share = (count - k + 1) / k / count
        raw = average - share * math.fsum(r * r for r in near)
        variances.append(divided(raw, 1 - share) if setting(settings, "adjust", True) else finite(raw))
    return variances
