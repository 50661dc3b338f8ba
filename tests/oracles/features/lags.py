"""Lags and sums, R11 to R22."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence

from tests.oracles.features.exact import total
from tests.oracles.features.rows import (
    MAX_ROWS,
    Column,
    Function,
    Rows,
    Settings,
    Stretch,
    Value,
    divided,
    finite,
    known,
    over_rows,
    setting,
)


def row_before(time_ns: Sequence[int], n: int, settings: Settings) -> int | None:
    """The row k rows before row n, or the last with time <= t - ns, at most `max_rows` rows before it."""
    ns = setting(settings, "ns", None)
    if ns is None:
        before = n - setting(settings, "rows", 1)
        return before if before >= 0 else None
    before = bisect_right(time_ns, time_ns[n] - ns) - 1
    near = n - before <= setting(settings, "max_rows", MAX_ROWS)
    return before if before >= 0 and near else None


def lagged(of: Callable[[Value, Value], Value]) -> Function:
    """A function of x_n and x_{n-k}, where that row is; it gets None where there is none."""

    @over_rows(reset="none")
    def function(stretch: Stretch, settings: Settings) -> Column:
        (x,) = stretch.operands
        before = [row_before(stretch.time_ns, n, settings) for n in range(len(x))]
        return [of(x[n], None if row is None else x[row]) for n, row in enumerate(before)]

    return function


def value_before(_: Value, before: Value) -> Value:
    """R11, R22."""
    return before


def difference(x: Value, before: Value) -> Value:
    """R13: x_n - x_{n-k}."""
    return None if x is None or before is None else finite(x - before)


def relative_change(x: Value, before: Value) -> Value:
    """R14: a division, then minus 1."""
    if x is None or before is None:
        return None
    ratio = divided(x, before)
    return None if ratio is None else finite(ratio - 1.0)


def logarithm_of_ratio(x: Value, before: Value) -> Value:
    """R15: log(x_n / x_{n-k}), both above 0."""
    if x is None or before is None or not (x > 0 and before > 0):
        return None
    ratio = divided(x, before)
    return None if ratio is None or ratio == 0 else math.log(ratio)


lag = lagged(value_before)
diff = lagged(difference)
pct_change = lagged(relative_change)
log_return = lagged(logarithm_of_ratio)


@over_rows(reset="session")
def cumsum(stretch: Stretch, _: Settings) -> Column:
    """R16; null where x is."""
    (x,) = stretch.operands
    return [None if x[n] is None else total(known([x], range(n + 1))[0]) for n in range(len(x))]


def since(age: Callable[[Sequence[int], int, int], int]) -> Function:
    """A function of the rows from the last one whose e is true to this one; a null e is false.

    It remembers forever, so its state is cleared by `memory`, not by `reset`.
    """

    @over_rows(reset="session")
    def of_memory(stretch: Stretch, _: Settings) -> Column:
        (e,) = stretch.operands
        events = [[row for row in range(n + 1) if e[row]] for n in range(len(e))]
        return [age(stretch.time_ns, rows[-1], n) if rows else None for n, rows in enumerate(events)]

    def function(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
        memory = setting(settings, "memory", "session")
        assert memory in ("session", "genesis"), "a count since an event has no horizon to be anchored at"
        return of_memory(rows, operands, {**settings, "reset": "session" if memory == "session" else "none"})

    return function


time_since = since(lambda time_ns, event, n: time_ns[n] - time_ns[event])  # R17
count_since = since(lambda _, event, n: n - event)  # R18


@over_rows(reset="none")
def fill_forward(stretch: Stretch, settings: Settings) -> Column:
    """R19: the last x that is there, at most `limit_rows` rows and `limit_ns` old."""
    (x,) = stretch.operands
    limit_rows = setting(settings, "limit_rows", None)
    limit_ns = setting(settings, "limit_ns", None)
    filled: Column = []
    for n, now_ns in enumerate(stretch.time_ns):
        rows = [row for row in range(n + 1) if x[row] is not None]
        fresh = (
            bool(rows)
            and (limit_rows is None or n - rows[-1] <= limit_rows)
            and (limit_ns is None or now_ns - stretch.time_ns[rows[-1]] <= limit_ns)
        )
        filled.append(x[rows[-1]] if fresh else None)
    return filled
