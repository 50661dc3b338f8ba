"""Functions of trades and quotes that look back, for the audit: made of lags, windows and recursions."""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final

import numpy as np
import polars as pl

from app.audit.exact import Sums, ratio, root_of_ratio, units
from app.audit.formula_functions import called, direction_of
from app.audit.formula_values import alike, arithmetic, choose, entering, finite, without
from app.audit.lags import diff, lag, log_return, logarithm
from app.audit.past import ROWS_MAX, Past, Settings
from app.audit.since import kyle_rls, vpin
from app.audit.windows import (
    FLOAT,
    IN_ORDER_ROWS_MAX,
    INT,
    Moments,
    Windows,
    fits,
    least_of,
    moments,
    rolling_sum,
    stretches_of,
    weighted_mean,
)

ROLL_ROWS: Final = 20
SIDES: Final = 4
BPS: Final = 1e4
SHARES: Final = 2**21  # of a trade: what a share of it counts in


def in_units(price: pl.Series, price_scale: float) -> pl.Series:
    """A price by its scale."""
    return price if price_scale == 1 else arithmetic("/", price, float(price_scale))


def vwap(
    past: Past, price: pl.Series, size: pl.Series, *, price_scale: float = 1.0, **settings: Any
) -> pl.Series:
    """M1."""
    return in_units(weighted_mean(past, price, size, **settings), price_scale)


def trade_imbalance(past: Past, size: pl.Series, d: pl.Series, **settings: Any) -> pl.Series:
    """M22."""
    return weighted_mean(past, direction_of(d), size, **settings)


class _Area:
    """The area under prices that each stand until the next one."""

    def __init__(self, prices: Mapping[int, int]) -> None:
        self._since, self._prices = list(prices), list(prices.values())
        lengths = [after - before for before, after in pairwise(self._since)]
        areas = (price * length for price, length in zip(self._prices, lengths, strict=False))
        self._areas = list(accumulate(areas, initial=0))

    def until(self, time_ns: int) -> int:
        """The area up to a time that is not before the first price."""
        at = bisect_right(self._since, time_ns) - 1
        return self._areas[at] + self._prices[at] * (time_ns - self._since[at])


def twap(
    past: Past,
    price: pl.Series,
    *,
    ns: int,
    max_rows: int = ROWS_MAX,
    price_scale: float = 1.0,
    **settings: Any,
) -> pl.Series:
    """M2: the area under the price from the window's begin to the row's time, by how long there was one."""
    stretches = stretches_of(past, settings, "session")
    own = units(stretches.of(price))
    times = stretches.time_ns.tolist()
    values: list[float | None] = []
    for lower, end in stretches.spans():
        known = [row for row in range(lower, end) if own.valid[row]]
        area = _Area({times[row]: own.values[row] for row in known})  # of one time the last price stands
        valid_from = np.append(np.flatnonzero(own.valid[lower:end]) + lower, end)
        for here in range(lower, end):
            now_ns, first = times[here], lower
            begin_ns, cut = now_ns - ns, here + 1 - max_rows
            if cut > lower and times[cut - 1] > begin_ns:
                first = cut
            oldest = int(valid_from[np.searchsorted(valid_from, first)])
            if oldest < end:
                begin_ns = max(begin_ns, times[oldest])
            covered_ns = now_ns - begin_ns if oldest <= here else 0
            values.append(
                ratio(area.until(now_ns) - area.until(begin_ns), covered_ns, own.exponent)
                if covered_ns > 0
                else None
            )
    return in_units(stretches.put(values, FLOAT), price_scale)


def returns(past: Past, price: pl.Series, settings: Settings) -> pl.Series:
    """From row to row; null at a session's first row unless `reset` says otherwise."""
    return log_return(past, price, reset=settings.get("reset", "session"))


def realised_variance(
    past: Past, price: pl.Series, *, output: str = "variance", **settings: Any
) -> pl.Series:
    """M5."""
    r = returns(past, price, settings)
    variance = rolling_sum(past, r * r, reset_of="session", **settings)
    return variance.sqrt() if output == "vol" else variance


def bipower_variation(
    past: Past, price: pl.Series, *, finite_sample: bool = False, **settings: Any
) -> pl.Series:
    """M6."""
    r = returns(past, price, settings)
    terms = arithmetic("*", r.abs(), lag(past, r, reset=settings.get("reset", "session")).abs())
    windows = Windows(past, settings, reset="session")
    own = windows.units(terms)
    least = least_of(settings, 2)
    values: list[float | None] = []
    for total, n in zip(windows.sums(own), windows.counts(windows.units(r)), strict=True):
        value = ratio(total, 1, own.exponent) if n >= least else None
        if value is not None:
            value = math.pi / 2 * value * (n / (n - 1) if finite_sample else 1.0)
        values.append(value)
    return finite(windows.put(values))


def two_scale_variance(
    past: Past,
    price: pl.Series,
    *,
    K: int = 30,  # noqa: N803 - the setting's name
    adjust: bool = True,
    **settings: Any,
) -> pl.Series:
    """M7 of the prices that are there."""
    windows = Windows(past, {"max_rows": IN_ORDER_ROWS_MAX, **settings}, reset="session")
    known = windows.stretches.of(without(price, price <= 0).cast(FLOAT))
    kept = known.drop_nulls()
    place = np.concatenate([[0], np.cumsum(known.is_not_null().to_numpy())])
    first, end = place[windows.first], place[windows.end]
    logs = logarithm(kept)
    near = logarithm(kept / kept.shift(1))
    far = logs - logs.shift(K)
    squares = [units(each * each) for each in (near, far)]
    # Over pairs that begin in the slice: a difference belongs to its later price.
    sums = [
        Sums(each).over(np.minimum(first + back, end), end)
        for each, back in zip(squares, (1, K), strict=True)
    ]
    values: list[float | None] = []
    for a, b, near_sum, far_sum in zip(first.tolist(), end.tolist(), *sums, strict=True):
        n = b - a - 1
        if n < max(2 * K, settings.get("min_count", 1)):
            values.append(None)
            continue
        share = (n - K + 1) / K / n
        rv, average = (
            ratio(each, 1, own.exponent) for each, own in zip((near_sum, far_sum), squares, strict=True)
        )
        raw = 1 / K * (average or 0.0) - share * (rv or 0.0)
        values.append(raw / (1 - share) if adjust else raw)
    return windows.put(values)


def trade_return(past: Past, price: pl.Series, *, unit: str = "bps", **settings: Any) -> pl.Series:
    """Q19."""
    r = log_return(past, price, **{"reset": "session", **settings})
    return arithmetic("*", r, BPS) if unit == "bps" else r


def change_of_quote(past: Past, quote: Sequence[pl.Series], settings: Settings) -> pl.Series:
    """M20's e of bid, ask and their sizes; a side without a price is at the farthest one, of size 0."""
    stretches = stretches_of(past, settings, "session")
    columns = [stretches.of(each).to_list() for each in quote]
    quotes = [
        (
            -math.inf if b is None else b,
            math.inf if a is None else a,
            0 if b is None else qb,
            0 if a is None else qa,
        )
        for b, a, qb, qa in zip(*columns, strict=True)
    ]
    values: list[float | None] = []
    for here, begin in enumerate(stretches.begin.tolist()):
        if here == begin:
            values.append(None)
            continue
        (b0, a0, qb0, qa0), (b, a, qb, qa) = quotes[here - 1], quotes[here]
        if None in (qb0, qa0, qb, qa):
            values.append(None)
            continue
        e = (b >= b0) * qb - (b <= b0) * qb0 - (a <= a0) * qa + (a >= a0) * qa0
        values.append(fits(e) if isinstance(e, int) else e + 0.0)
    whole = not any(size.dtype.is_float() for size in quote[2:])
    e = stretches.put(values, INT if whole else FLOAT)
    return e if whole else finite(e)


def ofi(
    past: Past,
    bid: pl.Series,
    ask: pl.Series,
    bid_size: pl.Series,
    ask_size: pl.Series,
    *,
    normalise: bool = False,
    **settings: Any,
) -> pl.Series:
    """M20, and with a window its sum there."""
    bid_size, ask_size = alike(bid_size, ask_size)
    e = change_of_quote(past, [bid, ask, bid_size, ask_size], settings)
    if "rows" not in settings and "ns" not in settings:
        return e
    if not normalise:
        return rolling_sum(past, e, reset_of="session", **settings)
    nothing = pl.Series([0], dtype=bid_size.dtype).new_from_index(0, bid_size.len())
    sizes = [choose(p.is_null(), nothing, q) for p, q in ((bid, bid_size), (ask, ask_size))]
    windows = Windows(past, settings, reset="session")
    flows, depths = windows.units(e), windows.units(arithmetic("/", arithmetic("+", *sizes), 2))
    least = least_of(settings)
    values = [
        ratio(flow * count, depth, flows.exponent - depths.exponent) if n >= least else None
        for flow, n, depth, count in zip(
            windows.sums(flows),
            windows.counts(flows),
            windows.sums(depths),
            windows.counts(depths),
            strict=True,
        )
    ]
    return windows.put(values)


def ofi_levels(
    past: Past, *values: pl.Series, output: str = "e1", w: Sequence[float] = (), **settings: Any
) -> pl.Series:
    """M21: all bids, asks, bid sizes and ask sizes, or the mean of all levels, weighted as it is written."""
    count = len(values) // SIDES
    sizes = alike(*values[2 * count :])
    quotes = [*values[: 2 * count], *sizes]
    levels = [change_of_quote(past, quotes[level::count], settings) for level in range(count)]
    if output != "integrated":
        return levels[int(output.removeprefix("e")) - 1]
    if w:
        weighted = arithmetic("*", levels[0].cast(FLOAT), float(w[0]))
        for level, weight in zip(levels[1:], w[1:], strict=True):
            weighted = arithmetic("+", weighted, arithmetic("*", level.cast(FLOAT), float(weight)))
        return arithmetic("/", arithmetic("+", weighted, 0.0), math.fsum(w))  # no zero has a sign
    own = [units(level) for level in levels]
    unit = min(each.exponent for each in own)
    known = np.logical_and.reduce([each.valid for each in own]).tolist()
    totals = zip(*(each.at(unit).values for each in own), strict=True)
    means = [
        ratio(sum(e), count, unit) if all_known else None for e, all_known in zip(totals, known, strict=True)
    ]
    return pl.Series(means, dtype=FLOAT)


def _change(past: Past, price: pl.Series, tick: float | None, settings: Settings) -> pl.Series:
    change = diff(past, price, reset=settings.get("reset", "session")).cast(FLOAT)
    return change if tick is None else arithmetic("/", change, float(tick))


def kyle_of_updates(
    past: Past, price: pl.Series, size: pl.Series, d: pl.Series, *, tick: float | None = None, **settings: Any
) -> pl.Series:
    """M23."""
    flow = without(called("signed_volume", [size, d], {}).cast(FLOAT), d == 0)
    return kyle_rls(past, _change(past, price, tick, settings), flow, **settings)


def kyle_window(
    past: Past,
    price: pl.Series,
    size: pl.Series,
    d: pl.Series,
    *,
    tick: float | None = None,
    output: str = "lambda",
    **settings: Any,
) -> pl.Series:
    """M24: the slope, or its t-value."""

    def of(m: Moments) -> float | None:
        if output != "t":
            return ratio(m.xy, m.xx)
        # t*t = slope**2 * Sxx * (n - 2) / (Syy - slope * Sxy), all times n and Sxx.
        return root_of_ratio(m.xy * m.xy * (m.n - 2), m.yy * m.xx - m.xy * m.xy, m.xy)

    flow = called("signed_volume", [size, d], {}).cast(FLOAT)
    change = _change(past, price, tick, settings)
    return moments(past, flow, change, of, 3, reset_of="session", **settings)


def roll_spread(
    past: Past, price: pl.Series, *, positive: str = "zero", output: str = "spread", **settings: Any
) -> pl.Series:
    """M27."""
    if "ns" not in settings:
        settings = {"rows": ROLL_ROWS, **settings}
    change = _change(past, price, None, settings)

    def of(m: Moments) -> float | None:
        c = ratio(m.xy, m.n * (m.n - 1), 2 * m.unit)
        if c is None or output == "c":
            return c
        if c > 0 and positive == "null":
            return None
        return 2 * math.sqrt(abs(c)) if c < 0 or positive == "abs" else 0.0

    before = lag(past, change, reset=settings.get("reset", "session"))
    return moments(past, change, before, of, 2, reset_of="session", **settings)


def vpin_of_trades(past: Past, size: pl.Series, d: pl.Series, **settings: Any) -> pl.Series:
    """M29 of directions that are -1, 0 or 1, or of shares from 0 to 1."""
    if settings.pop("of", "direction") == "share":
        bought = [
            round(share * SHARES) if share is not None and 0 <= share <= 1 else None
            for share in entering(d.cast(pl.Float64)).to_list()
        ]
        return vpin(past, size, pl.Series(bought, dtype=pl.Int64), SHARES, **settings)
    return vpin(past, size, direction_of(d) + 1, 2, **settings)
