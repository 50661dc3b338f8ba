"""L5: trend scanning forward, the span of coming rows in which a straight line fits best."""

import math

from numba import njit

from operators.labels import places as at
from operators.labels.event_kernel import decide, simple_or_log
from operators.labels.places import Real, Reasons, Settings, Whole


@njit(nogil=True, cache=True, error_model="numpy")
def trend_of(real: Real, slot: int, rows: int, mean: float) -> float:
    """The t-value of the slope of a line through so many prices from a slot on, whose mean this is.

    NaN where there is none.  Sums have four lanes, value i in lane i mod 4, as those of the handbook (0.6).
    """
    e0 = e1 = e2 = e3 = q0 = q1 = q2 = q3 = c0 = c1 = c2 = c3 = 0.0
    middle = (rows - 1) / 2.0
    whole = rows - rows % 4
    for k in range(0, whole, 4):
        y0, y1 = real[at.PRICE, slot + k] - mean, real[at.PRICE, slot + k + 1] - mean
        y2, y3 = real[at.PRICE, slot + k + 2] - mean, real[at.PRICE, slot + k + 3] - mean
        e0, e1, e2, e3 = e0 + y0, e1 + y1, e2 + y2, e3 + y3
        q0, q1, q2, q3 = q0 + y0 * y0, q1 + y1 * y1, q2 + y2 * y2, q3 + y3 * y3
        c0, c1 = c0 + (k - middle) * y0, c1 + (k + 1 - middle) * y1
        c2, c3 = c2 + (k + 2 - middle) * y2, c3 + (k + 3 - middle) * y3
    if rows > whole:
        y0 = real[at.PRICE, slot + whole] - mean
        e0, q0, c0 = e0 + y0, q0 + y0 * y0, c0 + (whole - middle) * y0
    if rows > whole + 1:
        y1 = real[at.PRICE, slot + whole + 1] - mean
        e1, q1, c1 = e1 + y1, q1 + y1 * y1, c1 + (whole + 1 - middle) * y1
    if rows > whole + 2:
        y2 = real[at.PRICE, slot + whole + 2] - mean
        e2, q2, c2 = e2 + y2, q2 + y2 * y2, c2 + (whole + 2 - middle) * y2
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
def best_trend(real: Real, slot: int, shortest: int, longest: int, step: int) -> tuple[float, int]:
    """The t-value of the steepest trend over spans of rows from a slot on, and its span; 0 for none.

    A span with a row without a price has no trend, nor has a longer one.
    """
    best, best_rows = math.nan, 0
    base = real[at.PRICE, slot]
    l0 = l1 = l2 = l3 = 0.0  # of the span so far, as they go round with its rows
    wanted = shortest
    for number in range(longest):
        value = real[at.PRICE, slot + number] - base
        if math.isnan(value):
            break
        l0, l1, l2, l3 = l1, l2, l3, l0 + value
        rows = number + 1
        if rows != wanted:
            continue
        wanted += step
        turned = rows % 4  # lanes that the last row has not come to stand before it
        if turned == 0:
            total = (l0 + l1) + (l2 + l3)
        elif turned == 1:
            total = (l3 + l0) + (l1 + l2)
        elif turned == 2:
            total = (l2 + l3) + (l0 + l1)
        else:
            total = (l1 + l2) + (l3 + l0)
        t = trend_of(real, slot, rows, base + total / rows)
        if not math.isnan(t) and (best_rows == 0 or abs(t) > abs(best)):
            best, best_rows = t, rows
    return best, best_rows


@njit(nogil=True, cache=True)
def close_trend(
    reasons: Reasons,
    facts: Whole,
    result: Real,
    symbols: Whole,
    slots: Whole,
    real: Real,
    settings: Settings,
    g: int,
    slot: int,
) -> None:
    """Decide an event by the rows from it on, with the newest of which its longest span ends."""
    longest = settings[at.ROWS] + 1
    best, best_rows = best_trend(real, slot, settings[at.SHORTEST], longest, settings[at.STEP])
    known_ns = slots[slot, at.KNOWN]
    for k in range(slot + 1, slot + longest):
        known_ns = max(known_ns, slots[k, at.KNOWN])
    last = slot + max(best_rows, 1) - 1
    value = simple_or_log(real[at.PRICE, last], real[at.PRICE, slot], settings[at.LOG])
    reason = at.UNDEFINED
    if best_rows > 0 and abs(best) < math.inf and abs(value) < math.inf:
        reason = at.OK
    place = slots[slot, at.ORDINAL] & settings[at.MASK]
    result[place, at.RETURN], result[place, at.EXIT] = value, best
    facts[place, at.BARRIER], facts[place, at.LABEL_KNOWN] = at.BY_ROWS, known_ns
    facts[place, at.LABEL_END] = slots[last, at.EVENT_NS]
    facts[place, at.INFO_END] = slots[slot + longest - 1, at.EVENT_NS]
    decide(reasons, symbols, slots, real, settings, g, slot, reason)
