"""Publish order: the receiver's clock where every row has it, else the exchange's."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.batch import Bools, Int64s
from schemas.clocks import BEGINNING_NS, EVENT_NS, KNOWN_NS, Clock

Rows: TypeAlias = pa.RecordBatch | pa.Table


def order_clock(rows: Rows) -> Clock:
    """Return "known" where `known_ns` exists with all its values, else "event"."""
    if KNOWN_NS in rows.schema.names and rows.column(KNOWN_NS).null_count == 0:
        return "known"
    return "event"


def order_times(rows: Rows, clock: Clock) -> Int64s:
    """Return the time each row is published by: that of `clock`, and the other clock's where it is null."""
    names = (KNOWN_NS, EVENT_NS) if clock == "known" else (EVENT_NS, KNOWN_NS)
    columns = [rows.column(name) for name in names if name in rows.schema.names]
    times = pc.coalesce(*columns) if len(columns) > 1 else columns[0]
    assert times.null_count == 0, "a row without any time is never stored"
    return as_int64s(times)


def clock_times(rows: Rows, column: str) -> tuple[Int64s, Bools]:
    """Return the times of one clock, `BEGINNING_NS` at a null, and which rows have a time."""
    if column not in rows.schema.names:
        return np.full(rows.num_rows, BEGINNING_NS), np.zeros(rows.num_rows, dtype=np.bool_)
    times = rows.column(column)
    return as_int64s(pc.fill_null(times, BEGINNING_NS)), as_array(times.is_valid()).astype(np.bool_)


def disorder(time_ns: Int64s, newest_ns: int = BEGINNING_NS) -> tuple[int, int]:
    """Return how far a row trails the newest before it, at most, and the newest after them all.

    `newest_ns` is the newest of the rows before these.
    """
    if time_ns.size == 0:
        return 0, newest_ns
    newest = np.maximum(np.maximum.accumulate(time_ns), newest_ns)
    return int(np.max(newest - time_ns)), int(newest[-1])


def as_array(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return a column without nulls as one numpy array."""
    if isinstance(column, pa.ChunkedArray):
        return np.asarray(column.to_numpy())
    return np.asarray(column.to_numpy(zero_copy_only=False))


def as_int64s(column: pa.Array | pa.ChunkedArray) -> Int64s:
    """Return an int64 column without nulls as one numpy array."""
    return as_array(column).astype(np.int64, copy=False)
