"""L1: the triple barrier.

The barriers of a symbol that wait lie in two heaps, so a row asks only for those that it reaches.
"""

import math
from typing import Final

import numpy as np
from numba import njit

from operators.labels import places as at
from operators.labels.event_kernel import decide, known_since, label
from operators.labels.heap_kernel import add, take_out
from operators.labels.horizon_kernel import simple_or_log
from operators.labels.places import Levels, Real, Settings, Whole

GRID_ERROR: Final = 1e-6  # ticks that a level may lie beside a whole number of them (N7)


@njit(nogil=True, cache=True)
def open_barriers(
    whole: Whole, real: Real, symbols: Whole, settings: Settings, levels: Levels, origin: int, event: int
) -> int:
    """Set the barriers of an event; returns the reason where it can have none."""
    i = event - origin
    price, sigma, side = real[at.PRICE, i], real[at.SCALE, i], real[at.SIDE, i]
    if math.isnan(price) or not (side == 1.0 or side == -1.0):
        return at.NULL_IN
    if not sigma > levels[at.SIGMA_MIN]:
        return at.SIGMA
    if price <= 0.0:
        return at.UNDEFINED
    real[at.UPPER, i] = real[at.LOWER, i] = math.nan
    if levels[at.UP] > 0.0:
        width = levels[at.UP] * sigma
        upper = price * (1.0 + width) if settings[at.LOG] == 0 else price * math.exp(width)
        real[at.UPPER, i] = np.ceil(upper - GRID_ERROR) if settings[at.TICKS] != 0 else upper
    if levels[at.DOWN] > 0.0:
        width = levels[at.DOWN] * sigma
        lower = price * (1.0 - width) if settings[at.LOG] == 0 else price * math.exp(-width)
        real[at.LOWER, i] = np.floor(lower + GRID_ERROR) if settings[at.TICKS] != 0 else lower
    for barrier in range(2):
        if not math.isnan(real[at.UPPER + barrier, i]):
            add(whole, real, symbols, origin, barrier, event)
    return at.OK


@njit(nogil=True, cache=True)
def leave(
    whole: Whole, real: Real, symbols: Whole, settings: Settings, origin: int, event: int, barrier: int
) -> None:
    """Decide an event at the price in `EXIT`."""
    i = event - origin
    value = simple_or_log(real[at.EXIT, i], real[at.PRICE, i], settings[at.LOG])
    real[at.RETURN, i] = value
    drop(whole, real, symbols, origin, event, at.OK if abs(value) < math.inf else at.UNDEFINED)
    if barrier == at.BY_UPPER or barrier == at.BY_LOWER:
        whole[at.LABEL, i] = 1 if barrier == at.BY_UPPER else -1
    elif settings[at.SIGNED] != 0:
        whole[at.LABEL, i] = int(value > 0.0) - int(value < 0.0)


@njit(nogil=True, cache=True)
def drop(whole: Whole, real: Real, symbols: Whole, origin: int, event: int, reason: int) -> None:
    """Take an event out of the heaps, decided."""
    for barrier in range(2):
        if not math.isnan(real[at.UPPER + barrier, event - origin]):
            take_out(whole, real, symbols, origin, barrier, event)
    decide(whole, symbols, origin, event, reason)


@njit(nogil=True, cache=True)
def reach(
    whole: Whole, real: Real, symbols: Whole, settings: Settings, origin: int, event: int, row: int
) -> None:
    """Decide an event, of which a barrier at least is reached by a row."""
    i, r = event - origin, row - origin
    upper, lower, opened = real[at.UPPER, i], real[at.LOWER, i], real[at.OPEN, r]
    up, down = upper <= real[at.HIGH, r], lower >= real[at.LOW, r]
    barrier = at.BY_UPPER if up else at.BY_LOWER
    if up and down and not opened >= upper:
        if opened <= lower:
            barrier = at.BY_LOWER
        elif settings[at.STOPS] == 0:
            drop(whole, real, symbols, origin, event, at.BOTH)
            return
        else:
            barrier = at.BY_LOWER if real[at.SIDE, i] > 0.0 else at.BY_UPPER
    if barrier == at.BY_UPPER:
        real[at.EXIT, i] = max(opened, upper)
    else:
        real[at.EXIT, i] = min(opened, lower)
    label(whole, origin, event, 0, barrier, whole[at.TIME_NS, r], known_since(whole, symbols, origin, event))
    leave(whole, real, symbols, settings, origin, event, barrier)


@njit(nogil=True, cache=True)
def touch(whole: Whole, real: Real, symbols: Whole, settings: Settings, origin: int, row: int) -> None:
    """Decide the events whose barriers a row reaches."""
    r = row - origin
    g = whole[at.GROUP, r]
    if math.isnan(real[at.PRICE, r]):
        return
    event = symbols[at.ROOTS, g]
    while event >= 0 and real[at.UPPER, event - origin] <= real[at.HIGH, r]:
        reach(whole, real, symbols, settings, origin, event, row)
        event = symbols[at.ROOTS, g]
    event = symbols[at.ROOTS + 1, g]
    while event >= 0 and real[at.LOWER, event - origin] >= real[at.LOW, r]:
        reach(whole, real, symbols, settings, origin, event, row)
        event = symbols[at.ROOTS + 1, g]


@njit(nogil=True, cache=True)
def close_barriers(
    whole: Whole,
    real: Real,
    symbols: Whole,
    settings: Settings,
    origin: int,
    event: int,
    barrier: int,
    end_ns: int,
) -> None:
    """Decide an event at its vertical barrier, by the last price of its symbol."""
    i = event - origin
    real[at.EXIT, i] = real[at.PRICE, symbols[at.PRICED, whole[at.GROUP, i]] - origin]
    label(whole, origin, event, 0, barrier, end_ns, known_since(whole, symbols, origin, event))
    leave(whole, real, symbols, settings, origin, event, barrier)
