"""From Arrow columns to tensors: numbers as they are, times as int64 nanoseconds, nulls as masks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gpu_sink.errors import TensorError

if TYPE_CHECKING:
    import torch

VALID: Final = "_valid"  # `<column>_valid` masks the rows where a nullable column has a value
NULL_CODE: Final = -1


class TensorBatch(NamedTuple):
    """Rows as tensors of equal length.

    `tensors`       per column one tensor; beside each nullable column a bool mask, `<column>_valid`.
    `dictionaries`  per text column the strings its int32 codes stand for.  Codes mean nothing outside the
                    batch; -1 is null.
    """

    tensors: "dict[str, torch.Tensor]"
    dictionaries: dict[str, pa.Array]


def to_tensors(
    rows: pa.RecordBatch, *, columns: Sequence[str] | None = None, device: str = "cpu"
) -> TensorBatch:
    """Return the chosen columns (all where not given) on `device`; raises TensorError naming a column.

    Integers, floats and booleans keep their type; decimals become the nearest float64; timestamps become
    int64 nanoseconds since the epoch, dates days; strings and binaries become codes.  Under a null lies NaN
    in floats, 0 in integers, False in booleans.  Nested columns are refused: leave them out with `columns`.
    """
    import torch

    tensors: dict[str, torch.Tensor] = {}
    dictionaries: dict[str, pa.Array] = {}
    for name in rows.schema.names if columns is None else columns:
        if name not in rows.schema.names:
            raise TensorError(f"no column {name}; there are {', '.join(rows.schema.names)}")
        column = rows.column(name)
        if _is_text(column.type):
            column = column.dictionary_encode()
        if pa.types.is_dictionary(column.type):
            dictionaries[name] = column.dictionary
            column, under_null = column.indices.cast(pa.int32()), NULL_CODE
        else:
            column, under_null = _numeric(name, column)
        tensors[name] = torch.from_numpy(_filled(column, under_null)).to(device)
        if rows.schema.field(name).nullable:
            if name + VALID in rows.schema.names:
                raise TensorError(f"column {name + VALID} has the name of the mask of {name}")
            tensors[name + VALID] = torch.from_numpy(np.array(column.is_valid())).to(device)
    return TensorBatch(tensors, dictionaries)


def _is_text(type_: pa.DataType) -> bool:
    return any(
        fits(type_)
        for fits in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_fixed_size_binary,
        )
    )


def _numeric(name: str, column: pa.Array) -> tuple[pa.Array, Any]:
    """The column as numbers or booleans, and what to put under its nulls."""
    type_ = column.type
    if pa.types.is_boolean(type_):
        return column, False
    if pa.types.is_integer(type_):
        return column, 0
    if pa.types.is_floating(type_):
        return column, np.nan
    if pa.types.is_decimal(type_):
        return pc.cast(column, pa.float64(), safe=False), np.nan
    if pa.types.is_timestamp(type_):
        return column.cast(pa.timestamp("ns", type_.tz)).cast(pa.int64()), 0
    if pa.types.is_date32(type_):
        return column.cast(pa.int32()), 0
    raise TensorError(f"column {name} is {type_}, which no tensor holds: leave it out with columns=")


def _filled(column: pa.Array, under_null: Any) -> npt.NDArray[Any]:
    """A copy that the tensor may own: Arrow's memory is read-only, and shared with the message."""
    if column.null_count:
        column = pc.fill_null(column, pa.scalar(under_null, column.type))
    return np.array(column.to_numpy(zero_copy_only=False), copy=True)
