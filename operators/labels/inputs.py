"""From the columns of rows to what the kernels of labels read: prices in ticks, NaN for null."""

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from operators.formula.suggest import suggest
from operators.labels import places as at
from operators.labels.settings import Bins, FixedHorizon, Label, LabelError, Sign, TrendScan, TripleBarrier
from schemas.batch import Int64s
from schemas.clocks import KNOWN_NS

Float64s = npt.NDArray[np.float64]

GRID_ERROR_MAX: Final = 1e-6  # ticks that a float may lie beside a whole number of them (K1)
TICKS_MAX: Final = 2.0**40


def require_columns(label: Label, layout: pa.Schema) -> None:
    """Raise LabelError where a column that the label reads is not there, or holds no numbers."""
    require_numbers(layout, label.columns)
    if label.scale and pa.types.is_integer(layout.field(label.price).type):
        raise LabelError(f"{label.price} is of integers, which are ticks already: leave out scale")


def require_numbers(layout: pa.Schema, names: Iterable[str]) -> None:
    """Raise LabelError where one of these columns is not there, or holds no numbers."""
    for name in names:
        if name not in layout.names:
            raise LabelError(f"there is no column {name}{suggest(name, layout.names, listed='there are')}")
        kind = layout.field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
            raise LabelError(f"{name} is {kind}: a label reads numbers")


def require_new(fields: Iterable[pa.Field], layout: pa.Schema) -> None:
    """Raise LabelError where one of the columns that a label adds is there already."""
    for field in fields:
        if field.name in layout.names:
            raise LabelError(f"the label adds a column {field.name}, and there is one already")


def has_ticks(label: Label, layout: pa.Schema) -> bool:
    """Whether prices are whole ticks."""
    return label.scale > 0 or pa.types.is_integer(layout.field(label.price).type)


def settings_of(label: Label, layout: pa.Schema) -> tuple[at.Settings, at.Levels]:
    """The settings as the kernels read them."""
    settings, levels = np.zeros(at.SETTINGS, np.int64), np.zeros(at.LEVELS)
    settings[at.BOUND_NS] = label.bound_ns
    settings[at.ACROSS] = label.across_sessions
    settings[at.MOST] = label.max_pending
    settings[at.LOG] = label.returns == "log"
    settings[at.TICKS] = has_ticks(label, layout)
    if isinstance(label, TrendScan):
        settings[at.KIND] = at.TREND
        settings[at.ROWS] = label.spans[-1] - 1
        settings[at.SHORTEST], settings[at.STEP] = label.shortest, label.step
        return settings, levels
    settings[at.TIMED] = label.horizon_ns is not None
    settings[at.ROWS] = label.horizon_rows or 0
    settings[at.BANDED] = isinstance(label, Sign | Bins)
    if isinstance(label, TripleBarrier):
        settings[at.KIND] = at.BARRIERS
        settings[at.STOPS] = label.both == "stop"
        settings[at.OF_BARS] = label.ohlc is not None
        levels[at.UP], levels[at.DOWN], levels[at.SIGMA_MIN] = label.up, label.down, label.min_sigma
    return settings, levels


def read_columns(label: Label, rows: pa.RecordBatch) -> at.Real:
    """What the label reads of rows, as `inputs` of `places.py`."""
    ohlc = label.ohlc if isinstance(label, TripleBarrier) else None
    real = np.empty((at.HIGH if ohlc is None else at.INPUTS, rows.num_rows))
    real[at.PRICE] = _prices(label, rows, label.price)
    if isinstance(label, TripleBarrier):
        for field, name in zip((at.OPEN, at.HIGH, at.LOW), ohlc or (), strict=False):
            real[field] = _prices(label, rows, name)
            real[at.PRICE][np.isnan(real[field])] = np.nan
        real[at.SIGMA] = read_floats(rows.column(label.sigma))
        side = label.side
        real[at.HELD_AGAINST] = read_floats(rows.column(side)) if isinstance(side, str) else side
    elif isinstance(label, Sign):
        of_rows = 1.0 if label.band_column is None else read_floats(rows.column(label.band_column))
        with np.errstate(over="ignore"):
            real[at.HELD_AGAINST] = label.band * of_rows
        real[at.HELD_AGAINST][~np.isfinite(real[at.HELD_AGAINST])] = np.nan
    elif isinstance(label, Bins):
        ones = np.ones(rows.num_rows)
        sigma = ones if label.sigma is None else read_floats(rows.column(label.sigma))
        real[at.HELD_AGAINST] = np.where(sigma > 0.0, sigma, np.nan)
    else:
        assert isinstance(label, FixedHorizon | TrendScan), f"no label such as {label}"
        real[at.HELD_AGAINST] = 0.0
    return real


def known_times(rows: pa.RecordBatch, time_ns: Int64s) -> Int64s:
    """When each row could be known; a stream that does not say counts with its time."""
    if KNOWN_NS not in rows.schema.names:
        return time_ns
    known = rows.column(KNOWN_NS).cast(pa.int64())
    if known.null_count:
        known = pc.if_else(known.is_valid(), known, pa.array(time_ns))
    return np.asarray(known.to_numpy(zero_copy_only=False), np.int64)


def _prices(label: Label, rows: pa.RecordBatch, name: str) -> Float64s:
    floats = read_floats(rows.column(name))
    if label.scale == 0:
        return floats
    with np.errstate(over="ignore"):
        ticks = floats * label.scale
        whole = np.rint(ticks)
        off = ~((np.abs(ticks - whole) <= GRID_ERROR_MAX) & (np.abs(whole) < TICKS_MAX))
    whole[off] = np.nan
    return whole


def read_floats(column: pa.Array) -> Float64s:
    """Values as float64, NaN for null and for what is not finite, never -0.0."""
    values = column.cast(pa.float64(), safe=False)
    floats: Float64s = values.to_numpy(zero_copy_only=False) + 0.0
    finite = np.isfinite(floats)
    if not finite.all():
        floats[~finite] = np.nan
    return floats
