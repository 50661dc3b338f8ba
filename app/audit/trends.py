"""Trend scanning backward, for the audit: a line through each span of the last rows (L6)."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from app.audit.past import Past
from app.audit.reach import Need
from app.audit.windows import FLOAT, Slice, stretches_of

SPANS = (5, 20, 1)  # from, to and by how many rows, where a call does not say


def of_spans(settings: Mapping[str, Any]) -> Need:
    """Which rows a value hangs on: those of the longest span."""
    return Need(rows=settings.get("max", SPANS[1]) - 1)


def trend_scan(past: Past, x: pl.Series, output: str = "t_value", **settings: Any) -> pl.Series:
    """L6: of the span with the largest t-value what `output` says."""
    stretches = stretches_of(past, settings)
    values = stretches.of(x.cast(pl.Float64)).fill_null(math.nan).to_numpy()
    shortest, longest, step = (
        settings.get(name, default) for name, default in zip(("min", "max", "step"), SPANS, strict=True)
    )
    begun = stretches.here + 1 - longest >= stretches.begin
    made: list[float | None] = []
    for end, whole in zip((stretches.here + 1).tolist(), begun.tolist(), strict=True):
        spans = [values[end - span : end] for span in range(shortest, longest + 1, step)] if whole else []
        known = [(t, span) for span in spans if not math.isnan(t := _t_value(span))]
        best = max(known, key=lambda one: abs(one[0]), default=None)  # the first of equal ones
        made.append(None if best is None else _given(best[0], best[1], output, settings.get("t_min", 0.0)))
    return stretches.put(made, pl.Int8() if output == "sign" else FLOAT)


def _given(t: float, span: Slice, output: str, t_min: float) -> float | None:
    if not math.isfinite(t):
        return None
    if output == "sign":
        return 0 if abs(t) < t_min else np.sign(t)
    if output == "rows":
        return float(span.size)
    with np.errstate(all="ignore"):
        value = float(span[-1] / span[0] - 1.0) if output == "ret" else t
    return value if math.isfinite(value) else None


def _t_value(y: Slice) -> float:
    """The slope of y on the number of its row by its standard error; NaN where the rows lie on a line."""
    n = y.size
    if np.isnan(y).any():
        return math.nan
    with np.errstate(all="ignore"):
        x = np.arange(n) - (n - 1) / 2
        y = y - (y[0] + (y - y[0]).sum() / n)
        sxx = n * (n * n - 1) / 12
        slope = (x * y).sum() / sxx
        sse = (y * y).sum() - y.sum() ** 2 / n - slope * (x * y).sum()
        return float(slope / np.sqrt(sse / (n - 2) / sxx)) if sse > 0 else math.nan
