"""Values of earlier rows, for the audit: R11, R13 to R15, and R22 by time."""

import math
from typing import Any

import numpy as np
import polars as pl

from app.audit.formula_values import arithmetic, without
from app.audit.past import NONE, ROWS_MAX, Past
from app.audit.windows import stretches_of


def lag(past: Past, x: pl.Series, **settings: Any) -> pl.Series:
    """R11, or by time R22."""
    stretches = stretches_of(past, settings)
    if "ns" in settings:
        source = stretches.among(stretches.time_ns - settings["ns"], upper=True) - 1
        near = stretches.here - source <= settings.get("max_rows", ROWS_MAX)
    else:
        source = stretches.here - settings.get("rows", 1)
        near = np.ones(source.size, np.bool_)
    return stretches.pick(stretches.of(x), np.where(near & (source >= stretches.begin), source, NONE))


def diff(past: Past, x: pl.Series, **settings: Any) -> pl.Series:
    """R13."""
    return arithmetic("-", x, lag(past, x, **settings))


def pct_change(past: Past, x: pl.Series, **settings: Any) -> pl.Series:
    """R14."""
    return arithmetic("-", arithmetic("/", x, lag(past, x, **settings)), 1.0)


def log_return(past: Past, x: pl.Series, **settings: Any) -> pl.Series:
    """R15; the logarithm is the C library's, for sums of returns may come near 0."""
    positive = without(x, x <= 0)
    quotient = arithmetic("/", positive, lag(past, positive, **settings))
    return logarithm(quotient)


def logarithm(x: pl.Series) -> pl.Series:
    """Of values above 0; null for the rest."""
    values = [None if value is None or not value > 0 else math.log(value) for value in x.to_list()]
    return pl.Series(values, dtype=pl.Float64)
