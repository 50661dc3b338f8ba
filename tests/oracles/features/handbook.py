"""The fixtures F1 to F4 of the handbook's worked examples, and values as they are written there."""

from typing import Any, Final

from tests.oracles.features.rows import Column, Rows
from tests.oracles.features.table import ORACLES

SECOND_NS: Final = 1_000_000_000
MS_NS: Final = 1_000_000


def rows_of(time_ns: list[int], *, breaks: tuple[int, ...] = (), **columns: Column) -> Rows:
    """Rows of one group; a session begins at the first row and at each of `breaks`."""
    sessions: list[int | None] = [sum(first <= row for first in breaks) for row in range(len(time_ns))]
    return Rows(time_ns, [0] * len(time_ns), sessions, columns)


F1: Final = rows_of(
    [second * SECOND_NS for second in (0, 1, 1, 2, 4, 4, 5, 9)],
    x=[1, 2, None, 4, 8, 3, 3, 5],
    y=[2, 1, 3, 5, 7, 7, 6, 4],
    e=[0, 1, 0, 0, 1, 0, 0, 0],
)

# Prices in cents, as a scale of 100 makes them: float64 has no 100.02.  A trade has the quote it met.
F2: Final = rows_of(
    [ms * MS_NS for ms in (100, 500, 500, 1200, 2000, 3100, 4000, 6000)],
    price=[10000, 10002, 10002, 10001, 10001, 10004, 10003, 10006],
    size=[2, 1, 3, 4, 2, 5, 1, 2],
    bid=[9999, 10000, 10000, 10000, 10000, 10002, 10002, 10004],
    ask=[10001, 10002, 10002, 10002, 10003, 10004, 10004, 10006],
    bid_size=[5, 4, 4, 6, 3, 2, 3, 4],
    ask_size=[3, 2, 2, 2, 4, 5, 1, 2],
    d=[0, 1, 1, -1, -1, 1, -1, 1],
)
F3: Final = rows_of(
    [ms * MS_NS for ms in (0, 400, 1000, 1900, 3000, 3900, 5500)],
    bid=[9999, 10000, 10000, 10000, 10002, 10002, 10004],
    ask=[10001, 10002, 10002, 10003, 10004, 10004, 10006],
    bid_size=[5, 4, 6, 3, 2, 3, 4],
    ask_size=[3, 2, 2, 4, 5, 1, 2],
)
F4: Final = rows_of(
    [bar * SECOND_NS for bar in range(1, 7)],
    open=[100.0, 100.6, 100.9, 99.9, 99.3, 99.8],
    high=[101.0, 101.2, 101.0, 100.4, 100.0, 100.9],
    low=[99.5, 100.1, 99.8, 99.0, 99.1, 99.7],
    close=[100.5, 100.9, 100.0, 99.2, 99.8, 100.7],
    volume=[1000, 1200, 1500, 2000, 900, 1100],
)


def values(rows: Rows, function: str, /, *columns: str, **settings: Any) -> Column:
    """The oracle's answer for columns of these rows."""
    return ORACLES[function](rows, [rows.columns[name] for name in columns], settings)


def as_written(column: Column, digits: int = 10) -> list[str]:
    """Values as the handbook writes them: so many digits, no zeros at the ends, `null`."""
    return ["null" if value is None else _digits(float(value), digits) for value in column]


def written(text: str, digits: int = 10) -> list[str]:
    """The handbook's line of values in the same form."""
    return ["null" if word == "null" else _digits(float(word), digits) for word in text.split()]


def _digits(value: float, digits: int) -> str:
    return f"{value:.{digits}g}"


def scaled(column: Column, factor: float) -> Column:
    """Values in another unit."""
    return [None if value is None else value * factor for value in column]


def column_of(rows: Rows, **columns: Column) -> Rows:
    """The rows with more columns."""
    return rows._replace(columns={**rows.columns, **columns})
