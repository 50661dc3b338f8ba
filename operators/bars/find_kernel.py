"""The first row of a symbol that may close its bar: what is looked for depends on the kind of bars.

Rows are numbers in `rows`, looked through from `lower` on and before `upper`; the answer is a place there,
`upper` for none.  None is passed over; whether one that is told does close the bar is said by its sums
(`sum_kernel.is_reached`).
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from operators.bars import words as at
from operators.bars.compiled import inlined, kernel, of_floats
from operators.bars.sum_kernel import WORD_MAX, add_wide, product, reaches
from operators.bars.words import Float64s, Rule, State, Trades
from operators.nodes import exact_kernel as exact
from schemas.batch import Int32s, Int64s

Numbers = npt.NDArray[np.int64] | npt.NDArray[np.float64]

# A sum of up to 2**31 floats, one added to the other, is no farther from the exact one than that of all
# magnitudes times the first, and what is lost of products near 0 is less than the second.
FAR: Final = 2.0**-20
LEAST: Final = 1e-290


@inlined
def first_closing(
    rule: Rule, state: State, o: int, trades: Trades, rows: Int32s, lower: int, upper: int
) -> int:
    """The first of these rows that may close the open bar of their symbol, of trades that are whole ones."""
    words, floats = state.words, state.floats
    if rule.kind == at.TIMED:
        return upper
    if rule.kind == at.TICKS:
        return int(min(upper, lower + max(0, rule.limit - words[o + at.COUNT] - 1)))
    if rule.kind == at.RANGE:
        if rule.whole:
            high, low = words[o + at.HIGH], words[o + at.LOW]
            return first_wide(high, low, trades.price, rows, lower, upper, rule.limit)
        first, second = floats[o + at.HIGH], floats[o + at.LOW]
        return first_wide(first, second, trades.price_float, rows, lower, upper, rule.limit_float)
    if rule.whole:
        return _first_of_whole(rule, words, o, trades, rows, lower, upper)
    return _first_of_floats(rule, words, floats, o, trades, rows, lower, upper)


@inlined
def _first_of_whole(
    rule: Rule, words: Int64s, o: int, trades: Trades, rows: Int32s, lower: int, upper: int
) -> int:
    of_lots, carried = rule.kind == at.LOTS, rule.remainder == at.CARRY
    if of_lots and not carried:
        return first_volume(words[o + at.VOLUME], trades.size, rows, lower, upper, rule.limit)
    high = words[o + (at.REST_HIGH if carried else at.NOTIONAL_HIGH)]
    low = words[o + (at.REST if carried else at.NOTIONAL)]
    if of_lots:
        if high != 0 or low < 0:
            return lower
        return first_volume(low, trades.size, rows, lower, upper, rule.limit)
    volume = words[o + at.VOLUME]
    price, size = trades.price, trades.size
    for place in range(lower, upper):
        i = rows[place]
        more_high, more = product(price[i], size[i])
        high, low = add_wide(high, low, more_high, more)
        if reaches(high, low, rule.limit) or abs(high) >= WORD_MAX or volume > at.NEVER - size[i]:
            return place
        volume += size[i]
    return upper


@inlined
def _first_of_floats(
    rule: Rule,
    words: Int64s,
    floats: Float64s,
    o: int,
    trades: Trades,
    rows: Int32s,
    lower: int,
    upper: int,
) -> int:
    of_lots, carried = rule.kind == at.LOTS, rule.remainder == at.CARRY
    limit = rule.limit_float
    if carried:
        total = exact.nearest(words, o + at.SESSION_SUM)
        limit *= floats[o + at.REST] + 1.0
    else:
        total = exact.nearest(words, o + (at.VOLUME_SUM if of_lots else at.NOTIONAL_SUM))
    price, size = trades.price_float, trades.size_float
    far = abs(total) + LEAST
    for place in range(lower, upper):
        amount = size[rows[place]]
        if not of_lots:
            amount *= price[rows[place]]
        total += amount
        far += abs(amount)
        if not total + far * FAR < limit:  # also where there is no telling
            return place
    return upper


@kernel
def first_volume(total: int, size: Int64s, rows: Int32s, lower: int, upper: int, limit: int) -> int:
    """The first row with which a sum of lots reaches a limit, or leaves its word."""
    for place in range(lower, upper):
        lots = size[rows[place]]
        if total > at.NEVER - lots or total + lots >= limit:
            return place
        total += lots
    return upper


@kernel
def first_wide(
    high: float, low: float, price: Numbers, rows: Int32s, lower: int, upper: int, limit: float
) -> int:
    """The first row with which prices are so far apart; a difference that leaves its word is no small one."""
    for place in range(lower, upper):
        high, low = max(high, price[rows[place]]), min(low, price[rows[place]])
        if high - low >= limit or high - low < 0:
            return place
    return upper


@inlined
def first_measured(
    rule: Rule, state: State, o: int, trades: Trades, rows: Int32s, lower: int, upper: int
) -> int:
    """The first row that closes a bar by how far the price has come (B7 and B8), which is taken up so far."""
    words, floats = state.words, state.floats
    first = rows[lower]
    seen = words[o + at.SEEN] != 0
    before = words[o + at.BEFORE] if seen else trades.price[first]
    before_float = floats[o + at.BEFORE] if seen else trades.price_float[first]
    words[o + at.FIRED] = 0
    if rule.kind == at.VOLATILITY:
        so_far = floats[o + at.MEASURE]
        if rule.whole:
            match, so_far = _squares(
                so_far, np.float64(before), trades.price, rows, lower, upper, rule.limit_float
            )
        else:
            match, so_far = _squares(
                so_far, before_float, trades.price_float, rows, lower, upper, rule.limit_float
            )
        floats[o + at.MEASURE] = so_far
    elif rule.whole:
        match, words[o + at.UP], words[o + at.DOWN] = _steps(
            words[o + at.UP], words[o + at.DOWN], before, trades.price, rows, lower, upper, rule.limit
        )
    else:
        up, down, price = floats[o + at.UP], floats[o + at.DOWN], trades.price_float
        match, floats[o + at.UP], floats[o + at.DOWN] = _steps(
            up, down, before_float, price, rows, lower, upper, rule.limit_float
        )
    words[o + at.FIRED] = match < upper
    words[o + at.BEFORE] = trades.price[rows[min(match, upper - 1)]]
    words[o + at.SEEN] = 1
    return int(match)


@of_floats
def _squares(
    total: float, before: float, price: Numbers, rows: Int32s, lower: int, upper: int, limit: float
) -> tuple[int, float]:
    """The first row with which the squares of log returns reach a limit, and their sum with it."""
    for place in range(lower, upper):
        now = np.float64(price[rows[place]])
        if before > 0.0 and now > 0.0:
            change = math.log(now / before)
            total += change * change
        before = now
        if total >= limit:
            return place, total
    return upper, total


@kernel
def _steps(
    up: float,
    down: float,
    before: float,
    price: Numbers,
    rows: Int32s,
    lower: int,
    upper: int,
    limit: float,
) -> tuple[int, float, float]:
    """The first row with which a sum of price changes leaves its band (M54), and both sums with it."""
    zero = limit - limit
    for place in range(lower, upper):
        now = price[rows[place]]
        up, down = max(zero, up + (now - before)), min(zero, down + (now - before))
        before = now
        if up >= limit:
            return place, zero, down
        if down <= -limit:
            return place, up, zero
    return upper, up, down
