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
def lays(rule: Rule, state: State, o: int, trades: Trades, i: int) -> bool:
    """Whether a row makes a brick; the first price of a session is the base."""
    words = state.words
    if words[o + at.SEEN] == 0:
        words[o + at.SEEN] = 1
        words[o + at.BEFORE] = trades.price[i]
    return _way_of_next(rule, state, o, trades, i) != 0


@inlined
def next_brick(rule: Rule, state: State, o: int, trades: Trades, i: int) -> bool:
    """Whether a trade makes one more brick; its prices are those of the open bar then."""
    words, floats = state.words, state.floats
    way = _way_of_next(rule, state, o, trades, i)
    if way == 0:
        return False
    turns = way * words[o + at.UP] < 0
    if rule.whole:
        begin = words[o + at.BEFORE] + (way * (rule.reversal - 1) * rule.limit if turns else 0)
        _set(words, o, begin, begin + way * rule.limit, way)
    else:
        back = (rule.reversal - 1) * rule.limit_float
        begin_float = floats[o + at.BEFORE] + (way * back if turns else 0.0)
        _set_floats(state, o, begin_float, begin_float + way * rule.limit_float, way)
    return True


@inlined
def _way_of_next(rule: Rule, state: State, o: int, trades: Trades, i: int) -> int:
    """1 for a brick up, -1 for one down, 0 for none; one to the other side begins further back."""
    words, floats = state.words, state.floats
    way = words[o + at.UP]
    if rule.whole:
        base, price = words[o + at.BEFORE], trades.price[i]
        back = (rule.reversal - 1) * rule.limit
        up = price - (base + (back if way < 0 else 0)) >= rule.limit
        down = (base - (back if way > 0 else 0)) - price >= rule.limit
    else:
        base_float, price_float = floats[o + at.BEFORE], trades.price_float[i]
        back_float = (rule.reversal - 1) * rule.limit_float
        up = price_float - (base_float + (back_float if way < 0 else 0.0)) >= rule.limit_float
        down = (base_float - (back_float if way > 0 else 0.0)) - price_float >= rule.limit_float
    return 1 if up else -1 if down else 0


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
