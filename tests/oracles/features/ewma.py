"""Exponential functions, R50 to R54, in the order of operations of the handbook."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tests.oracles.features.memory import horizon_of_rows, horizon_of_time, recursion
from tests.oracles.features.rows import Column, Rows, Settings, Value, divided, finite, setting

LN2 = math.log(2.0)


def weight_of_a_row(settings: Settings) -> float:
    """alpha, from whichever of its four forms is there."""
    forms: dict[str, Callable[[Any], float]] = {
        "alpha": float,
        "span": lambda span: 2 / (span + 1),
        "com": lambda com: 1 / (1 + com),
        "half_life": lambda half_life: 1 - math.exp(-LN2 / half_life),
    }
    (name,) = (name for name in forms if setting(settings, name, None) is not None)
    return forms[name](settings[name])


def decay_per_ns(settings: Settings) -> float:
    """c, from `half_life_ns` or `tau_ns`."""
    half_life_ns = setting(settings, "half_life_ns", None)
    return LN2 / half_life_ns if half_life_ns is not None else 1 / float(settings["tau_ns"])


def decay(c: float, last_ns: int | None, now_ns: int) -> float:
    """f since the last row; without one there is nothing to decay."""
    return 1.0 if last_ns is None else math.exp(-(float(now_ns - last_ns) * c))


def half_life_ns_of(settings: Settings) -> float:
    """The half-life, of a `tau_ns` too."""
    half_life_ns = setting(settings, "half_life_ns", None)
    return float(half_life_ns) if half_life_ns is not None else LN2 * settings["tau_ns"]


class Sums(NamedTuple):
    """Weighted sum and weights, how many values are in them, and when the last came."""

    num: float = 0.0
    den: float = 0.0
    value_count: int = 0
    last_ns: int | None = None


class Average(NamedTuple):
    """R51's value."""

    y: float = 0.0
    value_count: int = 0


class Spread(NamedTuple):
    """R54's weights, their squares, sum of squares and mean."""

    w: float = 0.0
    v: float = 0.0
    s: float = 0.0
    m: float = 0.0
    value_count: int = 0


def since_start(settings: Settings, count: int, value: float | None) -> Value:
    """The value, once the start is `min_count` values ago."""
    return finite(value) if count >= setting(settings, "min_count", 1) else None


def ewma(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """R50, and R51 with `adjust` false."""
    alpha = weight_of_a_row(settings)
    k = 1 - alpha
    if not setting(settings, "adjust", True):
        return _unadjusted(rows, operands, settings, alpha, k)

    def step(state: Sums, _: int, values: Sequence[Any]) -> Sums:
        (x,) = values
        num, den = k * state.num, k * state.den
        return (
            Sums(num, den, state.value_count) if x is None else Sums(num + x, den + 1, state.value_count + 1)
        )

    return recursion(
        rows,
        operands,
        settings,
        start=Sums,
        step=step,
        value=lambda state, _: since_start(settings, state.value_count, divided(state.num, state.den)),
        horizon=lambda: horizon_of_rows(k, settings),
    )


def _unadjusted(rows: Rows, operands: Sequence[Column], settings: Settings, alpha: float, k: float) -> Column:
    def step(state: Average, _: int, values: Sequence[Any]) -> Average:
        (x,) = values
        if x is None:
            return state
        return Average(float(x) if state.value_count == 0 else k * state.y + alpha * x, state.value_count + 1)

    return recursion(
        rows,
        operands,
        settings,
        start=Average,
        step=step,
        value=lambda state, _: since_start(
            settings, state.value_count, state.y if state.value_count else None
        ),
        horizon=lambda: horizon_of_rows(k, settings),
    )


def ewma_time(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """R52."""
    c = decay_per_ns(settings)

    def step(state: Sums, now_ns: int, values: Sequence[Any]) -> Sums:
        (x,) = values
        if x is None:
            return state
        f = decay(c, state.last_ns, now_ns)
        return Sums(f * state.num + x, f * state.den + 1, state.value_count + 1, now_ns)

    return recursion(
        rows,
        operands,
        settings,
        start=Sums,
        step=step,
        value=lambda state, _: since_start(settings, state.value_count, divided(state.num, state.den)),
        horizon=lambda: horizon_of_time(half_life_ns_of(settings), settings),
    )


class Decayed(NamedTuple):
    """R53's sum, what it was before the last value came, when that was, and what is left of it by now."""

    s: float = 0.0
    before: float = 0.0
    value_count: int = 0
    last_ns: int | None = None
    left: float = 0.0


def decay_accum(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """R53; a null row has the sum as the last value left it, `at="before"` too, and else its rest by then."""
    c = decay_per_ns(settings)
    at = setting(settings, "at", "after")

    def step(state: Decayed, now_ns: int, values: Sequence[Any]) -> Decayed:
        (x,) = values
        if x is None:
            return state._replace(left=decay(c, state.last_ns, now_ns) * state.s)
        before = decay(c, state.last_ns, now_ns) * state.s
        return Decayed(before + x, before, state.value_count + 1, now_ns, before + x)

    def value(state: Decayed, values: Sequence[Value]) -> Value:
        shown = state.before if at == "before" and values[0] is not None else state.s
        return since_start(settings, state.value_count, state.left if at == "query" else shown)

    return recursion(
        rows,
        operands,
        settings,
        start=Decayed,
        step=step,
        value=value,
        horizon=lambda: horizon_of_time(half_life_ns_of(settings), settings),
    )


def ewm_std(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """R54; of one value there is none, however its weight was rounded since."""
    k = 1 - weight_of_a_row(settings)
    bias = setting(settings, "bias", False)

    def step(state: Spread, _: int, values: Sequence[Any]) -> Spread:
        (x,) = values
        w, v, s, m = k * state.w, (k * k) * state.v, k * state.s, state.m
        if x is None:
            return Spread(w, v, s, m, state.value_count)
        w, v = w + 1, v + 1
        d = x - m
        m = m + d / w
        s = s + d * (x - m)
        return Spread(w, v, s, m, state.value_count + 1)

    def value(state: Spread, _: Sequence[Value]) -> Value:
        ratio = divided(state.v, state.w)
        if state.value_count < 2 or ratio is None or not state.w - ratio > 0:
            return None
        square = divided(state.s, state.w if bias else state.w - ratio)
        # Rounding can make a sum of squares that is next to nothing negative: it has no root.
        root = None if square is None or square < 0 else math.sqrt(square)
        return since_start(settings, state.value_count, root)

    return recursion(
        rows,
        operands,
        settings,
        start=Spread,
        step=step,
        value=value,
        horizon=lambda: horizon_of_rows(k, settings),
    )
