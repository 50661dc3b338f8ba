"""Laws of the Parquet that people open: every reader keeps every nanosecond and every whole number."""

from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.reading.row_files import (
    MOMENT,
    as_in_files,
    as_in_frames,
    file_schema,
    read_rows,
    schema_in_frames,
    source_metadata,
)
from operators.hashing.parity import sealed_hashes
from schemas.clocks import SOURCE, ZONE

NOON_NS = 1_709_571_600_123_456_789
SCHEMA = pa.schema(
    [
        ("event_ns", pa.int64()),
        ("expires", MOMENT),  # a column of the source, which is a timestamp in frames too
        ("size", pa.int32()),
        ("lots", pa.uint64()),
        ("is_auction", pa.bool_()),
        ("quote_bid_size", pa.int64()),
        ("quote_event_ns", pa.int64()),
        ("quote_age_ns", pa.int64()),
        pa.field("left_offset", pa.int64(), nullable=False),
    ]
)
MATCHED = (NOON_NS, NOON_NS, 1, 2**63 + 5, True, 2**60 + 1, NOON_NS - 1, 1, 0)
ALONE = (NOON_NS + 1, *[None] * 7, 1)
ROWS = pa.RecordBatch.from_pylist(
    [dict(zip(SCHEMA.names, row, strict=True)) for row in (MATCHED, ALONE)], schema=SCHEMA
)


def write(folder: Path, rows: pa.RecordBatch = ROWS) -> Path:
    """The rows as a run leaves them."""
    folder.mkdir(parents=True)
    schema = file_schema(rows.schema, ["quote"])
    with pq.ParquetWriter(folder / "partition-00000.parquet", schema) as writer:
        writer.write_table(as_in_files(pa.Table.from_batches([rows]), schema))
    return folder


def test_pandas_keeps_nanoseconds_and_whole_numbers_beside_a_row_without_match(tmp_path: Path) -> None:
    rows = pd.read_parquet(write(tmp_path / "aligned"))
    matched, alone = rows.quote_event_ns
    assert matched.value == NOON_NS - 1
    assert alone is pd.NaT
    assert [matched.tz.key if hasattr(matched.tz, "key") else str(matched.tz)] == ["UTC"]
    assert rows.quote_bid_size.tolist() == [2**60 + 1, pd.NA]
    assert rows.lots.tolist() == [2**63 + 5, pd.NA]
    assert {
        name: str(rows[name].dtype) for name in ("size", "is_auction", "quote_age_ns", "left_offset")
    } == {
        "size": "Int32",
        "is_auction": "boolean",
        "quote_age_ns": "Int64",
        "left_offset": "int64",
    }


def test_polars_keeps_them_as_well(tmp_path: Path) -> None:
    rows = pl.read_parquet(write(tmp_path / "aligned"))
    assert rows["quote_event_ns"].dtype == pl.Datetime("ns", "UTC")
    assert rows["quote_event_ns"].to_physical().to_list() == [NOON_NS - 1, None]
    assert rows["lots"].to_list() == [2**63 + 5, None]


def test_days_in_folders_of_their_own_are_opened_as_one(tmp_path: Path) -> None:
    for day in ("2024-03-04", "2024-03-05"):
        write(tmp_path / f"aligned/day={day}")
    rows = pd.read_parquet(tmp_path / "aligned")
    assert rows.day.astype(str).tolist() == ["2024-03-04"] * 2 + ["2024-03-05"] * 2
    assert str(rows.quote_bid_size.dtype) == "Int64"
    assert pl.read_parquet(f"{tmp_path}/aligned/**/*.parquet").height == 4


def test_rows_read_back_are_those_of_the_frames(tmp_path: Path) -> None:
    back = read_rows(write(tmp_path / "aligned"))
    assert back.schema.equals(SCHEMA)
    assert back.to_batches()[0].equals(ROWS)


@pytest.mark.parametrize("rewritten", [False, True])
def test_the_parity_of_a_file_is_that_of_its_frames(tmp_path: Path, rewritten: bool) -> None:
    rows = ROWS.select(["event_ns", "quote_event_ns", "lots"])
    file = write(tmp_path / "aligned", rows) / "partition-00000.parquet"
    if rewritten:
        pl.read_parquet(file).write_parquet(file)  # which drops what a column says of itself
    (batch,) = pq.read_table(file).to_batches()
    assert sealed_hashes(as_in_frames(batch)).tolist() == sealed_hashes(rows).tolist()


def test_a_file_from_before_clocks_were_timestamps_is_taken_as_it_is() -> None:
    assert as_in_frames(ROWS).equals(ROWS)
    assert schema_in_frames(SCHEMA) == SCHEMA


def test_a_clock_keeps_the_name_and_the_zone_of_its_source() -> None:
    source = {SOURCE: b"Time", ZONE: b"America/New_York"}
    day = pa.schema([pa.field("event_ns", pa.int64(), metadata=source | {b"PARQUET:field_id": b"1"})])
    assert source_metadata(day) == {"event_ns": source}
    written = file_schema(SCHEMA, ["quote"], {"quote_event_ns": source}).field("quote_event_ns")
    assert written.metadata.items() >= source.items()
