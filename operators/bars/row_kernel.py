"""Trades into bars, one after another: what opens a bar, what is added to it, and whether that closes it."""

from typing import Final

from operators.bars import aggregate_kernel as aggregates
from operators.bars import expect_kernel, measure_kernel, renko_kernel
from operators.bars import sum_kernel as sums
from operators.bars import words as at
from operators.bars.close_kernel import bars_until, close, lent_room, lent_state, pass_until
from operators.bars.compiled import inlined, kernel
from operators.bars.words import Closed, Rule, State, Trades
from operators.nodes.ahead_kernel import LINE_WORDS, ask
from operators.nodes.lent_kernel import lend
from schemas.batch import Int64s

AHEAD: Final = 4  # rows
PARTS_MAX: Final = 10_000  # bars that one trade is divided into; the last of them takes the rest


@kernel
def take_trades(
    rule: Rule, state: State, trades: Trades, ordinal: int, first: int, closed: Closed, used: int
) -> tuple[int, int, int]:
    """Take the rows from `first` on.

    The first row of all has the number `ordinal`.  Returns how many rows are taken, how many bars of `closed`
    are used, and 0.  Where that has not enough room for the bars of a row, the last value is the room that is
    needed, and the row is still to be taken.
    """
    rows, cells, room, values = (
        trades.group.size,
        trades.begin.size,
        closed.ints.shape[1],
        rule.aggregates.shape[0],
    )
    state, trades, closed = lent_state(state), _lent(trades), lent_room(closed)
    words, cell = state.words, 0
    for i in range(first, rows):
        _ask(rule, words, trades.group[min(i + AHEAD, rows - 1)] * state.stride)
        group = trades.group[i]
        if trades.counts[i] == 0:
            continue
        o = group * state.stride
        if words[o + at.BOUND] <= trades.time_ns[i]:
            needed = bars_until(rule, words, o, trades.time_ns[i])
            if used + needed > room:
                return i, used, used + needed
            used = pass_until(rule, state, group, trades.time_ns[i], closed, used)
        if i >= trades.edges[cell + 1]:
            cell = _cell_of(trades.edges, i, cell + 1, cells)
        state.changed[group] = 1
        if rule.numbered and words[o + at.SESSION] != trades.session[cell]:
            _begin_session(rule, state, o, trades.session[cell])
        if used >= room:
            return i, used, used + 1
        if words[o + at.COUNT] == 0:
            _open(rule, state, o, trades, i, cell)
        if rule.remainder == at.SPLIT:
            needed = _parts_of(rule, trades, i)
            if used + needed > room:
                return i, used, used + needed
            used = _divide(rule, state, trades, i, cell, ordinal, closed, used)
            continue
        if rule.kind == at.RENKO:
            lays = renko_kernel.lays(rule, state, o, trades, i)
            needed = min(renko_kernel.bricks_of(rule, state, o, trades, i), PARTS_MAX) if lays else 0
            if used + needed > room:
                return i, used, used + needed
            _add(rule, state, o, trades, i, ordinal, values)
            if lays:
                used = _lay(rule, state, trades, i, closed, used)
            continue
        closes = _add(rule, state, o, trades, i, ordinal, values)
        if closes or (rule.kind < at.CUSUM and sums.is_reached(rule, state, o)):
            close(rule, state, group, trades.time_ns[i], at.THRESHOLD, False, closed, used)
            words[o + at.BOUND] = at.NEVER
            used += 1
    return rows, used, 0


@inlined
def _ask(rule: Rule, words: Int64s, o: int) -> None:
    """Ask for the words of a symbol whose row comes soon."""
    for place in range(0, at.WORDS, LINE_WORDS):
        ask(words, o + place)
    if not rule.whole:
        for place in range(at.WORDS, at.VOLUME_SUM, LINE_WORDS):
            ask(words, o + place)
    if rule.kind == at.IMBALANCE or rule.kind == at.RUNS:
        ask(words, o + rule.place)
        ask(words, o + rule.place + LINE_WORDS)


@inlined
def _lent(trades: Trades) -> Trades:
    """The same rows, lent to a kernel."""
    return Trades(
        lend(trades.group),
        lend(trades.counts),
        lend(trades.time_ns),
        lend(trades.event_ns),
        lend(trades.known_ns),
        lend(trades.offset),
        lend(trades.row),
        lend(trades.price),
        lend(trades.price_float),
        lend(trades.size),
        lend(trades.size_float),
        lend(trades.direction),
        lend(trades.values),
        trades.there,
        lend(trades.parts),
        lend(trades.parts_float),
        lend(trades.edges),
        lend(trades.begin),
        lend(trades.bound),
        lend(trades.cut),
        lend(trades.session_end),
        lend(trades.session),
    )


@kernel
def _cell_of(edges: Int64s, i: int, cell: int, cells: int) -> int:
    """The cell of a row that is in this one of so many, or in a later one."""
    if i < edges[cell + 1]:
        return cell
    beyond = cells
    while beyond - cell > 1:
        middle = (cell + beyond) >> 1
        if edges[middle] <= i:
            cell = middle
        else:
            beyond = middle
    return cell


@inlined
def _begin_session(rule: Rule, state: State, o: int, session: int) -> None:
    state.words[o + at.SESSION], state.words[o + at.NUMBER] = session, 0
    sums.begin_session(rule, state, o)


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
    for place in range(at.OPEN, at.CLOSE):
        words[o + place] = trades.price[i]
    if rule.of_bars:
        words[o + at.FIRST] = trades.parts[at.PART_FIRST, i]
        for place in range(3):
            words[o + at.OPEN + place] = trades.parts[at.PART_OPEN + place, i]
    sums.clear(rule, state, o)
    aggregates.begin(rule, state, o)


@inlined
def _add(rule: Rule, state: State, o: int, trades: Trades, i: int, ordinal: int, values: int) -> bool:
    """Add a row to the open bar of its symbol; whether what is measured closes that, as no sum of it does."""
    words, closes = state.words, False
    before = words[o + at.COUNT]
    if rule.of_bars:
        words[o + at.COUNT] = before + trades.parts[at.PART_COUNT, i]
        sums.add_bar(rule, state, o, trades, i)
    else:
        words[o + at.COUNT] = before + 1
        words[o + at.KNOWN] = max(words[o + at.KNOWN], trades.known_ns[i])
        if rule.whole:
            price, size = trades.price[i], trades.size[i]
            sums.add_whole(words, o, price, size, trades.direction[i])
            if rule.remainder == at.CARRY:
                sums.carry_whole(rule, words, o, price, size)
        else:
            price_float, size_float = trades.price_float[i], trades.size_float[i]
            sums.add_floats(state, o, price_float, size_float, trades.direction[i])
            if rule.remainder == at.CARRY:
                sums.carry_floats(rule, state, o, price_float, size_float)
    if before >> sums.SETTLE_BITS != words[o + at.COUNT] >> sums.SETTLE_BITS and not rule.whole:
        sums.settle_sums(words, o)
    if rule.kind >= at.IMBALANCE:
        if rule.kind != at.RENKO:
            closes = expect_kernel.lean(rule, state, o, trades, i)
    elif rule.kind >= at.VOLATILITY:
        if rule.whole:
            closes = measure_kernel.step_whole(rule, state, o, trades.price[i])
        else:
            closes = measure_kernel.step_floats(rule, state, o, trades.price_float[i])
    if values > 0:
        aggregates.add(rule, state, o, trades, i)
    _stand(words, o, trades, i, ordinal)
    return closes


@inlined
def _stand(words: Int64s, o: int, trades: Trades, i: int, ordinal: int) -> None:
    """Note where the last trade of the open bar stands, and its price."""
    words[o + at.LAST] = trades.event_ns[i]
    words[o + at.OFFSET] = trades.offset[i]
    words[o + at.INDEX] = trades.row[i]
    words[o + at.ORDINAL] = ordinal + i
    words[o + at.CLOSE] = trades.price[i]


@inlined
def _parts_of(rule: Rule, trades: Trades, i: int) -> int:
    """At most how many bars a row closes that is divided."""
    lots = max(1, rule.limit)
    if rule.kind == at.DOLLARS and trades.price[i] > 0:
        lots = max(1, rule.limit // trades.price[i])
    return int(min(trades.size[i] // lots + 2, PARTS_MAX))


@kernel
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
        sums.add_whole(words, o, trades.price[i], part, trades.direction[i])
        _stand(words, o, trades, i, ordinal)
        if sums.is_reached(rule, state, o):
            close(rule, state, group, trades.time_ns[i], at.THRESHOLD, False, closed, used)
            used += 1
            words[o + at.BOUND] = at.NEVER
    return used


@kernel
def _lay(rule: Rule, state: State, trades: Trades, i: int, closed: Closed, used: int) -> int:
    """Close as many bricks as a trade makes; those behind the first one have no trade."""
    group, bricks = trades.group[i], 0
    o = group * state.stride
    while bricks < PARTS_MAX and renko_kernel.next_brick(rule, state, o, trades, i):
        close(rule, state, group, trades.time_ns[i], at.THRESHOLD, False, closed, used)
        used += 1
        bricks += 1
        state.words[o + at.BOUND] = at.NEVER
        state.words[o + at.START] = trades.time_ns[i]
    return used
