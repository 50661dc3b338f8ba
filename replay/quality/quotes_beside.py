"""The quote at each trade, of a stream that is read beside it, and trades away from it (formulas.md D8)."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa

from replay.errors import HistoryError
from replay.order import order_times
from replay.quality.bad_ticks import floats, in_ticks, is_number
from replay.quality.groups import Groups
from replay.quality.trailing import Float64s
from schemas.batch import Bools, Int64s
from schemas.clocks import Clock

SIDES: Final = ("bid_price", "ask_price")


class QuotesBeside:
    """Quotes in the order of their clock, of which the last of its symbol at or before a row is asked.

    Holds one batch of quotes, and the last quote of each symbol.
    """

    def __init__(self, quotes: Iterator[pa.RecordBatch], key: tuple[str, ...], order: Clock) -> None:
        self._quotes, self._key, self._order = quotes, key, order
        self._groups = Groups(key)
        self._last = np.empty((2, 0))  # bid and ask of each group
        self._times_ns = np.empty(0, np.int64)
        self._of = np.empty(0, np.int64)  # group of each quote in the batch
        self._sides = np.empty((2, 0))
        self._is_over = False

    def at(self, rows: pa.RecordBatch, times_ns: Int64s) -> Float64s:
        """Return bid and ask at each of the next rows, float64 of shape (2, rows), NaN where there is none.

        Times do not fall from call to call, and quotes of a row's own time count, all of them.
        """
        groups = self._groups.numbers(rows)
        sides = np.empty((2, rows.num_rows))
        done = 0
        while done < rows.num_rows:
            # Before the last time of the batch no quote of a later batch can matter.
            upper = rows.num_rows
            if not self._is_over:
                last_ns = self._times_ns[-1] if self._times_ns.size else times_ns[done]
                upper = int(np.searchsorted(times_ns, last_ns, side="left"))
            if upper > done:
                sides[:, done:upper] = self._look_up(groups[done:upper], times_ns[done:upper])
                done = upper
            else:
                self._next()
        return sides

    def _look_up(self, groups: Int64s, times_ns: Int64s) -> Float64s:
        """The last quotes of these groups, in this batch or before it."""
        self._grow()
        before = np.searchsorted(self._times_ns, times_ns, side="right")
        width = self._times_ns.size + 1
        line = self._of * width + np.arange(self._of.size)  # by group, then by place
        order = np.argsort(line, kind="stable")
        place = np.searchsorted(line[order], groups * width + before, side="left") - 1
        sides: Float64s = self._last[:, groups].copy()
        here = np.flatnonzero(place >= 0)
        here = here[self._of[order[place[here]]] == groups[here]]
        sides[:, here] = self._sides[:, order[place[here]]]
        return sides

    def _next(self) -> None:
        """Take the next batch in the place of this one."""
        self._grow()
        newest = np.full(len(self._groups), -1)
        newest[self._of] = np.arange(self._of.size)  # the last assignment of a group stays
        came = newest >= 0
        self._last[:, came] = self._sides[:, newest[came]]
        rows = next(self._quotes, None)
        self._is_over = rows is None
        if rows is None:
            self._times_ns, self._of = np.empty(0, np.int64), np.empty(0, np.int64)
            self._sides = np.empty((2, 0))
            return
        self._times_ns = order_times(rows, self._order)
        self._of = self._groups.numbers(rows)
        self._sides = np.stack([floats(rows.column(name)) for name in SIDES])

    def _grow(self) -> None:
        more = len(self._groups) - self._last.shape[1]
        if more > 0:
            self._last = np.concatenate([self._last, np.full((2, more), np.nan)], axis=1)


def require_quotes(schema: pa.Schema, stream: str) -> None:
    """Raise HistoryError unless a stream has quotes to hold trades against."""
    lacks = [name for name in SIDES if not is_number(schema, name)]
    if lacks:
        raise HistoryError(
            f"{stream} has no numbers in {', '.join(lacks)}: trades are held against bid_price and ask_price"
        )


def off_quote(price: Float64s, sides: Float64s, tick: Float64s, spreads_max: float) -> Bools:
    """Return which prices lie more than so many spreads outside their quote.

    Prices are in ticks, `sides` (bid and ask) in the unit of prices.  Without a quote of two positive sides
    that are not crossed there is no verdict.
    """
    bid, ask = (in_ticks(side, tick) for side in sides)
    room = spreads_max * (ask - bid)
    whole = (bid > 0.0) & (ask >= bid)
    return whole & ((price < bid - room) | (price > ask + room))
