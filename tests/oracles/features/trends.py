"""Trend scanning backward, L6: of each row every span by its definition, and the one with the largest t."""

import math
from collections.abc import Sequence

import numpy as np

from tests.oracles.features.exact import distances, sum4
from tests.oracles.features.rows import Column, Settings, Stretch, Value, finite, over_rows, setting


def t_value(values: Sequence[float]) -> float | None:
    """The t-value of a line through values on 0, 1, 2 and so on; None where they lie on it."""
    n = len(values)
    y = distances(values)
    middle = (n - 1) / 2
    sxx = n * (n * n - 1) / 12
    sxy = sum4([(k - middle) * one for k, one in enumerate(y)])
    syy = max(0.0, sum4([one * one for one in y]) - (sum4(y) * sum4(y)) / n)
    slope = sxy / sxx
    sse = max(0.0, syy - slope * sxy)
    if not sse > 0:
        return None
    with np.errstate(all="ignore"):
        t = float(np.float64(slope) / np.sqrt(np.float64(sse / (n - 2)) / sxx))
    return None if math.isnan(t) else t


@over_rows(reset="none")
def trend_scan(stretch: Stretch, settings: Settings) -> Column:
    """L6; `output` chooses what of the best span is given."""
    shortest, longest = setting(settings, "min", 5), setting(settings, "max", 20)
    spans = range(shortest, longest + 1, setting(settings, "step", 1))
    output = setting(settings, "output", "t_value")
    (values,) = stretch.operands
    column: Column = []
    for n in range(len(values)):
        best: tuple[float, list[float]] | None = None
        for span in spans if n + 1 >= longest else ():
            known = [float(one) for one in values[n + 1 - span : n + 1] if one is not None]
            t = t_value(known) if len(known) == span else None
            if t is not None and (best is None or abs(t) > abs(best[0])):
                best = t, known
        column.append(None if best is None else given(best[0], best[1], output, settings))
    return column


def given(t: float, values: Sequence[float], output: str, settings: Settings) -> Value:
    """One output of the best span."""
    if not math.isfinite(t):
        return None
    if output == "t_value":
        return t
    if output == "rows":
        return float(len(values))
    if output == "ret":
        with np.errstate(all="ignore"):
            return finite(float(np.float64(values[-1]) / np.float64(values[0]) - 1.0))
    return 0 if abs(t) < setting(settings, "t_min", 0.0) else (t > 0) - (t < 0)
