"""Flow, impact and spread, M20 to M29."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from tests.oracles.features.averages import of_session
from tests.oracles.features.exact import moments, rounded, total
from tests.oracles.features.lags import diff, lag
from tests.oracles.features.memory import horizon_of_rows, recursion
from tests.oracles.features.rolling import rolling
from tests.oracles.features.rows import (
    Column,
    Rows,
    Settings,
    Stretch,
    Value,
    divided,
    fewest,
    finite,
    has_window,
    known,
    over_rows,
    setting,
    window,
    with_default,
)

GUARD = 1e8  # of P0: beyond it the variance of an estimate is not raised any more


def change_of_quote(now: Sequence[Any], before: Sequence[Any]) -> Value:
    """M20's e of (bid, ask, bid size, ask size) and those of the row before.

    A side without a price is missing; a price without a size says nothing, so that e is null.
    """
    (b, a, qb, qa), (b0, a0, qb0, qa0) = _with_missing_sides(now), _with_missing_sides(before)
    if None in (qb, qa, qb0, qa0):
        return None
    bids = (qb if b >= b0 else 0) - (qb0 if b <= b0 else 0)
    return finite(bids - (qa if a <= a0 else 0) + (qa0 if a >= a0 else 0))


def _with_missing_sides(quote: Sequence[Any]) -> tuple[Any, Any, Any, Any]:
    bid, ask, bid_size, ask_size = quote
    return (
        -math.inf if bid is None else bid,
        math.inf if ask is None else ask,
        0 if bid is None else bid_size,
        0 if ask is None else ask_size,
    )


@over_rows(reset="session")
def _changes(stretch: Stretch, _: Settings) -> Column:
    quotes = list(zip(*stretch.operands, strict=True))
    changes = [change_of_quote(now, before) for before, now in pairwise(quotes)]
    return [None, *changes]


@over_rows(reset="session")
def _flow_in_window(stretch: Stretch, settings: Settings) -> Column:
    *quote, e = stretch.operands
    depths: Column = []
    for values in zip(*quote, strict=True):
        *_, qb, qa = _with_missing_sides(values)
        depths.append(None if qb is None or qa is None else (qb + qa) / 2)
    flows: Column = []
    for n in range(len(e)):
        rows = window(stretch.time_ns, n, settings)
        (changes,), (depth,) = known([e], rows), known([depths], rows)
        flow = total(changes)
        flow = None if flow is None else float(flow)  # over a window, whatever the sizes are
        if len(changes) < fewest(settings, 1):
            flow = None
        elif flow is not None and setting(settings, "normalise", False):
            sum_of_depths = sum(map(Fraction, depth), Fraction())
            exact = sum(map(Fraction, changes), Fraction()) * len(depth)
            flow = rounded(exact / sum_of_depths) if sum_of_depths else None
        flows.append(flow)
    return flows


def ofi(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """M20 of (bid, ask, bid size, ask size): e, or with a window its sum in there."""
    changes = _changes(rows, operands, settings)
    if not has_window(settings) or setting(settings, "output", "sum") == "e":
        return changes
    return _flow_in_window(rows, [*operands, changes], settings)


def ofi_levels(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """M21 of M bids, M asks, M bid sizes and M ask sizes, best level first.

    `output="e2"` is level 2, by default the first; `output="integrated"` the mean weighted by `w`.
    """
    count = len(operands) // 4
    levels = [_changes(rows, operands[level::count], settings) for level in range(count)]
    output = setting(settings, "output", "integrated" if setting(settings, "integrated", False) else "e1")
    if output != "integrated":
        return levels[int(output.removeprefix("e")) - 1]
    w = setting(settings, "w", None)
    weights = [float(a[0] if isinstance(a, tuple) else a) for a in w or ()]
    integrated: Column = []
    for values in zip(*levels, strict=True):
        if None in values:
            integrated.append(None)
        elif w is None:
            integrated.append(rounded(sum((Fraction(e or 0) for e in values), Fraction()) / count))
        else:
            integrated.append(_weighted(weights, [float(e or 0) for e in values]))
    return integrated


def _weighted(w: Sequence[float], e: Sequence[float]) -> Value:
    """The mean as it is written: product after product, added in the order of the levels."""
    total = w[0] * e[0]
    for weight, value in zip(w[1:], e[1:], strict=True):
        total = total + weight * value if math.isfinite(total) and math.isfinite(weight * value) else math.nan
    return divided(total + 0.0, math.fsum(w)) if math.isfinite(total) else None  # no zero has a sign


def _imbalance(_: Settings, d: Sequence[Any], q: Sequence[Any]) -> Value:
    """M22 of trades with a size above 0."""
    signed = sum((Fraction(a) * Fraction(b) for a, b in zip(d, q, strict=True)), Fraction())
    return rounded(signed / sum(map(Fraction, q)))


def trade_imbalance(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """M22 of (size, d)."""
    size, d = operands
    traded: Column = [None if q is None or q <= 0 else q for q in size]
    return rolling(_imbalance, least=1, reset="session")(rows, [sides(d), traded], settings)


def sides(d: Column) -> list[Any]:
    """Directions, null for what is none of -1, 0 and 1."""
    return [side if side in (-1, 0, 1) else None for side in d]


def change_and_flow(rows: Rows, operands: Sequence[Column], settings: Settings) -> list[Column]:
    """The change of the price in ticks, and the signed size, of (price, size, d)."""
    price, size, d = operands
    tick = setting(settings, "tick", None)
    changes: list[Any] = of_session(diff, price, rows, settings)
    if tick is not None:
        changes = [None if change is None else divided(change, tick) for change in changes]
    flows: Column = [None if a is None or q is None else a * q for a, q in zip(sides(d), size, strict=True)]
    return [changes, flows]


class Regression(NamedTuple):
    """M23's line y = a + l * x, the covariance of the two, and how many rows made it."""

    a: float
    l: float  # noqa: E741 - the formula's letter
    p00: float
    p01: float
    p11: float
    row_count: int


def updated(state: Regression, x: float, y: float, lambda_f: float, p0: float) -> Regression:
    """M23's update, in its order; the guard looks at the covariance before it."""
    a, slope, p00, p01, p11, row_count = state
    u0 = p00 + p01 * x
    u1 = p01 + p11 * x
    divisor = lambda_f + (u0 + u1 * x)
    k0, k1 = u0 / divisor, u1 / divisor
    err = y - (a + slope * x)
    a = a + k0 * err
    slope = slope + k1 * err
    is_wound_up = p00 > GUARD * p0 or p11 > GUARD * p0
    forget = 1.0 if is_wound_up else lambda_f
    p00 = (p00 - k0 * u0) / forget
    p01 = (p01 - k0 * u1) / forget
    p11 = (p11 - k1 * u1) / forget
    return Regression(a, slope, p00, p01, p11, row_count + 1)


def kyle_rls(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """M23 of (price, size, d); a row that it skips has the slope of the row before."""
    lambda_f, p0 = setting(settings, "lambda_f", 0.99), setting(settings, "P0", 1000.0)
    min_count = setting(settings, "min_count", 10)

    def step(state: Regression, _: int, values: Sequence[Any]) -> Regression:
        y, x, d = values
        if y is None or x is None or d == 0:
            return state
        return updated(state, float(x), float(y), lambda_f, p0)

    return recursion(
        rows,
        [*change_and_flow(rows, operands, settings), operands[2]],
        settings,
        start=lambda: Regression(0.0, 0.0, float(p0), 0.0, float(p0), 0),
        step=step,
        value=lambda state, _: finite(state.l) if state.row_count >= min_count else None,
        horizon=lambda: horizon_of_rows(lambda_f, settings),
    )


def _slope(settings: Settings, y: Sequence[Any], x: Sequence[Any]) -> Value:
    """M24: the slope, or with `output="t"` its t-value."""
    m = moments(x, y)
    if m.sxx == 0:
        return None
    slope = m.sxy / m.sxx
    if setting(settings, "output", "lambda") != "t":
        return rounded(slope)
    residual = (m.syy - slope * m.sxy) / (m.n - 2)
    t = None if residual <= 0 else rounded(slope * slope * m.sxx / residual)
    return None if t is None else math.copysign(math.sqrt(t), slope)


def kyle_window(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """M24 of (price, size, d); a trade of unknown side counts, with a flow of 0."""
    of: Callable[..., Column] = rolling(_slope, least=3, reset="session")
    return of(rows, change_and_flow(rows, operands, settings), settings)


def _roll(settings: Settings, now: Sequence[Any], before: Sequence[Any]) -> Value:
    c = moments(now, before).sxy / (len(now) - 1)
    size = rounded(abs(c))
    if size is None or setting(settings, "output", "spread") == "c":
        return rounded(c)
    if c < 0 or setting(settings, "positive", "zero") == "abs":
        return 2 * math.sqrt(size)
    return None if c > 0 and setting(settings, "positive", "zero") == "null" else 0.0


def roll_spread(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """M27 of pairs of neighbouring changes; the pair of a window's first row reaches back before it."""
    if not has_window(settings):
        settings = with_default(settings, rows=20)
    changes = of_session(diff, operands[0], rows, settings)
    pairs = [changes, of_session(lag, changes, rows, settings)]
    return rolling(_roll, least=2, reset="session")(rows, pairs, settings)


@over_rows(reset="none")
def vpin(stretch: Stretch, settings: Settings) -> Column:
    """M29 of (size, d): by how much one side had more of the last n full buckets of V lots, as a share.

    Or of (size, share), where a share counts in units of 2**-21.
    """
    size, second = stretch.operands
    shares: list[Fraction | None] = []
    for value in second if setting(settings, "of", "direction") == "share" else sides(second):
        if value is None or not -1 <= value <= 1:
            shares.append(None)
        elif setting(settings, "of", "direction") == "share":
            shares.append(Fraction(round(value * 2**21), 2**21) if value >= 0 else None)
        else:
            shares.append(Fraction(1 + int(value), 2))
    volume, count = Fraction(settings["V"]), setting(settings, "n", 50)
    bought: list[Fraction] = []
    content, buys = Fraction(), Fraction()
    values: Column = []
    for q, share in zip(size, shares, strict=True):
        rest = Fraction() if q is None or share is None else max(Fraction(), Fraction(q))
        while rest > 0:
            part = min(rest, volume - content)
            buys += part * (share or 0)
            rest, content = rest - part, content + part
            if content == volume:  # and what is left fills whole buckets alike, of which the last n count
                whole, rest = divmod(rest, volume)
                alike = volume * (share or 0)
                bought = [*bought, buys, *[alike] * min(whole, count)][-count:]
                content, buys = Fraction(), Fraction()
        last = bought[-count:]
        surplus = sum((abs(2 * b - volume) for b in last), Fraction())
        values.append(rounded(surplus / (count * volume)) if len(last) == count else None)
    return values
