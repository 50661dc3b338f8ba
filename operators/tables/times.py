"""The time column of a table: nanoseconds, and the order in which its rows come."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from operators.rows.views import combined, frozen, validity_bits, value_view
from operators.tables.match_kernel import in_order, in_sequence_order
from operators.tables.settings import AsofError
from operators.tables.threads import Workers

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]

NS_PER_UNIT: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
INT64_MAX: Final = 2**63 - 1
ROWS_MAX: Final = 2**31 - 1  # rows are numbered in int32


@dataclass(frozen=True, slots=True)
class Times:
    """The times of one table.

    `ns`          int64 nanoseconds, in the table's order; unspecified where null.
    `raw`         int64, the same in units of `scale` nanoseconds: the column's own memory where possible.
    `order`       int32, the rows in time order without null times; None when they stand in it as they are.
    `count`       how many rows have a time.
    `null_count`  how many have none.
    `lower_ns`, `upper_ns`  the first and last time; both 0 when `count` is.
    """

    ns: Int64s
    raw: Int64s
    scale: int
    order: Int32s | None
    count: int
    null_count: int
    lower_ns: int
    upper_ns: int


def read_times(
    table: str, name: str, column: pa.ChunkedArray, sequence: pa.ChunkedArray | None, workers: Workers
) -> Times:
    """Read a time column: int64 nanoseconds, or Arrow timestamps of any unit, converted exactly.

    `sequence` orders rows of equal time; without it they keep their order.  Nothing is copied when the
    column is one piece of nanoseconds in order.  Raises AsofError for another type, a time that int64
    nanoseconds cannot hold, or a null sequence.
    """
    if len(column) > ROWS_MAX:
        raise AsofError(f"{table} has {len(column)} rows, expected at most {ROWS_MAX}: split it by day")
    scale = ns_per_unit(table, name, column.type)
    if scale != 1:
        require_range(table, name, column, scale)
    if column.num_chunks == 1:
        raw: Int64s = value_view(column.chunk(0), np.int64)
        ns = raw if scale == 1 else frozen(raw * scale)
    else:
        ns = np.empty(len(column), np.int64)
        np.concatenate([np.empty(0, np.int64), *(value_view(c, np.int64) for c in column.chunks)], out=ns)
        ns *= scale
        raw, scale = frozen(ns), 1
    order = time_order(table, ns, column, sequence, workers)
    count = len(column) - column.null_count
    lower, upper = 0, 0
    if count > 0:
        lower, upper = (int(ns[end if order is None else order[end]]) for end in (0, -1))
    if lower == -(2**63):
        raise AsofError(f"{table}: {name} holds {lower}, which stands for no time at all")
    return Times(ns, raw, scale, order, count, column.null_count, lower, upper)


def ns_per_unit(table: str, name: str, kind: pa.DataType) -> int:
    """Return how many nanoseconds one unit of a time column is."""
    if pa.types.is_timestamp(kind):
        return NS_PER_UNIT[kind.unit]
    if kind == pa.int64():
        return 1
    raise AsofError(f"{table}: {name} is {kind}, expected int64 nanoseconds or a timestamp")


def require_range(table: str, name: str, column: pa.ChunkedArray, scale: int) -> None:
    """Raise AsofError when a time does not fit int64 nanoseconds."""
    bounds = pc.min_max(column.cast(pa.int64()))
    for bound in (bounds["min"].as_py(), bounds["max"].as_py()):
        if bound is not None and abs(bound * scale) > INT64_MAX:
            raise AsofError(
                f"{table}: {name} holds {bound} in {column.type}, "
                "which int64 nanoseconds (1677 to 2262) cannot hold"
            )


def time_order(
    table: str, ns: Int64s, column: pa.ChunkedArray, sequence: pa.ChunkedArray | None, workers: Workers
) -> Int32s | None:
    """Return the rows in order of time, sequence and place; None when that is how they stand."""
    ties = None if sequence is None else read_sequence(table, sequence)
    valid = None
    if column.null_count > 0:
        valid = np.concatenate([valid_mask(piece) for piece in column.chunks])
        rows = np.flatnonzero(valid).astype(np.int32)
        if ties is None and stands_in_order(frozen(ns[rows]), None, workers):
            return frozen(rows)
        del rows
    elif stands_in_order(ns, ties, workers):
        return None
    if ties is None:
        order = np.argsort(ns, kind="stable").astype(np.int32)
    else:
        order = np.lexsort((ties, ns)).astype(np.int32)
    return frozen(order if valid is None else order[valid[order]])


def stands_in_order(ns: Int64s, ties: Int64s | None, workers: Workers) -> bool:
    """Whether the rows stand in order of time, then of sequence."""
    if ties is not None:
        return bool(in_sequence_order(ns, ties))
    return all(workers.over(ns.size, lambda begin, end: in_order(ns, begin, end)))


def read_sequence(table: str, column: pa.ChunkedArray) -> Int64s:
    """Return a sequence column as int64."""
    if not pa.types.is_integer(column.type):
        raise AsofError(f"{table}: the sequence is {column.type}, expected whole numbers")
    if column.null_count > 0:
        raise AsofError(f"{table}: the sequence is null in {column.null_count} rows and cannot order them")
    try:
        return value_view(combined(column.cast(pa.int64())), np.int64)
    except pa.ArrowInvalid as error:
        raise AsofError(f"{table}: the sequence does not fit int64: {error}") from error


def valid_mask(piece: pa.Array) -> npt.NDArray[np.bool_]:
    """Return where an array is not null, one byte per row."""
    bits = validity_bits(piece)
    if bits is None:
        return np.ones(len(piece), np.bool_)
    unpacked = np.unpackbits(bits[0], bitorder="little")
    return unpacked[bits[1] : bits[1] + len(piece)].view(np.bool_)
