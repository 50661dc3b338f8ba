"""Rows as functions take them and give them back: frames of Polars or pandas, Arrow tables, NumPy arrays.

The type of a column never hangs on its values: whole numbers that may be null are pandas' `Int64` and masked
arrays of NumPy whether or not any is null.
"""

import typing
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
from pyarrow import types

Give: TypeAlias = Callable[[pa.RecordBatch], Any]
Take: TypeAlias = Callable[[Any, int, Sequence[str]], Mapping[str, pa.Array]]

KINDS: Final = "pl.DataFrame, pd.DataFrame, pa.Table or dict[str, np.ndarray]"
PANDAS_TYPES: Final = {
    pa.int8(): "Int8Dtype",
    pa.int16(): "Int16Dtype",
    pa.int32(): "Int32Dtype",
    pa.int64(): "Int64Dtype",
    pa.uint8(): "UInt8Dtype",
    pa.uint16(): "UInt16Dtype",
    pa.uint32(): "UInt32Dtype",
    pa.uint64(): "UInt64Dtype",
    pa.bool_(): "BooleanDtype",
}


class Engine(NamedTuple):
    """What a function's frames are of.

    `package`  that has them.
    `give`     rows as the function takes them.
    `take`     of what it gave, the columns that are wanted and there; the second is how many rows it got.
    """

    package: str
    give: Give
    take: Take


def engine_of(annotation: object) -> Engine | None:
    """The engine of a type that a function says; None for any other."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is dict and len(arguments) == 2 and arguments[0] is str:
        of_values = typing.get_origin(arguments[1]) or arguments[1]
        return ENGINES["numpy"] if of_values is np.ndarray else None
    package = getattr(annotation, "__module__", "").partition(".")[0]
    wanted = {"polars": "DataFrame", "pandas": "DataFrame", "pyarrow": "Table"}.get(package)
    return ENGINES[package] if wanted is not None and getattr(annotation, "__name__", "") == wanted else None


def _give_polars(rows: pa.RecordBatch) -> Any:
    return import_module("polars").from_arrow(pa.Table.from_batches([rows]))


def _take_polars(made: Any, _: int, names: Sequence[str]) -> Mapping[str, pa.Array]:
    _require(made, import_module("polars").DataFrame, "pl.DataFrame")
    return {name: made.get_column(name).rechunk().to_arrow() for name in names if name in made.columns}


def _give_pandas(rows: pa.RecordBatch) -> Any:
    pandas = import_module("pandas")
    columns = {}
    for field, column in zip(rows.schema, rows.columns, strict=True):
        nullable = getattr(pandas, PANDAS_TYPES[field.type])() if _may_lack(field) else None
        mapper = None if nullable is None else {field.type: nullable}.get
        columns[field.name] = column.to_pandas(types_mapper=mapper)
    return pandas.DataFrame(columns)


def _take_pandas(made: Any, rows: int, names: Sequence[str]) -> Mapping[str, pa.Array]:
    pandas = import_module("pandas")
    _require(made, pandas.DataFrame, "pd.DataFrame")
    # Not compared with the frame that it was given, which it may have sorted itself.
    if len(made) == rows and not made.index.equals(pandas.RangeIndex(rows)):
        raise ValueError("it gave rows in another order: their index is not that of the rows it got")
    return {name: pa.array(made[name], from_pandas=True) for name in names if name in made.columns}


def _give_arrow(rows: pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([rows])


def _take_arrow(made: Any, _: int, names: Sequence[str]) -> Mapping[str, pa.Array]:
    _require(made, pa.Table, "pa.Table")
    return {name: made.column(name).combine_chunks() for name in names if name in made.column_names}


def _give_numpy(rows: pa.RecordBatch) -> dict[str, np.ndarray[Any, Any]]:
    return {
        field.name: _values(field, column) for field, column in zip(rows.schema, rows.columns, strict=True)
    }


def _take_numpy(made: Any, _: int, names: Sequence[str]) -> Mapping[str, pa.Array]:
    _require(made, dict, "a dict of arrays")
    return {name: _array(made[name], name) for name in names if name in made}


def _values(field: pa.Field, column: pa.Array) -> np.ndarray[Any, Any]:
    """A column as an array of its own: nulls are NaN, masked, or None."""
    if not _may_lack(field):
        return np.array(column.to_numpy(zero_copy_only=False))
    filled = np.array(
        column.fill_null(False if types.is_boolean(field.type) else 0).to_numpy(zero_copy_only=False)
    )
    return np.ma.MaskedArray(filled, np.array(column.is_null().to_numpy(zero_copy_only=False)))


def _array(values: Any, name: str) -> pa.Array:
    if not isinstance(values, np.ndarray) or values.ndim != 1:
        raise ValueError(f"it gave {name} as {type(values).__name__}, not as an array of one dimension")
    if isinstance(values, np.ma.MaskedArray):
        return pa.array(values.data, mask=np.ma.getmaskarray(values))
    return pa.array(values, from_pandas=True)


def _may_lack(field: pa.Field) -> bool:
    """Whether a column is of a type that NumPy has no null for, and may have nulls."""
    return field.nullable and field.type in PANDAS_TYPES


def _require(made: Any, kind: type, words: str) -> None:
    if not isinstance(made, kind):
        raise ValueError(f"it gave {type(made).__name__}, not {words}")


ENGINES: Final[Mapping[str, Engine]] = {
    "polars": Engine("polars", _give_polars, _take_polars),
    "pandas": Engine("pandas", _give_pandas, _take_pandas),
    "pyarrow": Engine("pyarrow", _give_arrow, _take_arrow),
    "numpy": Engine("numpy", _give_numpy, _take_numpy),
}
