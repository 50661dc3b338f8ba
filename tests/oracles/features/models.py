"""Models of a state, M42 and M50 to M54, in the order of operations of the handbook."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tests.oracles.features.averages import of_session
from tests.oracles.features.estimators import plus, times
from tests.oracles.features.ewma import decay
from tests.oracles.features.flow import sides
from tests.oracles.features.lags import diff, log_return
from tests.oracles.features.memory import EPS, Horizon, recursion
from tests.oracles.features.rows import Column, Rows, Settings, Value, finite, setting

HORIZON_ROWS = 2_000


def quotient(x: float, y: float) -> float:
    """x / y of float64, infinite or NaN where y is 0."""
    if y == 0:
        return math.copysign(math.inf, x) * math.copysign(1.0, y) if x else math.nan
    return x / y


def by_rows(settings: Settings) -> Callable[[], Horizon]:
    """The horizon of what has no weight that fades."""
    return lambda: Horizon(setting(settings, "horizon_rows", HORIZON_ROWS), by_time=False)


class Line(NamedTuple):
    """M42's b1 and b0, P, and of the last row its error and F, None without a pair."""

    b1: float = 0.0
    b0: float = 0.0
    p00: float = 0.0
    p01: float = 0.0
    p11: float = 0.0
    pair_count: int = 0
    err: float | None = None
    f: float | None = None


def hedge_ratio(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """M42 of (y, x)."""
    delta, r = setting(settings, "delta", 1e-4), setting(settings, "r", 1e-3)
    q = delta / (1 - delta)

    def step(state: Line, _: int, values: Sequence[Any]) -> Line:
        y, x = values
        b1, b0, p00, p01, p11, count = state[:6]
        p00, p11 = p00 + q, p11 + q
        if x is None or y is None:
            return Line(b1, b0, p00, p01, p11, count)
        g0, g1 = p00 * x + p01, p01 * x + p11
        f = (x * g0 + g1) + r
        err = y - (b1 * x + b0)
        k0, k1 = quotient(g0, f), quotient(g1, f)
        b1, b0 = b1 + k0 * err, b0 + k1 * err
        return Line(b1, b0, p00 - k0 * g0, p01 - k0 * g1, p11 - k1 * g1, count + 1, err, f)

    def value(state: Line, _: Sequence[Value]) -> Value:
        output = setting(settings, "output", "b1")
        if state.pair_count == 0:
            return None
        if output in ("b1", "b0"):
            return finite(state.b1 if output == "b1" else state.b0)
        if state.err is None or state.f is None or not math.isfinite(state.err):
            return None
        if output == "err":
            return state.err
        enough = state.pair_count > setting(settings, "warm", 20)
        return in_deviations(state.err, state.f) if enough else None

    return recursion(rows, operands, settings, start=Line, step=step, value=value, horizon=by_rows(settings))


def in_deviations(error: float, variance: float) -> Value:
    """error / sqrt(variance)."""
    if not math.isfinite(variance) or variance <= 0:
        return None
    return finite(error / math.sqrt(variance))


class Level(NamedTuple):
    """M52's a and P, None before the first value; of the last row v and F; and when that was."""

    a: float | None = None
    p: float = 0.0
    v: float | None = None
    f: float | None = None
    last_ns: int = 0


def local_level(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """M52."""
    r, per_s = settings["r"], setting(settings, "q_per_s", None)

    def step(state: Level, now_ns: int, values: Sequence[Any]) -> Level:
        (y,) = values
        if state.a is None:
            return Level() if y is None else Level(y, r, last_ns=now_ns)
        took_s = float(now_ns - state.last_ns) * 1e-9
        p = state.p + (settings["q"] if per_s is None else per_s * took_s)
        if y is None:
            return Level(state.a, p, last_ns=now_ns)
        f = p + r
        k = quotient(p, f)
        v = y - state.a
        return Level(state.a + k * v, r * k, v, f, now_ns)

    def value(state: Level, _: Sequence[Value]) -> Value:
        output = setting(settings, "output", "a")
        if output == "a":
            return finite(state.a)
        if state.v is None or state.f is None:
            return None
        v, f = finite(state.v), finite(state.f)
        if output == "z":
            return None if v is None or f is None else in_deviations(v, f)
        return v if output == "v" else f

    return recursion(rows, operands, settings, start=Level, step=step, value=value, horizon=by_rows(settings))


class Excited(NamedTuple):
    """The R of each kind of event, without and with those of the last row, and when that was."""

    before: tuple[float, ...]
    after: tuple[float, ...]
    last_ns: int | None = None


def excited(
    rows: Rows, events: Sequence[Column], settings: Settings, value: Callable[[Sequence[float]], Value]
) -> Column:
    """What `value` makes of the R of each kind of event, whose columns are true where it happens."""
    beta = settings["beta"]
    none = (0.0,) * len(events)
    if setting(settings, "at", "before") == "query":
        return excited_at_queries(rows, events, settings, value)

    def step(state: Excited, now_ns: int, values: Sequence[Any]) -> Excited:
        f = decay(beta * 1e-9, state.last_ns, now_ns)
        before = tuple(f * r for r in state.after)
        after = tuple(r + (1.0 if event else 0.0) for r, event in zip(before, values, strict=True))
        return Excited(before, after, now_ns)

    def shown(state: Excited, _: Sequence[Value]) -> Value:
        return value(state.after if setting(settings, "at", "before") == "after" else state.before)

    return recursion(
        rows,
        events,
        settings,
        start=lambda: Excited(none, none),
        step=step,
        value=shown,
        horizon=lambda: Horizon(1e9 * math.log(1 / setting(settings, "eps", EPS)) / beta, by_time=True),
    )


class Asked(NamedTuple):
    """The R of each kind of event as its last one left it, when that was, and what is left of it by now."""

    r: tuple[float, ...]
    last_ns: tuple[int | None, ...]
    left: tuple[float, ...]


def excited_at_queries(
    rows: Rows, events: Sequence[Column], settings: Settings, value: Callable[[Sequence[float]], Value]
) -> Column:
    """`excited`, where each R fades from its last event to the row in one step."""
    beta = settings["beta"]
    none = (0.0,) * len(events)

    def step(state: Asked, now_ns: int, values: Sequence[Any]) -> Asked:
        faded = [decay(beta * 1e-9, ns, now_ns) * r for r, ns in zip(state.r, state.last_ns, strict=True)]
        left = tuple(r + 1.0 if event else r for r, event in zip(faded, values, strict=True))
        r = tuple(new if event else old for old, new, event in zip(state.r, left, values, strict=True))
        last_ns = tuple(now_ns if event else ns for ns, event in zip(state.last_ns, values, strict=True))
        return Asked(r, last_ns, left)

    return recursion(
        rows,
        events,
        settings,
        start=lambda: Asked(none, (None,) * len(events), none),
        step=step,
        value=lambda state, _: value(state.left),
        horizon=lambda: Horizon(1e9 * math.log(1 / setting(settings, "eps", EPS)) / beta, by_time=True),
    )


def hawkes(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """M50."""
    mu, alpha = settings["mu"], settings["alpha"]
    return excited(rows, operands, settings, lambda r: plus(mu, times(alpha, r[0])))


def hawkes_two_sided(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """M51 of the direction."""
    d = sides(operands[0])
    row = 1 if setting(settings, "output", "buy") == "sell" else 0
    mu = settings["mu"][row]
    mu = mu[0] if isinstance(mu, tuple) else mu
    of_buys, of_sells = settings["a"][row]
    events: list[Column] = [[side == 1 for side in d], [side == -1 for side in d]]
    return excited(
        rows, events, settings, lambda r: plus(plus(mu, times(of_buys, r[0])), times(of_sells, r[1]))
    )


def numbers(table: Sequence[Any]) -> list[float]:
    """The numbers of a table that may have one in each row."""
    return [row[0] if isinstance(row, tuple) else row for row in table]


def likely(x: float, mean: Sequence[float], sd: Sequence[float]) -> list[float] | None:
    """M53's exp(l_j - max l); None where a square is too large."""
    logs = []
    for m, s in zip(mean, sd, strict=True):
        z = quotient(x - m, s)
        logs.append(-math.log(s) - 0.5 * (z * z))
    if not all(map(math.isfinite, logs)):
        return None
    return [math.exp(each - max(logs)) for each in logs]


def hmm(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """M53."""
    pi, mean, sd = (numbers(settings[name]) for name in ("pi", "mean", "sd"))
    a = settings["A"]
    states = range(len(pi))

    def step(f: tuple[float, ...], _: int, values: Sequence[Any]) -> tuple[float, ...]:
        (x,) = values
        pred = tuple(pi)
        if f:
            pred = tuple(_in_order([f[i] * a[i][j] for i in states]) for j in states)
        l_of_x = None if x is None else likely(x, mean, sd)
        if l_of_x is None:
            return pred
        w = [p * e for p, e in zip(pred, l_of_x, strict=True)]
        total = _in_order(w)
        return tuple(each / total for each in w) if total > 0 else pred

    def value(f: tuple[float, ...], _: Sequence[Value]) -> Value:
        output = setting(settings, "output", "f1")
        if output == "state":
            return 1 + f.index(max(f))
        return f[int(output.removeprefix("f")) - 1]

    return recursion(rows, operands, settings, start=tuple, step=step, value=value, horizon=by_rows(settings))


def _in_order(values: Sequence[float]) -> float:
    """One after another."""
    total = values[0]
    for each in values[1:]:
        total = total + each
    return total


class Sums(NamedTuple):
    """M54's two sums, and whether the last row was an event."""

    up: float = 0.0
    down: float = 0.0
    event: int = 0


def cusum(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """M54 of (price, h); a row without a change, or with an h that is not above 0, is no event."""
    price, h = operands
    change = log_return if setting(settings, "log", False) else diff
    drift = setting(settings, "drift", 0.0)
    changes = of_session(change, price, rows, settings)

    def step(state: Sums, _: int, values: Sequence[Any]) -> Sums:
        y, limit = values
        if y is not None:
            y = finite(float(y) - drift)
        if y is None:
            return state._replace(event=0)
        up, down = max(0.0, state.up + y), min(0.0, state.down + y)
        if limit is not None and limit > 0:
            if up >= limit:
                return Sums(0.0, down, 1)
            if down <= -limit:
                return Sums(up, 0.0, -1)
        return Sums(up, down)

    def never() -> Horizon:
        raise AssertionError("what waits for a sum has no horizon to be anchored at")

    return recursion(
        rows,
        [changes, h],
        settings,
        start=Sums,
        step=step,
        value=lambda state, _: state.event,
        horizon=never,
    )
