"""Bars as they are made elsewhere: by Polars' groups, or by a loop over trades in the manner of mlfinlab.

Polars can say where a bar ends only for what needs no state: time, counts, and sums that run on.  Of the
others each trade is taken from a pandas frame, and the values of the open bar of its symbol are kept as
plain numbers.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd
import polars as pl

Bar = tuple[int, int, float, float, float, float, float, int]  # symbol, end_ns, o, h, l, c, volume, count

COLUMNS: Final = ("symbol", "end_ns", "open", "high", "low", "close", "volume", "count")


def by_groups(frame: pl.DataFrame, number: pl.Expr, end_ns: pl.Expr) -> pl.DataFrame:
    """Bars by Polars: trades of a symbol with one `number` are one bar."""
    price, size = pl.col("price"), pl.col("size")
    numbered = frame.with_columns(number=number.over("symbol"))
    return numbered.group_by("symbol", "number", maintain_order=True).agg(
        end_ns=end_ns,
        open=price.first(),
        high=price.max(),
        low=price.min(),
        close=price.last(),
        volume=size.sum(),
        notional=(price * size).sum(),
        count=pl.len(),
        buy_volume=size.filter(pl.col("d") > 0).sum(),
        sell_volume=size.filter(pl.col("d") < 0).sum(),
    )


@dataclass
class Loop:
    """The values of the open bar of a symbol, and of what closes it."""

    limit: float
    opened: float | None = None
    high: float = -math.inf
    low: float = math.inf
    volume: float = 0
    notional: float = 0
    count: int = 0
    buys: float = 0  # of the open bar: the signed sum, or that of buys; of CUSUM both its sums
    sells: float = 0
    buy_count: int = 0
    before: float | None = None
    sign: int = 0
    seen: int = 0
    threshold: float | None = None
    means: dict[str, list[float]] = field(default_factory=dict)
    way: int = 0

    def clear(self) -> None:
        """Begin the next bar."""
        self.opened, self.high, self.low = None, -math.inf, math.inf
        self.volume = self.notional = self.count = 0

    def mean(self, name: str) -> float:
        """What `fade` has come to."""
        above, below = self.means[name]
        return above / below

    def fade(self, name: str, kept: float, value: float) -> None:
        """Take a value into a mean in which each weighs less than the next."""
        mean = self.means.setdefault(name, [0.0, 0.0])
        mean[0], mean[1] = kept * mean[0] + value, kept * mean[1] + 1.0


Closes = Callable[[Loop, float, float], bool]
FIRST: Final = 50.0  # trades of the first bar of imbalance or of runs
LEAST: Final = 800.0  # lots of a threshold: without it bars of imbalance have a trade or two here
KEPT: Final = 1.0 - 2.0 / (1_000 + 1.0)
KEPT_BAR: Final = 1.0 - 2.0 / (3 + 1.0)


def by_loop(closes: Closes, limit: float, trades: pd.DataFrame) -> list[Bar]:
    """Bars by a loop; what is open in the end is in none."""
    made: list[Bar] = []
    opened: dict[int, Loop] = {}
    for time_ns, symbol, price, size in trades[["event_ns", "symbol", "price", "size"]].itertuples(
        index=False, name=None
    ):
        loop = opened.get(symbol)
        if loop is None:
            loop = opened[symbol] = Loop(limit)
        if loop.opened is None:
            loop.opened = price
        loop.high, loop.low = max(loop.high, price), min(loop.low, price)
        loop.volume += size
        loop.notional += price * size
        loop.count += 1
        if closes(loop, price, size):
            made.append((symbol, time_ns, loop.opened, loop.high, loop.low, price, loop.volume, loop.count))
            loop.clear()
    return made


def of_trades(loop: Loop, price: float, size: float) -> bool:
    """B2."""
    return loop.count >= loop.limit


def of_volume(loop: Loop, price: float, size: float) -> bool:
    """B3."""
    return loop.volume >= loop.limit


def of_dollars(loop: Loop, price: float, size: float) -> bool:
    """B4."""
    return loop.notional >= loop.limit


def of_range(loop: Loop, price: float, size: float) -> bool:
    """B9."""
    return loop.high - loop.low >= loop.limit


def of_volatility(loop: Loop, price: float, size: float) -> bool:
    """B7."""
    if loop.count == 1:
        loop.buys = 0.0
    if loop.before is not None:
        change = math.log(price / loop.before)
        loop.buys += change * change
    loop.before = price
    return loop.buys >= loop.limit


def of_cusum(loop: Loop, price: float, size: float) -> bool:
    """B8."""
    change = 0 if loop.before is None else price - loop.before
    loop.before = price
    loop.buys, loop.sells = max(0, loop.buys + change), min(0, loop.sells + change)
    if loop.buys >= loop.limit:
        loop.buys = 0
        return True
    if loop.sells <= -loop.limit:
        loop.sells = 0
        return True
    return False


def of_imbalance(loop: Loop, price: float, size: float) -> bool:
    """B5 of volume."""
    signed = _sign(loop, price) * float(size)
    loop.fade("trades", KEPT, signed)
    loop.buys += signed
    if loop.threshold is None and loop.seen >= FIRST:
        loop.threshold = max(FIRST * abs(loop.mean("trades")), LEAST)
    if loop.threshold is None or abs(loop.buys) < loop.threshold:
        return False
    count = _expected(loop)
    loop.threshold = max(count * abs(loop.mean("trades")), LEAST)
    loop.buys = 0.0
    return True


def of_runs(loop: Loop, price: float, size: float) -> bool:
    """B6 of volume."""
    sign, amount = _sign(loop, price), float(size)
    if sign > 0:
        loop.fade("buys", KEPT, amount)
        loop.buys += amount
        loop.buy_count += 1
    elif sign < 0:
        loop.fade("sells", KEPT, amount)
        loop.sells += amount
    if loop.threshold is None and loop.seen >= FIRST and {"buys", "sells"} <= loop.means.keys():
        loop.threshold = _of_sides(loop, FIRST, loop.buy_count / loop.seen)
    if loop.threshold is None or max(loop.buys, loop.sells) < loop.threshold:
        return False
    count = _expected(loop)
    loop.fade("share", KEPT_BAR, loop.buy_count / loop.count)
    loop.threshold = _of_sides(loop, count, loop.mean("share"))
    loop.buys = loop.sells = 0.0
    loop.buy_count = 0
    return True


def bricks(limit: float, trades: pd.DataFrame) -> list[Sequence[Any]]:
    """B10: symbol, end, open and close of each brick."""
    made: list[Sequence[Any]] = []
    bases: dict[int, tuple[float, int]] = {}
    for time_ns, symbol, price in trades[["event_ns", "symbol", "price"]].itertuples(index=False, name=None):
        base, way = bases.get(symbol, (price, 0))
        while True:
            up, down = base + limit * (way < 0), base - limit * (way > 0)
            if price - up >= limit:
                made.append((symbol, time_ns, up, up + limit))
                base, way = up + limit, 1
            elif down - price >= limit:
                made.append((symbol, time_ns, down, down - limit))
                base, way = down - limit, -1
            else:
                break
        bases[symbol] = base, way
    return made


def _sign(loop: Loop, price: float) -> int:
    """The side of a trade by the last price change."""
    if loop.before is not None and price != loop.before:
        loop.sign = 1 if price > loop.before else -1
    loop.before = price
    loop.seen += 1
    return loop.sign


def _expected(loop: Loop) -> float:
    """How many trades the next bar is expected to have."""
    loop.fade("count", KEPT_BAR, float(loop.count))
    return min(max(loop.mean("count"), FIRST / 10.0), FIRST * 10.0)


def _of_sides(loop: Loop, count: float, share: float) -> float:
    return max(count * max(share * loop.mean("buys"), (1.0 - share) * loop.mean("sells")), LEAST)
