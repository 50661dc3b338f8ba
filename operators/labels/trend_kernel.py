"""L5: trend scanning forward, the span of coming rows in which a straight line fits best."""

import math

from numba import njit

from operators.labels import places as at
from operators.labels.event_kernel import decide, label
from operators.labels.horizon_kernel import simple_or_log
from operators.labels.places import Levels, Real, Settings, Whole


@njit(nogil=True, cache=True, error_model="numpy")
def trend_of(whole: Whole, real: Real, origin: int, event: int, rows: int) -> float:
    """The t-value of the slope of a line through so many rows from an event on; NaN where there is none.

    Sums have four lanes, value i in lane i mod 4, and prices are taken less the first one and their mean, as
    the kernels of the handbook (0.6) do.
    """
    base = real[at.PRICE, event - origin]
    l0 = l1 = l2 = l3 = 0.0
    row = event
    for _ in range(rows):
        value = real[at.PRICE, row - origin] - base
        if math.isnan(value):
            return math.nan
        l0, l1, l2, l3 = l1, l2, l3, l0 + value
        row = whole[at.FOLLOWING, row - origin]
    for _ in range((4 - rows % 4) % 4):  # lanes have gone round with the rows
        l0, l1, l2, l3 = l1, l2, l3, l0
    mean = base + ((l0 + l1) + (l2 + l3)) / rows
    e0 = e1 = e2 = e3 = q0 = q1 = q2 = q3 = c0 = c1 = c2 = c3 = 0.0
    row = event
    for number in range(rows):
        dy = real[at.PRICE, row - origin] - mean
        dx = number - (rows - 1) / 2.0
        e0, e1, e2, e3 = e1, e2, e3, e0 + dy
        q0, q1, q2, q3 = q1, q2, q3, q0 + dy * dy
        c0, c1, c2, c3 = c1, c2, c3, c0 + dx * dy
        row = whole[at.FOLLOWING, row - origin]
    for _ in range((4 - rows % 4) % 4):
        e0, e1, e2, e3 = e1, e2, e3, e0
        q0, q1, q2, q3 = q1, q2, q3, q0
        c0, c1, c2, c3 = c1, c2, c3, c0
    e = (e0 + e1) + (e2 + e3)
    syy = max(0.0, ((q0 + q1) + (q2 + q3)) - (e * e) / rows)
    sxy = (c0 + c1) + (c2 + c3)
    sxx = rows * (rows * rows - 1) / 12.0
    slope = sxy / sxx
    sse = max(0.0, syy - slope * sxy)
    if sse == 0.0:
        return math.nan
    return slope / math.sqrt((sse / (rows - 2)) / sxx)


@njit(nogil=True, cache=True)
def close_trend(
    whole: Whole,
    real: Real,
    symbols: Whole,
    settings: Settings,
    levels: Levels,
    origin: int,
    event: int,
    newest: int,
) -> None:
    """Decide an event by the rows from it on to `newest`, with which its longest span ends."""
    i = event - origin
    longest = settings[at.ROWS] + 1
    best, best_rows = math.nan, 0
    rows = settings[at.SHORTEST]
    while rows <= longest:
        t = trend_of(whole, real, origin, event, rows)
        if not math.isnan(t) and (best_rows == 0 or abs(t) > abs(best)):
            best, best_rows = t, rows
        rows += settings[at.STEP]
    known_ns, row, last = whole[at.KNOWN, i], event, event
    for number in range(longest):
        known_ns = max(known_ns, whole[at.KNOWN, row - origin])
        if number < best_rows:
            last = row
        row = whole[at.FOLLOWING, row - origin]
    value = simple_or_log(real[at.PRICE, last - origin], real[at.PRICE, i], settings[at.LOG])
    if best_rows == 0 or not abs(best) < math.inf or not abs(value) < math.inf:
        decide(whole, symbols, origin, event, at.UNDEFINED)
        return
    real[at.RETURN, i], real[at.EXIT, i] = value, best
    sign = 0 if abs(best) < levels[at.T_MIN] else int(best > 0.0) - int(best < 0.0)
    label(whole, origin, event, sign, at.BY_ROWS, whole[at.TIME_NS, last - origin], known_ns)
    whole[at.INFO_END, i] = whole[at.TIME_NS, newest - origin]
    decide(whole, symbols, origin, event, at.OK)
