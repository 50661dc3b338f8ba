"""Sums of an open bar: whole numbers in one or two words, floats exactly."""

from typing import Final

import numpy as np

from operators.bars import expect_kernel
from operators.bars import words as at
from operators.bars.compiled import inlined, kernel
from operators.bars.words import Float64s, Rule, State, Trades
from operators.nodes import exact_kernel as exact
from operators.nodes.exact_kernel import DIGIT, POWER_MIN, POWERS, two_words
from operators.nodes.fused_kernel import left_of
from schemas.batch import Int32s, Int64s

WORD_MAX: Final = 1 << 62  # a sum beyond it is not told
SMALL: Final = 1 << 31  # the product of two numbers below it is a word
FLOAT_LARGE: Final = 1e300  # above it no product is told
PRODUCT_LARGE: Final = 1e308
SETTLE_BITS: Final = 20  # a digit of an exact sum holds 2**31 addends


@inlined
def product(x: int, y: int) -> tuple[int, int]:
    """x * y of two words: the upper one with the sign, and the bits of the lower one."""
    if -SMALL < x < SMALL and -SMALL < y < SMALL:
        return (x * y) >> 63, x * y
    x_high, x_low, y_high, y_low = x >> 32, x & DIGIT, y >> 32, y & DIGIT
    low = x_low * y_low
    first, second = x_high * y_low, x_low * y_high
    middle = ((low >> 32) & DIGIT) + (first & DIGIT) + (second & DIGIT)
    high = x_high * y_high + (first >> 32) + (second >> 32) + (middle >> 32)
    return high, (middle << 32) | (low & DIGIT)


@inlined
def add_wide(high: int, low: int, more_high: int, more: int) -> tuple[int, int]:
    """The sum of two numbers of two words each."""
    total = low + more
    carry = 1 if np.uint64(total) < np.uint64(more) else 0
    return high + more_high + carry, total


@inlined
def reaches(high: int, low: int, limit: int) -> bool:
    """Whether a number of two words is `limit` (above 0) or more."""
    return high > 0 or (high == 0 and (low < 0 or low >= limit))


@kernel
def rest_of(high: int, low: int, limit: int) -> int:
    """What is left of a number of two words, not below 0, divided by `limit` (at most 2**62)."""
    rest = 0
    for place in range(127, -1, -1):
        bit = (high >> (place - 64)) & 1 if place >= 64 else (low >> place) & 1
        rest = (rest << 1) | bit
        if rest >= limit:
            rest -= limit
    return rest


@kernel
def wide_float(high: int, low: int) -> float:
    """A number of two words as the nearest float, half to even."""
    upper, lower, unit = two_words(high >> 32, high & DIGIT, (low >> 32) & DIGIT, low & DIGIT, 0)
    value = np.float64(upper | 1) if lower != 0 else np.float64(upper)
    return float(value * POWERS[unit - POWER_MIN])


@kernel
def clear(rule: Rule, state: State, o: int) -> None:
    """Begin the sums of a bar."""
    words = state.words
    words[o + at.TOO_LARGE] = 0
    words[o + at.MEASURE] = 0
    if rule.whole:
        for place in (at.VOLUME, at.NOTIONAL_HIGH, at.NOTIONAL, at.BUY, at.SELL):
            words[o + place] = 0
    else:
        for place in (at.VOLUME_SUM, at.NOTIONAL_SUM, at.BUY_SUM, at.SELL_SUM):
            exact.clear(words, o + place)


@inlined
def add_whole(rule: Rule, state: State, o: int, trades: Trades, rows: Int32s, lower: int, upper: int) -> None:
    """Add the trades of some rows: their prices, and their lots."""
    words, price, size, direction = state.words, trades.price, trades.size, trades.direction
    top, bottom, known = words[o + at.HIGH], words[o + at.LOW], words[o + at.KNOWN]
    volume, buy, sell = words[o + at.VOLUME], words[o + at.BUY], words[o + at.SELL]
    high, low, too_large = words[o + at.NOTIONAL_HIGH], words[o + at.NOTIONAL], words[o + at.TOO_LARGE]
    for place in range(lower, upper):
        i = rows[place]
        now, lots, side = price[i], size[i], direction[i]
        known = max(known, trades.known_ns[i])
        top, bottom = max(top, now), min(bottom, now)
        more_high, more = product(now, lots)
        high, low = add_wide(high, low, more_high, more)
        if has_no_room(volume, high, lots):
            too_large, high, low, volume = 1, 0, 0, 0
        volume += lots
        buy += lots * (side > 0)
        sell += lots * (side < 0)
    words[o + at.HIGH], words[o + at.LOW], words[o + at.KNOWN] = top, bottom, known
    words[o + at.VOLUME], words[o + at.BUY], words[o + at.SELL] = volume, buy, sell
    words[o + at.NOTIONAL_HIGH], words[o + at.NOTIONAL], words[o + at.TOO_LARGE] = high, low, too_large
    if rule.remainder == at.CARRY:
        _carry_whole(rule, words, o, trades, rows, lower, upper)


@inlined
def _carry_whole(
    rule: Rule, words: Int64s, o: int, trades: Trades, rows: Int32s, lower: int, upper: int
) -> None:
    """Add the trades of some rows to the sum of their session."""
    price, size = trades.price, trades.size
    high, low = words[o + at.REST_HIGH], words[o + at.REST]
    for place in range(lower, upper):
        i = rows[place]
        if rule.kind == at.DOLLARS:
            more_high, more = product(price[i], size[i])
        else:
            more_high, more = 0, int(size[i])
        high, low = add_wide(high, low, more_high, more)
    words[o + at.REST_HIGH], words[o + at.REST] = high, low


@inlined
def add_part(words: Int64s, o: int, price: int, size: int, direction: int) -> None:
    """Add so many lots of a trade."""
    words[o + at.HIGH] = max(words[o + at.HIGH], price)
    words[o + at.LOW] = min(words[o + at.LOW], price)
    more_high, more = product(price, size)
    high, low = add_wide(words[o + at.NOTIONAL_HIGH], words[o + at.NOTIONAL], more_high, more)
    if has_no_room(words[o + at.VOLUME], high, size):
        words[o + at.TOO_LARGE] = 1
        high = low = words[o + at.VOLUME] = 0
    words[o + at.NOTIONAL_HIGH], words[o + at.NOTIONAL] = high, low
    words[o + at.VOLUME] += size
    if direction > 0:
        words[o + at.BUY] += size
    elif direction < 0:
        words[o + at.SELL] += size


@inlined
def has_no_room(volume: int, notional_high: int, size: int) -> bool:
    """Whether the sums of a bar leave their words, so that they are not told and begin anew."""
    return bool(volume > at.NEVER - size or abs(notional_high) >= WORD_MAX)


@inlined
def add_floats(
    rule: Rule, state: State, o: int, trades: Trades, rows: Int32s, lower: int, upper: int
) -> None:
    """Add the trades of some rows: their prices and their sizes."""
    words, floats, direction = state.words, state.floats, trades.direction
    price, size = trades.price_float, trades.size_float
    top, bottom, known = floats[o + at.HIGH], floats[o + at.LOW], words[o + at.KNOWN]
    volume = buy = sell = 0.0
    for place in range(lower, upper):
        i = rows[place]
        now, lots, side = price[i], size[i], direction[i]
        known = max(known, trades.known_ns[i])
        top, bottom = max(top, now), min(bottom, now)
        volume = held_sum(words, floats, o + at.VOLUME_SUM, volume, lots)
        buy = held_sum(words, floats, o + at.BUY_SUM, buy, lots if side > 0 else 0.0)
        sell = held_sum(words, floats, o + at.SELL_SUM, sell, lots if side < 0 else 0.0)
    floats[o + at.HIGH], floats[o + at.LOW], words[o + at.KNOWN] = top, bottom, known
    add_float(words, floats, o + at.VOLUME_SUM, volume)
    add_float(words, floats, o + at.BUY_SUM, buy)
    add_float(words, floats, o + at.SELL_SUM, sell)
    if not _add_products(words, floats, o + at.NOTIONAL_SUM, price, size, rows, lower, upper):
        words[o + at.TOO_LARGE] = 1
    if rule.remainder == at.CARRY:
        if rule.kind == at.LOTS:
            volume = 0.0
            for place in range(lower, upper):
                volume = held_sum(words, floats, o + at.SESSION_SUM, volume, size[rows[place]])
            add_float(words, floats, o + at.SESSION_SUM, volume)
        else:
            _add_products(words, floats, o + at.SESSION_SUM, price, size, rows, lower, upper)
        settle_sum(words, o + at.SESSION_SUM)


@kernel
def _add_products(
    words: Int64s,
    floats: Float64s,
    o: int,
    price: Float64s,
    size: Float64s,
    rows: Int32s,
    lower: int,
    upper: int,
) -> bool:
    """Add price times size of some rows; False where one was too large for that, and is left out."""
    held, fit = 0.0, True
    for place in range(lower, upper):
        x, y = price[rows[place]], size[rows[place]]
        value = x * y
        if abs(value) <= PRODUCT_LARGE and abs(x) <= FLOAT_LARGE and abs(y) <= FLOAT_LARGE:
            rest = left_of(x, y, value)
            if rest != 0.0:
                add_float(words, floats, o, rest)
            held = held_sum(words, floats, o, held, value)
        else:
            fit = False
    add_float(words, floats, o, held)
    return fit


@inlined
def held_sum(words: Int64s, floats: Float64s, o: int, held: float, x: float) -> float:
    """What is to be added to an exact sum: `held` + x where that is exact, else x, and `held` is added.

    The larger one taken off the sum leaves the other one just where the sum is exact (Dekker 1971).
    """
    total = held + x
    if total - held == x and total - x == held:
        return total
    add_float(words, floats, o, held)
    return x


@kernel
def add_float(words: Int64s, floats: Float64s, o: int, x: float) -> None:
    """Add x to an exact sum."""
    floats[o + exact.SCRATCH] = x
    exact.add(words, o, words[o + exact.SCRATCH], 1)


@kernel
def settle_sums(words: Int64s, o: int) -> None:
    """Bring the digits of all exact sums of a bar in order."""
    for place in (at.VOLUME_SUM, at.NOTIONAL_SUM, at.BUY_SUM, at.SELL_SUM):
        settle_sum(words, o + place)


@kernel
def add_bar(rule: Rule, state: State, o: int, trades: Trades, i: int) -> None:
    """Add a row that is a bar itself."""
    words, floats, parts = state.words, state.floats, trades.parts
    words[o + at.KNOWN] = max(words[o + at.KNOWN], trades.known_ns[i])
    words[o + at.TOO_LARGE] |= parts[at.PART_TOO_LARGE, i]
    if rule.whole:
        words[o + at.HIGH] = max(words[o + at.HIGH], parts[at.PART_HIGH, i])
        words[o + at.LOW] = min(words[o + at.LOW], parts[at.PART_LOW, i])
        more_high, more = parts[at.PART_NOTIONAL_HIGH, i], parts[at.PART_NOTIONAL, i]
        high, low = add_wide(words[o + at.NOTIONAL_HIGH], words[o + at.NOTIONAL], more_high, more)
        if has_no_room(words[o + at.VOLUME], high, trades.size[i]):
            words[o + at.TOO_LARGE] = 1
            high = low = words[o + at.VOLUME] = 0
        words[o + at.NOTIONAL_HIGH], words[o + at.NOTIONAL] = high, low
        words[o + at.VOLUME] += trades.size[i]
        words[o + at.BUY] += parts[at.PART_BUY, i]
        words[o + at.SELL] += parts[at.PART_SELL, i]
        return
    floats[o + at.HIGH] = max(floats[o + at.HIGH], trades.parts_float[at.PART_HIGH, i])
    floats[o + at.LOW] = min(floats[o + at.LOW], trades.parts_float[at.PART_LOW, i])
    exact.add(words, o + at.VOLUME_SUM, trades.size[i], 1)
    exact.add(words, o + at.NOTIONAL_SUM, parts[at.PART_NOTIONAL, i], 1)
    exact.add(words, o + at.BUY_SUM, parts[at.PART_BUY, i], 1)
    exact.add(words, o + at.SELL_SUM, parts[at.PART_SELL, i], 1)
    settle_sums(words, o)


@kernel
def begin_session(rule: Rule, state: State, o: int) -> None:
    """Forget what goes on from bar to bar."""
    words = state.words
    for place in (at.REST_HIGH, at.REST, at.SEEN, at.UP, at.DOWN):
        words[o + place] = 0
    if not rule.whole:
        exact.clear(words, o + at.SESSION_SUM)
    if rule.kind >= at.IMBALANCE:
        expect_kernel.begin_session(rule, state, o)


@kernel
def settle_sum(words: Int64s, o: int) -> None:
    """Bring the digits of an exact sum in order."""
    if words[o + exact.HIGHEST] != 0:
        exact.settle(words, o)


@inlined
def is_reached(rule: Rule, state: State, o: int) -> bool:
    """Whether the last trade closes the bar; takes the threshold off what is carried on."""
    words, floats = state.words, state.floats
    if rule.kind == at.TIMED:
        return False
    if rule.kind == at.TICKS:
        return bool(words[o + at.COUNT] >= rule.limit)
    if rule.kind == at.VOLATILITY:
        return bool(floats[o + at.MEASURE] >= rule.limit_float)
    if rule.kind >= at.CUSUM:
        return bool(words[o + at.FIRED] != 0)
    if rule.kind == at.RANGE:
        if rule.whole:
            # A difference that leaves the word is no small one.
            span = words[o + at.HIGH] - words[o + at.LOW]
            return bool(span >= rule.limit or span < 0)
        return bool(floats[o + at.HIGH] - floats[o + at.LOW] >= rule.limit_float)
    if rule.whole:
        if rule.remainder == at.CARRY:
            return _passes(rule, words, o)
        if rule.kind == at.LOTS:
            return bool(words[o + at.VOLUME] >= rule.limit)
        return reaches(words[o + at.NOTIONAL_HIGH], words[o + at.NOTIONAL], rule.limit)
    if rule.remainder == at.CARRY:
        total = exact.nearest(words, o + at.SESSION_SUM)
        passed = floats[o + at.REST]
        if not total >= (passed + 1.0) * rule.limit_float:
            return False
        floats[o + at.REST] = max(passed + 1.0, np.floor(total / rule.limit_float))
        return True
    place = at.VOLUME_SUM if rule.kind == at.LOTS else at.NOTIONAL_SUM
    return bool(exact.nearest(words, o + place) >= rule.limit_float)


@inlined
def _passes(rule: Rule, words: Int64s, o: int) -> bool:
    if not reaches(words[o + at.REST_HIGH], words[o + at.REST], rule.limit):
        return False
    words[o + at.REST] = rest_of(words[o + at.REST_HIGH], words[o + at.REST], rule.limit)
    words[o + at.REST_HIGH] = 0
    return True


@kernel
def part_of(rule: Rule, state: State, o: int, price: int, size: int) -> int:
    """How many of these lots the open bar takes where trades are divided: as many as close it."""
    words = state.words
    if rule.kind == at.LOTS:
        return int(min(size, rule.limit - words[o + at.VOLUME]))
    if price <= 0 or words[o + at.NOTIONAL_HIGH] != words[o + at.NOTIONAL] >> 63:
        return size
    room = rule.limit - words[o + at.NOTIONAL]
    if room <= 0:  # left the word: the sum is far below 0
        return size
    return int(min(size, (room - 1) // price + 1))
