"""Buckets of traded volume, and how one-sided they are: M29.

A trade has a direction, or the share of it that was bought: a share is a whole number of `SHARES`, so that
what is bought is exact, too.

Words of a state: the ordinal behind the last row taken, the buckets filled so far, the place of the next one
in the list, one to round in; the exact sums (`exact_kernel`) of the volume in the open bucket, of that volume
with the sign of its direction, and of the surpluses of the last n full buckets; then the list of these, each
a float and what is left of it.
"""

from typing import Final

import numpy as np
from numba import njit

from operators.formula.history import EXACT_WORDS
from operators.nodes import exact_kernel as exact
from operators.nodes import opcodes as op
from operators.nodes import places as at
from operators.nodes.exact_kernel import DIGITS, HIGHEST, LOWEST, Float64s
from operators.nodes.fused_kernel import left_of
from operators.nodes.recursion_kernel import TAKEN, begins_anew, emit, outside
from operators.nodes.row_kernel import OK, Grid
from schemas.batch import Int64s

FILLED: Final = 1
NEXT: Final = 2
SPARE: Final = 3
CONTENT: Final = 4
SIGNED: Final = CONTENT + EXACT_WORDS
TOTAL: Final = SIGNED + EXACT_WORDS
LIST: Final = TOTAL + EXACT_WORDS

SHARES: Final = 1 << 21  # of a whole trade; a direction of 1 is half as many


@njit(nogil=True, cache=True)
def buckets(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    words: Int64s,
    word_floats: Float64s,
    rows: int,
) -> None:
    """M29: (size, d, n, V, reset) -> the surplus of one side in the last n buckets of V, by n * V.

    Of a bucket 2 * B - V is its volume with the sign of the direction.  A row without size or d, or with a
    size of 0 or less, is skipped, and so is one whose share is not from 0 to 1.
    """
    of_shares = line[at.OPCODE] == op.SHARE_BUCKETS
    unit = SHARES // 2 if of_shares else 1
    out, size, d = line[at.OUT], line[at.OPERANDS], line[at.OPERANDS + 1]
    count, volume = ints[line[at.OPERANDS + 2], 0], floats[line[at.OPERANDS + 3], 0]
    reset = ints[line[at.OPERANDS + 4], 0]
    base, stride = line[at.BASE], line[at.STRIDE]
    for i in range(rows):
        if outside(floats, status, places, out, i, reset):
            continue
        o = base + places[at.GROUP, i] * stride
        if begins_anew(words, o, reset, places[at.FIRST, i]):
            for k in range(o, o + line[at.SIZE]):
                words[k] = 0
        words[o + TAKEN] = places[at.ORDINAL, i] + 1
        if status[size, i] == OK and status[d, i] == OK and floats[size, i] > 0.0:
            if not of_shares:
                trade(words, word_floats, o, floats[size, i], ints[d, i], volume, count)
            elif 0.0 <= floats[d, i] <= 1.0:
                sides = int(np.rint(floats[d, i] * SHARES)) - unit
                trade(words, word_floats, o, floats[size, i], sides, volume, count)
        share = 0.0
        enough = words[o + FILLED] >= count
        if enough:
            share = exact.mean(words, o + TOTAL, count) / volume / unit
        emit(floats, status, out, i, share, enough)


@njit(nogil=True, cache=True)
def trade(
    words: Int64s, word_floats: Float64s, o: int, size: float, d: int, volume: float, count: int
) -> None:
    """Let a trade flow into the open bucket, and what it has no room for into the next ones.

    Its direction `d` may be a whole number of up to 21 bits; digits times it stay in order, so that they fit.
    """
    word_floats[o + SPARE] = size
    exact.add(words, o + CONTENT, words[o + SPARE], 1)
    if d != 0:
        exact.add(words, o + SIGNED, words[o + SPARE], d)
    if abs(d) > 1:
        exact.settle(words, o + SIGNED)
        exact.settle(words, o + CONTENT)
    filled = 0
    while is_full(words, o, volume):
        if filled > count:  # all the list has this trade alone: more such buckets change nothing
            rest_of(words, word_floats, o, volume)
            break
        word_floats[o + SPARE] = volume
        exact.add(words, o + CONTENT, words[o + SPARE], -1)
        if filled == 0:
            add_sum(words, o + SIGNED, o + CONTENT, -d)
            high, low = exact.rounded(words, o + SIGNED)
        else:
            high = volume * abs(d)
            low = left_of(volume, float(abs(d)), high) if abs(d) > 1 else 0.0
        close(words, word_floats, o, high, low, count)
        filled += 1
    if filled > 0:
        exact.settle(words, o + CONTENT)  # digits stay small, however many trades there are
        exact.settle(words, o + TOTAL)
        exact.clear(words, o + SIGNED)
        add_sum(words, o + SIGNED, o + CONTENT, d)


@njit(nogil=True, cache=True)
def is_full(words: Int64s, o: int, volume: float) -> bool:
    """Whether the open bucket has its volume, or more."""
    content = exact.nearest(words, o + CONTENT)
    if content != volume:
        return content > volume
    _, low = exact.rounded(words, o + CONTENT)
    return low >= 0.0


@njit(nogil=True, cache=True)
def rest_of(words: Int64s, word_floats: Float64s, o: int, volume: float) -> None:
    """Take whole buckets out of the open one until it is not full; every remainder is exact.

    A content that was rounded up leaves less than nothing: at the end one bucket too many is put back.
    """
    content = exact.nearest(words, o + CONTENT)
    while abs(content) >= volume:
        word_floats[o + SPARE] = content
        exact.add(words, o + CONTENT, words[o + SPARE], -1)
        word_floats[o + SPARE] = abs(content) % volume
        exact.add(words, o + CONTENT, words[o + SPARE], 1 if content > 0.0 else -1)
        content = exact.nearest(words, o + CONTENT)
    if content < 0.0:
        word_floats[o + SPARE] = volume
        exact.add(words, o + CONTENT, words[o + SPARE], 1)


@njit(nogil=True, cache=True)
def close(words: Int64s, word_floats: Float64s, o: int, high: float, low: float, count: int) -> None:
    """Put the surplus of a full bucket in the list, in the place of the oldest one."""
    place = o + LIST + 2 * words[o + NEXT]
    sign = -1.0 if high < 0.0 else 1.0
    for k, value in ((place, sign * high), (place + 1, sign * low)):
        exact.add(words, o + TOTAL, words[k], -1)
        word_floats[k] = value
        exact.add(words, o + TOTAL, words[k], 1)
    words[o + NEXT] = (words[o + NEXT] + 1) % count
    words[o + FILLED] += 1


@njit(nogil=True, cache=True)
def add_sum(words: Int64s, o: int, other: int, times: int) -> None:
    """Add another exact sum so many times, whose digits are in order where these are more than one."""
    if times == 0 or words[other + HIGHEST] == 0:
        return
    low, high = words[other + LOWEST], words[other + HIGHEST]
    for k in range(low, high + 1):
        words[o + DIGITS + k] += times * words[other + DIGITS + k]
    if words[o + HIGHEST] == 0:
        words[o + LOWEST], words[o + HIGHEST] = low, high
    else:
        words[o + LOWEST] = min(words[o + LOWEST], low)
        words[o + HIGHEST] = max(words[o + HIGHEST], high)
