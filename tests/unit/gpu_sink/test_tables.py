"""The laws of an aligned stream as one table of Arrow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpu_sink.contract import LABEL, ROLE
from gpu_sink.errors import ColumnError, SourceError
from gpu_sink.frames import Frame, Place
from gpu_sink.segment_writer import write_segments
from gpu_sink.source import AlignedStream
from tests.stage.aligned import rows_of


def frame_of(rows: pa.RecordBatch, offset: int, partition: int = 0) -> Frame:
    """A frame of a topic that needs no headers here."""
    return Frame(rows, None, Place("aligned", partition, offset))


def folder_of(folder: Path, parts: dict[str, list[int]]) -> Path:
    """Parquet files of numbered rows, two rows a row group."""
    for name, numbers in parts.items():
        pq.write_table(pa.Table.from_batches([rows_of(numbers)]), folder / name, row_group_size=2)
    return folder


def by_duckdb(stream: AlignedStream) -> list[int]:
    """The numbers as a query that names the variable reads them."""
    answer = duckdb.sql("select event_ns from stream")
    assert answer is not None
    return [row[0] for row in answer.fetchall()]


READERS: dict[str, Callable[[AlignedStream], list[int]]] = {
    "pyarrow": lambda stream: pa.table(stream)["event_ns"].to_pylist(),
    "polars": lambda stream: pl.DataFrame(stream)["event_ns"].to_list(),
    "pandas": lambda stream: list(pd.DataFrame.from_arrow(stream)["event_ns"]),
    "duckdb": by_duckdb,
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_libraries_read_all_rows_in_order_and_twice(
    reader: Callable[[AlignedStream], list[int]], tmp_path: Path
) -> None:
    stream = AlignedStream.from_folder(folder_of(tmp_path, {"b.parquet": [4, 5], "a.parquet": [1, 2, 3]}))
    assert reader(stream) == [1, 2, 3, 4, 5]
    assert reader(stream) == [1, 2, 3, 4, 5]


def test_segments_are_a_table_too(tmp_path: Path) -> None:
    write_segments(
        AlignedStream.from_folder(folder_of(tmp_path, {"a.parquet": [1, 2, 3]})), tmp_path / "segments"
    )
    assert pa.table(AlignedStream.from_folder(tmp_path / "segments"))["event_ns"].to_pylist() == [1, 2, 3]


def test_a_table_has_the_columns_of_the_newest_frames_and_nulls_before_they_came() -> None:
    wider = rows_of([3]).append_column(pa.field("venue", pa.string(), nullable=False), pa.array(["N"]))
    table = pa.table(AlignedStream.from_frames([frame_of(rows_of([1, 2]), 0), frame_of(wider, 1)]))
    assert table["venue"].to_pylist() == [None, None, "N"]
    assert table.schema.field("venue").nullable


def test_the_mark_of_a_label_stays() -> None:
    rows = rows_of([1])
    marked = pa.schema([rows.schema.field(0), rows.schema.field(1).with_metadata({ROLE: LABEL})])
    stream = AlignedStream.from_frames([frame_of(rows.cast(marked), 0)])
    assert pa.table(stream).schema.field("price").metadata == {ROLE: LABEL}


def test_times_of_both_kinds_go_together() -> None:
    stamps = rows_of([2]).set_column(
        0, pa.field("event_ns", pa.timestamp("ns", "UTC")), pa.array([2], pa.timestamp("ns", "UTC"))
    )
    frames = [frame_of(stamps, 0), frame_of(rows_of([1]), 1)]
    assert pa.table(AlignedStream.from_frames(frames))["event_ns"].to_pylist() == [2, 1]


def test_a_column_of_two_kinds_is_refused() -> None:
    text = rows_of([1]).set_column(1, "price", pa.array(["dear"]))
    stream = AlignedStream.from_frames([frame_of(rows_of([1]), 0), frame_of(text, 0, partition=1)])
    with pytest.raises(ColumnError, match="price is double in one part of frames and string in another"):
        pa.table(stream)


def test_an_older_frame_of_another_kind_is_named() -> None:
    text = rows_of([1]).set_column(1, "price", pa.array(["dear"]))
    stream = AlignedStream.from_frames([frame_of(text, 0), frame_of(rows_of([2]), 1)])
    with pytest.raises(pa.ArrowInvalid, match=r"aligned \[0\] offset 0: column price is string, not double"):
        pa.table(stream)


def test_a_column_that_the_newest_frames_lack_is_not_dropped_silently() -> None:
    wider = rows_of([1]).append_column("venue", pa.array(["N"]))
    stream = AlignedStream.from_frames([frame_of(wider, 0), frame_of(rows_of([2]), 1)])
    with pytest.raises(pa.ArrowInvalid, match=r"offset 0: column venue is in no newest frame"):
        pa.table(stream)


def test_frames_that_can_be_read_once_are_no_table() -> None:
    frames = (frame_of(rows_of([number]), number) for number in range(2))
    with pytest.raises(SourceError, match="read again: give a list"):
        pa.table(AlignedStream.from_frames(frames, partitions=[0]))


def test_a_live_stream_is_no_table() -> None:
    class Live:
        bounded = False

    source: Any = Live()
    with pytest.raises(SourceError, match="has no end and so is no table: say until_end=True"):
        pl.DataFrame(AlignedStream(source))


def test_a_stream_without_frames_has_no_columns() -> None:
    with pytest.raises(SourceError, match="has no frame yet, so nobody knows its columns"):
        pa.table(AlignedStream.from_frames([]))


def test_a_file_without_rows_is_a_table_without_rows(tmp_path: Path) -> None:
    table = pa.table(AlignedStream.from_folder(folder_of(tmp_path, {"a.parquet": []})))
    assert table.num_rows == 0
    assert table.schema.names == ["event_ns", "price"]


def test_rows_are_read_as_they_are_taken(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"a.parquet": [1, 2, 3, 4]})
    (folder / "b.parquet").write_bytes((folder / "a.parquet").read_bytes())
    reader = pa.RecordBatchReader.from_stream(AlignedStream.from_folder(folder))
    (folder / "b.parquet").unlink()
    assert reader.read_next_batch()["event_ns"].to_pylist() == [1, 2]
    assert reader.read_next_batch()["event_ns"].to_pylist() == [3, 4]
    with pytest.raises(pa.ArrowInvalid, match=r"cannot read .*b\.parquet"):
        reader.read_next_batch()
