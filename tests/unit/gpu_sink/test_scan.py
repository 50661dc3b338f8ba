"""The laws of an aligned stream as a lazy frame: the answer of the whole table, and less read for it."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpu_sink.errors import SourceError
from gpu_sink.frames import Frame, Place
from gpu_sink.scan import scan_aligned
from gpu_sink.source import AlignedStream
from tests.stage.aligned import rows_of, trades

QUERIES = {
    "all": lambda scan: scan,
    "columns": lambda scan: scan.select("price", "event_ns"),
    "times": lambda scan: scan.filter(pl.col("event_ns").is_between(20, 60)).select("size"),
    "head": lambda scan: scan.head(7),
    "condition then head": lambda scan: scan.filter(pl.col("size") > 3).head(5),
    "head then condition": lambda scan: scan.head(50).filter(pl.col("size") > 3),
    "groups": lambda scan: scan.group_by("symbol").agg(pl.col("price").sum()).sort("symbol"),
    "none": lambda scan: scan.filter(pl.col("event_ns") < -1),
}


def by_partition(frames: list[Frame]) -> list[Frame]:
    """The frames as a bounded stream gives them."""
    return sorted(frames, key=lambda frame: frame.place.partition)


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
@pytest.mark.parametrize("kind", ["frames", "parquet", "arrows"])
def test_a_query_has_the_answer_of_the_whole_table(query: object, kind: str, tmp_path: Path) -> None:
    frames = by_partition(trades(7))
    if kind == "frames":
        stream = AlignedStream.from_frames(frames)
    else:
        for frame in frames:
            table = pa.Table.from_batches([frame.rows])
            file = tmp_path / f"{frame.place.partition}-{frame.place.offset:04}.{kind}"
            if kind == "parquet":
                pq.write_table(table, file)
            else:
                with pa.ipc.new_stream(file, table.schema) as sink:
                    sink.write_table(table)
        stream = AlignedStream.from_folder(tmp_path)
    whole = pl.DataFrame(stream)
    assert whole.height == sum(frame.rows.num_rows for frame in frames)
    answer = query(scan_aligned(stream)).collect()  # type: ignore[operator]
    assert answer.equals(query(whole.lazy()).collect())  # type: ignore[operator]


def test_parquet_is_read_by_polars_itself_with_columns_and_conditions(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_batches([rows_of([1, 2])]), tmp_path / "a.parquet")
    wider = rows_of([3]).append_column("venue", pa.array(["N"]))
    pq.write_table(pa.Table.from_batches([wider]), tmp_path / "b.parquet")
    scan = scan_aligned(AlignedStream.from_folder(tmp_path))
    plan = scan.filter(pl.col("event_ns") >= 3).select("event_ns").explain()
    assert "Parquet SCAN" in plan
    assert "PROJECT 1/3 COLUMNS" in plan
    assert "SELECTION" in plan
    assert scan.collect()["venue"].to_list() == [None, None, "N"]


def test_files_with_a_column_written_in_two_ways_are_read_as_frames(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_batches([rows_of([1, 2])]), tmp_path / "a.parquet")
    stamps = rows_of([3]).set_column(0, "event_ns", pa.array([3], pa.timestamp("ns", "UTC")))
    pq.write_table(pa.Table.from_batches([stamps]), tmp_path / "b.parquet")
    answer = scan_aligned(AlignedStream.from_folder(tmp_path)).collect()
    assert answer["event_ns"].to_list() == [1, 2, 3]


def test_a_head_reads_no_more_frames_than_it_needs() -> None:
    text = rows_of([9]).set_column(1, "price", pa.array(["dear"]))  # who reads this one is told so
    parts = [rows_of([1, 2]), text, rows_of([3])]
    frames = [Frame(rows, None, Place("aligned", 0, offset)) for offset, rows in enumerate(parts)]
    answer = scan_aligned(AlignedStream.from_frames(frames)).head(2).collect()
    assert answer["event_ns"].to_list() == [1, 2]


def test_a_live_stream_is_refused() -> None:
    frames = (frame for frame in trades(1))
    with pytest.raises(SourceError, match="give a list"):
        scan_aligned(AlignedStream.from_frames(frames, partitions=[0]))
