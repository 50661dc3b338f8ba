"""Trades into bars, symbol by symbol: what opens a bar, what is added to it, and what closes it."""

from typing import Final

import numpy as np

from operators.bars import aggregate_kernel as aggregates
from operators.bars import expect_kernel, find_kernel, renko_kernel
from operators.bars import sum_kernel as sums
from operators.bars import words as at
from operators.bars.compiled import inlined, kernel
from operators.bars.words import Closed, Order, Rule, State, Trades
from operators.nodes import exact_kernel as exact
from operators.nodes.exact_kernel import FLOAT_MAX
from schemas.batch import Int32s, Int64s

PARTS_MAX: Final = 10_000  # bars that one trade is divided into; the last of them takes the rest


@kernel
def take_trades(
    rule: Rule,
    state: State,
    trades: Trades,
    order: Order,
    ordinal: int,
    symbol: int,
    closed: Closed,
    used: int,
) -> tuple[int, int, int]:
    """Take the rows of the symbols from the one with the place `symbol` in `order` on.

    The first row of all has the number `ordinal`.  Returns how many symbols are taken, how many bars of
    `closed` are used, and 0.  Where that has not enough room for the bars of a row, the last value is the
    room that is needed, and `order` says which rows of that symbol are still to be taken.
    """
    begins = order.begins
    for n in range(symbol, order.symbols):
        lower, upper = begins[n], begins[n + 1]
        group = trades.group[order.rows[lower]]
        lower, used, wanted = _take_rows(rule, state, trades, order.rows, ordinal, lower, upper, closed, used)
        state.changed[group] = True
        if wanted:
            begins[n] = lower
            return n, used, wanted
    return order.symbols, used, 0


@kernel
def pass_time(
    rule: Rule, state: State, groups: int, first: int, complete_ns: int, closed: Closed, used: int
) -> tuple[int, int, int]:
    """Close the bars of the symbols from `first` to before `groups` that end by a time; as `take_trades`."""
    room = closed.ints.shape[1]
    if first == 0:
        if complete_ns < state.soonest[0]:
            return groups, used, 0
        state.soonest[0] = at.NEVER
    for group in range(first, groups):
        o = group * state.stride
        if state.words[o + at.BOUND] > complete_ns:
            state.soonest[0] = min(state.soonest[0], state.words[o + at.BOUND])
            continue
        needed = _bars_until(rule, state.words, o, complete_ns)
        if used + needed > room:
            return group, used, used + needed
        used = _pass(rule, state, group, complete_ns, closed, used)
        state.soonest[0] = min(state.soonest[0], state.words[o + at.BOUND])
        state.changed[group] = True
    return groups, used, 0


@inlined
def _bars_until(rule: Rule, words: Int64s, o: int, time_ns: int) -> int:
    """At most how many bars of a symbol end by a time."""
    if words[o + at.BOUND] > time_ns:
        return 0
    if rule.step_ns == 0:
        return 1
    last_ns = min(time_ns, words[o + at.SESSION_END])
    return int((last_ns - words[o + at.BOUND]) // rule.step_ns) + 3


@inlined
def _bars_of(rule: Rule, state: State, o: int, trades: Trades, i: int) -> int:
    """At most how many bars a row closes that makes bricks, or is divided."""
    if rule.kind == at.RENKO:
        return int(min(renko_kernel.bricks_of(rule, state, o, trades, i), PARTS_MAX))
    if rule.remainder != at.SPLIT:
        return 1
    if rule.kind == at.DOLLARS and trades.price[i] > 0:
        lots = max(1, rule.limit // trades.price[i])
    else:
        lots = max(1, rule.limit)
    return int(min(trades.size[i] // lots + 2, PARTS_MAX))


@inlined
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


@inlined
def _take_rows(
    rule: Rule,
    state: State,
    trades: Trades,
    rows: Int32s,
    ordinal: int,
    lower: int,
    upper: int,
    closed: Closed,
    used: int,
) -> tuple[int, int, int]:
    """Take the rows of one symbol, those of a cell together."""
    words, edges, session = state.words, trades.edges, trades.session
    group, room = trades.group[rows[lower]], closed.ints.shape[1]
    o, cell = group * state.stride, 0
    while lower < upper:
        i = rows[lower]
        cell = _cell_of(edges, i, cell)
        needed = _bars_until(rule, words, o, trades.time_ns[i])
        if used + needed > room:
            return lower, used, used + needed
        used = _pass(rule, state, group, trades.time_ns[i], closed, used)
        if rule.numbered and words[o + at.SESSION] != session[cell]:
            words[o + at.SESSION] = session[cell]
            words[o + at.NUMBER] = 0
            sums.begin_session(rule, state, o)
        end = upper
        if rows[upper - 1] >= edges[cell + 1]:
            end = lower + 1
            while rows[end] < edges[cell + 1]:
                end += 1
        lower, used, wanted = _take_stretch(
            rule, state, trades, rows, ordinal, cell, lower, end, closed, used
        )
        if wanted:
            return lower, used, wanted
    return upper, used, 0


@inlined
def _cell_of(edges: Int64s, i: int, cell: int) -> int:
    """The cell of a row that is in this one or a later one."""
    if i < edges[cell + 1]:
        return cell
    beyond = edges.size - 1
    while beyond - cell > 1:
        middle = (cell + beyond) >> 1
        if edges[middle] <= i:
            cell = middle
        else:
            beyond = middle
    return cell


@inlined
def _take_stretch(
    rule: Rule,
    state: State,
    trades: Trades,
    rows: Int32s,
    ordinal: int,
    cell: int,
    lower: int,
    upper: int,
    closed: Closed,
    used: int,
) -> tuple[int, int, int]:
    """Take rows of one symbol that are in one cell, so that no moment ends a bar between them."""
    words, room = state.words, closed.ints.shape[1]
    group = trades.group[rows[lower]]
    o = group * state.stride
    divides, bricks = rule.remainder == at.SPLIT, rule.kind == at.RENKO
    while lower < upper:
        if used >= room:
            return lower, used, used + 1
        if words[o + at.COUNT] == 0:
            _open(rule, state, o, trades, rows[lower], cell)
        match = _first_of(rule, state, o, trades, rows, lower, upper)
        if match < upper and (divides or bricks):
            needed = _bars_of(rule, state, o, trades, rows[match])
            if used + needed > room:
                return lower, used, used + needed
        added = match + (match < upper and not divides)
        if added > lower:
            _add(rule, state, o, trades, rows, ordinal, lower, added)
        lower = added
        if match == upper:
            break
        if divides:
            used = _divide(rule, state, trades, rows[match], cell, ordinal, closed, used)
            lower += 1
        elif bricks:
            used = _bricks(rule, state, trades, rows[match], closed, used)
        elif sums.is_reached(rule, state, o):
            _close(rule, state, group, trades.time_ns[rows[match]], at.THRESHOLD, False, closed, used)
            used += 1
            words[o + at.BOUND] = at.NEVER
    return upper, used, 0


@inlined
def _first_of(rule: Rule, state: State, o: int, trades: Trades, rows: Int32s, lower: int, upper: int) -> int:
    """The first row that may close the open bar, `upper` for none."""
    if rule.kind == at.RENKO:
        return renko_kernel.first_brick(rule, state, o, trades, rows, lower, upper)
    if rule.kind >= at.IMBALANCE:
        return expect_kernel.first_leaning(rule, state, o, trades, rows, lower, upper)
    if rule.kind >= at.VOLATILITY:
        return find_kernel.first_measured(rule, state, o, trades, rows, lower, upper)
    return find_kernel.first_closing(rule, state, o, trades, rows, lower, upper)


@inlined
def _divide(
    rule: Rule, state: State, trades: Trades, i: int, cell: int, ordinal: int, closed: Closed, used: int
) -> int:
    """Put a trade in as many bars as it fills; a part of it counts as a trade."""
    words, group = state.words, trades.group[i]
    o = group * state.stride
    left, parts = trades.size[i], 0
    while left > 0:
        if words[o + at.COUNT] == 0:
            _open(rule, state, o, trades, i, cell)
        parts += 1
        part = left if parts == PARTS_MAX else sums.part_of(rule, state, o, trades.price[i], left)
        left -= part
        words[o + at.COUNT] += 1
        words[o + at.KNOWN] = max(words[o + at.KNOWN], trades.known_ns[i])
        sums.add_part(words, o, trades.price[i], part, trades.direction[i])
        _stand(words, o, trades, i, ordinal)
        if sums.is_reached(rule, state, o):
            _close(rule, state, group, trades.time_ns[i], at.THRESHOLD, False, closed, used)
            used += 1
            words[o + at.BOUND] = at.NEVER
    return used


@inlined
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


@inlined
def _open(rule: Rule, state: State, o: int, trades: Trades, i: int, cell: int) -> None:
    words = state.words
    words[o + at.START] = trades.begin[cell] if rule.kind == at.TIMED else trades.time_ns[i]
    words[o + at.BOUND] = trades.bound[cell]
    state.soonest[0] = min(state.soonest[0], trades.bound[cell])
    words[o + at.SESSION_END] = trades.session_end[cell]
    words[o + at.CUT] = trades.cut[cell]
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


@inlined
def _add(
    rule: Rule, state: State, o: int, trades: Trades, rows: Int32s, ordinal: int, lower: int, upper: int
) -> None:
    """Add some rows of a symbol, one or more, to its open bar."""
    words = state.words
    before = words[o + at.COUNT]
    if rule.of_bars:
        for place in range(lower, upper):
            words[o + at.COUNT] += trades.parts[at.PART_COUNT, rows[place]]
            sums.add_bar(rule, state, o, trades, rows[place])
    else:
        words[o + at.COUNT] += upper - lower
        if rule.whole:
            sums.add_whole(rule, state, o, trades, rows, lower, upper)
        else:
            sums.add_floats(rule, state, o, trades, rows, lower, upper)
            if before >> sums.SETTLE_BITS != words[o + at.COUNT] >> sums.SETTLE_BITS:
                sums.settle_sums(words, o)
    if rule.aggregates.shape[0] > 0:
        for place in range(lower, upper):
            aggregates.add(rule, state, o, trades, rows[place])
    _stand(words, o, trades, rows[upper - 1], ordinal)


@inlined
def _stand(words: Int64s, o: int, trades: Trades, i: int, ordinal: int) -> None:
    """Note where the last trade of the open bar stands, and its price."""
    words[o + at.LAST] = trades.event_ns[i]
    words[o + at.OFFSET] = trades.offset[i]
    words[o + at.INDEX] = trades.row[i]
    words[o + at.ORDINAL] = ordinal + i
    words[o + at.CLOSE] = trades.price[i]


@kernel
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


@kernel
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
