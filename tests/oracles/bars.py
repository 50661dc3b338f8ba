"""Bars by their definition: the trades of a symbol and session are cut into lists, each list summed up."""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

Number = int | float


class Trade(NamedTuple):
    """A row of the input; `place` is what names it, and `direction` 1 of a buy, -1 of a sell."""

    time_ns: int
    symbol: str | None
    price: Number | None
    size: Number | None
    direction: int | None = None
    known_ns: int | None = None
    place: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Bars:
    """What closes bars: `every` of a `limit`, or of `step_ns`; `spans` are the sessions.

    Of imbalance and runs: what of a trade is counted, whether its side is told, and what is expected of the
    first bar and, within bounds, of those behind it.
    """

    every: str
    limit: Number = 0
    step_ns: int = 0
    origin: str = "utc"
    remainder: str = "drop"
    empty: bool = False
    known_after_ns: int = 0
    spans: Sequence[tuple[int, int]] = ()
    in_sessions: bool = True
    measure: str = ""
    first: int = 0
    span_b: float = 1.0
    span_t: float = 1.0
    sided: bool = False
    least: float | None = None
    most: float | None = None
    theta_min: float = 1.0
    reversal: int = 2


class Part(NamedTuple):
    """A trade, or a part of one, in a bar: its number among all rows, and how much of it is in the bar."""

    number: int
    trade: Trade
    size: Number


class Cut(NamedTuple):
    """A bar: what is in it, and where and why it ends."""

    parts: list[Part]
    start_ns: int
    end_ns: int
    reason: str
    partial: bool
    prices: tuple[Number, Number] | None = None  # of a brick: open and close


def bricks(parts: list[Part], bars: Bars, span: tuple[int, int] | None) -> Iterator[Cut]:
    """B10: bricks upwards and downwards from the first price, `reversal` of them back make one."""
    held: list[Part] = []
    base: Number | None = None
    back = (bars.reversal - 1) * bars.limit
    way = 0
    for part in parts:
        price, now = part.trade.price or 0, part.trade.time_ns
        held.append(part)
        start_ns = held[0].trade.time_ns
        base = price if base is None else base
        while True:
            if price - (up := base + (back if way < 0 else 0)) >= bars.limit:
                prices, way = (up, up + bars.limit), 1
            elif (down := base - (back if way > 0 else 0)) - price >= bars.limit:
                prices, way = (down, down - bars.limit), -1
            else:
                break
            yield Cut(held, start_ns, now, "threshold", False, prices)
            held, start_ns, base = [], now, prices[1]
    if held:
        end_ns = part.trade.time_ns if span is None else span[1]
        yield Cut(held, held[0].trade.time_ns, end_ns, "open" if span is None else "session", True)


def bars_slowly(rows: Sequence[Trade], bars: Bars, complete_ns: int) -> list[dict[str, Any]]:
    """The bars that are closed by these rows, and by nothing before `complete_ns` being still to come."""
    passed_ns = max([complete_ns, *(row.time_ns for row in rows)])
    made: list[tuple[int, int, int, dict[str, Any]]] = []
    symbols = sorted({row.symbol for row in rows if row.symbol is not None})
    for symbol in symbols:
        for span in bars.spans if bars.in_sessions else [None]:
            parts = [
                Part(number, row, row.size)
                for number, row in enumerate(rows)
                if row.symbol == symbol
                and is_trade(row)
                and row.size is not None
                and (span is None or span[0] <= row.time_ns < span[1])
            ]
            last, known_ns = None, 0
            for number, cut in enumerate(cuts_of(parts, bars, span)):
                if cut.end_ns > passed_ns or cut.reason == "open":
                    continue
                last = cut.parts[-1] if cut.parts else last
                assert last is not None
                if cut.parts:
                    known_ns = max(known_of(part.trade) for part in cut.parts)
                row = summed_up(symbol, number, cut, last, known_ns, bars)
                made.append((cut.end_ns, last.number, number, row))
    return [row for *_, row in sorted(made, key=lambda one: one[:3])]


def is_trade(row: Trade) -> bool:
    return row.price is not None and row.size is not None and row.size > 0


def cuts_of(parts: list[Part], bars: Bars, span: tuple[int, int] | None) -> Iterator[Cut]:
    if bars.every == "time":
        yield from timed(parts, bars, span)
        return
    closing = leaning(parts, bars) if bars.measure else set()
    if bars.every == "renko":
        yield from bricks(parts, bars, span)
        return
    held: list[Part] = []
    passed, session = 0, Fraction(0)
    waiting = list(parts)
    while waiting:
        part = waiting.pop(0)
        if bars.remainder == "split":
            lots = fitting(held, part, bars)
            if lots < part.size:
                waiting.insert(0, part._replace(size=part.size - lots))
                part = part._replace(size=lots)
        held.append(part)
        session += amount(part, bars)
        if bars.remainder == "carry":
            reached = float(session) >= (passed + 1) * bars.limit
            if reached:
                passed = max(passed + 1, int(float(session) / bars.limit))
        elif bars.every == "volatility":
            first = parts.index(held[0])
            squares = 0.0
            for change in returns(parts[max(first - 1, 0) : first + len(held)]):
                squares += change * change
            reached = squares >= float(bars.limit)
        elif bars.measure:
            reached = parts.index(part) in closing
        elif bars.every == "cusum":
            reached = parts.index(part) in fired(parts, bars)
        elif bars.every == "range":
            prices = [one.trade.price for one in held]
            reached = max(prices) - min(prices) >= bars.limit  # type: ignore[type-var, operator]
        else:
            total = sum((amount(one, bars) for one in held), Fraction(0))
            reached = (float(total) if isinstance(bars.limit, float) else total) >= bars.limit
        if reached:
            yield Cut(held, held[0].trade.time_ns, part.trade.time_ns, "threshold", False)
            held = []
    if held:
        end_ns = part.trade.time_ns if span is None else span[1]
        yield Cut(held, held[0].trade.time_ns, end_ns, "open" if span is None else "session", True)


def returns(parts: list[Part]) -> list[float]:
    """Log returns between trades that follow one another; the first one is of the bar before, if any."""
    prices = [float(part.trade.price or 0) for part in parts]
    pairs = itertools.pairwise(prices)
    return [math.log(later / earlier) for earlier, later in pairs if earlier > 0 and later > 0]


def fired(parts: list[Part], bars: Bars) -> set[int]:
    """The trades at which a sum of price changes leaves the band (M54)."""
    up: Number = 0
    down: Number = 0
    events = set()
    for number in range(1, len(parts)):
        change = (parts[number].trade.price or 0) - (parts[number - 1].trade.price or 0)
        up, down = max(0, up + change), min(0, down + change)
        if up >= bars.limit:
            up = 0
            events.add(number)
        elif down <= -bars.limit:
            down = 0
            events.add(number)
    return events


def leaning(parts: list[Part], bars: Bars) -> set[int]:
    """The trades that close bars of imbalance (B5) and of runs (B6), by side or by price."""
    signs, sign = [], 0
    least = bars.first / 10.0 if bars.least is None else bars.least
    most = bars.first * 10.0 if bars.most is None else bars.most
    for number, part in enumerate(parts):
        change = (part.trade.price or 0) - (parts[number - 1].trade.price or 0) if number else 0
        sign = (change > 0) - (change < 0) or sign
        signs.append((part.trade.direction or 0) if bars.sided else sign)
    weights = [float(amount(part, Bars(bars.measure))) for part in parts]
    if bars.every == "runs":
        weights = list(map(abs, weights))
    closing: list[int] = []
    threshold, begin = None, 0
    for number in range(len(parts)):
        buys = [weights[n] for n in range(number + 1) if signs[n] > 0]
        sells = [weights[n] for n in range(number + 1) if signs[n] < 0]
        warm = number + 1 >= bars.first and (bars.every == "imbalance" or (buys and sells))
        bar = range(begin, number + 1)
        if threshold is None and warm:
            share = sum(signs[n] > 0 for n in bar) / (number + 1)
            threshold = expected(signs, weights, number, bars, float(bars.first), share)
        theta = [fold(weights[n] * signs[n] for n in bar)]
        if bars.every == "runs":
            theta = [fold(weights[n] for n in bar if signs[n] == side) for side in (1, -1)]
        if threshold is not None and max(map(abs, theta)) >= threshold:
            closing.append(number)
            begin = number + 1
            ends = [-1, *closing]
            counts = [float(end - start) for start, end in itertools.pairwise(ends)]
            shares = [
                sum(signs[n] > 0 for n in range(start + 1, end + 1)) / (end - start)
                for start, end in itertools.pairwise(ends)
            ]
            count = min(max(faded(counts, bars.span_t), least), most)
            threshold = expected(signs, weights, number, bars, count, faded(shares, bars.span_t))
    return set(closing)


def expected(
    signs: list[int], weights: list[float], number: int, bars: Bars, count: float, share: float
) -> float:
    upto = range(number + 1)
    if bars.every == "imbalance":
        return max(count * abs(faded([signs[n] * weights[n] for n in upto], bars.span_b)), bars.theta_min)
    buys = faded([weights[n] for n in upto if signs[n] > 0], bars.span_b)
    sells = faded([weights[n] for n in upto if signs[n] < 0], bars.span_b)
    return max(count * max(share * buys, (1.0 - share) * sells), bars.theta_min)


def fold(values: Iterable[float]) -> float:
    total = 0.0
    for value in values:
        total += value
    return total


def faded(values: Sequence[float], span: float) -> float:
    """R50: the mean, each value weighing less than the next one."""
    kept = 1.0 - 2.0 / (span + 1.0)
    above = below = 0.0
    for value in values:
        above, below = kept * above + value, kept * below + 1.0
    return above / below


def amount(part: Part, bars: Bars) -> Fraction:
    """What a trade adds to the sum that closes a bar."""
    if bars.every == "trades":
        return Fraction(1)
    if bars.every == "volume":
        return Fraction(part.size)
    return Fraction(part.trade.price or 0) * Fraction(part.size)


def fitting(held: list[Part], part: Part, bars: Bars) -> Number:
    """Lots of a trade that the bar takes: one after another until the bar is full."""
    lots = 0
    while lots < part.size:
        lots += 1
        now = [*held, part._replace(size=lots)]
        if sum(amount(one, bars) for one in now) >= bars.limit:
            break
    return lots


def timed(parts: list[Part], bars: Bars, span: tuple[int, int] | None) -> Iterator[Cut]:
    """Every cell of the grid from that of the first trade on."""
    if not parts:
        return
    origin = span[0] if span is not None and bars.origin == "session" else 0
    cell = (parts[0].trade.time_ns - origin) // bars.step_ns
    while True:
        begin = origin + cell * bars.step_ns
        end = begin + bars.step_ns
        start_ns, end_ns = (begin, end) if span is None else (max(begin, span[0]), min(end, span[1]))
        inside = [part for part in parts if start_ns <= part.trade.time_ns < end_ns]
        if inside or bars.empty:
            yield Cut(
                inside,
                start_ns,
                end_ns,
                "grid" if end_ns == end else "session",
                (begin, end) != (start_ns, end_ns),
            )
        if (span is not None and end >= span[1]) or (span is None and end > parts[-1].trade.time_ns):
            return
        cell += 1


def known_of(trade: Trade) -> int:
    return trade.time_ns if trade.known_ns is None else trade.known_ns


def summed_up(symbol: str, number: int, cut: Cut, last: Part, known_ns: int, bars: Bars) -> dict[str, Any]:
    whole = isinstance(last.trade.price, int) and isinstance(last.trade.size, int)
    trades = [part.trade for part in cut.parts]
    prices = [trade.price for trade in trades] or [last.trade.price]
    known = [known_ns] if trades or cut.prices else []
    if cut.reason != "threshold":
        known.append(cut.end_ns + bars.known_after_ns)
    if cut.prices is not None:
        prices = list(cut.prices)
    volume = sum((Fraction(part.size) for part in cut.parts), Fraction(0))
    notional = sum((Fraction(part.trade.price or 0) * Fraction(part.size) for part in cut.parts), Fraction(0))
    by_side = {
        side: sum((Fraction(part.size) for part in cut.parts if part.trade.direction == side), Fraction(0))
        for side in (1, -1)
    }
    number_of = int if whole else float
    sided = bars.sided or not bars.measure  # such bars may be told no sides here
    return {
        "symbol": symbol,
        "event_ns": cut.end_ns,
        "known_ns": max(known),
        "start_ns": cut.start_ns,
        "end_ns": cut.end_ns,
        "bar_no": number,
        "first_event_ns": trades[0].time_ns if trades else None,
        "last_event_ns": trades[-1].time_ns if trades else None,
        "open": prices[0],
        "high": max(prices),  # type: ignore[type-var]
        "low": min(prices),  # type: ignore[type-var]
        "close": prices[-1],
        "volume": number_of(volume),
        "notional": number_of(notional),
        "vwap": float(notional) / float(volume) if trades else None,
        "count": len(trades),
        "buy_volume": number_of(by_side[1]) if sided else None,
        "sell_volume": number_of(by_side[-1]) if sided else None,
        "close_reason": cut.reason,
        "empty": not trades,
        "partial": cut.partial,
        "left_offset": last.trade.place[0],
        "left_index": last.trade.place[1],
    }
