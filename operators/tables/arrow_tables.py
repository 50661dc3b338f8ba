"""Any table as an Arrow table: of pyarrow, Polars, pandas, DuckDB, or whatever hands over an Arrow stream."""

import sys
from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

import pyarrow as pa

from operators.tables.settings import AsofError


@runtime_checkable
class ArrowStream(Protocol):
    """A table that hands its rows over by Arrow's PyCapsule interface."""

    def __arrow_c_stream__(self) -> object:
        """Return a capsule of an Arrow C stream."""


Table: TypeAlias = pa.Table | pa.RecordBatch | ArrowStream


def read_tables(left: Table, right: Table | Mapping[str, Table]) -> tuple[pa.Table, dict[str, pa.Table]]:
    """Return the left table and the right ones by stream name, as Arrow tables.

    Raises AsofError, naming the table, where one is none or its columns have no Arrow type.
    """
    rights = right if isinstance(right, Mapping) else {"right": right}
    return (
        read_table("the left table", left),
        {stream: read_table(f"the right table {stream!r}", table) for stream, table in rights.items()},
    )


def read_table(what: str, table: Table) -> pa.Table:
    """Return an Arrow table; columns that lie in memory as Arrow has them are not copied.

    Of a pandas frame an index with a name is a column too; one without, or whose name a column has, is left
    out.
    """
    if isinstance(table, pa.Table):
        return table
    if isinstance(table, pa.RecordBatch):
        return pa.Table.from_batches([table])
    try:
        pandas = sys.modules.get("pandas")  # who has a frame has loaded it
        if pandas is not None and isinstance(table, pandas.DataFrame):
            return _from_pandas(table)
        if isinstance(table, ArrowStream):
            return _without_addresses(pa.table(table), table)
    except (pa.ArrowException, TypeError, ValueError) as refused:
        raise AsofError(f"{what} cannot be had as an Arrow table: {refused}") from refused
    raise AsofError(
        f"{what} is a {type(table).__module__}.{type(table).__qualname__}, expected a pyarrow Table, a "
        f"Polars or pandas DataFrame, or another table with __arrow_c_stream__{_advice(table)}"
    )


def _from_pandas(frame: Any) -> pa.Table:
    """A pandas frame with those levels of its index that have a name of their own."""
    levels = [name for name in frame.index.names if name is not None and name not in frame.columns]
    others = [number for number, name in enumerate(frame.index.names) if name not in levels]
    if levels and others:
        frame = frame.reset_index(level=others, drop=True)
    return pa.Table.from_pandas(frame, preserve_index=bool(levels))


def _without_addresses(arrow: pa.Table, table: object) -> pa.Table:
    """The Arrow table of a table; raises TypeError for Polars' objects, which come as their addresses."""
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(table, polars.DataFrame):
        objects = [name for name, kind in table.schema.items() if kind == polars.Object]
        if objects:
            raise TypeError(f"column {objects[0]} holds Python objects")
    return arrow


def _advice(table: object) -> str:
    """What makes a table of something that is nearly one."""
    for method in ("collect", "to_arrow", "arrow"):
        if callable(getattr(table, method, None)):
            return f"; its .{method}() may be one"
    return ""
