"""How far the price has come with a trade: volatility (B7) and CUSUM (B8)."""

import math

from operators.bars import words as at
from operators.bars.compiled import inlined, of_floats
from operators.bars.words import Rule, State


@of_floats
def add_square(state: State, o: int, before: float, now: float) -> None:
    """Add the square of a log return, which is 0 where the price stands."""
    if before > 0.0 and now > 0.0 and now != before:
        change = math.log(now / before)
        state.floats[o + at.MEASURE] += change * change


@inlined
def step_whole(rule: Rule, state: State, o: int, price: int) -> bool:
    """Take a price into the measure of the open bar; whether it closes one of CUSUM."""
    words = state.words
    before = words[o + at.BEFORE] if words[o + at.SEEN] != 0 else price
    words[o + at.BEFORE], words[o + at.SEEN] = price, 1
    if rule.kind == at.VOLATILITY:
        add_square(state, o, float(before), float(price))
        return False
    up = max(0, words[o + at.UP] + (price - before))
    down = min(0, words[o + at.DOWN] + (price - before))
    rises = up >= rule.limit
    falls = not rises and down <= -rule.limit
    words[o + at.UP], words[o + at.DOWN] = (0 if rises else up), (0 if falls else down)
    return bool(rises or falls)


@inlined
def step_floats(rule: Rule, state: State, o: int, price: float) -> bool:
    """The same of floats."""
    words, floats = state.words, state.floats
    before = floats[o + at.BEFORE] if words[o + at.SEEN] != 0 else price
    floats[o + at.BEFORE], words[o + at.SEEN] = price, 1
    if rule.kind == at.VOLATILITY:
        add_square(state, o, before, price)
        return False
    up = max(0.0, floats[o + at.UP] + (price - before))
    down = min(0.0, floats[o + at.DOWN] + (price - before))
    rises = up >= rule.limit_float
    falls = not rises and down <= -rule.limit_float
    floats[o + at.UP], floats[o + at.DOWN] = (0.0 if rises else up), (0.0 if falls else down)
    return bool(rises or falls)
