"""The loop of every label: rows in order, and with each what it decides, whatever the cuts.

It goes from symbol to symbol, and so finds most of what it reads where it was a moment ago.  That changes no
label, as each hangs on the rows of its own symbol, and on how far time has come with them.
"""

import math

from numba import njit

from operators.labels import places as at
from operators.labels.barrier_kernel import open_barriers, touch
from operators.labels.event_kernel import decide, enter
from operators.labels.horizon_kernel import close_horizon
from operators.labels.places import Levels, Real, Reasons, Settings, Whole
from operators.labels.slot_kernel import begin_block, make_room
from operators.labels.trend_kernel import close_trend
from operators.nodes.lent_kernel import lend


@njit(nogil=True, cache=True, forceinline=True)
def end_wait(
    reasons: Reasons,
    facts: Whole,
    result: Real,
    symbols: Whole,
    slots: Whole,
    held: Real,
    real: Real,
    settings: Settings,
    g: int,
    slot: int,
) -> None:
    """Decide an event whose time is over."""
    end_ns = slots[slot, at.EVENT_NS] + settings[at.BOUND_NS]
    if slots[slot, at.STAYS] == 0:
        decide(reasons, symbols, slots, real, settings, g, slot, at.SESSION_ENDS)
    elif settings[at.TIMED] == 0:
        decide(reasons, symbols, slots, real, settings, g, slot, at.SHORT)
    else:
        close_horizon(
            reasons, facts, result, symbols, slots, held, real, settings, g, slot, at.BY_TIME, end_ns
        )


@njit(nogil=True, cache=True)
def pass_time(
    rows: Whole,
    reasons: Reasons,
    facts: Whole,
    result: Real,
    symbols: Whole,
    slots: Whole,
    held: Real,
    real: Real,
    settings: Settings,
    timed: int,
    end: int,
    time_ns: int,
) -> int:
    """Decide the events from `timed` to before `end` whose wait is over at a time; return the first other.

    One that still waits is the oldest of its symbol: those before it waited as long.
    """
    facts, result, reasons = lend(facts), lend(result), lend(reasons)
    symbols, slots = lend(symbols), lend(slots)
    held, real, settings = lend(held), lend(real), lend(settings)
    mask = settings[at.MASK]
    while timed < end and rows[at.TIME_NS, timed & mask] + settings[at.BOUND_NS] < time_ns:
        if reasons[timed & mask] == at.WAITS:
            g = rows[at.GROUP, timed & mask]
            end_wait(reasons, facts, result, symbols, slots, held, real, settings, g, symbols[g, at.HEAD])
        timed += 1
    return timed


@njit(nogil=True, cache=True, forceinline=True)
def is_open(
    symbols: Whole,
    real: Real,
    reach: Real,
    blocks: Real,
    line: Whole,
    floats: Real,
    settings: Settings,
    levels: Levels,
    p: int,
    slot: int,
) -> int:
    """Let the row in a slot wait as an event; returns the reason where it can have no label."""
    g, full = line[p, at.GROUP], line[p, at.OWN_FLAGS + at.FULL]
    if full > 0 or (full < 0 and symbols[g, at.PENDING] > settings[at.MOST]):  # it is one of them itself
        return at.CROWDED
    if settings[at.ACROSS] == 0 and line[p, at.SESSION] < 0:
        return at.SESSION_ENDS
    against = floats[p, at.OWN_INPUTS + at.HELD_AGAINST]
    if math.isnan(real[at.PRICE, slot]) or (settings[at.BANDED] != 0 and math.isnan(against)):
        return at.NULL_IN
    if settings[at.KIND] == at.BARRIERS:
        sigma = floats[p, at.OWN_INPUTS + at.SIGMA]
        return open_barriers(symbols, real, reach, blocks, settings, levels, g, slot, sigma, against)
    return at.OK


@njit(nogil=True, cache=True)
def take_rows(
    reasons: Reasons,
    facts: Whole,
    result: Real,
    symbols: Whole,
    slots: Whole,
    held: Real,
    real: Real,
    reach: Real,
    blocks: Real,
    line: Whole,
    floats: Real,
    settings: Settings,
    levels: Levels,
    begin: int,
    end: int,
    used: int,
) -> tuple[int, int]:
    """Take the rows of `taken` from one to before `end`, and decide what can be.

    `line` and `floats` are `taken`.  Returns how far it came, short of the end where there are too few slots,
    and how many of these are used.
    """
    facts, result, reasons = lend(facts), lend(result), lend(reasons)
    symbols, slots = lend(symbols), lend(slots)
    held, real, reach, blocks = lend(held), lend(real), lend(reach), lend(blocks)
    line, floats, settings, levels = lend(line), lend(floats), lend(settings), lend(levels)
    for p in range(begin, end):
        g, time_ns = line[p, at.GROUP], line[p, at.TIME_NS]
        if symbols[g, at.END] == symbols[g, at.BEGIN] + symbols[g, at.SIZE]:
            needed = make_room(symbols, slots, real, reach, blocks, settings, used, g)
            if needed < 0:
                return p, used
            used = needed
        head = symbols[g, at.HEAD]
        while head < symbols[g, at.END] and slots[head, at.EVENT_NS] + settings[at.BOUND_NS] < time_ns:
            end_wait(reasons, facts, result, symbols, slots, held, real, settings, g, head)
            head = symbols[g, at.HEAD]
        if settings[at.ACROSS] == 0 and symbols[g, at.LAST_SESSION] != line[p, at.SESSION]:
            symbols[g, at.LAST_SESSION] = line[p, at.SESSION]
            while symbols[g, at.HEAD] < symbols[g, at.END]:  # all that wait are of the session before
                decide(reasons, symbols, slots, real, settings, g, symbols[g, at.HEAD], at.SESSION_ENDS)
        slot = enter(symbols, slots, held, real, line, floats, p)
        if slot % at.BLOCK == 0:
            begin_block(symbols, blocks, g, slot)
        _reach(
            reasons, facts, result, symbols, slots, held, real, reach, blocks, line, floats, settings, p, slot
        )
        reason = is_open(symbols, real, reach, blocks, line, floats, settings, levels, p, slot)
        if reason != at.OK:
            decide(reasons, symbols, slots, real, settings, g, slot, reason)
    return end, used


@njit(nogil=True, cache=True, forceinline=True)
def _reach(
    reasons: Reasons,
    facts: Whole,
    result: Real,
    symbols: Whole,
    slots: Whole,
    held: Real,
    real: Real,
    reach: Real,
    blocks: Real,
    line: Whole,
    floats: Real,
    settings: Settings,
    p: int,
    slot: int,
) -> None:
    """Decide the events whose barriers a row reaches, and that of which it is the last one it waits for."""
    g, time_ns = line[p, at.GROUP], line[p, at.TIME_NS]
    if settings[at.KIND] == at.BARRIERS and real[at.PRICE, slot] == real[at.PRICE, slot]:
        high = low = opened = real[at.PRICE, slot]
        if settings[at.OF_BARS] != 0:
            opened = floats[p, at.OWN_INPUTS + at.OPEN]
            high, low = floats[p, at.OWN_INPUTS + at.HIGH], floats[p, at.OWN_INPUTS + at.LOW]
        if high >= reach[g, 0] or low <= reach[g, 1]:
            touch(
                reasons,
                facts,
                result,
                symbols,
                slots,
                held,
                real,
                reach,
                blocks,
                settings,
                g,
                time_ns,
                opened,
                high,
                low,
            )
    wanted, head = settings[at.ROWS], symbols[g, at.HEAD]
    while 0 < wanted <= slot - head:
        if settings[at.KIND] == at.TREND:
            close_trend(reasons, facts, result, symbols, slots, real, settings, g, head)
        else:
            close_horizon(
                reasons, facts, result, symbols, slots, held, real, settings, g, head, at.BY_ROWS, time_ns
            )
        head = symbols[g, at.HEAD]
