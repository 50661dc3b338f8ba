"""Models of a state, for the audit: M42 and M50 to M54."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from app.audit.formula_functions import direction_of
from app.audit.formula_values import arithmetic, finite
from app.audit.lags import diff, log_return
from app.audit.past import Past
from app.audit.reach import BLOCK_MAX, EPS, Need
from app.audit.since import State, recursion
from app.audit.windows import FLOAT, stretches_of

S_PER_NS: Final = 1e-9
HORIZON_ROWS: Final = 2_000


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _by(value: float | None, variance: float | None) -> float | None:
    """value / sqrt(variance)."""
    value, variance = _finite(value), _finite(variance)
    if value is None or variance is None or variance <= 0:
        return None
    return value / math.sqrt(variance)


def _quotient(x: float, y: float) -> float:
    return x / y if y else math.nan


def _of_rows(
    past: Past, columns: Sequence[pl.Series], step: Any, start: State, settings: Mapping[str, Any]
) -> pl.Series:
    """A recursion that is anchored a number of rows back."""
    own = {"horizon_rows": HORIZON_ROWS, **settings}
    return recursion(past, columns, step, start, own, horizon_rows=own["horizon_rows"])


def hedge_ratio(
    past: Past,
    y: pl.Series,
    x: pl.Series,
    *,
    delta: float = 1e-4,
    r: float = 1e-3,
    warm: int = 20,
    output: str = "b1",
    **settings: Any,
) -> pl.Series:
    """M42: (slope, offset, p00, p01, p11, how many pairs)."""
    q = delta / (1 - delta)

    def step(state: State, _: int, now: float | None, by: float | None) -> tuple[State, float | None]:
        slope, offset, p00, p01, p11, count = state
        p00, p11 = p00 + q, p11 + q
        err = variance = None
        if now is not None and by is not None:
            g0, g1 = p00 * by + p01, p01 * by + p11
            variance = (by * g0 + g1) + r
            err = now - (slope * by + offset)
            k0, k1 = _quotient(g0, variance), _quotient(g1, variance)
            slope, offset, count = slope + k0 * err, offset + k1 * err, count + 1
            p00, p01, p11 = p00 - k0 * g0, p01 - k0 * g1, p11 - k1 * g1
        state = (slope, offset, p00, p01, p11, count)
        if output in ("b1", "b0"):
            return state, (slope if output == "b1" else offset) if count else None
        if output == "err":
            return state, err
        return state, _by(err, variance) if count > warm else None

    return _of_rows(past, [y.cast(FLOAT), x.cast(FLOAT)], step, (0.0, 0.0, 0.0, 0.0, 0.0, 0), settings)


def local_level(
    past: Past,
    y: pl.Series,
    *,
    r: float,
    q: float = 0.0,
    q_per_s: float | None = None,
    output: str = "a",
    **settings: Any,
) -> pl.Series:
    """M52: (level, P, when the last row was)."""

    def step(state: State, now_ns: int, now: float | None) -> tuple[State, float | None]:
        level, p, last_ns = state
        v = f = None
        if level is not None:
            p += q if q_per_s is None else q_per_s * (float(now_ns - last_ns) * S_PER_NS)
        if level is None and now is not None:
            level, p = now, r
        elif now is not None:
            f, v = p + r, now - level
            gain = p / f
            level, p = level + gain * v, r * gain
        shown = {"a": level, "v": v, "F": f, "z": _by(v, f)}
        return (level, p, now_ns), shown[output]

    return _of_rows(past, [y.cast(FLOAT)], step, (None, 0.0, 0), settings)


def horizon_ns(settings: Mapping[str, Any]) -> float:
    """After which an event has the weight eps."""
    return 1e9 * math.log(1 / settings.get("eps", EPS)) / float(settings["beta"])


def _excitement(past: Past, event: pl.Series, settings: Mapping[str, Any]) -> pl.Series:
    """The R of an event in each row."""
    c = settings["beta"] * S_PER_NS
    at = settings.get("at", "before")
    after = at == "after"

    def asked(state: State, now_ns: int, happens: bool | None) -> tuple[State, float | None]:
        r, last_ns = state
        left = r if last_ns is None else math.exp(-(float(now_ns - last_ns) * c)) * r
        if not happens:
            return state, left
        return (left + 1.0, now_ns), left + 1.0

    def step(state: State, now_ns: int, happens: bool | None) -> tuple[State, float | None]:
        r, last_ns = state
        before = r if last_ns is None else math.exp(-(float(now_ns - last_ns) * c)) * r
        now = before + (1.0 if happens else 0.0)
        return (now, now_ns), now if after else before

    one = asked if at == "query" else step
    return recursion(past, [event], one, (0.0, None), settings, horizon_ns=horizon_ns(settings))


def hawkes(past: Past, event: pl.Series, *, mu: float, alpha: float, **settings: Any) -> pl.Series:
    """M50."""
    excited = arithmetic("*", _excitement(past, event, settings), float(alpha))
    return arithmetic("+", excited, float(mu))


def hawkes_two_sided(
    past: Past, d: pl.Series, *, mu: Any, a: Any, output: str = "buy", **settings: Any
) -> pl.Series:
    """M51."""
    side = direction_of(d)
    row = ["buy", "sell"].index(output)
    intensity = arithmetic("*", _excitement(past, side == 1, settings), float(a[row][0]))
    intensity = arithmetic("+", intensity, float(_numbers(mu)[row]))
    of_sells = arithmetic("*", _excitement(past, side == -1, settings), float(a[row][1]))
    return arithmetic("+", intensity, of_sells)


def _numbers(table: Sequence[Any]) -> list[float]:
    return [float(row[0] if isinstance(row, tuple | list) else row) for row in table]


def hmm(
    past: Past,
    x: pl.Series,
    *,
    pi: Any,
    A: Any,  # noqa: N803 - the setting's name
    mean: Any,
    sd: Any,
    output: str = "f1",
    **settings: Any,
) -> pl.Series:
    """M53: the state is the chances of the states, none before the first row."""
    centers, widths = _numbers(mean), _numbers(sd)
    k = len(centers)

    def weights(now: float) -> list[float] | None:
        squares = [((now - m) / s) * ((now - m) / s) for m, s in zip(centers, widths, strict=True)]
        logs = [-math.log(s) - square / 2 for s, square in zip(widths, squares, strict=True)]
        if not all(map(math.isfinite, logs)):
            return None
        return [math.exp(each - max(logs)) for each in logs]

    def step(chances: State, _: int, now: float | None) -> tuple[State, float | None]:
        if chances:
            chances = tuple(sum(chances[i] * A[i][j] for i in range(k)) for j in range(k))
        else:
            chances = tuple(_numbers(pi))
        likely = None if now is None else weights(now)
        if likely is not None:
            joint = [p * e for p, e in zip(chances, likely, strict=True)]
            if sum(joint) > 0:
                chances = tuple(each / sum(joint) for each in joint)
        if output == "state":
            return chances, float(1 + chances.index(max(chances)))
        return chances, chances[int(output[1:]) - 1]

    values = _of_rows(past, [x.cast(FLOAT)], step, (), settings)
    return values.cast(pl.Int64) if output == "state" else values


def cusum(
    past: Past,
    price: pl.Series,
    h: pl.Series,
    *,
    log: bool = False,
    drift: float = 0.0,
    reset: str = "session",
    memory: str = "session",
) -> pl.Series:
    """M54."""
    change = (log_return if log else diff)(past, price, reset=reset)
    change = finite(change.cast(FLOAT) - float(drift))
    stretches = stretches_of(past, {"reset": memory})
    changes, limits = (stretches.of(each.cast(FLOAT)).to_list() for each in (change, h))
    values: list[int] = []
    for lower, end in stretches.spans():
        up = down = 0.0
        for step, limit in zip(changes[lower:end], limits[lower:end], strict=True):
            event = 0
            if step is not None:
                up, down = max(0.0, up + step), min(0.0, down + step)
                if limit is not None and limit > 0:
                    event = 1 if up >= limit else -1 if down <= -limit else 0
                up, down = (0.0 if event == 1 else up), (0.0 if event == -1 else down)
            values.append(event)
    return stretches.put(values, pl.Int8())


def of_events(settings: Mapping[str, Any]) -> Need:
    """Of what fades with time."""
    memory = settings.get("memory", "session")
    if memory == "anchored":
        block = 2 << max(math.ceil(horizon_ns(settings)) - 1, 0).bit_length()
        return Need(0, min(block, BLOCK_MAX))
    return Need(start="session" if memory == "session" else "genesis")
