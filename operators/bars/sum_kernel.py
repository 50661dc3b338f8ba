"""Sums of an open bar: whole numbers in one or two words, floats exactly."""

import math
from typing import Final

import numpy as np
from numba import njit

from operators.bars import expect_kernel
from operators.bars import words as at
from operators.bars.words import Rule, State, Trades
from operators.nodes import exact_kernel as exact
from operators.nodes.exact_kernel import DIGIT, POWER_MIN, POWERS, two_words
from schemas.batch import Int64s

WORD_MAX: Final = 1 << 62  # a sum beyond it is not told


@njit(nogil=True, cache=True, forceinline=True)
def product(x: int, y: int) -> tuple[int, int]:
    """x * y of two words: the upper one with the sign, and the bits of the lower one."""
    x_high, x_low, y_high, y_low = x >> 32, x & DIGIT, y >> 32, y & DIGIT
    low = x_low * y_low
    first, second = x_high * y_low, x_low * y_high
    middle = ((low >> 32) & DIGIT) + (first & DIGIT) + (second & DIGIT)
    high = x_high * y_high + (first >> 32) + (second >> 32) + (middle >> 32)
    return high, (middle << 32) | (low & DIGIT)


@njit(nogil=True, cache=True, forceinline=True)
def add_wide(words: Int64s, high_at: int, low_at: int, high: int, low: int) -> None:
    """Add a number of two words to another one."""
    total = words[low_at] + low
    carry = 1 if np.uint64(total) < np.uint64(low) else 0
    words[low_at] = total
    words[high_at] += high + carry


@njit(nogil=True, cache=True, forceinline=True)
def reaches(high: int, low: int, limit: int) -> bool:
    """Whether a number of two words is `limit` (above 0) or more."""
    return high > 0 or (high == 0 and (low < 0 or low >= limit))


@njit(nogil=True, cache=True)
def rest_of(high: int, low: int, limit: int) -> int:
    """What is left of a number of two words, not below 0, divided by `limit` (at most 2**62)."""
    rest = 0
    for place in range(127, -1, -1):
        bit = (high >> (place - 64)) & 1 if place >= 64 else (low >> place) & 1
        rest = (rest << 1) | bit
        if rest >= limit:
            rest -= limit
    return rest


@njit(nogil=True, cache=True)
def wide_float(high: int, low: int) -> float:
    """A number of two words as the nearest float, half to even."""
    upper, lower, unit = two_words(high >> 32, high & DIGIT, (low >> 32) & DIGIT, low & DIGIT, 0)
    value = np.float64(upper | 1) if lower != 0 else np.float64(upper)
    return float(value * POWERS[unit - POWER_MIN])


@njit(nogil=True, cache=True)
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


@njit(nogil=True, cache=True, forceinline=True)
def add_whole(rule: Rule, state: State, o: int, trades: Trades, i: int, size: int) -> None:
    """Add a trade of so many lots, or that part of one."""
    words = state.words
    high, low = product(trades.price[i], size)
    add_wide(words, o + at.NOTIONAL_HIGH, o + at.NOTIONAL, high, low)
    require_room(words, o, size)
    words[o + at.VOLUME] += size
    if trades.direction[i] > 0:
        words[o + at.BUY] += size
    elif trades.direction[i] < 0:
        words[o + at.SELL] += size
    if rule.remainder == at.CARRY:
        if rule.kind == at.LOTS:
            high, low = 0, size
        add_wide(words, o + at.REST_HIGH, o + at.REST, high, low)


@njit(nogil=True, cache=True, forceinline=True)
def add_floats(rule: Rule, state: State, o: int, trades: Trades, i: int) -> None:
    """Add a trade."""
    words, floats = state.words, state.floats
    price, size = trades.price_float[i], trades.size_float[i]
    settle = words[o + at.COUNT] % (1 << 20) == 0  # a digit holds 2**31 addends
    exact.add(words, o + at.VOLUME_SUM, trades.size[i], 1)
    if not exact.add_product(words, floats, o + at.NOTIONAL_SUM, price, size, 1):
        words[o + at.TOO_LARGE] = 1
    if trades.direction[i] > 0:
        exact.add(words, o + at.BUY_SUM, trades.size[i], 1)
    elif trades.direction[i] < 0:
        exact.add(words, o + at.SELL_SUM, trades.size[i], 1)
    if rule.remainder == at.CARRY:
        if rule.kind == at.LOTS:
            exact.add(words, o + at.SESSION_SUM, trades.size[i], 1)
        else:
            exact.add_product(words, floats, o + at.SESSION_SUM, price, size, 1)
    if settle:
        for place in (at.VOLUME_SUM, at.NOTIONAL_SUM, at.BUY_SUM, at.SELL_SUM):
            settle_sum(words, o + place)
    if rule.remainder == at.CARRY:
        settle_sum(words, o + at.SESSION_SUM)


@njit(nogil=True, cache=True)
def add_bar(rule: Rule, state: State, o: int, trades: Trades, i: int) -> None:
    """Add a row that is a bar itself."""
    words, floats, parts = state.words, state.floats, trades.parts
    words[o + at.TOO_LARGE] |= parts[at.PART_TOO_LARGE, i]
    if rule.whole:
        words[o + at.HIGH] = max(words[o + at.HIGH], parts[at.PART_HIGH, i])
        words[o + at.LOW] = min(words[o + at.LOW], parts[at.PART_LOW, i])
        high, low = parts[at.PART_NOTIONAL_HIGH, i], parts[at.PART_NOTIONAL, i]
        add_wide(words, o + at.NOTIONAL_HIGH, o + at.NOTIONAL, high, low)
        require_room(words, o, trades.size[i])
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
    for place in (at.VOLUME_SUM, at.NOTIONAL_SUM, at.BUY_SUM, at.SELL_SUM):
        settle_sum(words, o + place)


@njit(nogil=True, cache=True, forceinline=True)
def require_room(words: Int64s, o: int, size: int) -> None:
    """Tell that the sums of a bar are too large, and begin them anew, where they leave their words."""
    if words[o + at.VOLUME] > at.NEVER - size or abs(words[o + at.NOTIONAL_HIGH]) >= WORD_MAX:
        words[o + at.TOO_LARGE] = 1
        words[o + at.NOTIONAL_HIGH] = words[o + at.NOTIONAL] = 0
        words[o + at.VOLUME] = 0


@njit(nogil=True, cache=True)
def begin_session(rule: Rule, state: State, o: int) -> None:
    """Forget what goes on from bar to bar."""
    words = state.words
    for place in (at.REST_HIGH, at.REST, at.SEEN, at.UP, at.DOWN):
        words[o + place] = 0
    if not rule.whole:
        exact.clear(words, o + at.SESSION_SUM)
    if rule.kind >= at.IMBALANCE:
        expect_kernel.begin_session(rule, state, o)


@njit(nogil=True, cache=True, forceinline=True)
def measure(rule: Rule, state: State, o: int, trades: Trades, i: int) -> None:
    """Take up how far the price has come since the trade before: B7 and B8."""
    words, floats = state.words, state.floats
    words[o + at.FIRED] = 0
    if words[o + at.SEEN] != 0:
        if rule.kind == at.VOLATILITY:
            before = np.float64(words[o + at.BEFORE]) if rule.whole else floats[o + at.BEFORE]
            price = np.float64(trades.price[i]) if rule.whole else trades.price_float[i]
            if before > 0.0 and price > 0.0:
                change = math.log(price / before)
                floats[o + at.MEASURE] += change * change
        elif rule.whole:
            step = trades.price[i] - words[o + at.BEFORE]
            words[o + at.UP] = max(0, words[o + at.UP] + step)
            words[o + at.DOWN] = min(0, words[o + at.DOWN] + step)
            if words[o + at.UP] >= rule.limit:
                words[o + at.UP], words[o + at.FIRED] = 0, 1
            elif words[o + at.DOWN] <= -rule.limit:
                words[o + at.DOWN], words[o + at.FIRED] = 0, 1
        else:
            change = trades.price_float[i] - floats[o + at.BEFORE]
            floats[o + at.UP] = max(0.0, floats[o + at.UP] + change)
            floats[o + at.DOWN] = min(0.0, floats[o + at.DOWN] + change)
            if floats[o + at.UP] >= rule.limit_float:
                words[o + at.UP], words[o + at.FIRED] = 0, 1
            elif floats[o + at.DOWN] <= -rule.limit_float:
                words[o + at.DOWN], words[o + at.FIRED] = 0, 1
    words[o + at.BEFORE] = trades.price[i]
    words[o + at.SEEN] = 1


@njit(nogil=True, cache=True)
def settle_sum(words: Int64s, o: int) -> None:
    """Bring the digits of an exact sum in order."""
    if words[o + exact.HIGHEST] != 0:
        exact.settle(words, o)


@njit(nogil=True, cache=True, forceinline=True)
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


@njit(nogil=True, cache=True, forceinline=True)
def _passes(rule: Rule, words: Int64s, o: int) -> bool:
    if not reaches(words[o + at.REST_HIGH], words[o + at.REST], rule.limit):
        return False
    words[o + at.REST] = rest_of(words[o + at.REST_HIGH], words[o + at.REST], rule.limit)
    words[o + at.REST_HIGH] = 0
    return True


@njit(nogil=True, cache=True)
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
