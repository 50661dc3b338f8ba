"""What ends bars: time that passes, and how a bar that is closed is written down."""

import numpy as np

from operators.bars import aggregate_kernel as aggregates
from operators.bars import held_kernel as held
from operators.bars import sum_kernel as sums
from operators.bars import words as at
from operators.bars.compiled import inlined, kernel
from operators.bars.words import Closed, Rule, State
from operators.nodes.exact_kernel import FLOAT_MAX
from operators.nodes.lent_kernel import lend
from schemas.batch import Int64s


@kernel
def pass_time(
    rule: Rule, state: State, groups: int, first: int, complete_ns: int, closed: Closed, used: int
) -> tuple[int, int, int]:
    """Close the bars of the symbols from `first` to before `groups` that end by a time; as `take_trades`."""
    room = closed.ints.shape[1]
    state, closed = lent_state(state), lent_room(closed)
    if first == 0:
        if complete_ns < state.soonest[0]:
            return groups, used, 0
        state.soonest[0] = at.NEVER
    for group in range(first, groups):
        o = group * state.stride
        if state.words[o + at.BOUND] > complete_ns:
            state.soonest[0] = min(state.soonest[0], state.words[o + at.BOUND])
            continue
        needed = bars_until(rule, state.words, o, complete_ns)
        if used + needed > room:
            if group == 0:  # with more room it is looked at anew, as the first one
                state.soonest[0] = complete_ns
            return group, used, used + needed
        used = pass_until(rule, state, group, complete_ns, closed, used)
        state.soonest[0] = min(state.soonest[0], state.words[o + at.BOUND])
        state.changed[group] = 1
    return groups, used, 0


@inlined
def lent_state(state: State) -> State:
    """The same words, lent to a kernel."""
    words, floats, changed = lend(state.words), lend(state.floats), lend(state.changed)
    return State(words, floats, changed, state.stride, lend(state.soonest))


@inlined
def lent_room(closed: Closed) -> Closed:
    """The same room, lent to a kernel."""
    return Closed(lend(closed.ints), lend(closed.floats))


@inlined
def bars_until(rule: Rule, words: Int64s, o: int, time_ns: int) -> int:
    """At most how many bars of a symbol end by a time."""
    if words[o + at.BOUND] > time_ns:
        return 0
    if rule.step_ns == 0:
        return 1
    last_ns = min(time_ns, words[o + at.SESSION_END])
    return int((last_ns - words[o + at.BOUND]) // rule.step_ns) + 3


@kernel
def pass_until(rule: Rule, state: State, group: int, time_ns: int, closed: Closed, used: int) -> int:
    """Close what ends by a time: the open bar, and the empty ones behind it."""
    words, o = state.words, group * state.stride
    while words[o + at.BOUND] <= time_ns:
        end_ns = words[o + at.BOUND]
        at_grid = rule.kind == at.TIMED and words[o + at.CUT] & at.CUT_END == 0
        reason = at.GRID if at_grid else at.SESSION_ENDED
        partial = words[o + at.CUT] != 0 if rule.kind == at.TIMED else True
        close(rule, state, group, end_ns, reason, partial, closed, used)
        used += 1
        words[o + at.BOUND] = at.NEVER
        if rule.step_ns > 0 and end_ns < words[o + at.SESSION_END]:
            words[o + at.START] = end_ns
            bound_ns = end_ns + rule.step_ns
            cut = bound_ns > words[o + at.SESSION_END]
            words[o + at.BOUND] = words[o + at.SESSION_END] if cut else bound_ns
            words[o + at.CUT] = at.CUT_END if cut else 0
    return used


@kernel
def close(
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
        values = state.floats
        volume = held.nearest(words, values, o + at.VOLUME_HELD, o + at.VOLUME_SUM)
        notional = held.nearest(words, values, o + at.NOTIONAL_HELD, o + at.NOTIONAL_SUM)
        too_large |= not (abs(volume) <= FLOAT_MAX and abs(notional) <= FLOAT_MAX)
        vwap = 0.0 if too_large else notional / volume
        too_large |= not abs(vwap) <= FLOAT_MAX
        floats[at.VOLUME_OF, used] = volume
        floats[at.NOTIONAL_OF, used] = notional
        floats[at.VWAP, used] = vwap
        floats[at.BUY_OF, used] = held.nearest(words, values, o + at.BUY_HELD, o + at.BUY_SUM)
        floats[at.SELL_OF, used] = held.nearest(words, values, o + at.SELL_HELD, o + at.SELL_SUM)
    out[at.OVERFLOW, used] = too_large
