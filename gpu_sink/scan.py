"""An aligned stream as a lazy frame of Polars, which reads only the columns and rows that a query needs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gpu_sink.adapters import require
from gpu_sink.reading.folder import FolderFrames
from gpu_sink.source import AlignedStream
from gpu_sink.tables import read_batches

if TYPE_CHECKING:
    import polars as pl


def scan_aligned(stream: AlignedStream) -> "pl.LazyFrame":
    """Return a lazy frame over a bounded stream, its rows in the stream's order; each collect reads again.

    Of Parquet files only the columns of the query are read, and no row group that its conditions exclude by
    the least and largest value of a column, such as `pl.col("event_ns") >= opening_ns`.  Of a topic and of
    frame files all bytes are read; columns and rows that are not wanted leave frame by frame.

    Raises SourceError for a live stream, DeviceError where Polars is missing, and as `AlignedStream.schema`.
    """
    polars = require("polars", "scan_aligned", "tidemark-gpu-sink[polars]")
    schema = stream.schema
    columns = dict(polars.from_arrow(schema.empty_table()).schema)
    source = stream.source
    if isinstance(source, FolderFrames) and _alike(source, columns, polars):
        native: pl.LazyFrame = polars.scan_parquet(
            source.files(), schema=columns, missing_columns="insert", glob=False, hive_partitioning=False
        )
        return native

    def read(
        wanted: list[str] | None, predicate: "pl.Expr | None", rows_max: int | None, batch_rows: int | None
    ) -> Iterator["pl.DataFrame"]:
        """Frames of Polars with the wanted columns of rows that fulfil the condition, `rows_max` at most."""
        left = rows_max
        for rows in read_batches(source, schema):
            frame: Any = polars.from_arrow(pa.Table.from_batches([rows]), rechunk=False)
            if left is not None:
                frame = frame.head(left)
                left -= frame.height
            frame = frame if predicate is None else frame.filter(predicate)
            yield frame if wanted is None else frame.select(wanted)
            if left == 0:
                return

    scan: pl.LazyFrame = polars.io.plugins.register_io_source(read, schema=columns, explain_name=source.name)
    return scan


def _alike(source: FolderFrames, columns: "dict[str, pl.DataType]", polars: Any) -> bool:
    """Whether Polars reads all files by itself: Parquet, and no column written down in two ways."""
    return all(
        file.suffix == ".parquet"
        and all(columns[name] == kind for name, kind in polars.read_parquet_schema(file).items())
        for file in source.files()
    )
