"""Bars of imbalance and of runs (B5, B6): closed where the trades lean to one side more than is expected.

What is expected are means that fade with each trade and with each bar (R50), frozen as a bar begins.
"""

from typing import Final

import numpy as np

from operators.bars import words as at
from operators.bars.compiled import inlined, kernel
from operators.bars.words import Float64s, Rule, State, Trades
from schemas.batch import Int64s

# Words of a symbol behind the others: floats, but for the first two.
SIGN: Final = 0  # of the last price change
TRADES: Final = 1  # so far
THRESHOLD: Final = 2  # of the open bar; 0 until enough trades are seen
BUYS: Final = 3  # sum of the open bar: signed for imbalance, of buys for runs
SELLS: Final = 4
BUY_TRADES: Final = 5  # of the open bar; until the first threshold so many there are
MEAN: Final = 6  # two words a mean: of all trades for imbalance, of buys for runs
SELL_MEAN: Final = 8
BAR_MEAN: Final = 10  # trades of a bar
SHARE_MEAN: Final = 12  # share of buys in a bar
WORDS: Final = 14

# Of `Rule.expected`.
KEPT: Final = 0  # of a mean, with each trade, and with each bar
KEPT_BAR: Final = 1
FIRST_TRADES: Final = 2
LEAST_TRADES: Final = 3
MOST_TRADES: Final = 4
LEAST: Final = 5  # threshold
MEASURE: Final = 6  # of a trade: `at.TICKS`, `at.LOTS` or `at.DOLLARS`
SIDED: Final = 7  # whether the side is told; else it is the sign of the last price change
PARAMETERS: Final = 8


@inlined
def lean(rule: Rule, state: State, o: int, trades: Trades, i: int) -> bool:
    """Take a row, which the open bar counts already; whether it closes that; the next one is expected then.

    The side is drawn like a coin: a branch or a place in memory that hangs on it would be waited for.
    """
    words, floats, e = state.words, state.floats, o + rule.place
    kept = rule.expected[KEPT]
    sign = _sign(rule, state, o, e, trades, i)
    amount = _amount(rule, trades, i)
    if rule.kind == at.IMBALANCE:
        _fade(floats, e + MEAN, kept, sign * amount)
        buys = floats[e + BUYS] + sign * amount
        sells = floats[e + SELLS]
    else:
        size = abs(amount)  # a price may be below 0
        bought, sold = (1.0 if sign > 0.0 else 0.0), (1.0 if sign < 0.0 else 0.0)
        _fade_one(floats, e + MEAN, kept if sign > 0.0 else 1.0, size if sign > 0.0 else 0.0, bought)
        _fade_one(floats, e + SELL_MEAN, kept if sign < 0.0 else 1.0, size if sign < 0.0 else 0.0, sold)
        buys = floats[e + BUYS] + (size if sign > 0.0 else 0.0)
        sells = floats[e + SELLS] + (size if sign < 0.0 else 0.0)
        floats[e + SELLS] = sells
        floats[e + BUY_TRADES] += bought
    floats[e + BUYS] = buys
    threshold = floats[e + THRESHOLD]
    words[e + TRADES] += 1
    if threshold == 0.0 and _is_warm(rule, words, floats, e):
        share = floats[e + BUY_TRADES] / words[e + TRADES]
        threshold = _threshold(rule, floats, e, rule.expected[FIRST_TRADES], share)
        floats[e + THRESHOLD] = threshold
    closes = threshold > 0.0 and max(abs(buys), sells) >= threshold
    if closes:
        _expect_next(rule, floats, e, float(words[o + at.COUNT]))
    return bool(closes)


@kernel
def _expect_next(rule: Rule, floats: Float64s, e: int, count: float) -> None:
    """Expect the bar behind one of so many trades."""
    _fade(floats, e + BAR_MEAN, rule.expected[KEPT_BAR], count)
    _fade(floats, e + SHARE_MEAN, rule.expected[KEPT_BAR], floats[e + BUY_TRADES] / count)
    wanted = min(max(_mean(floats, e + BAR_MEAN), rule.expected[LEAST_TRADES]), rule.expected[MOST_TRADES])
    floats[e + THRESHOLD] = _threshold(rule, floats, e, wanted, _mean(floats, e + SHARE_MEAN))
    floats[e + BUYS] = floats[e + SELLS] = floats[e + BUY_TRADES] = 0.0


@kernel
def begin_session(rule: Rule, state: State, o: int) -> None:
    """Forget what was seen."""
    for place in range(WORDS):
        state.words[o + rule.place + place] = 0


@inlined
def _sign(rule: Rule, state: State, o: int, e: int, trades: Trades, i: int) -> float:
    words = state.words
    if rule.expected[SIDED] != 0.0:
        return float(np.sign(trades.direction[i]))
    sign = words[e + SIGN]
    if words[o + at.SEEN] != 0:
        if rule.whole:
            change = np.sign(trades.price[i] - words[o + at.BEFORE])
        else:
            change = np.int64(np.sign(trades.price_float[i] - state.floats[o + at.BEFORE]))
        sign = change if change != 0 else sign
        words[e + SIGN] = sign
    words[o + at.BEFORE] = trades.price[i]
    words[o + at.SEEN] = 1
    return float(sign)


@inlined
def _amount(rule: Rule, trades: Trades, i: int) -> float:
    measure = rule.expected[MEASURE]
    if measure == at.TICKS:
        return 1.0
    size = np.float64(trades.size[i]) if rule.whole else trades.size_float[i]
    if measure == at.LOTS:
        return float(size)
    price = np.float64(trades.price[i]) if rule.whole else trades.price_float[i]
    return float(size * price)


@kernel
def _is_warm(rule: Rule, words: Int64s, floats: Float64s, e: int) -> bool:
    if words[e + TRADES] < rule.expected[FIRST_TRADES]:
        return False
    one_of_each = floats[e + MEAN + 1] > 0.0 and floats[e + SELL_MEAN + 1] > 0.0
    return bool(rule.kind == at.IMBALANCE or one_of_each)


@kernel
def _threshold(rule: Rule, floats: Float64s, e: int, wanted: float, share: float) -> float:
    if rule.kind == at.IMBALANCE:
        expected = wanted * abs(_mean(floats, e + MEAN))
    else:
        buys, sells = share * _mean(floats, e + MEAN), (1.0 - share) * _mean(floats, e + SELL_MEAN)
        expected = wanted * max(buys, sells)
    return float(max(expected, rule.expected[LEAST]))


@inlined
def _fade(floats: Float64s, o: int, kept: float, value: float) -> None:
    floats[o] = kept * floats[o] + value
    floats[o + 1] = kept * floats[o + 1] + 1.0


@inlined
def _fade_one(floats: Float64s, o: int, kept: float, value: float, weight: float) -> None:
    """The same of a value that may be of another side: 1, 0 and 0 change nothing."""
    floats[o] = kept * floats[o] + value
    floats[o + 1] = kept * floats[o + 1] + weight


@inlined
def _mean(floats: Float64s, o: int) -> float:
    return float(floats[o] / floats[o + 1])
