"""The loop of every label: rows in order, and with each what it decides, whatever the cuts."""

import math

from numba import njit

from operators.labels import places as at
from operators.labels.barrier_kernel import close_barriers, drop, open_barriers, touch
from operators.labels.event_kernel import decide, enter
from operators.labels.horizon_kernel import close_horizon
from operators.labels.places import Levels, Real, Settings, Whole
from operators.labels.trend_kernel import close_trend


@njit(nogil=True, cache=True)
def give_up(
    whole: Whole, real: Real, symbols: Whole, settings: Settings, origin: int, event: int, reason: int
) -> None:
    """Decide an event that waited: it has no label."""
    if settings[at.KIND] == at.BARRIERS:
        drop(whole, real, symbols, origin, event, reason)
    else:
        decide(whole, symbols, origin, event, reason)


@njit(nogil=True, cache=True)
def pass_time(
    whole: Whole,
    real: Real,
    symbols: Whole,
    settings: Settings,
    origin: int,
    timed: int,
    end: int,
    time_ns: int,
) -> int:
    """Decide the events from `timed` to before `end` whose wait is over at a time; return the first other."""
    bound_ns = settings[at.BOUND_NS]
    while timed < end and whole[at.TIME_NS, timed - origin] + bound_ns < time_ns:
        i = timed - origin
        if whole[at.DECIDED, i] == 0:
            end_ns = whole[at.TIME_NS, i] + bound_ns
            if whole[at.INSIDE, i] == 0:
                give_up(whole, real, symbols, settings, origin, timed, at.SESSION_ENDS)
            elif settings[at.TIMED] == 0:
                give_up(whole, real, symbols, settings, origin, timed, at.SHORT)
            elif settings[at.KIND] == at.HORIZON:
                close_horizon(whole, real, symbols, settings, origin, timed, at.BY_TIME, end_ns)
            else:
                close_barriers(whole, real, symbols, settings, origin, timed, at.BY_TIME, end_ns)
        timed += 1
    return timed


@njit(nogil=True, cache=True)
def end_session(whole: Whole, real: Real, symbols: Whole, settings: Settings, origin: int, row: int) -> None:
    """Decide the events of earlier sessions of a row's symbol."""
    g, session = whole[at.GROUP, row - origin], whole[at.SESSION, row - origin]
    head = symbols[at.HEAD, g]
    while head >= 0 and whole[at.SESSION, head - origin] != session:
        give_up(whole, real, symbols, settings, origin, head, at.SESSION_ENDS)
        head = symbols[at.HEAD, g]


@njit(nogil=True, cache=True)
def count_rows(
    whole: Whole, real: Real, symbols: Whole, settings: Settings, levels: Levels, origin: int, row: int
) -> None:
    """Decide the event of which a row is the last one that it waits for."""
    i = row - origin
    g = whole[at.GROUP, i]
    head = symbols[at.HEAD, g]
    while head >= 0 and whole[at.NUMBER, head - origin] + settings[at.ROWS] <= whole[at.NUMBER, i]:
        if settings[at.KIND] == at.HORIZON:
            close_horizon(whole, real, symbols, settings, origin, head, at.BY_ROWS, whole[at.TIME_NS, i])
        elif settings[at.KIND] == at.BARRIERS:
            close_barriers(whole, real, symbols, settings, origin, head, at.BY_ROWS, whole[at.TIME_NS, i])
        else:
            close_trend(whole, real, symbols, settings, levels, origin, head, row)
        head = symbols[at.HEAD, g]


@njit(nogil=True, cache=True)
def open_event(
    whole: Whole, real: Real, symbols: Whole, settings: Settings, levels: Levels, origin: int, row: int
) -> None:
    """Let a row wait as an event, unless it can have no label."""
    i = row - origin
    if whole[at.FULL, i] < 0:  # of those before it, as it is one itself
        whole[at.FULL, i] = symbols[at.PENDING, whole[at.GROUP, i]] > settings[at.MOST]
    reason = at.OK
    if whole[at.FULL, i] != 0:
        reason = at.CROWDED
    elif settings[at.ACROSS] == 0 and whole[at.SESSION, i] < 0:
        reason = at.SESSION_ENDS
    elif math.isnan(real[at.PRICE, i]) or (settings[at.BANDED] != 0 and math.isnan(real[at.SCALE, i])):
        reason = at.NULL_IN
    elif settings[at.KIND] == at.BARRIERS:
        reason = open_barriers(whole, real, symbols, settings, levels, origin, row)
    if reason != at.OK:
        decide(whole, symbols, origin, row, reason)


@njit(nogil=True, cache=True)
def take_rows(
    whole: Whole,
    real: Real,
    symbols: Whole,
    settings: Settings,
    levels: Levels,
    origin: int,
    timed: int,
    first: int,
    end: int,
    complete_ns: int,
) -> int:
    """Take the rows from `first` to before `end`, none behind `complete_ns`; decide what can be.

    `timed` is the first event that may still wait for its time; returns it as it is afterwards.
    """
    for row in range(first, end):
        i = row - origin
        timed = pass_time(whole, real, symbols, settings, origin, timed, row, whole[at.TIME_NS, i])
        if whole[at.GROUP, i] < 0:
            whole[at.DECIDED, i], whole[at.REASON, i] = 1, at.NULL_IN
            continue
        if settings[at.ACROSS] == 0:
            end_session(whole, real, symbols, settings, origin, row)
        enter(whole, real, symbols, origin, row)
        if settings[at.KIND] == at.BARRIERS:
            touch(whole, real, symbols, settings, origin, row)
        if settings[at.ROWS] > 0:
            count_rows(whole, real, symbols, settings, levels, origin, row)
        open_event(whole, real, symbols, settings, levels, origin, row)
    return pass_time(whole, real, symbols, settings, origin, timed, end, complete_ns)
