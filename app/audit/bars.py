"""Bars by their definition (B0 to B10), in plain Python: a second judge, which shares no code with the node.

The trades of a symbol are put into a list until the bar is closed, and the list is summed up.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, NamedTuple

from app.audit.bar_cells import Cell, between, cell_of
from app.audit.bar_closing import PARTS_MAX, Closing, Number, closing_of
from operators.bars.settings import BarSettings

PRICES: Final = ("open", "high", "low", "close")
SUMS: Final = ("volume", "notional", "buy_volume", "sell_volume")


class Trade(NamedTuple):
    """A row that bars are made of.

    `number`     among all rows of its partition.
    `start_ns`, `session_end_ns`  of its session; -1 for none.
    `values`     what aggregates take of it, None for null.
    `bar`        of a row that is a bar itself: its prices, sums, count and first time; else None.
    """

    number: int
    time_ns: int
    event_ns: int
    known_ns: int
    place: tuple[int, int]
    start_ns: int
    session_end_ns: int
    price: Number
    size: Number
    direction: int
    values: tuple[float | None, ...] = ()
    bar: Mapping[str, Any] | None = None


class Aggregate(NamedTuple):
    """What a column sums up of a bar's trades: which of their values, and the weights of these."""

    name: str
    value: int
    weight: int | None


class Closed(NamedTuple):
    """A bar: its columns but for those of the key, its place among others, and what it is numbered in."""

    end_ns: int
    closed_by: int
    period: int
    key: tuple[Any, ...]
    columns: dict[str, Any]
    certain: bool


@dataclass(frozen=True)
class BarRule:
    """How bars are made: `aggregates` by column, and how many units are 1 of the currency."""

    settings: BarSettings
    whole: bool
    sided: bool
    currency: int = 1
    aggregates: Mapping[str, Aggregate] = field(default_factory=dict)


class _Open(NamedTuple):
    """A bar that takes trades: with each part of one how much of it."""

    cell: Cell
    begin_ns: int
    parts: list[tuple[Trade, Number]]


class Symbol:
    """The bars of one symbol, one trade after another."""

    def __init__(self, key: tuple[Any, ...], rule: BarRule) -> None:
        self._key, self._rule = key, rule
        self._closing = self._new_closing()
        self._open: _Open | None = None
        self._period: int | None = None
        self._number = 0
        self._last: Trade | None = None
        self._known_ns = 0
        self._base: Number | None = None  # of renko: where the last brick ended, and which way it went
        self._way = 0

    def take(self, trade: Trade) -> Iterator[Closed]:
        """Take a trade that stands behind those before; the bars that end by it, or with it."""
        cell = cell_of(self._rule.settings, trade.time_ns, trade.start_ns, trade.session_end_ns)
        if cell is None:
            return
        yield from self.pass_time(trade.time_ns)
        if cell.period != self._period:
            self._period, self._number, self._closing = cell.period, 0, self._new_closing()
            self._base, self._way = None, 0
        left, parts = trade.size, 0
        while left > 0:
            if self._open is None or not self._open.parts:
                begin_ns = trade.time_ns if cell.begin_ns is None else cell.begin_ns
                self._open = _Open(cell, begin_ns, [])
            part = self._closing.takes(trade.price, left) if parts < PARTS_MAX - 1 else left
            left, parts = left - part, parts + 1
            self._open.parts.append((trade, part))
            self._last = trade
            if self._rule.settings.every == "renko":
                yield from self._bricks(trade)
            elif self._closing.reached(trade.price, part, trade.direction):
                yield self._close(trade.time_ns, "threshold", partial=False)
            if trade.bar is not None:
                return

    def pass_time(self, time_ns: int, *, certain: bool = True) -> Iterator[Closed]:
        """The bars that end by a time, if no trade comes before."""
        while self._open is not None and (end_ns := self._open.cell.end_ns) is not None and end_ns <= time_ns:
            cell = self._open.cell
            yield self._close(
                end_ns, "grid" if cell.at_grid else "session", partial=cell.partial, certain=certain
            )
            settings = self._rule.settings
            if settings.empty and cell.period_end_ns is not None and end_ns < cell.period_end_ns:
                step = between(end_ns, end_ns + settings.step_ns, end_ns, cell.period_end_ns)
                self._open = _Open(step._replace(period=cell.period), end_ns, [])

    def _new_closing(self) -> Closing:
        return closing_of(self._rule.settings, self._rule.currency, whole=self._rule.whole)

    def _bricks(self, trade: Trade) -> Iterator[Closed]:
        limit = Fraction(self._rule.settings.limit)
        brick: Number = -(-limit.numerator // limit.denominator) if self._rule.whole else float(limit)
        back = (self._rule.settings.reversal - 1) * brick
        if self._base is None:
            self._base = trade.price
        bricks = 0
        while bricks < PARTS_MAX:
            up = self._base + (back if self._way < 0 else 0)
            down = self._base - (back if self._way > 0 else 0)
            if trade.price - up >= brick:
                prices, self._way = (up, up + brick), 1
            elif down - trade.price >= brick:
                prices, self._way = (down, down - brick), -1
            else:
                return
            assert self._open is not None, "a trade is in a bar"
            yield self._close(trade.time_ns, "threshold", partial=False, brick=prices)
            self._base, bricks = prices[1], bricks + 1
            self._open = _Open(self._open_cell(trade), trade.time_ns, [])

    def _open_cell(self, trade: Trade) -> Cell:
        """Of a brick without trades: nothing ends it before a trade comes."""
        cell = cell_of(self._rule.settings, trade.time_ns, trade.start_ns, trade.session_end_ns)
        assert cell is not None, "a trade is in a bar"
        return cell._replace(end_ns=None)

    def _close(
        self,
        end_ns: int,
        reason: str,
        *,
        partial: bool,
        certain: bool = True,
        brick: tuple[Number, Number] | None = None,
    ) -> Closed:
        opened, last = self._open, self._last
        assert opened is not None, "no bar is closed that is not open"
        assert last is not None, "a bar begins with a trade, or behind one"
        trades = [trade for trade, _ in opened.parts]
        known = [trade.known_ns for trade in trades]
        self._known_ns = max(known, default=self._known_ns)
        after = end_ns + self._rule.settings.known_after_ns
        known_ns = self._known_ns if reason == "threshold" else max([*known, after])
        columns = {
            "known_ns": known_ns,
            "start_ns": opened.begin_ns,
            "end_ns": end_ns,
            "bar_no": self._number,
            **_times(trades),
            **_prices(trades, brick, last),
            **_sums(opened.parts, self._rule),
            "close_reason": reason,
            "empty": not trades,
            "partial": partial,
            "left_offset": last.place[0],
            "left_index": last.place[1],
            **{name: _aggregate(one, trades) for name, one in self._rule.aggregates.items()},
        }
        self._number += 1
        self._open = None
        return Closed(end_ns, last.number, opened.cell.period, self._key, columns, certain)


def _times(trades: Sequence[Trade]) -> dict[str, Any]:
    if not trades:
        return {"first_event_ns": None, "last_event_ns": None}
    first = trades[0]
    first_ns = first.event_ns if first.bar is None else first.bar["first_event_ns"]
    return {"first_event_ns": first_ns, "last_event_ns": trades[-1].event_ns}


def _prices(trades: Sequence[Trade], brick: tuple[Number, Number] | None, last: Trade) -> dict[str, Number]:
    if brick is not None:
        return dict(zip(PRICES, (brick[0], max(brick), min(brick), brick[1]), strict=True))
    if not trades:
        return dict.fromkeys(PRICES, last.price)
    of_bars = [trade.bar or dict.fromkeys(PRICES, trade.price) for trade in trades]
    highs, lows = [one["high"] for one in of_bars], [one["low"] for one in of_bars]
    prices = (of_bars[0]["open"], max(highs), min(lows), trades[-1].price)
    return dict(zip(PRICES, prices, strict=True))


def _sums(parts: Sequence[tuple[Trade, Number]], rule: BarRule) -> dict[str, Any]:
    totals = dict.fromkeys(SUMS, Fraction(0))
    count, known = 0, True
    for trade, size in parts:
        if trade.bar is not None:
            count += trade.bar["count"]
            known = known and trade.bar["volume"] is not None
            for name in SUMS:
                totals[name] += Fraction(trade.bar[name] or 0)
            continue
        count += 1
        totals["volume"] += Fraction(size)
        totals["notional"] += Fraction(trade.price) * Fraction(size)
        if trade.direction:
            totals["buy_volume" if trade.direction > 0 else "sell_volume"] += Fraction(size)
    known = known and abs(totals["volume"]) < 2**63
    volume, notional = float(totals["volume"]), float(totals["notional"])
    columns: dict[str, Any] = {
        name: (int(total) if rule.whole else float(total)) if known else None
        for name, total in totals.items()
    }
    if rule.whole and known:
        columns["notional"] = Decimal(columns["notional"])
    if not rule.sided:
        columns |= {"buy_volume": None, "sell_volume": None}
    # Of whole numbers each sum is rounded, and then their quotient, as of floats.
    columns["vwap"] = notional / max(volume, 1.0 if rule.whole else volume) if parts and known else None
    return {**columns, "count": count}


def _aggregate(what: Aggregate, trades: Sequence[Trade]) -> float | int | None:
    """What formulas.md says of a bar's own columns; a null is no value."""
    pairs = [(trade.values[what.value], trade) for trade in trades]
    values = [(value, trade) for value, trade in pairs if value is not None]
    if what.weight is not None:
        values = [(value, trade) for value, trade in values if trade.values[what.weight] is not None]
    if what.name == "count":
        return len(values)
    if not values:
        return None
    floats = [value for value, _ in values]
    if what.name == "wmean":
        assert what.weight is not None, "a mean is weighed by a weight"
        weights = [Fraction(trade.values[what.weight] or 0.0) for _, trade in values]
        total = float(sum(weights))
        above = sum(weight * Fraction(value) for weight, value in zip(weights, floats, strict=True))
        return float(above) / total if total else None
    if what.name in ("sum", "mean"):
        exact = sum(map(Fraction, floats), Fraction(0))
        return float(exact / len(floats) if what.name == "mean" else exact)
    return {"min": min(floats), "max": max(floats), "first": floats[0], "last": floats[-1]}[what.name]
