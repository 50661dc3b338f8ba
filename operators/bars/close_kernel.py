"""Trades into bars, one row after another: what opens a bar, what is added to it, and what closes it."""

from typing import Final

import numpy as np
from numba import njit

from operators.bars import aggregate_kernel as aggregates
from operators.bars import expect_kernel, renko_kernel
from operators.bars import sum_kernel as sums
from operators.bars import words as at
from operators.bars.words import Closed, Rule, State, Trades
from operators.nodes import exact_kernel as exact
from operators.nodes.exact_kernel import FLOAT_MAX

PARTS_MAX: Final = 10_000  # bars that one trade is divided into; the last of them takes the rest


@njit(nogil=True, cache=True)
def take_trades(
    rule: Rule, state: State, trades: Trades, ordinal: int, lower: int, closed: Closed, used: int
) -> tuple[int, int, int]:
    """Take the rows from `lower` on, the first row of all having the number `ordinal`.

    Returns how many rows are taken, how many bars of `closed` are used, and 0.  Where that has not enough
    room for the bars of a row, this row is not taken, and the last value is the room that is needed.
    """
    room = closed.ints.shape[1]
    for i in range(lower, trades.time_ns.size):
        if not trades.counts[i]:
            continue
        o = trades.group[i] * state.stride
        needed = _bars_of(rule, state, o, trades, i)
        if used + needed > room:
            return i, used, used + needed
        used = _pass(rule, state, trades.group[i], trades.time_ns[i], closed, used)
        used = _take(rule, state, trades, i, ordinal + i, closed, used)
        state.changed[trades.group[i]] = True
    return trades.time_ns.size, used, 0


@njit(nogil=True, cache=True)
def pass_time(
    rule: Rule, state: State, groups: int, first: int, complete_ns: int, closed: Closed, used: int
) -> tuple[int, int, int]:
    """Close the bars of the symbols from `first` to before `groups` that end by a time; as `take_trades`."""
    room = closed.ints.shape[1]
    for group in range(first, groups):
        o = group * state.stride
        if state.words[o + at.BOUND] > complete_ns:
            continue
        needed = _bars_until(rule, state, o, complete_ns)
        if used + needed > room:
            return group, used, used + needed
        used = _pass(rule, state, group, complete_ns, closed, used)
        state.changed[group] = True
    return groups, used, 0


@njit(nogil=True, cache=True, forceinline=True)
def _bars_until(rule: Rule, state: State, o: int, time_ns: int) -> int:
    """At most how many bars of a symbol end by a time."""
    words = state.words
    if words[o + at.BOUND] > time_ns:
        return 0
    if rule.step_ns == 0:
        return 1
    last_ns = min(time_ns, words[o + at.SESSION_END])
    return int((last_ns - words[o + at.BOUND]) // rule.step_ns) + 3


@njit(nogil=True, cache=True, forceinline=True)
def _bars_of(rule: Rule, state: State, o: int, trades: Trades, i: int) -> int:
    """At most how many bars a row closes."""
    bars = _bars_until(rule, state, o, trades.time_ns[i]) + 1
    if rule.kind == at.RENKO:
        return bars + int(min(renko_kernel.bricks_of(rule, state, o, trades, i), PARTS_MAX))
    if rule.remainder != at.SPLIT:
        return bars
    size = trades.size[i]
    if rule.kind == at.DOLLARS and trades.price[i] > 0:
        lots = max(1, rule.limit // trades.price[i])
    else:
        lots = max(1, rule.limit)
    return bars + int(min(size // lots + 2, PARTS_MAX))


@njit(nogil=True, cache=True, forceinline=True)
def _pass(rule: Rule, state: State, group: int, time_ns: int, closed: Closed, used: int) -> int:
    """Close what ends by a time: the open bar, and the empty ones behind it."""
    words, o = state.words, group * state.stride
    while words[o + at.BOUND] <= time_ns:
        end_ns = words[o + at.BOUND]
        at_grid = rule.kind == at.TIMED and words[o + at.CUT] & at.CUT_END == 0
        reason = at.GRID if at_grid else at.SESSION_ENDED
        partial = words[o + at.CUT] != 0 if rule.kind == at.TIMED else True
        _close(rule, state, group, end_ns, reason, partial, closed, used)
        used += 1
        words[o + at.BOUND] = at.NEVER
        if rule.step_ns > 0 and end_ns < words[o + at.SESSION_END]:
            words[o + at.START] = end_ns
            bound_ns = end_ns + rule.step_ns
            cut = bound_ns > words[o + at.SESSION_END]
            words[o + at.BOUND] = words[o + at.SESSION_END] if cut else bound_ns
            words[o + at.CUT] = at.CUT_END if cut else 0
    return used


@njit(nogil=True, cache=True, forceinline=True)
def _take(rule: Rule, state: State, trades: Trades, i: int, ordinal: int, closed: Closed, used: int) -> int:
    """Add a trade to the bars of its symbol; returns how many are closed then."""
    words, group = state.words, trades.group[i]
    o = group * state.stride
    if rule.numbered and words[o + at.SESSION] != trades.session[i]:
        words[o + at.SESSION] = trades.session[i]
        words[o + at.NUMBER] = 0
        sums.begin_session(rule, state, o)
    left = trades.size[i] if rule.whole else 1
    parts = 0
    while left > 0:
        if words[o + at.COUNT] == 0:
            _open(rule, state, o, trades, i)
        part = left
        if rule.remainder == at.SPLIT and parts < PARTS_MAX - 1:
            part = sums.part_of(rule, state, o, trades.price[i], left)
        left -= part
        parts += 1
        _add(rule, state, o, trades, i, part, ordinal)
        if rule.kind == at.RENKO:
            used = _bricks(rule, state, trades, i, closed, used)
        elif sums.is_reached(rule, state, o):
            _close(rule, state, group, trades.time_ns[i], at.THRESHOLD, False, closed, used)
            used += 1
            words[o + at.BOUND] = at.NEVER
    return used


@njit(nogil=True, cache=True, forceinline=True)
def _bricks(rule: Rule, state: State, trades: Trades, i: int, closed: Closed, used: int) -> int:
    """Close as many bricks as a trade makes; those behind the first one have no trade."""
    group, bricks = trades.group[i], 0
    o = group * state.stride
    while bricks < PARTS_MAX and renko_kernel.next_brick(rule, state, o, trades, i):
        _close(rule, state, group, trades.time_ns[i], at.THRESHOLD, False, closed, used)
        used += 1
        bricks += 1
        state.words[o + at.BOUND] = at.NEVER
        state.words[o + at.START] = trades.time_ns[i]
    return used


@njit(nogil=True, cache=True)
def _open(rule: Rule, state: State, o: int, trades: Trades, i: int) -> None:
    words = state.words
    words[o + at.START] = trades.begin[i]
    words[o + at.BOUND] = trades.bound[i]
    words[o + at.SESSION_END] = trades.session_end[i]
    words[o + at.CUT] = trades.cut[i]
    words[o + at.FIRST] = trades.event_ns[i]
    words[o + at.KNOWN] = trades.known_ns[i]
    for place in (at.OPEN, at.HIGH, at.LOW):
        words[o + place] = trades.price[i]
    if rule.of_bars:
        words[o + at.FIRST] = trades.parts[at.PART_FIRST, i]
        for place in range(3):
            words[o + at.OPEN + place] = trades.parts[at.PART_OPEN + place, i]
    sums.clear(rule, state, o)
    aggregates.begin(rule, state, o)


@njit(nogil=True, cache=True, forceinline=True)
def _add(rule: Rule, state: State, o: int, trades: Trades, i: int, part: int, ordinal: int) -> None:
    words, floats = state.words, state.floats
    words[o + at.COUNT] += trades.parts[at.PART_COUNT, i] if rule.of_bars else 1
    words[o + at.LAST] = trades.event_ns[i]
    words[o + at.KNOWN] = max(words[o + at.KNOWN], trades.known_ns[i])
    words[o + at.OFFSET] = trades.offset[i]
    words[o + at.INDEX] = trades.row[i]
    words[o + at.ORDINAL] = ordinal
    words[o + at.CLOSE] = trades.price[i]
    aggregates.add(rule, state, o, trades, i)
    if rule.of_bars:
        sums.add_bar(rule, state, o, trades, i)
    elif rule.whole:
        words[o + at.HIGH] = max(words[o + at.HIGH], trades.price[i])
        words[o + at.LOW] = min(words[o + at.LOW], trades.price[i])
        sums.add_whole(rule, state, o, trades, i, part)
    else:
        floats[o + at.HIGH] = max(floats[o + at.HIGH], trades.price_float[i])
        floats[o + at.LOW] = min(floats[o + at.LOW], trades.price_float[i])
        sums.add_floats(rule, state, o, trades, i)
    if at.IMBALANCE <= rule.kind <= at.RUNS:
        expect_kernel.expect(rule, state, o, trades, i)
    elif at.VOLATILITY <= rule.kind <= at.CUSUM:
        sums.measure(rule, state, o, trades, i)


@njit(nogil=True, cache=True)
def _close(
    rule: Rule,
    state: State,
    group: int,
    end_ns: int,
    reason: int,
    partial: bool,
    closed: Closed,
    used: int,
) -> None:
    """Write the open bar of a symbol, or an empty one, and begin the count of the next."""
    words, out, o = state.words, closed.ints, group * state.stride
    out[at.GROUP, used] = group
    out[at.OF_SESSION, used] = words[o + at.SESSION]
    out[at.BAR_NO, used] = words[o + at.NUMBER]
    out[at.BEGIN, used] = words[o + at.START]
    out[at.END, used] = end_ns
    out[at.FIRST_EVENT, used] = words[o + at.FIRST]
    out[at.LAST_EVENT, used] = words[o + at.LAST]
    out[at.KNOWN_TIME, used] = words[o + at.KNOWN]
    out[at.LEFT_AT, used] = words[o + at.OFFSET]
    out[at.LEFT_ROW, used] = words[o + at.INDEX]
    out[at.CLOSED_BY, used] = words[o + at.ORDINAL]
    out[at.TRADES, used] = words[o + at.COUNT]
    out[at.REASON, used] = reason
    out[at.PARTIAL, used] = partial
    aggregates.write(rule, state, o, words[o + at.COUNT] == 0, closed, used)
    if words[o + at.COUNT] == 0:
        for place in range(4):
            out[at.PRICES + place, used] = words[
                o + (at.OPEN + place if reason == at.THRESHOLD else at.CLOSE)
            ]
        for column in range(at.VOLUME_OF, at.REASON):
            out[column, used] = 0
        out[at.OVERFLOW, used] = 0
    else:
        for place in range(4):
            out[at.PRICES + place, used] = words[o + at.OPEN + place]
        _write_sums(rule, state, o, closed, used)
    words[o + at.COUNT] = 0
    words[o + at.NUMBER] += 1


@njit(nogil=True, cache=True)
def _write_sums(rule: Rule, state: State, o: int, closed: Closed, used: int) -> None:
    words, out, floats = state.words, closed.ints, closed.floats
    too_large = words[o + at.TOO_LARGE] != 0
    if rule.whole:
        out[at.VOLUME_OF, used] = words[o + at.VOLUME]
        out[at.NOTIONAL_HIGH_OF, used] = words[o + at.NOTIONAL_HIGH]
        out[at.NOTIONAL_OF, used] = words[o + at.NOTIONAL]
        out[at.BUY_OF, used] = words[o + at.BUY]
        out[at.SELL_OF, used] = words[o + at.SELL]
        notional = sums.wide_float(words[o + at.NOTIONAL_HIGH], words[o + at.NOTIONAL])
        floats[at.VWAP, used] = notional / max(1.0, np.float64(words[o + at.VOLUME]))
    else:
        volume = exact.nearest(words, o + at.VOLUME_SUM)
        notional = exact.nearest(words, o + at.NOTIONAL_SUM)
        too_large |= not (abs(volume) <= FLOAT_MAX and abs(notional) <= FLOAT_MAX)
        vwap = 0.0 if too_large else notional / volume
        too_large |= not abs(vwap) <= FLOAT_MAX
        floats[at.VOLUME_OF, used] = volume
        floats[at.NOTIONAL_OF, used] = notional
        floats[at.VWAP, used] = vwap
        floats[at.BUY_OF, used] = exact.nearest(words, o + at.BUY_SUM)
        floats[at.SELL_OF, used] = exact.nearest(words, o + at.SELL_SUM)
    out[at.OVERFLOW, used] = too_large
