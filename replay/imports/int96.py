"""INT96, the times of old Spark and Impala: wider than int64 nanoseconds, so they are never cut to them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from replay.errors import SourceError
from replay.order import as_int64s
from schemas.batch import Int64s
from schemas.clocks import NS_PER_S, NS_PER_US

_INT64_MAX: Final = 2**63 - 1


def int96_columns(file: pq.ParquetFile) -> list[str]:
    """Return the top-level columns of physical type INT96."""
    leaves = (file.schema.column(place) for place in range(len(file.schema)))
    return [leaf.path for leaf in leaves if leaf.physical_type == "INT96" and leaf.path == leaf.name]


def int96_units(path: Path, columns: Sequence[str]) -> dict[str, str]:
    """Return per column `ns` where all its times fit into int64 nanoseconds, else `us`.

    Raises SourceError where neither holds them all: beyond the years of microseconds, or nanoseconds among
    times that need microseconds.
    """
    if not columns:
        return {}
    units = {}
    files = {unit: pq.ParquetFile(path, coerce_int96_timestamp_unit=unit) for unit in ("s", "us", "ns")}
    try:
        for name in columns:
            beyond, finer = False, False
            for group in range(files["s"].num_row_groups):
                seconds, micros, nanos = (
                    _counts(file.read_row_group(group, columns=[name]).column(name))
                    for file in files.values()
                )
                if _exceeds_micros(seconds):
                    raise SourceError(
                        f"{path}: column {name!r} (INT96) has a time beyond int64 microseconds: "
                        f"leave it out with --drop {name}"
                    )
                beyond |= bool(np.any(nanos // NS_PER_US != micros))  # nanoseconds beyond int64 wrap around
                with np.errstate(over="ignore"):
                    finer |= bool(np.any(nanos - micros * NS_PER_US))
            if beyond and finer:
                raise SourceError(
                    f"{path}: column {name!r} (INT96) has a time beyond int64 nanoseconds, and others that "
                    f"microseconds cannot hold: leave it out with --drop {name}"
                )
            units[name] = "us" if beyond else "ns"
    finally:
        for file in files.values():
            file.close()
    return units


def _counts(column: pa.ChunkedArray) -> Int64s:
    return as_int64s(column.drop_null().cast(pa.int64()))


def _exceeds_micros(seconds: Int64s) -> bool:
    """Whether a time, its seconds rounded down, might not fit into int64 microseconds."""
    bound = _INT64_MAX // (NS_PER_S // NS_PER_US)
    return bool(np.any((seconds >= bound) | (seconds < -bound)))
