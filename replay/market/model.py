"""A synthetic market: Zipf activity, U-shaped volume, bursts, spreads that breathe, trades at the touch.

It is made slice by slice.  Nothing here is fitted to a venue; the figures below give a day that looks and
sorts like one.  Every array has one element per row of the slice.  One generator state
gives one slice.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.batch import Int32s, Int64s
from schemas.clocks import NS_PER_MS, NS_PER_US

Floats = npt.NDArray[np.float64]

EXCHANGES: Final = ("N", "Q", "P", "Z", "K", "V")
_EXCHANGE_SHARE: Final = (0.28, 0.26, 0.18, 0.13, 0.10, 0.05)
_EXCHANGE_LATENCY_NS: Final = tuple(us * NS_PER_US for us in (180, 220, 310, 450, 260, 140))
_ZIPF_EXPONENT: Final = 1.05  # the first of 200 symbols has a sixth of all rows
_U_SHAPE_DEPTH: Final = 0.75  # volume at midday is a quarter of that at the open and the close
_BURST_SHARE: Final = 0.35  # quotes that answer another quote of their symbol
_BURST_NS: Final = 2 * NS_PER_MS  # and how soon, on average
_SAME_TIME_SHARE: Final = 0.12  # rows stamped with the time of the row before them
_TRADE_AFTER_NS: Final = 150 * NS_PER_MS  # a trade follows a quote of its symbol by this, on average
_TRADE_AT_QUOTE_SHARE: Final = 0.2  # trades stamped with the very time of a quote
_JITTER_MEDIAN_NS: Final = 150 * NS_PER_US
_JITTER_MAX_NS: Final = 20 * NS_PER_MS  # so the receiver's clock reorders events by at most about this
_TICK: Final = 0.01
_MID_TICKS_MIN: Final = 200


@dataclass(frozen=True, slots=True)
class Quotes:
    """Quotes of a slice in event order; prices in ticks of a cent."""

    event_ns: Int64s
    known_ns: Int64s
    symbol: Int32s
    bid_ticks: Int64s
    ask_ticks: Int64s
    bid_size: Int32s
    ask_size: Int32s
    exchange: Int32s


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades of a slice in event order."""

    event_ns: Int64s
    known_ns: Int64s
    symbol: Int32s
    price: Floats
    size: Int32s
    exchange: Int32s


class Market:
    """Symbols with their activity and where their prices stand; each slice moves the prices on."""

    def __init__(self, symbols: int, draw: np.random.Generator) -> None:
        weight = (1.0 + np.arange(symbols)) ** -_ZIPF_EXPONENT
        self._share = weight / weight.sum()
        self._mid_ticks = np.exp(draw.normal(np.log(8_000), 0.8, symbols)).astype(np.int64)
        self._mid_ticks = np.maximum(self._mid_ticks, _MID_TICKS_MIN)

    def quotes(self, draw: np.random.Generator, count: int, lower_ns: int, upper_ns: int) -> Quotes:
        """Return `count` quotes with events in [lower_ns, upper_ns), spread evenly but for their bursts."""
        symbol = draw.choice(self._share.size, count, p=self._share).astype(np.int32)
        event_ns = draw.integers(lower_ns, upper_ns, count)
        answers = np.flatnonzero(draw.random(count) < _BURST_SHARE)
        parents = draw.integers(0, count, answers.size)
        symbol[answers] = symbol[parents]
        event_ns[answers] = event_ns[parents] + draw.exponential(_BURST_NS, answers.size).astype(np.int64)
        event_ns, (symbol,) = _in_event_order(draw, event_ns, upper_ns, symbol)
        exchange = _exchanges(draw, count)
        mid = self._walk(draw, symbol)
        width = 1 + draw.geometric(0.55, count) * np.maximum(mid // 12_000, 1)
        bid = mid - width // 2
        return Quotes(
            event_ns=event_ns,
            known_ns=_known(draw, event_ns, exchange),
            symbol=symbol,
            bid_ticks=bid,
            ask_ticks=bid + width,
            bid_size=_round_lots(draw, count),
            ask_size=_round_lots(draw, count),
            exchange=exchange,
        )

    @staticmethod
    def trades(draw: np.random.Generator, count: int, quotes: Quotes, upper_ns: int) -> Trades:
        """Return `count` trades, each soon after a quote of its symbol, most at its standing bid or ask."""
        cause = draw.integers(0, quotes.event_ns.size, count)
        after_ns = draw.exponential(_TRADE_AFTER_NS, count).astype(np.int64)
        after_ns[draw.random(count) < _TRADE_AT_QUOTE_SHARE] = 0
        event_ns, (symbol,) = _in_event_order(
            draw, quotes.event_ns[cause] + after_ns, upper_ns, quotes.symbol[cause], same_time_share=0.0
        )
        standing = _standing(quotes, event_ns, symbol)
        bid, ask = quotes.bid_ticks[standing], quotes.ask_ticks[standing]
        touch = np.where(draw.random(count) < 0.5, bid, ask)
        ticks = np.where(draw.random(count) < 0.88, touch.astype(np.float64), (bid + ask) / 2)
        exchange = _exchanges(draw, count)
        odd = draw.integers(1, 100, count)
        size = np.where(draw.random(count) < 0.35, odd, _round_lots(draw, count)).astype(np.int32)
        return Trades(
            event_ns=event_ns,
            known_ns=_known(draw, event_ns, exchange),
            symbol=symbol,
            price=np.round(ticks * _TICK, 4),
            size=size,
            exchange=exchange,
        )

    def _walk(self, draw: np.random.Generator, symbol: Int32s) -> Int64s:
        """Move each quote's symbol by a tick or so and return where it then stands."""
        tick = np.maximum(self._mid_ticks[symbol] // 10_000, 1)
        step = draw.choice(np.array([-2, -1, 0, 1, 2]), symbol.size, p=[0.03, 0.17, 0.6, 0.17, 0.03]) * tick
        order = np.argsort(symbol, kind="stable")
        grouped = symbol[order]
        moved = np.cumsum(step[order])
        first = np.flatnonzero(np.r_[True, grouped[1:] != grouped[:-1]])
        before = np.repeat(moved[first] - step[order][first], np.diff(np.r_[first, grouped.size]))
        mid = np.empty_like(moved)
        mid[order] = np.maximum(self._mid_ticks[grouped] + moved - before, _MID_TICKS_MIN)
        last = np.r_[first[1:], grouped.size] - 1
        self._mid_ticks[grouped[last]] = mid[order[last]]
        return mid


def session_instants(share: Floats, open_ns: int, close_ns: int) -> Int64s:
    """Return when each share (0 to 1) of the day's volume has passed, under a U-shaped volume.

    The volume at x of the session (0 to 1) is proportional to 1 - depth + depth * (2x - 1)^2.
    """
    x = np.linspace(0.0, 1.0, 4_097)
    passed = (1 - _U_SHAPE_DEPTH) * x + _U_SHAPE_DEPTH * ((2 * x - 1) ** 3 + 1) / 6
    return open_ns + (np.interp(share, passed / passed[-1], x) * (close_ns - open_ns)).astype(np.int64)


def _in_event_order(
    draw: np.random.Generator,
    event_ns: Int64s,
    upper_ns: int,
    *columns: Int32s,
    same_time_share: float = _SAME_TIME_SHARE,
) -> tuple[Int64s, list[Int32s]]:
    """Sort by time, some rows sharing the time of the row before them."""
    event_ns = np.minimum(event_ns, upper_ns - 1)
    order = np.argsort(event_ns, kind="stable")
    event_ns = event_ns[order]
    if same_time_share:
        own = draw.random(event_ns.size) >= same_time_share
        own[:1] = True
        event_ns = event_ns[np.maximum.accumulate(np.where(own, np.arange(event_ns.size), 0))]
    return event_ns, [column[order] for column in columns]


def _standing(quotes: Quotes, event_ns: Int64s, symbol: Int32s) -> Int64s:
    """Return, per trade, the last quote of its symbol at or before it; one of them caused it."""
    origin = int(quotes.event_ns[0])
    width = int(max(quotes.event_ns[-1], event_ns.max(initial=origin))) - origin + 1
    assert quotes.symbol.max() < 2**63 // width - 1
    by_symbol = np.lexsort((quotes.event_ns, quotes.symbol))
    # One number orders by symbol, then by time, so that one search finds every trade's quote.
    places = quotes.symbol.astype(np.int64) * width + (quotes.event_ns - origin)
    wanted = symbol.astype(np.int64) * width + (event_ns - origin)
    return by_symbol[np.searchsorted(places[by_symbol], wanted, side="right") - 1]


def _exchanges(draw: np.random.Generator, count: int) -> Int32s:
    return draw.choice(len(EXCHANGES), count, p=_EXCHANGE_SHARE).astype(np.int32)


def _known(draw: np.random.Generator, event_ns: Int64s, exchange: Int32s) -> Int64s:
    """When the receiver had it: the line's own latency, and jitter with a long tail."""
    jitter_ns = np.exp(draw.normal(np.log(_JITTER_MEDIAN_NS), 1.0, event_ns.size))
    line_ns = np.array(_EXCHANGE_LATENCY_NS)[exchange]
    known_ns: Int64s = event_ns + line_ns + np.minimum(jitter_ns, _JITTER_MAX_NS).astype(np.int64)
    return known_ns


def _round_lots(draw: np.random.Generator, count: int) -> Int32s:
    return (100 * np.minimum(draw.geometric(0.3, count), 50)).astype(np.int32)
