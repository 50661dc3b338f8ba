"""L1 to L3 where time or rows decide: the return up to the last price within the horizon."""

import math

from numba import njit

from operators.labels import places as at
from operators.labels.event_kernel import decide, known_since, simple_or_log
from operators.labels.places import Real, Reasons, Settings, Whole


@njit(nogil=True, cache=True, forceinline=True)
def leave(
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
    barrier: int,
    price: float,
    end_ns: int,
    known_ns: int,
) -> None:
    """Decide an event at a price; what is decided by time is not known before that time."""
    value = simple_or_log(price, real[at.PRICE, slot], settings[at.LOG])
    place = slots[slot, at.ORDINAL] & settings[at.MASK]
    facts[place, at.BARRIER] = barrier
    facts[place, at.LABEL_END] = facts[place, at.INFO_END] = end_ns
    facts[place, at.LABEL_KNOWN] = max(known_ns, end_ns) if barrier == at.BY_TIME else known_ns
    result[place, at.RETURN], result[place, at.EXIT] = value, price
    result[place, at.AGAINST] = held[slot, at.BESIDE]
    reason = at.OK if abs(value) < math.inf else at.UNDEFINED
    decide(reasons, symbols, slots, real, settings, g, slot, reason)


@njit(nogil=True, cache=True, forceinline=True)
def close_horizon(
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
    barrier: int,
    end_ns: int,
) -> None:
    """Decide an event by the last price of its symbol, its own where none came since.

    A barrier that was not reached hangs on all rows of its path, a return only on those of its two prices.
    """
    last = symbols[g, at.PRICED]
    if settings[at.KIND] == at.BARRIERS:
        known_ns = known_since(symbols, slots, g, slot)
    else:
        known_ns = max(slots[slot, at.KNOWN], slots[last, at.KNOWN])
    price = real[at.PRICE, last]
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
        end_ns,
        known_ns,
    )
