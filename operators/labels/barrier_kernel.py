"""L1: the triple barrier.

The nearest barriers of a symbol, and of each block of its slots, are kept: a row looks at no event unless it
reaches one.
"""

import math
from typing import Final

import numpy as np
from numba import njit

from operators.labels import places as at
from operators.labels.event_kernel import decide, known_since
from operators.labels.horizon_kernel import leave
from operators.labels.places import Levels, Real, Reasons, Settings, Whole
from operators.labels.slot_kernel import come_nearer

GRID_ERROR: Final = 1e-6  # ticks that a level may lie beside a whole number of them (N7)


@njit(nogil=True, cache=True, forceinline=True)
def open_barriers(
    symbols: Whole,
    real: Real,
    reach: Real,
    blocks: Real,
    settings: Settings,
    levels: Levels,
    g: int,
    slot: int,
    sigma: float,
    side: float,
) -> int:
    """Set the barriers of an event, which has a price; returns the reason where it can have none."""
    price = real[at.PRICE, slot]
    if not (side == 1.0 or side == -1.0):
        return at.NULL_IN
    if not sigma > levels[at.SIGMA_MIN]:
        return at.SIGMA_LOW
    if price <= 0.0:
        return at.UNDEFINED
    upper, lower = math.inf, -math.inf
    if levels[at.UP] > 0.0:
        width = levels[at.UP] * sigma
        upper = price * (1.0 + width) if settings[at.LOG] == 0 else price * math.exp(width)
        upper = np.ceil(upper - GRID_ERROR) if settings[at.TICKS] != 0 else upper
    if levels[at.DOWN] > 0.0:
        width = levels[at.DOWN] * sigma
        lower = price * (1.0 - width) if settings[at.LOG] == 0 else price * math.exp(-width)
        lower = np.floor(lower + GRID_ERROR) if settings[at.TICKS] != 0 else lower
    real[at.UPPER, slot], real[at.LOWER, slot] = upper, lower
    come_nearer(symbols, reach, blocks, g, slot, upper, lower)
    return at.OK


@njit(nogil=True, cache=True)
def touch(
    reasons: Reasons,
    facts: Whole,
    result: Real,
    symbols: Whole,
    slots: Whole,
    held: Real,
    real: Real,
    reach: Real,
    blocks: Real,
    settings: Settings,
    g: int,
    time_ns: int,
    opened: float,
    high: float,
    low: float,
) -> None:
    """Decide the events of a symbol whose barriers a row reaches."""
    nearest_upper, nearest_lower = math.inf, -math.inf
    slot, end = symbols[g, at.HEAD], symbols[g, at.END]
    blocked = symbols[g, at.SIZE] > at.BLOCK
    while slot < end:
        behind, block = end, slot // at.BLOCK
        if blocked:
            behind = min(end, (block + 1) * at.BLOCK)
        if not blocked or blocks[block, 0] <= high or blocks[block, 1] >= low:
            upper, lower = math.inf, -math.inf
            for k in range(slot, behind):
                if real[at.UPPER, k] <= high or real[at.LOWER, k] >= low:
                    _decide(
                        reasons,
                        facts,
                        result,
                        symbols,
                        slots,
                        held,
                        real,
                        settings,
                        g,
                        k,
                        time_ns,
                        opened,
                        high,
                        low,
                    )
                upper, lower = min(upper, real[at.UPPER, k]), max(lower, real[at.LOWER, k])
            if blocked:
                blocks[block, 0], blocks[block, 1] = upper, lower
        else:
            upper, lower = blocks[block, 0], blocks[block, 1]
        nearest_upper, nearest_lower = min(nearest_upper, upper), max(nearest_lower, lower)
        slot = behind
    reach[g, 0], reach[g, 1] = nearest_upper, nearest_lower


@njit(nogil=True, cache=True)
def _decide(
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
    time_ns: int,
    opened: float,
    high: float,
    low: float,
) -> None:
    """Decide an event, of which a barrier at least is reached by a row."""
    upper, lower = real[at.UPPER, slot], real[at.LOWER, slot]
    up, down = upper <= high, lower >= low
    barrier = at.BY_UPPER if up else at.BY_LOWER
    if up and down and not opened >= upper:
        if opened <= lower:
            barrier = at.BY_LOWER
        elif settings[at.STOPS] == 0:
            decide(reasons, symbols, slots, real, settings, g, slot, at.BOTH)
            return
        else:
            barrier = at.BY_LOWER if held[slot, at.BESIDE] > 0.0 else at.BY_UPPER
    price = max(opened, upper) if barrier == at.BY_UPPER else min(opened, lower)
    known_ns = known_since(symbols, slots, g, slot)
    leave(
        reasons,
        facts,
        result,
        symbols,
        slots,
        held,
        real,
        settings,
        g,
        slot,
        barrier,
        price,
        time_ns,
        known_ns,
    )
