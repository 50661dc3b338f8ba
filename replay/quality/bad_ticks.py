"""Prices that cannot be meant: each row judged by earlier rows of its symbol alone (formulas.md D4 to D7).

So a verdict never changes: a row read later, or a day cut elsewhere, gives the same bits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from replay.errors import HistoryError
from replay.quality.trailing import Float64s, Trailing, medians, trimmed_moments
from schemas.batch import Bools, Int32s, Int64s

MAD_SCALE: Final = 1.4826  # of the deviation of normal values to the median of their absolute deviations
GRID_NEAR: Final = 1e-6  # ticks by which a price may miss a whole number of them and still be on the grid


class BadTick(IntFlag):
    """What is wrong with a row, a bit each; a locked quote is valid and only marked."""

    NOT_POSITIVE = 1  # D4: a price or size of 0 or less
    CROSSED = 2  # K5: bid above ask
    LOCKED = 4  # K5: bid equal to ask
    WIDE = 8  # D5: spread far above the usual one
    OUTLIER = 16  # D6: price far from the median of those before it
    FAR = 32  # D7: price far from the trimmed mean of those before it
    OFF_QUOTE = 64  # D8: trade outside its quote
    DUPLICATE = 128  # D3: id that was there shortly before
    CORRECTION = 256  # D10: row that cancels or corrects another


# What `BadTicks` always judges by, of prices alone; the other kinds are asked for (`replay.quality.checks`).
PRICE_KINDS: Final = (
    BadTick.NOT_POSITIVE,
    BadTick.CROSSED,
    BadTick.LOCKED,
    BadTick.WIDE,
    BadTick.OUTLIER,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadTickRules:
    """How far is too far.

    `tick` is the step of prices, by symbol (message key as text) in `ticks` where symbols differ.  A price is
    an outlier beyond `deviations_max` scaled deviations from the median of the last `price_rows`, of which
    there must be `prices_min`; a deviation counts as `deviation_ticks_min` at least.  A spread is wide beyond
    `spreads_max` times the median of the last `spread_rows` uncrossed ones, of which there must be
    `spreads_min`.  With `negative_ok`, as of spreads of several legs, a price may be 0 or less.
    """

    tick: float = 0.01
    ticks: Mapping[str, float] | None = None
    price_rows: int = 50
    prices_min: int = 10
    deviations_max: float = 10.0
    deviation_ticks_min: float = 1.0
    spread_rows: int = 500
    spreads_min: int = 50
    spreads_max: float = 50.0
    negative_ok: bool = False

    def __post_init__(self) -> None:
        for name, tick in {"": self.tick, **(self.ticks or {})}.items():
            if not 0.0 < tick < np.inf:
                raise HistoryError(f"tick {tick}{f' of {name}' if name else ''} must be more than 0")
        if not 0.0 < self.deviation_ticks_min < np.inf:
            raise HistoryError(f"the least deviation, {self.deviation_ticks_min} ticks, must be more than 0")

    def tick_of(self, symbol: str) -> float:
        """The step of a symbol's prices."""
        return (self.ticks or {}).get(symbol, self.tick)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimmedRules:
    """How far from the trimmed mean is too far (D7, Brownlees and Gallo 2006).

    Of the last `rows` prices one in `cut_one_in` is dropped at each end, rounded down.  A price is far from
    their mean by `deviations` of their standard deviations (of n - 1) and `room_ticks` more, or beyond; there
    must be `prices_min`.
    """

    rows: int = 60
    prices_min: int = 10
    cut_one_in: int = 20
    deviations: float = 3.0
    room_ticks: float = 2.0


def priced_columns(schema: pa.Schema) -> tuple[str, ...]:
    """The columns that hold prices: bid_price and ask_price, or price; none where they are not numbers."""
    names = [name for name in ("bid_price", "ask_price") if is_number(schema, name)]
    if len(names) == 2:
        return tuple(names)
    return ("price",) if is_number(schema, "price") else ()


class BadTicks:
    """Judges the rows of one stream in their order, batch by batch."""

    def __init__(self, schema: pa.Schema, rules: BadTickRules, trimmed: TrimmedRules | None = None) -> None:
        """Without `trimmed` no price is judged by a trimmed mean."""
        self._rules, self._trimmed = rules, trimmed
        self.prices = priced_columns(schema)
        sizes = {name: name.replace("price", "size") for name in self.prices}
        self._sizes = {name: size for name, size in sizes.items() if is_number(schema, size)}
        self._before = {name: Trailing(rules.price_rows) for name in self.prices}
        self._spreads = Trailing(rules.spread_rows)
        self._means = {name: Trailing(trimmed.rows) for name in self.prices} if trimmed is not None else {}
        self._ticks = np.empty(0)

    @property
    def columns(self) -> list[str]:
        """The columns that are looked at."""
        return [*self.prices, *self._sizes.values()]

    def flags(self, rows: pa.RecordBatch, groups: Int64s, names: list[str]) -> Int32s:
        """Return what is wrong with each of the next rows, int32, bits of `BadTick`.

        `groups` numbers their symbols, and `names` has the symbols by number.
        """
        flags = np.zeros(rows.num_rows, np.int32)
        if not self.prices or rows.num_rows == 0:
            return flags
        more = [self._rules.tick_of(name) for name in names[self._ticks.size :]]
        self._ticks = np.append(self._ticks, more)
        prices = {name: in_ticks(floats(rows.column(name)), self._ticks[groups]) for name in self.prices}
        for name, price in prices.items():
            flags[self._outliers(self._before[name], groups, price)] |= BadTick.OUTLIER
            if self._trimmed is not None:
                flags[_far(self._means[name], self._trimmed, groups, price)] |= BadTick.FAR
            if not self._rules.negative_ok:
                flags[price <= 0.0] |= BadTick.NOT_POSITIVE
        for name, size in self._sizes.items():  # a side without price has no size to judge
            flags[(floats(rows.column(size)) <= 0.0) & ~np.isnan(prices[name])] |= BadTick.NOT_POSITIVE
        if len(prices) == 2:
            bid, ask = prices.values()
            flags[bid > ask] |= BadTick.CROSSED
            flags[bid == ask] |= BadTick.LOCKED
            flags[self._wide(groups, bid, ask)] |= BadTick.WIDE
        return flags

    def _outliers(self, before: Trailing, groups: Int64s, price: Float64s) -> Bools:
        """D6.  All values before count, judged well or not: a new level is accepted when half are of it."""
        rules = self._rules
        outlier = np.zeros(price.size, np.bool_)
        there = np.flatnonzero(~np.isnan(price))
        for rows, windows in before.windows(groups[there], price[there]):
            middle, counts = medians(windows)
            deviation, _ = medians(np.abs(windows - middle[:, None]))
            scale = np.maximum(MAD_SCALE * deviation, rules.deviation_ticks_min)
            far = np.abs(price[there[rows]] - middle) > rules.deviations_max * scale
            outlier[there[rows]] = far & (counts >= rules.prices_min)
        return outlier

    def ticks_of(self, groups: Int64s) -> Float64s:
        """The step of prices of each of these groups, which `flags` has met."""
        return self._ticks[groups]

    def _wide(self, groups: Int64s, bid: Float64s, ask: Float64s) -> Bools:
        """D5.  Without a usual spread it is one tick."""
        rules = self._rules
        wide = np.zeros(bid.size, np.bool_)
        spread = ask - bid
        there = np.flatnonzero(spread >= 0.0)  # not where a side is null
        for rows, windows in self._spreads.windows(groups[there], spread[there]):
            usual, counts = medians(windows)
            usual[usual == 0.0] = 1.0
            far = spread[there[rows]] > rules.spreads_max * usual
            wide[there[rows]] = far & (counts >= rules.spreads_min)
        return wide


def _far(before: Trailing, rules: TrimmedRules, groups: Int64s, price: Float64s) -> Bools:
    """D7.  All values before count, as in D6."""
    far = np.zeros(price.size, np.bool_)
    there = np.flatnonzero(~np.isnan(price))
    for rows, windows in before.windows(groups[there], price[there]):
        mean, deviation, counts = trimmed_moments(windows, rules.cut_one_in)
        away = np.abs(price[there[rows]] - mean) >= rules.deviations * deviation + rules.room_ticks
        far[there[rows]] = away & (counts >= rules.prices_min)
    return far


def in_ticks(prices: Float64s, tick: Float64s) -> Float64s:
    """Prices in ticks; one that misses the grid by the error of a float alone is on it."""
    ticks = prices / tick
    nearest = np.rint(ticks)
    return np.where(np.abs(ticks - nearest) < GRID_NEAR, nearest, ticks)


def floats(column: pa.Array) -> Float64s:
    """Numbers as float64, NaN where there is none or none that is finite."""
    values = np.asarray(pc.fill_null(column.cast(pa.float64(), safe=False), np.nan), np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def is_number(schema: pa.Schema, name: str) -> bool:
    if name not in schema.names:
        return False
    kind = schema.field(name).type
    return any(test(kind) for test in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal))
