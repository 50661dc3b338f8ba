"""The steepest line through the last rows: trend scanning backward, L6.

Sums are those of 0.6: value i of a span goes to lane i mod 4, and each lane is added up in order.  The word
of a state is the ordinal at which its window begins.
"""

import math

import numpy as np
from numba import njit

from operators.nodes import places as at
from operators.nodes.exact_kernel import FLOAT_MAX, Float64s
from operators.nodes.history_kernel import NO_FLOAT
from operators.nodes.row_kernel import DOMAIN, NULL_IN, OK, WARMING, Grid
from operators.nodes.sum_kernel import BEGINS, begins
from schemas.batch import Int64s


@njit(nogil=True, cache=True)
def window_trend(
    line: Int64s,
    floats: Grid,
    ints: Grid,
    status: Grid,
    places: Grid,
    kept: Grid,
    kept_time: Int64s,
    words: Int64s,
    rows: int,
) -> None:
    """(x, window, shortest, step) -> the t-value of the best span, whose longest one is the window's rows.

    Parts: `span`, its rows, and `span_return`, from its first value to its last.
    """
    out, span_at, return_at = line[at.OUT], line[at.PARTS_AT], line[at.PARTS_AT + 1]
    longest, ns = ints[line[at.OPERANDS + 1], 0], ints[line[at.OPERANDS + 2], 0]
    reset, most = ints[line[at.OPERANDS + 3], 0], ints[line[at.OPERANDS + 4], 0]
    shortest, step = ints[line[at.OPERANDS + 5], 0], ints[line[at.OPERANDS + 6], 0]
    c, base, stride = line[at.KEPT], line[at.BASE], line[at.STRIDE]
    kept_floats = kept.view(np.float64)
    values = np.empty(longest)
    for i in range(rows):
        g = places[at.GROUP, i]
        null = NULL_IN if g < 0 else WARMING
        best, span = 0.0, 0
        if g >= 0 and (reset == 0 or places[at.SESSION, i] >= 0):
            n, o = places[at.ORDINAL, i], base + g * stride
            start, mask = places[at.RING, i], places[at.ROOM, i]
            begin = words[o + BEGINS]
            if reset != 0:
                begin = max(begin, places[at.FIRST, i])
            if n >= begin:
                begin = begins(i, begin, longest, ns, most, places, start, mask, kept_time)
            words[o + BEGINS] = begin
            if n + 1 - begin >= longest:
                count = 0  # rows up to this one, none of which is null
                while count < longest:
                    slot = start + ((n - count) & mask)
                    if kept[c, slot] == NO_FLOAT:
                        break
                    count += 1
                    values[longest - count] = kept_floats[c, slot]
                best, span = _best(values, count, shortest, step)
                null = NULL_IN if count < shortest else DOMAIN
        there = span > 0 and abs(best) <= FLOAT_MAX
        floats[out, i] = best if there else 0.0
        status[out, i] = OK if there else null
        if span_at >= 0:
            floats[span_at, i] = float(span) if there else 0.0
            status[span_at, i] = status[out, i]
        if return_at >= 0:
            change = _change(values[longest - span], values[longest - 1]) if there else math.nan
            known = abs(change) <= FLOAT_MAX
            floats[return_at, i] = change if known else 0.0
            status[return_at, i] = OK if known else (DOMAIN if there else null)


@njit(nogil=True, cache=True)
def _best(values: Float64s, count: int, shortest: int, step: int) -> tuple[float, int]:
    """Of spans of the last values the t-value that is farthest from 0, and how long its span is; or 0."""
    best, best_span = 0.0, 0
    for span in range(shortest, count + 1, step):
        t = _t_value(values[values.size - span :])
        if not math.isnan(t) and (best_span == 0 or abs(t) > abs(best)):
            best, best_span = t, span
    return best, best_span


@njit(nogil=True, cache=True, error_model="numpy")
def _t_value(values: Float64s) -> float:
    """The t-value of the slope of a line through some values, NaN where they lie on it."""
    n = values.size
    l0, l1, l2, l3 = 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        l0, l1, l2, l3 = l1, l2, l3, l0 + (values[i] - values[0])
    mean = values[0] + _turned(l0, l1, l2, l3, n) / n
    e0, e1, e2, e3 = 0.0, 0.0, 0.0, 0.0
    q0, q1, q2, q3 = 0.0, 0.0, 0.0, 0.0
    c0, c1, c2, c3 = 0.0, 0.0, 0.0, 0.0
    middle = (n - 1) / 2.0
    for i in range(n):
        y = values[i] - mean
        e0, e1, e2, e3 = e1, e2, e3, e0 + y
        q0, q1, q2, q3 = q1, q2, q3, q0 + y * y
        c0, c1, c2, c3 = c1, c2, c3, c0 + (i - middle) * y
    e = _turned(e0, e1, e2, e3, n)
    syy = max(0.0, _turned(q0, q1, q2, q3, n) - (e * e) / n)
    sxx = n * (n * n - 1) / 12.0
    slope = _turned(c0, c1, c2, c3, n) / sxx
    sse = max(0.0, syy - slope * _turned(c0, c1, c2, c3, n))
    if not sse > 0.0:
        return math.nan
    return slope / math.sqrt((sse / (n - 2)) / sxx)


@njit(nogil=True, cache=True)
def _turned(l0: float, l1: float, l2: float, l3: float, n: int) -> float:
    """The sum of four lanes that went round once with each of n values: the oldest lane stands first."""
    turned = n % 4
    if turned == 0:
        return (l0 + l1) + (l2 + l3)
    if turned == 1:
        return (l3 + l0) + (l1 + l2)
    if turned == 2:
        return (l2 + l3) + (l0 + l1)
    return (l1 + l2) + (l3 + l0)


@njit(nogil=True, cache=True, error_model="numpy")
def _change(first: float, last: float) -> float:
    return last / first - 1.0
