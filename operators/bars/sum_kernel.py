"""Sums of an open bar: whole numbers in one or two words, floats exactly."""

from typing import Final

import numpy as np

from operators.bars import expect_kernel
from operators.bars import held_kernel as held
from operators.bars import words as at
from operators.bars.compiled import inlined, kernel
from operators.bars.words import Rule, State, Trades
from operators.nodes.bits_kernel import power_of
from operators.nodes.exact_kernel import DIGIT, two_words
from schemas.batch import Int64s

WORD_MAX: Final = 1 << 62  # a sum beyond it is not told
SMALL: Final = 1 << 31  # the product of two numbers below it is a word
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
    return float(value * power_of(unit))


@inlined
def clear(rule: Rule, state: State, o: int) -> None:
    """Begin the sums of a bar."""
    words, floats = state.words, state.floats
    words[o + at.TOO_LARGE] = 0
    words[o + at.MEASURE] = 0
    if rule.whole:
        words[o + at.VOLUME] = words[o + at.BUY] = words[o + at.SELL] = 0
        words[o + at.NOTIONAL_HIGH] = words[o + at.NOTIONAL] = 0
    else:
        held.clear(words, floats, o + at.VOLUME_HELD, o + at.VOLUME_SUM)
        held.clear(words, floats, o + at.NOTIONAL_HELD, o + at.NOTIONAL_SUM)
        held.clear(words, floats, o + at.BUY_HELD, o + at.BUY_SUM)
        held.clear(words, floats, o + at.SELL_HELD, o + at.SELL_SUM)


@inlined
def add_whole(words: Int64s, o: int, price: int, size: int, direction: int) -> None:
    """Add so many lots of a trade."""
    words[o + at.HIGH] = max(words[o + at.HIGH], price)
    words[o + at.LOW] = min(words[o + at.LOW], price)
    more_high, more = product(price, size)
    high, low = add_wide(words[o + at.NOTIONAL_HIGH], words[o + at.NOTIONAL], more_high, more)
    volume = words[o + at.VOLUME]
    if has_no_room(volume, high, size):
        words[o + at.TOO_LARGE] = 1
        high = low = volume = 0
    words[o + at.NOTIONAL_HIGH], words[o + at.NOTIONAL] = high, low
    words[o + at.VOLUME] = volume + size
    words[o + at.BUY] += size * (direction > 0)
    words[o + at.SELL] += size * (direction < 0)


@inlined
def carry_whole(rule: Rule, words: Int64s, o: int, price: int, size: int) -> None:
    """Add a trade to the sum of its session."""
    more_high, more = 0, size
    if rule.kind == at.DOLLARS:
        more_high, more = product(price, size)
    high, low = add_wide(words[o + at.REST_HIGH], words[o + at.REST], more_high, more)
    words[o + at.REST_HIGH], words[o + at.REST] = high, low


@inlined
def has_no_room(volume: int, notional_high: int, size: int) -> bool:
    """Whether the sums of a bar leave their words, so that they are not told and begin anew."""
    return bool(volume > at.NEVER - size or abs(notional_high) >= WORD_MAX)


@inlined
def add_floats(state: State, o: int, price: float, size: float, direction: int) -> None:
    """Add a trade: its price and its size."""
    words, floats = state.words, state.floats
    floats[o + at.HIGH] = max(floats[o + at.HIGH], price)
    floats[o + at.LOW] = min(floats[o + at.LOW], price)
    held.add(words, floats, o + at.VOLUME_HELD, o + at.VOLUME_SUM, size)
    if not held.add_product(words, floats, o + at.NOTIONAL_HELD, o + at.NOTIONAL_SUM, price, size):
        words[o + at.TOO_LARGE] = 1
    if direction > 0:
        held.add(words, floats, o + at.BUY_HELD, o + at.BUY_SUM, size)
    elif direction < 0:
        held.add(words, floats, o + at.SELL_HELD, o + at.SELL_SUM, size)


@kernel
def carry_floats(rule: Rule, state: State, o: int, price: float, size: float) -> None:
    """Add a trade to the sum of its session."""
    words, floats, h, s = state.words, state.floats, o + at.SESSION_HELD, o + at.SESSION_SUM
    if rule.kind == at.LOTS:
        held.add(words, floats, h, s, size)
    else:
        held.add_product(words, floats, h, s, price, size)


@kernel
def settle_sums(words: Int64s, o: int) -> None:
    """Bring the digits of all exact sums in order."""
    held.settle(words, o + at.VOLUME_SUM)
    held.settle(words, o + at.NOTIONAL_SUM)
    held.settle(words, o + at.BUY_SUM)
    held.settle(words, o + at.SELL_SUM)
    held.settle(words, o + at.SESSION_SUM)


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
    sell = trades.parts_float[at.PART_SELL, i]
    held.add(words, floats, o + at.VOLUME_HELD, o + at.VOLUME_SUM, trades.size_float[i])
    notional = trades.parts_float[at.PART_NOTIONAL, i]
    held.add(words, floats, o + at.NOTIONAL_HELD, o + at.NOTIONAL_SUM, notional)
    held.add(words, floats, o + at.BUY_HELD, o + at.BUY_SUM, trades.parts_float[at.PART_BUY, i])
    held.add(words, floats, o + at.SELL_HELD, o + at.SELL_SUM, sell)


@kernel
def begin_session(rule: Rule, state: State, o: int) -> None:
    """Forget what goes on from bar to bar."""
    words = state.words
    for place in (at.REST_HIGH, at.REST, at.SEEN, at.UP, at.DOWN):
        words[o + place] = 0
    if not rule.whole:
        held.clear(words, state.floats, o + at.SESSION_HELD, o + at.SESSION_SUM)
    if rule.kind >= at.IMBALANCE:
        expect_kernel.begin_session(rule, state, o)


@inlined
def is_reached(rule: Rule, state: State, o: int) -> bool:
    """Whether the sums of a bar close it; takes the threshold off what is carried on."""
    words, floats = state.words, state.floats
    if rule.kind == at.TIMED:
        return False
    if rule.kind == at.TICKS:
        return bool(words[o + at.COUNT] >= rule.limit)
    if rule.kind == at.VOLATILITY:
        return bool(floats[o + at.MEASURE] >= rule.limit_float)
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
        h, s = o + at.SESSION_HELD, o + at.SESSION_SUM
        passed = floats[o + at.REST]
        if held.is_below(words, floats, h, s, (passed + 1.0) * rule.limit_float):
            return False
        total = held.nearest(words, floats, h, s)
        floats[o + at.REST] = max(passed + 1.0, np.floor(total / rule.limit_float))
        return True
    if rule.kind == at.LOTS:
        h, s = o + at.VOLUME_HELD, o + at.VOLUME_SUM
    else:
        h, s = o + at.NOTIONAL_HELD, o + at.NOTIONAL_SUM
    return not held.is_below(words, floats, h, s, rule.limit_float)


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
