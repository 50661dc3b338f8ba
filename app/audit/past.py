"""Rows of one partition as functions that look back see them: which see each other, and their windows.

Rows of a symbol, or with a reset those of one session of it, are a stretch: they stand together here, in
their order, so that what a row sees is a slice that ends with it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas.batch import Int64s

ROWS_MAX: Final = 65_536  # of a time window, unless a function says otherwise
NONE: Final = -1  # no row, no symbol, no session

Sessions: TypeAlias = Callable[[Int64s], Int64s]  # the session of each time, NONE outside of all
Settings: TypeAlias = Mapping[str, Any]


class Stretches:
    """Stretches one after another.

    `order`    of each row here its place among all rows; those without a symbol, or a session, are not here.
    `begin`    of each row here the first row of its stretch, as a place here.
    `time_ns`  of each row here.
    """

    def __init__(self, order: Int64s, begin: Int64s, time_ns: Int64s, count: int) -> None:
        self.order, self.begin, self.time_ns = order, begin, time_ns
        self._count = count
        self.here = np.arange(order.size)

    def spans(self) -> Iterator[tuple[int, int]]:
        """Where each stretch begins and ends."""
        edges = [*np.flatnonzero(self.begin == self.here).tolist(), self.order.size]
        yield from pairwise(edges)

    def among(self, bounds_ns: Int64s, *, upper: bool) -> Int64s:
        """Of each row the first place in its stretch at, or with `upper` behind, a time of its own."""
        places = np.empty(self.order.size, np.int64)
        side: Literal["left", "right"] = "right" if upper else "left"
        for lower, end in self.spans():
            places[lower:end] = lower + np.searchsorted(self.time_ns[lower:end], bounds_ns[lower:end], side)
        return places

    def windows(self, settings: Settings, rows_max: int = ROWS_MAX) -> Int64s:
        """Where the window of each row begins; without a window in the settings it is the stretch so far."""
        if "rows" in settings:
            return np.asarray(np.maximum(self.begin, self.here + 1 - settings["rows"]))
        if "ns" not in settings:
            return self.begin
        first = self.among(self.time_ns - settings["ns"], upper=True)
        return np.asarray(np.maximum(first, self.here + 1 - settings.get("max_rows", rows_max)))

    def of(self, values: pl.Series) -> pl.Series:
        """The values of all rows, as they stand here."""
        return values.gather(self.order)

    def put(self, values: Sequence[Any] | npt.NDArray[Any], kind: pl.DataType) -> pl.Series:
        """Values of the rows here for all rows; the others get null."""
        return self.pick(pl.Series(values, dtype=kind, strict=False), self.here)

    def pick(self, values: pl.Series, source: Int64s) -> pl.Series:
        """For all rows the value, among those here, at the place of each; null for `NONE` and the rest."""
        places = np.full(self._count, NONE, np.int64)
        places[self.order] = source
        chosen = pl.Series(places)
        return values.gather(chosen.set(chosen == NONE, None))


class Past:
    """All rows of a partition, in order: `group` is the number of the symbol, `NONE` for a row without."""

    def __init__(self, group: Int64s, time_ns: Int64s, session: Int64s) -> None:
        self.group, self.time_ns, self.session = group, time_ns, session
        self._stretches: dict[bool, Stretches] = {}

    @classmethod
    def of(cls, rows: pl.DataFrame, key: Sequence[str], on: str, sessions: Sessions) -> "Past":
        """Rows that are in order of the clock `on`, of symbols by the columns of `key`."""
        time_ns = rows[on].cast(pl.Int64).to_numpy()
        return cls(group_codes(rows, key), time_ns, np.asarray(sessions(time_ns), np.int64))

    def stretches(self, *, by_session: bool) -> Stretches:
        """Those of symbols, or of sessions of symbols."""
        if by_session not in self._stretches:
            inside = self.group != NONE
            if by_session:
                inside &= self.session != NONE
            order = np.flatnonzero(inside)
            order = order[np.argsort(self.group[order], kind="stable")]
            here = np.arange(order.size)
            first = np.ones(order.size, np.bool_)
            first[1:] = np.diff(self.group[order]) != 0
            if by_session:
                first[1:] |= np.diff(self.session[order]) != 0
            begin = np.maximum.accumulate(np.where(first, here, 0))
            self._stretches[by_session] = Stretches(order, begin, self.time_ns[order], self.group.size)
        return self._stretches[by_session]


def without_rows_outside(past: Past) -> Past:
    """The same rows where those outside every session see none, and are seen by none."""
    return Past(np.where(past.session == NONE, NONE, past.group), past.time_ns, past.session)


def group_codes(rows: pl.DataFrame, key: Sequence[str]) -> Int64s:
    """The number of each row's symbol by these columns; `NONE` where one of them is null."""
    if not key:
        return np.zeros(rows.height, np.int64)
    keys = rows.select(key)
    numbers = keys.drop_nulls().unique(maintain_order=True).with_row_index("number")
    codes = keys.join(numbers, on=list(key), how="left", maintain_order="left")["number"]
    return codes.cast(pl.Int64).fill_null(NONE).to_numpy()
