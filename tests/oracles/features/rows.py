"""Rows in total order, and those that a row may see: itself and earlier ones of its group and window."""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

MAX_ROWS = 65_536  # of a time window

INT_MIN = -(2**63)
INT_MAX = 2**63 - 1

Value: TypeAlias = bool | int | float | None
Column: TypeAlias = list[Value]
Settings: TypeAlias = Mapping[str, Any]


class Rows(NamedTuple):
    """Rows in total order, a value per row in each list; `group` and `session` are numbers, None for none."""

    time_ns: list[int]
    group: list[int | None]
    session: list[int | None]
    columns: Mapping[str, Column]


class Stretch(NamedTuple):
    """The rows that can see each other, oldest first, and of each operand their values."""

    time_ns: list[int]
    operands: list[Column]


Function: TypeAlias = Callable[[Rows, Sequence[Column], Settings], Column]
OfStretch: TypeAlias = Callable[[Stretch, Settings], Column]


@dataclass(frozen=True, slots=True)
class Oracle:
    """A function by its definition, and how far a result may fairly be from its own.

    `operands` are in the order of the handbook's 0.13, without NaN and infinities; settings under its names,
    those left out or None have its defaults.  The answer has one value per row, None for a null.
    """

    function: Function
    ulps: int  # 0: the same bits
    # Of a sum over a window that may be added in blocks (eq B), not exactly; None: as `ulps`.
    window_ulps: int | None = None

    def __call__(self, rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
        return self.function(rows, operands, settings)

    def allowance(self, settings: Settings) -> int:
        """The ulps allowed with these settings."""
        if self.window_ulps is None or not has_window(settings):
            return self.ulps
        return self.window_ulps


def setting(settings: Settings, name: str, default: Any) -> Any:
    """A setting, or what it is where it was left out."""
    value = settings.get(name)
    return default if value is None else value


def with_default(settings: Settings, **defaults: Any) -> Settings:
    """The settings, with these for those left out."""
    return {**settings, **{name: setting(settings, name, value) for name, value in defaults.items()}}


def has_window(settings: Settings) -> bool:
    """Whether there is a window or lag, by rows or by time."""
    return setting(settings, "rows", None) is not None or setting(settings, "ns", None) is not None


def stretches(rows: Rows, *, by_session: bool, hours: str = "all") -> Iterator[list[int]]:
    """The positions of rows that can see each other: a group's, or those of one session of it.

    A row without a group sees nobody.  A row outside every session is in no session, and with
    `hours="regular"` in nothing: it gets null and whoever comes later does not see it.
    """
    keys = {
        position: (group, session if by_session else None)
        for position, (group, session) in enumerate(zip(rows.group, rows.session, strict=True))
        if group is not None and (session is not None or not (by_session or hours == "regular"))
    }
    for key in dict.fromkeys(keys.values()):
        yield [position for position in keys if keys[position] == key]


def by_stretch(
    rows: Rows, operands: Sequence[Column], of: Callable[[Stretch], Column], **where: Any
) -> Column:
    """The values of each stretch put back in their rows; null for rows that are in none."""
    values: Column = [None] * len(rows.time_ns)
    for positions in stretches(rows, **where):
        stretch = Stretch(
            [rows.time_ns[position] for position in positions],
            [[operand[position] for position in positions] for operand in operands],
        )
        for position, value in zip(positions, of(stretch), strict=True):
            values[position] = value
    return values


def over_rows(*, reset: str) -> Callable[[OfStretch], Function]:
    """Make a function of a stretch one of all rows; `reset` is the default of the setting of that name."""

    def decorate(function: OfStretch) -> Function:
        def of(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
            return by_stretch(
                rows,
                operands,
                lambda stretch: function(stretch, settings),
                by_session=setting(settings, "reset", reset) == "session",
                hours=setting(settings, "hours", "all"),
            )

        return of

    return decorate


def window(time_ns: Sequence[int], n: int, settings: Settings, max_rows: int = MAX_ROWS) -> range:
    """The rows of the window of row n: the last `rows`, those in (t - ns, t], or all so far (0.2)."""
    rows = setting(settings, "rows", None)
    if rows is not None:
        return range(max(0, n + 1 - rows), n + 1)
    ns = setting(settings, "ns", None)
    if ns is None:
        return range(n + 1)
    first = bisect_right(time_ns, time_ns[n] - ns, 0, n + 1)
    return range(max(first, n + 1 - setting(settings, "max_rows", max_rows)), n + 1)


def known(operands: Sequence[Column], window: range) -> list[list[Any]]:
    """Of each operand its values in the rows where none of them is null, oldest first."""
    rows = [row for row in window if all(operand[row] is not None for operand in operands)]
    return [[operand[row] for row in rows] for operand in operands]


def fewest(settings: Settings, least: int) -> int:
    """How many values an output needs: `min_count`, by default a row window's rows, never under `least`."""
    wanted: int = setting(settings, "min_count", setting(settings, "rows", 1))
    return max(least, wanted)


def finite(value: Value) -> Value:
    """A result, null where 64 bits do not hold it or it is not a number."""
    if type(value) is int:
        return value if INT_MIN <= value <= INT_MAX else None
    return None if value is None or not math.isfinite(value) else value


def divided(x: float, y: float) -> float | None:
    """x / y in float64; null where y is 0 or the quotient is not finite."""
    if y == 0:
        return None
    quotient = float(x) / float(y)
    return quotient if math.isfinite(quotient) else None
