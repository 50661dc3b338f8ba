"""L2 and L3: the return over a fixed horizon, and its sign beyond a band of noise."""

import math

from numba import njit

from operators.labels import places as at
from operators.labels.event_kernel import decide, label
from operators.labels.places import Real, Settings, Whole


@njit(nogil=True, cache=True)
def simple_or_log(price: float, base: float, log: int) -> float:
    """The return from `base` to `price`; NaN where it has none."""
    if base == 0.0:
        return math.nan
    ratio = price / base
    if log == 0:
        return ratio - 1.0
    return math.log(ratio) if ratio > 0.0 else math.nan


@njit(nogil=True, cache=True)
def close_horizon(
    whole: Whole,
    real: Real,
    symbols: Whole,
    settings: Settings,
    origin: int,
    event: int,
    barrier: int,
    end_ns: int,
) -> None:
    """Decide an event by the last price of its symbol, its own where none came since."""
    i = event - origin
    last = symbols[at.PRICED, whole[at.GROUP, i]] - origin
    value = simple_or_log(real[at.PRICE, last], real[at.PRICE, i], settings[at.LOG])
    if not abs(value) < math.inf:
        decide(whole, symbols, origin, event, at.UNDEFINED)
        return
    real[at.RETURN, i] = value
    band = real[at.SCALE, i] if settings[at.BANDED] != 0 else 0.0
    sign = int(value > band) - int(value < -band)
    label(whole, origin, event, sign, barrier, end_ns, max(whole[at.KNOWN, i], whole[at.KNOWN, last]))
    decide(whole, symbols, origin, event, at.OK)
