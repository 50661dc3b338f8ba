"""What all labels share: rows enter the slots of their symbol, and events leave them as they are decided.

Of each symbol the rows from its oldest undecided event on are there, `HEAD` first.  Those of them that may be
the one known last, from some row on to the newest, are in `LATEST`: their `known_ns` falls.
"""

import math

from numba import njit

from operators.labels import places as at
from operators.labels.places import Real, Reasons, Settings, Whole


@njit(nogil=True, cache=True, forceinline=True)
def enter(symbols: Whole, slots: Whole, held: Real, real: Real, line: Whole, floats: Real, p: int) -> int:
    """Put a row behind those of its symbol, as an event without a decision; returns its slot."""
    g, known_ns, price = (
        line[p, at.GROUP],
        line[p, at.OWN_FLAGS + at.KNOWN_NS],
        floats[p, at.OWN_INPUTS + at.PRICE],
    )
    slot = symbols[g, at.END]
    symbols[g, at.END] = slot + 1
    symbols[g, at.PENDING] += 1
    slots[slot, at.EVENT_NS], slots[slot, at.KNOWN] = line[p, at.TIME_NS], known_ns
    slots[slot, at.ORDINAL] = line[p, at.OWN_ORDINAL]
    slots[slot, at.STAYS] = line[p, at.OWN_FLAGS + at.INSIDE]
    held[slot, at.BESIDE] = floats[p, at.OWN_INPUTS + at.HELD_AGAINST]
    real[at.PRICE, slot] = price
    real[at.UPPER, slot], real[at.LOWER, slot] = math.inf, -math.inf
    if price == price:
        symbols[g, at.PRICED] = slot
    begin = symbols[g, at.BEGIN]
    last = begin + symbols[g, at.DEPTH]
    while last > begin and slots[slots[last - 1, at.LATEST], at.KNOWN] <= known_ns:
        last -= 1
    slots[last, at.LATEST] = slot
    symbols[g, at.DEPTH] = last + 1 - begin
    return int(slot)


@njit(nogil=True, cache=True, forceinline=True)
def decide(
    reasons: Reasons,
    symbols: Whole,
    slots: Whole,
    real: Real,
    settings: Settings,
    g: int,
    slot: int,
    reason: int,
) -> None:
    """An event is decided: with a reason it has no label."""
    reasons[slots[slot, at.ORDINAL] & settings[at.MASK]] = reason
    slots[slot, at.ORDINAL] = -1
    real[at.UPPER, slot], real[at.LOWER, slot] = math.inf, -math.inf
    symbols[g, at.PENDING] -= 1
    if symbols[g, at.HEAD] == slot:
        head, end = slot + 1, symbols[g, at.END]
        while head < end and slots[head, at.ORDINAL] < 0:
            head += 1
        symbols[g, at.HEAD] = head


@njit(nogil=True, cache=True, forceinline=True)
def known_since(symbols: Whole, slots: Whole, g: int, slot: int) -> int:
    """The latest `known_ns` of the rows of a symbol from one of them on."""
    lower = symbols[g, at.BEGIN]
    upper = lower + symbols[g, at.DEPTH] - 1
    while lower < upper:
        middle = (lower + upper) >> 1
        if slots[middle, at.LATEST] < slot:
            lower = middle + 1
        else:
            upper = middle
    return int(slots[slots[lower, at.LATEST], at.KNOWN])


@njit(nogil=True, cache=True, forceinline=True, error_model="numpy")
def simple_or_log(price: float, base: float, log: int) -> float:
    """The return from `base` to `price`; NaN where it has none."""
    if base == 0.0:
        return math.nan
    ratio = price / base
    if log == 0:
        return ratio - 1.0
    return math.log(ratio) if ratio > 0.0 else math.nan


@njit(nogil=True, cache=True)
def gather(
    rows: Whole, facts: Whole, result: Real, first: int, keys: Whole, whole: Whole, real: Real
) -> None:
    """Write the keys of rows from an ordinal on, and what came of them, into columns: a field each."""
    mask = facts.shape[0] - 1
    for i in range(whole.shape[1]):
        place = (first + i) & mask
        for field in range(at.ROW_FIELDS):
            keys[field, i] = rows[field, place]
        for field in range(at.RETURN):
            whole[field, i] = facts[place, field]
        for field in range(at.OUTCOME_FIELDS - at.RETURN):
            real[field, i] = result[place, at.RETURN + field]


@njit(nogil=True, cache=True)
def count_decided(reasons: Reasons, first: int, end: int) -> int:
    """How many events from an ordinal on are decided, up to the first that is not."""
    mask = reasons.size - 1
    row = first
    while row < end and reasons[row & mask] != at.WAITS:
        row += 1
    return row - first
