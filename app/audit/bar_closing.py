"""What closes a bar (B2 to B9 of the formulas' handbook), a trade at a time, in Python's own numbers."""

import math
from fractions import Fraction
from typing import Final, Protocol, TypeAlias

from operators.bars.settings import BarSettings, Expected

Number: TypeAlias = int | float
PARTS_MAX: Final = 10_000  # that a trade is divided into; the last of them has the rest


class Closing(Protocol):
    """Sees the trades of one session, and says which of them close a bar."""

    def takes(self, price: Number, size: Number) -> Number:
        """How much of a trade the open bar takes."""

    def reached(self, price: Number, size: Number, direction: int) -> bool:
        """Take a trade, or a part of one; whether it closes the bar, of which the next one is another."""


class Whole:
    """What has no remainder."""

    def takes(self, _: Number, size: Number) -> Number:
        return size


class Never(Whole):
    """Bars that time alone closes."""

    def reached(self, _price: Number, _size: Number, _direction: int) -> bool:
        return False


class Trades(Whole):
    """B2."""

    def __init__(self, limit: Fraction) -> None:
        self._limit, self._count = limit, 0

    def reached(self, _price: Number, _size: Number, _direction: int) -> bool:
        self._count += 1
        if self._count < self._limit:
            return False
        self._count = 0
        return True


class Amounts:
    """B3 and B4: lots or currency.  Thresholds of whole numbers are whole numbers themselves."""

    def __init__(self, bars: BarSettings, limit: Fraction, *, whole: bool) -> None:
        self._of_price, self._remainder, self._whole = bars.every == "dollars", bars.remainder, whole
        self._limit: Number = math.ceil(limit) if whole else float(limit)
        self._total = Fraction(0)
        self._passed = 0

    def takes(self, price: Number, size: Number) -> Number:
        if self._remainder != "split":
            return size
        room = self._limit - int(self._total)
        if not self._of_price:
            return min(size, room)
        return size if price <= 0 or room <= 0 else min(size, -(-int(room) // int(price)))

    def reached(self, price: Number, size: Number, _direction: int) -> bool:
        self._total += Fraction(price) * Fraction(size) if self._of_price else Fraction(size)
        total = self._total if self._whole else float(self._total)
        if self._remainder != "carry":
            if total < self._limit:
                return False
            self._total = Fraction(0)
            return True
        if total < (self._passed + 1) * self._limit:
            return False
        self._passed = max(self._passed + 1, math.floor(total / self._limit))
        return True


class Volatility(Whole):
    """B7: the squares of log returns, the first of a bar from the trade before it."""

    def __init__(self, limit: Fraction) -> None:
        self._limit, self._sum = float(limit), 0.0
        self._before: float | None = None

    def reached(self, price: Number, _size: Number, _direction: int) -> bool:
        before, self._before = self._before, float(price)
        if before is not None and before > 0 and price > 0:
            change = math.log(float(price) / before)
            self._sum += change * change
        if self._sum < self._limit:
            return False
        self._sum = 0.0
        return True


class Cusum(Whole):
    """B8: sums of price changes on either side of 0."""

    def __init__(self, limit: Number) -> None:
        self._limit = limit
        self._before: Number | None = None
        self._up: Number = 0
        self._down: Number = 0

    def reached(self, price: Number, _size: Number, _direction: int) -> bool:
        before, self._before = self._before, price
        if before is None:
            return False
        self._up = max(0, self._up + (price - before))
        self._down = min(0, self._down + (price - before))
        if self._up >= self._limit:
            self._up = 0
            return True
        if self._down <= -self._limit:
            self._down = 0
            return True
        return False


class Range(Whole):
    """B9."""

    def __init__(self, limit: Number) -> None:
        self._limit = limit
        self._prices: list[Number] = []

    def reached(self, price: Number, _size: Number, _direction: int) -> bool:
        self._prices = [min([price, *self._prices]), max([price, *self._prices])]
        if self._prices[1] - self._prices[0] < self._limit:
            return False
        self._prices = []
        return True


class Faded:
    """R50: a mean whose values weigh less with each one that follows."""

    def __init__(self, span: float) -> None:
        self._kept = 1.0 - 2.0 / (span + 1.0)
        self.above = self.below = 0.0

    def add(self, value: float) -> None:
        """One more value."""
        self.above = self._kept * self.above + value
        self.below = self._kept * self.below + 1.0

    @property
    def mean(self) -> float:
        """The mean so far."""
        return self.above / self.below


class Leaning(Whole):
    """B5 and B6: trades that lean to one side more than those before them let expect."""

    def __init__(self, bars: BarSettings, what: Expected, currency: int) -> None:
        first = float(what.exp_ticks_init)
        self._runs, self._sided, self._what = bars.every == "runs", bool(bars.direction), what
        self._least = what.theta_min * (float(currency) if what.measure == "dollars" else 1.0)
        self._bounds = (
            first / 10.0 if what.min_ticks is None else what.min_ticks,
            first * 10.0 if what.max_ticks is None else what.max_ticks,
        )
        self._all, self._buys, self._sells = (Faded(what.span_b) for _ in range(3))
        self._lengths, self._shares = Faded(what.span_t), Faded(what.span_t)
        self._before: Number | None = None
        self._sign, self._seen = 0, 0
        self._threshold: float | None = None
        self._begin()

    def _begin(self) -> None:
        self._count, self._buy_count = 0, 0
        self._theta = {1: 0.0, -1: 0.0}
        self._signed = 0.0

    def reached(self, price: Number, size: Number, direction: int) -> bool:
        sign, amount = self._side(price, direction), self._amount(price, size)
        self._seen += 1
        self._count += 1
        self._all.add(sign * amount)
        self._signed += sign * amount
        if sign:
            (self._buys if sign > 0 else self._sells).add(abs(amount))
            self._buy_count += sign > 0
            self._theta[sign] += abs(amount)
        if self._threshold is None and self._is_warm:
            share = self._buy_count / self._seen
            self._threshold = self._expected(float(self._what.exp_ticks_init), share)
        if self._threshold is None or self._leans < self._threshold:
            return False
        self._lengths.add(float(self._count))
        self._shares.add(self._buy_count / self._count)
        lower, upper = self._bounds
        self._threshold = self._expected(min(max(self._lengths.mean, lower), upper), self._shares.mean)
        self._begin()
        return True

    @property
    def _leans(self) -> float:
        return max(self._theta.values()) if self._runs else abs(self._signed)

    @property
    def _is_warm(self) -> bool:
        enough = self._seen >= self._what.exp_ticks_init
        return enough and (not self._runs or (self._buys.below > 0 and self._sells.below > 0))

    def _side(self, price: Number, direction: int) -> int:
        before, self._before = self._before, price
        if self._sided:
            return direction
        if before is not None and price != before:
            self._sign = 1 if price > before else -1
        return self._sign

    def _amount(self, price: Number, size: Number) -> float:
        if self._what.measure == "trades":
            return 1.0
        return float(size) * float(price) if self._what.measure == "dollars" else float(size)

    def _expected(self, length: float, share: float) -> float:
        if not self._runs:
            return max(length * abs(self._all.mean), self._least)
        sides = share * self._buys.mean, (1.0 - share) * self._sells.mean
        return max(length * max(sides), self._least)


def closing_of(bars: BarSettings, currency: int, *, whole: bool) -> Closing:
    """What closes bars of prices and sizes that are whole numbers, or floats.

    `currency` is how many units of price times size are 1 of it.
    """
    limit = Fraction(bars.limit or 0) * (currency if bars.every == "dollars" else 1)
    in_prices: Number = math.ceil(limit) if whole else float(limit)
    if bars.expected is not None:
        return Leaning(bars, bars.expected, currency)
    if bars.every == "trades":
        return Trades(limit)
    if bars.every in ("volume", "dollars"):
        return Amounts(bars, limit, whole=whole)
    if bars.every == "volatility":
        return Volatility(limit)
    if bars.every == "cusum":
        return Cusum(in_prices)
    return Range(in_prices) if bars.every == "range" else Never()
