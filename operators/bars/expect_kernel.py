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
def lean(rule: Rule, state: State, o: int, trades: Trades, i: int) -> None:
    """Take a row, which the open bar counts already; tell in `FIRED` whether it closes that.

    The next bar is expected then.
    """
    words, floats, e = state.words, state.floats, o + rule.place
    kept = rule.expected[KEPT]
    sign = _sign(rule, state, o, e, trades, i)
    amount = _amount(rule, trades, i)
    words[e + TRADES] += 1
    if rule.kind == at.IMBALANCE:
        _fade(floats, e + MEAN, kept, sign * amount)
        floats[e + BUYS] += sign * amount
    elif sign != 0:  # the side is drawn like a coin: a branch for each would be guessed wrong half the time
        buys = sign > 0
        _fade(floats, e + (MEAN if buys else SELL_MEAN), kept, abs(amount))  # a price may be below 0
        floats[e + (BUYS if buys else SELLS)] += abs(amount)
        floats[e + BUY_TRADES] += 1.0 if buys else 0.0
    if floats[e + THRESHOLD] == 0.0 and _is_warm(rule, words, floats, e):
        share = floats[e + BUY_TRADES] / words[e + TRADES]
        floats[e + THRESHOLD] = _threshold(rule, floats, e, rule.expected[FIRST_TRADES], share)
    leaning = max(abs(floats[e + BUYS]), floats[e + SELLS])
    fired = floats[e + THRESHOLD] > 0.0 and leaning >= floats[e + THRESHOLD]
    words[o + at.FIRED] = fired
    if fired:
        _expect_next(rule, floats, e, float(words[o + at.COUNT]))


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
    if words[o + at.SEEN] != 0:
        if rule.whole:
            change = np.sign(trades.price[i] - words[o + at.BEFORE])
        else:
            change = np.int64(np.sign(trades.price_float[i] - state.floats[o + at.BEFORE]))
        words[e + SIGN] = change if change != 0 else words[e + SIGN]
    words[o + at.BEFORE] = trades.price[i]
    words[o + at.SEEN] = 1
    return float(words[e + SIGN])


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
def _mean(floats: Float64s, o: int) -> float:
    return float(floats[o] / floats[o + 1])
