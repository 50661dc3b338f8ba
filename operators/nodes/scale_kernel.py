"""Realised variance on two scales: M7, of the prices of a session or of all, or of a window.

Words of a state: the ordinal behind the last row taken, how many prices there were, the last one, whether a
return was not finite (and a word to round in: the same); the exact sums (`exact_kernel`) of squared returns
over K prices, and over one; and the last K logarithms of prices, that of price i in place i mod K.

Of a window the first word is the ordinal at which it begins; its sums are made anew for each row, and no
logarithms are in the state.
"""

import math
from typing import Final

import numpy as np
from numba import njit

from operators.formula.history import EXACT_WORDS
from operators.nodes import exact_kernel as exact
from operators.nodes import places as at
from operators.nodes.exact_kernel import FLOAT_MAX, Float64s
from operators.nodes.history_kernel import NO_FLOAT
from operators.nodes.recursion_kernel import TAKEN, begins_anew, emit, outside
from operators.nodes.row_kernel import DOMAIN, NULL_IN, OK, WARMING, Grid
from operators.nodes.sum_kernel import BEGINS, begins
from schemas.batch import Int64s

PRICES: Final = 1
LAST: Final = 2
SPARE: Final = 3
FAR: Final = 4
NEAR: Final = FAR + EXACT_WORDS
LIST: Final = NEAR + EXACT_WORDS


@njit(nogil=True, cache=True)
def two_scales(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    words: Int64s,
    word_floats: Float64s,
    rows: int,
) -> None:
    """M7: (price, log price, K, adjust, reset) -> the variance; null before 2 * K returns.

    A row without a logarithm is skipped: returns go from one price that is there to the next.
    """
    out, price, logarithm = line[at.OUT], line[at.OPERANDS], line[at.OPERANDS + 1]
    k, adjust = ints[line[at.OPERANDS + 2], 0], ints[line[at.OPERANDS + 3], 0]
    reset = ints[line[at.OPERANDS + 4], 0]
    base, stride = line[at.BASE], line[at.STRIDE]
    for i in range(rows):
        if outside(floats, status, places, out, i, reset):
            continue
        o = base + places[at.GROUP, i] * stride
        if begins_anew(words, o, reset, places[at.FIRST, i]):
            for word in range(o, o + line[at.SIZE]):
                words[word] = 0
        words[o + TAKEN] = places[at.ORDINAL, i] + 1
        if status[logarithm, i] == OK:
            take(words, word_floats, o, floats[price, i], floats[logarithm, i], k)
        returns = words[o + PRICES] - 1
        value = variance(words, word_floats, o, returns, k, adjust) if returns >= 2 * k else 0.0
        emit(floats, status, out, i, value, returns >= 2 * k)


@njit(nogil=True, cache=True)
def window_two_scales(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    kept: Grid,
    kept_time: Int64s,
    words: Int64s,
    word_floats: Float64s,
    rows: int,
) -> None:
    """M7: (price, log price, window, K, adjust, least) -> the variance; null before `least` returns.

    A row without a logarithm is passed over, and so are pairs of which one price came before the window.
    """
    out = line[at.OUT]
    window_rows, ns = ints[line[at.OPERANDS + 2], 0], ints[line[at.OPERANDS + 3], 0]
    reset, most = ints[line[at.OPERANDS + 4], 0], ints[line[at.OPERANDS + 5], 0]
    k, adjust = ints[line[at.OPERANDS + 6], 0], ints[line[at.OPERANDS + 7], 0]
    least = ints[line[at.OPERANDS + 8], 0]
    a, b, base, stride = line[at.KEPT], line[at.KEPT + 1], line[at.BASE], line[at.STRIDE]
    kept_floats = kept.view(np.float64)
    room = max(window_rows, most if ns != 0 else 1)
    prices, logs = np.empty(room), np.empty(room)
    for i in range(rows):
        g = places[at.GROUP, i]
        value, null = 0.0, NULL_IN if g < 0 else WARMING
        if g >= 0 and (reset == 0 or places[at.SESSION, i] >= 0):
            n, o = places[at.ORDINAL, i], base + g * stride
            start, mask = places[at.RING, i], places[at.ROOM, i]
            begin = words[o + BEGINS]
            if reset != 0:
                begin = max(begin, places[at.FIRST, i])
            if n >= begin:
                begin = begins(i, begin, window_rows, ns, most, places, start, mask, kept_time)
            words[o + BEGINS] = begin
            count = 0
            for row in range(begin, n + 1):
                slot = start + (row & mask)
                if kept[b, slot] != NO_FLOAT:
                    prices[count], logs[count] = kept_floats[a, slot], kept_floats[b, slot]
                    count += 1
            if count > least:
                value = of_prices(words, word_floats, o, prices, logs, count, k, adjust)
                null = OK if abs(value) <= FLOAT_MAX else DOMAIN
        floats[out, i], status[out, i] = value, null


@njit(nogil=True, cache=True, error_model="numpy")
def of_prices(
    words: Int64s,
    word_floats: Float64s,
    o: int,
    prices: Float64s,
    logs: Float64s,
    count: int,
    k: int,
    adjust: int,
) -> float:
    """The variance of so many prices; their sums are left in the state."""
    word_floats[o + SPARE] = 0.0
    exact.clear(words, o + FAR)
    exact.clear(words, o + NEAR)
    for place in range(1, count):
        ratio = prices[place] / prices[place - 1]
        near = math.log(ratio) if 0.0 < ratio <= FLOAT_MAX else math.inf
        add_square(words, word_floats, o, o + NEAR, near)
        if place >= k:
            add_square(words, word_floats, o, o + FAR, logs[place] - logs[place - k])
    return variance(words, word_floats, o, count - 1, k, adjust)


@njit(nogil=True, cache=True, error_model="numpy")
def take(words: Int64s, word_floats: Float64s, o: int, price: float, logarithm: float, k: int) -> None:
    """Add the squared returns that end with a price; there is none where prices are too far apart."""
    prices = words[o + PRICES]
    place = o + LIST + prices % k
    if prices > 0:
        ratio = price / word_floats[o + LAST]
        near = math.log(ratio) if 0.0 < ratio <= FLOAT_MAX else math.inf
        add_square(words, word_floats, o, o + NEAR, near)
    if prices >= k:
        add_square(words, word_floats, o, o + FAR, logarithm - word_floats[place])
    word_floats[place] = logarithm
    word_floats[o + LAST] = price
    words[o + PRICES] = prices + 1


@njit(nogil=True, cache=True)
def add_square(words: Int64s, word_floats: Float64s, o: int, total: int, x: float) -> None:
    """Add the rounded square; one that is not finite stays in the word to round in."""
    if abs(x) <= FLOAT_MAX and abs(word_floats[o + SPARE]) <= FLOAT_MAX:
        word_floats[o + SPARE] = x * x
        exact.add(words, total, words[o + SPARE], 1)
    else:
        word_floats[o + SPARE] = math.inf


@njit(nogil=True, cache=True, error_model="numpy")
def variance(words: Int64s, word_floats: Float64s, o: int, n: int, k: int, adjust: int) -> float:
    """That of n returns: the mean over K grids less what noise adds to it."""
    average = 1.0 / float(k) * exact.nearest(words, o + FAR)
    share = float(n - k + 1) / float(k) / float(n)
    raw = average - share * exact.nearest(words, o + NEAR)
    if not abs(word_floats[o + SPARE]) <= FLOAT_MAX:
        return math.inf
    return raw / (1.0 - share) if adjust != 0 else raw
