"""The shape of a window's values, R39 and R40, made anew from its rows for each row (`sum4` of 0.6).

Value i of the window goes to lane i mod 4, and each lane is added up in order.  The word of a state is the
ordinal at which the window begins.
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
def window_shape(
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
    """(x, window, bias) -> the skew; part: the excess kurtosis.  `bias` drops the corrections."""
    out, kurtosis = line[at.OUT], line[at.PARTS_AT]
    window_rows, ns = ints[line[at.OPERANDS + 1], 0], ints[line[at.OPERANDS + 2], 0]
    reset, most = ints[line[at.OPERANDS + 3], 0], ints[line[at.OPERANDS + 4], 0]
    bias = ints[line[at.OPERANDS + 5], 0]
    c, base, stride = line[at.KEPT], line[at.BASE], line[at.STRIDE]
    kept_floats = kept.view(np.float64)
    values = np.empty(max(window_rows, most if ns != 0 else 1))
    lanes = np.empty((3, 4))
    for i in range(rows):
        g = places[at.GROUP, i]
        null = NULL_IN if g < 0 else WARMING
        of_skew, of_kurt, skew, kurt = null, null, 0.0, 0.0
        if g >= 0 and (reset == 0 or places[at.SESSION, i] >= 0):
            n, o = places[at.ORDINAL, i], base + g * stride
            start, mask = places[at.RING, i], places[at.ROOM, i]
            begin = words[o + BEGINS]
            if reset != 0:
                begin = max(begin, places[at.FIRST, i])
            if n >= begin:
                begin = begins(i, begin, window_rows, ns, most, places, start, mask, kept_time)
            words[o + BEGINS] = begin
            count = 0
            for row in range(begin, n + 1):
                slot = start + (row & mask)
                if kept[c, slot] != NO_FLOAT:
                    values[count] = kept_floats[c, slot]
                    count += 1
            if count >= 3:
                skew, kurt, of_skew, of_kurt = _shape(values, count, bias != 0, lanes)
        floats[out, i] = skew
        status[out, i] = of_skew
        if kurtosis >= 0:
            floats[kurtosis, i] = kurt
            status[kurtosis, i] = of_kurt


@njit(nogil=True, cache=True, error_model="numpy")
def _shape(values: Float64s, n: int, bias: bool, lanes: Grid) -> tuple[float, float, np.uint8, np.uint8]:
    """Skew and kurtosis of at least 3 values, and their statuses."""
    first = values[0]
    lane0, lane1, lane2, lane3 = 0.0, 0.0, 0.0, 0.0
    whole = n - n % 4
    for i in range(0, whole, 4):
        lane0 += values[i] - first
        lane1 += values[i + 1] - first
        lane2 += values[i + 2] - first
        lane3 += values[i + 3] - first
    if n > whole:
        lane0 += values[whole] - first
    if n > whole + 1:
        lane1 += values[whole + 1] - first
    if n > whole + 2:
        lane2 += values[whole + 2] - first
    mean = first + ((lane0 + lane1) + (lane2 + lane3)) / n
    lanes[:] = 0.0
    for i in range(n):
        d = values[i] - mean
        square = d * d
        lanes[0, i & 3] += square
        lanes[1, i & 3] += square * d
        lanes[2, i & 3] += square * square
    m2 = ((lanes[0, 0] + lanes[0, 1]) + (lanes[0, 2] + lanes[0, 3])) / n
    m3 = ((lanes[1, 0] + lanes[1, 1]) + (lanes[1, 2] + lanes[1, 3])) / n
    m4 = ((lanes[2, 0] + lanes[2, 1]) + (lanes[2, 2] + lanes[2, 3])) / n
    skew, kurt, of_skew, of_kurt = 0.0, 0.0, DOMAIN, DOMAIN
    cube, fourth = m2 * math.sqrt(m2), m2 * m2
    if cube != 0.0:
        skew = m3 / cube if bias else math.sqrt(float(n * (n - 1))) / (n - 2) * m3 / cube
        of_skew = OK if abs(skew) <= FLOAT_MAX else DOMAIN
    if n < 4:
        return skew, kurt, of_skew, WARMING
    if fourth != 0.0:
        kurt = m4 / fourth - 3.0
        if not bias:
            kurt = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * m4 / fourth - 3 * (n - 1))
        of_kurt = OK if abs(kurt) <= FLOAT_MAX else DOMAIN
    return skew, kurt, of_skew, of_kurt
