"""Renko bricks (B10): how far a trade moves the price in whole bricks, and back only by more of them."""

from typing import Final

import numpy as np

from operators.bars import words as at
from operators.bars.compiled import inlined, kernel
from operators.bars.words import Rule, State, Trades
from schemas.batch import Int64s

MANY: Final = 1e6

# What a symbol has of them lies where other kinds have theirs: the base in `BEFORE`, the way in `UP`.


@inlined
def may_lay(rule: Rule, state: State, o: int, trades: Trades, i: int) -> bool:
    """Whether a row may make a brick; the first price of a session is the base."""
    words, floats = state.words, state.floats
    if words[o + at.SEEN] == 0:
        words[o + at.SEEN] = 1
        words[o + at.BEFORE] = trades.price[i]
    if rule.whole:
        way = trades.price[i] - words[o + at.BEFORE]
        return bool(abs(way) >= rule.limit or abs(way) < 0)
    return bool(abs(trades.price_float[i] - floats[o + at.BEFORE]) >= rule.limit_float)


@inlined
def next_brick(rule: Rule, state: State, o: int, trades: Trades, i: int) -> bool:
    """Whether a trade makes one more brick; its prices are those of the open bar then."""
    words, floats = state.words, state.floats
    way = words[o + at.UP]
    if rule.whole:
        base, price = words[o + at.BEFORE], trades.price[i]
        back = (rule.reversal - 1) * rule.limit
        begin = base + (back if way < 0 else 0)
        if price - begin >= rule.limit:
            _set(words, o, begin, begin + rule.limit, 1)
            return True
        begin = base - (back if way > 0 else 0)
        if begin - price >= rule.limit:
            _set(words, o, begin, begin - rule.limit, -1)
            return True
        return False
    base_float, price_float = floats[o + at.BEFORE], trades.price_float[i]
    back_float = (rule.reversal - 1) * rule.limit_float
    open_float = base_float + (back_float if way < 0 else 0.0)
    if price_float - open_float >= rule.limit_float:
        _set_floats(state, o, open_float, open_float + rule.limit_float, 1)
        return True
    open_float = base_float - (back_float if way > 0 else 0.0)
    if open_float - price_float >= rule.limit_float:
        _set_floats(state, o, open_float, open_float - rule.limit_float, -1)
        return True
    return False


@inlined
def bricks_of(rule: Rule, state: State, o: int, trades: Trades, i: int) -> int:
    """At most how many bricks a trade makes."""
    if rule.whole:
        way = abs(np.float64(trades.price[i]) - np.float64(state.words[o + at.BEFORE]))
        return int(min(way / rule.limit + 2.0, MANY))
    return int(min(abs(trades.price_float[i] - state.floats[o + at.BEFORE]) / rule.limit_float + 2.0, MANY))


@kernel
def _set(words: Int64s, o: int, begin: int, end: int, way: int) -> None:
    words[o + at.OPEN], words[o + at.CLOSE] = begin, end
    words[o + at.HIGH], words[o + at.LOW] = max(begin, end), min(begin, end)
    words[o + at.BEFORE], words[o + at.UP] = end, way


@kernel
def _set_floats(state: State, o: int, begin: float, end: float, way: int) -> None:
    floats = state.floats
    floats[o + at.OPEN], floats[o + at.CLOSE] = begin, end
    floats[o + at.HIGH], floats[o + at.LOW] = max(begin, end), min(begin, end)
    floats[o + at.BEFORE] = end
    state.words[o + at.UP] = way
