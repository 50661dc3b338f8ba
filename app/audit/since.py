"""Functions that hang on the rows since a start, for the audit: one pass in order, of each stretch."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import polars as pl

from app.audit.exact import ratio, units
from app.audit.lags import log_return
from app.audit.past import NONE, Past, Settings, Stretches
from app.audit.windows import FLOAT, INT, fits, stretches_of
from schemas.batch import Int64s

EPS: Final = 1e-9
LN2: Final = math.log(2.0)
BLOCK_MAX: Final = 1 << 62

State = tuple[Any, ...]
Step = Callable[
    ..., tuple[State, float | None]
]  # (state, time_ns, *values) -> the next state, and the result


def cumsum(past: Past, x: pl.Series, **settings: Any) -> pl.Series:
    """R16."""
    stretches = stretches_of(past, settings, "session")
    own = units(stretches.of(x))
    is_float = x.dtype.is_float()
    values: list[float | None] = []
    total = 0
    for here, (value, valid, begin) in enumerate(
        zip(own.values, own.valid.tolist(), stretches.begin.tolist(), strict=True)
    ):
        total = value if here == begin else total + value
        rounded = ratio(total, 1, own.exponent) if is_float else fits(total)
        values.append(rounded if valid else None)
    return stretches.put(values, FLOAT if is_float else INT)


def last_where(stretches: Stretches, true: pl.Series) -> Int64s:
    """Of each row the last place so far in its stretch where it is true; `NONE` before the first."""
    places = np.where(stretches.of(true).fill_null(value=False).to_numpy(), stretches.here, NONE)
    last = np.maximum.accumulate(places) if places.size else places
    return np.where(last >= stretches.begin, last, NONE)


def since_event(past: Past, event: pl.Series, *, in_rows: bool, memory: str = "session") -> pl.Series:
    """R17, or with `in_rows` R18."""
    stretches = past.stretches(by_session=memory == "session")
    last = last_where(stretches, event)
    count = stretches.here if in_rows else stretches.time_ns
    return stretches.pick(pl.Series(count - count[last]), np.where(last == NONE, NONE, stretches.here))


def fill_forward(
    past: Past, x: pl.Series, *, limit_rows: int | None = None, limit_ns: int | None = None, **settings: Any
) -> pl.Series:
    """R19."""
    stretches = stretches_of(past, settings)
    last = last_where(stretches, x.is_not_null())
    if limit_rows is not None:
        last = np.where(stretches.here - last <= limit_rows, last, NONE)
    if limit_ns is not None:
        last = np.where(stretches.time_ns - stretches.time_ns[last] <= limit_ns, last, NONE)
    return stretches.pick(stretches.of(x), last)


def recursion(
    past: Past,
    columns: Sequence[pl.Series],
    step: Step,
    start: State,
    settings: Settings,
    *,
    kept: float | None = None,
    half_life_ns: float | None = None,
    horizon_ns: float | None = None,
    horizon_rows: int | None = None,
) -> pl.Series:
    """The results of `step` over all rows since the start that the setting `memory` says.

    An anchored one fades by `kept` a row, or by half in `half_life_ns`; or its horizon is said.
    """
    memory = settings.get("memory", "session")
    stretches = past.stretches(by_session=memory == "session")
    starts = stretches.begin
    if memory == "anchored":
        eps = settings.get("eps", EPS)
        if half_life_ns is not None:
            horizon_ns = half_life_ns * math.log2(1 / eps)
        if kept is not None:
            horizon_rows = math.ceil(math.log(eps) / math.log(kept)) if kept > 0 else 1
        if horizon_ns is not None:
            starts = _anchors_of_time(stretches, horizon_ns)
        else:
            assert horizon_rows is not None, "what fades fades by rows or by time"
            starts = _anchors_of_rows(stretches, horizon_rows)
    times = stretches.time_ns.tolist()
    rows = list(zip(times, *(stretches.of(column).to_list() for column in columns), strict=True))
    values: list[float | None] = []
    state, began = start, NONE
    for here, first in enumerate(starts.tolist()):
        if first != began:
            state, began = start, first
            for row in rows[first:here]:
                state, _ = step(state, *row)
        state, value = step(state, *rows[here])
        values.append(value if value is not None and math.isfinite(value) else None)
    return stretches.put(values, FLOAT)


def _block(horizon: float) -> int:
    block = 1
    while block < horizon and block < BLOCK_MAX:
        block *= 2
    return block


def _anchors_of_rows(stretches: Stretches, horizon: float) -> Int64s:
    block = _block(horizon)
    ordinal = stretches.here - stretches.begin
    return np.asarray(stretches.begin + np.maximum(ordinal // block - 1, 0) * block)


def _anchors_of_time(stretches: Stretches, horizon_ns: float) -> Int64s:
    block = _block(horizon_ns)
    if block == BLOCK_MAX:
        return stretches.begin
    return stretches.among((stretches.time_ns // block - 1) * block, upper=False)


def divided(x: float, y: float) -> float | None:
    """x / y, None for a division by 0."""
    return x / y if y else None


def alpha_of(settings: Settings) -> float:
    """The weight of the newest row."""
    if "span" in settings:
        return 2.0 / (float(settings["span"]) + 1.0)
    if "com" in settings:
        return 1.0 / (1.0 + float(settings["com"]))
    if "half_life" in settings:
        return 1.0 - math.exp(-LN2 / settings["half_life"])
    return float(settings["alpha"])


def _decay_of(settings: Settings) -> tuple[float, float]:
    """The c of exp(-dt * c), and the half-life, in ns."""
    if "tau_ns" in settings:
        return 1.0 / float(settings["tau_ns"]), LN2 * settings["tau_ns"]
    return LN2 / float(settings["half_life_ns"]), float(settings["half_life_ns"])


def _faded(c: float, last_ns: int | None, now_ns: int) -> float:
    return 1.0 if last_ns is None else math.exp(-(float(now_ns - last_ns) * c))


def ewma(past: Past, x: pl.Series, *, adjust: bool = True, min_count: int = 1, **settings: Any) -> pl.Series:
    """R50, without `adjust` R51."""
    alpha = alpha_of(settings)
    k = 1.0 - alpha

    def adjusted(state: State, _: int, now: float | None) -> tuple[State, float | None]:
        num, den, count = k * state[0], k * state[1], state[2]
        if now is not None:
            num, den, count = num + now, den + 1.0, count + 1
        return (num, den, count), divided(num, den) if count >= min_count else None

    def plain(state: State, _: int, now: float | None) -> tuple[State, float | None]:
        y, _, count = state
        if now is not None:
            y, count = (now if count == 0 else k * y + alpha * now), count + 1
        return (y, 0.0, count), y if count >= min_count else None

    step = adjusted if adjust else plain
    return recursion(past, [x.cast(FLOAT)], step, (0.0, 0.0, 0), settings, kept=k)


def ewma_time(past: Past, x: pl.Series, *, min_count: int = 1, **settings: Any) -> pl.Series:
    """R52."""
    c, half_life_ns = _decay_of(settings)

    def step(state: State, now_ns: int, now: float | None) -> tuple[State, float | None]:
        num, den, count, last_ns = state
        if now is not None:
            f = _faded(c, last_ns, now_ns)
            num, den, count, last_ns = f * num + now, f * den + 1.0, count + 1, now_ns
        return (num, den, count, last_ns), divided(num, den) if count >= min_count else None

    start = (0.0, 0.0, 0, None)
    return recursion(past, [x.cast(FLOAT)], step, start, settings, half_life_ns=half_life_ns)


def decay_accum(
    past: Past, x: pl.Series, *, at: str = "after", min_count: int = 1, **settings: Any
) -> pl.Series:
    """R53."""
    c, half_life_ns = _decay_of(settings)

    def step(state: State, now_ns: int, now: float | None) -> tuple[State, float | None]:
        total, count, last_ns = state
        if now is None:
            left = _faded(c, last_ns, now_ns) * total if at == "query" else total
            return state, left if count >= min_count else None
        before = _faded(c, last_ns, now_ns) * total
        total, count = before + now, count + 1
        shown = before if at == "before" else total
        return (total, count, now_ns), shown if count >= min_count else None

    return recursion(past, [x.cast(FLOAT)], step, (0.0, 0, None), settings, half_life_ns=half_life_ns)


def ewm_std(
    past: Past, x: pl.Series, *, bias: bool = False, min_count: int = 1, **settings: Any
) -> pl.Series:
    """R54."""
    k = 1.0 - alpha_of(settings)

    def step(state: State, _: int, now: float | None) -> tuple[State, float | None]:
        w, v, s, m, count = state
        w, v, s = k * w, (k * k) * v, k * s
        if now is not None:
            w, v, count = w + 1.0, v + 1.0, count + 1
            d = now - m
            m = m + d / w
            s = s + d * (now - m)
        state = (w, v, s, m, count)
        rest = w - v / w if w else 0.0
        if count < max(2, min_count) or not rest > 0:
            return state, None
        variance = s / (w if bias else rest)
        return state, math.sqrt(variance) if variance >= 0 else None

    return recursion(past, [x.cast(FLOAT)], step, (0.0, 0.0, 0.0, 0.0, 0), settings, kept=k)


def squared_returns(past: Past, price: pl.Series, settings: Settings) -> pl.Series:
    """Squares of the returns from row to row, which the setting `reset` ends at sessions."""
    r = log_return(past, price, reset=settings.get("reset", "session"))
    return r * r


def ewma_volatility(past: Past, price: pl.Series, *, decay: float = 0.94, **settings: Any) -> pl.Series:
    """M3."""

    def step(state: State, _: int, square: float | None) -> tuple[State, float | None]:
        (s2,) = state
        if square is not None:
            s2 = square if s2 is None else decay * s2 + (1.0 - decay) * square
        return (s2,), None if s2 is None else math.sqrt(s2)

    return recursion(past, [squared_returns(past, price, settings)], step, (None,), settings, kept=decay)


def ewma_variance_rate(past: Past, price: pl.Series, **settings: Any) -> pl.Series:
    """M4."""
    c, half_life_ns = _decay_of(settings)
    reset = settings.get("reset", "session")
    stretches = past.stretches(by_session=reset == "session")
    took_ns = np.diff(stretches.time_ns, prepend=0)
    took = stretches.pick(
        pl.Series(took_ns), np.where(stretches.here == stretches.begin, NONE, stretches.here)
    )

    def step(state: State, now_ns: int, square: float | None, dt: int | None) -> tuple[State, float | None]:
        s, d, last_ns = state
        if square is not None:
            assert dt is not None, "a return is from a row before"
            f = _faded(c, last_ns, now_ns)
            s, d, last_ns = f * s + square, f * d + float(dt), now_ns
        return (s, d, last_ns), divided(s, d)

    columns = [squared_returns(past, price, settings), took]
    return recursion(past, columns, step, (0.0, 0.0, None), settings, half_life_ns=half_life_ns)


def kyle_rls(
    past: Past,
    change: pl.Series,
    flow: pl.Series,
    *,
    lambda_f: float = 0.99,
    P0: float = 1000.0,  # noqa: N803 - the setting's name
    min_count: int = 10,
    **settings: Any,
) -> pl.Series:
    """M23 of the change y of the price and the signed size x, null where it is skipped."""

    def step(state: State, _: int, y: float | None, x: float | None) -> tuple[State, float | None]:
        if y is not None and x is not None:
            a, slope, p00, p01, p11, count = state
            u0, u1 = p00 + p01 * x, p01 + p11 * x
            scale = lambda_f + (u0 + u1 * x)
            k0, k1 = u0 / scale, u1 / scale
            err = y - (a + slope * x)
            by = 1.0 if p00 > 1e8 * P0 or p11 > 1e8 * P0 else lambda_f
            p00, p01, p11 = (p00 - k0 * u0) / by, (p01 - k0 * u1) / by, (p11 - k1 * u1) / by
            state = (a + k0 * err, slope + k1 * err, p00, p01, p11, count + 1)
        return state, state[1] if state[5] >= min_count else None

    start = (0.0, 0.0, float(P0), 0.0, float(P0), 0)
    return recursion(past, [change, flow], step, start, settings, kept=lambda_f)


def vpin(
    past: Past,
    size: pl.Series,
    bought_of: pl.Series,
    parts: int,
    *,
    V: float,  # noqa: N803 - the setting's name
    n: int = 50,
    **settings: Any,
) -> pl.Series:
    """M29: of each trade so many of its `parts` are bought.  In whole units: the result alone is rounded."""
    stretches = stretches_of(past, settings)
    lots, volume = units(stretches.of(size)), units(pl.Series([float(V)]))
    unit = min(lots.exponent, volume.exponent)
    lots = lots.at(unit)
    (bucket,) = volume.at(unit).values
    bought_parts = stretches.of(bought_of).to_list()
    values: list[float | None] = []
    for lower, end in stretches.spans():
        surplus: list[int] = []
        content, bought = 0, 0  # of the open bucket: units, and parts of units
        for here in range(lower, end):
            of_trade, rest = bought_parts[here], lots.values[here]
            while of_trade is not None and rest > 0:
                part = min(rest, bucket - content)
                content, bought, rest = content + part, bought + part * of_trade, rest - part
                if content == bucket:  # and what is left fills whole buckets alike, of which n are enough
                    whole, rest = divmod(rest, bucket)
                    alike = [bucket * abs(2 * of_trade - parts)] * min(whole, n)
                    surplus += [abs(2 * bought - bucket * parts), *alike]
                    content, bought = 0, 0
            del surplus[:-n]
            values.append(ratio(sum(surplus), n * bucket * parts) if len(surplus) == n else None)
    return stretches.put(values, FLOAT)


def known_changes(stretches: Stretches, price: pl.Series) -> Iterator[tuple[int, int, list[tuple[int, Any]]]]:
    """Of each stretch its span, and the rows that have a price, as places and prices."""
    prices = stretches.of(price).to_list()
    for lower, end in stretches.spans():
        yield lower, end, [(here, prices[here]) for here in range(lower, end) if prices[here] is not None]


def tick_rule(past: Past, price: pl.Series, **settings: Any) -> pl.Series:
    """Q7."""
    stretches = stretches_of(past, settings, "session")
    values: list[int | None] = [None] * stretches.order.size
    for _, _, known in known_changes(stretches, price):
        side = 0
        if known:
            values[known[0][0]] = side
        for (_, before), (here, now) in pairwise(known):
            side = 1 if now > before else -1 if now < before else side
            values[here] = side
    return stretches.put(values, pl.Int8())
