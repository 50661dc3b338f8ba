"""The laws of the history on disk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from replay.errors import HistoryError, UnknownDateError
from replay.store.day import DaySummary
from replay.store.days import HistoryStore
from schemas.stream import Stream
from tests.stage.days import DATE, NOON_NS, keep_day, rows_of

ROWS: dict[str, list[Any]] = {
    "event_ns": [NOON_NS, NOON_NS + 5, NOON_NS + 5],
    "symbol": ["A", "B", "A"],
    "price": [1.0, 2.0, None],
}


def test_a_day_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    keep_day(store, "trade", ROWS)
    day = store.day("trade", DATE)
    assert rows_of(day) == pa.table(ROWS)
    assert (day.rows, day.summary.keys, day.summary.order) == (3, 2, "event")
    assert (store.dates(), store.streams(DATE)) == ([DATE], ["trade"])


def test_any_reader_of_hive_partitions_reads_the_history(tmp_path: Path) -> None:
    keep_day(HistoryStore(tmp_path), "trade", ROWS)
    found = pl.read_parquet(f"{tmp_path}/**/*.parquet", hive_partitioning=True)
    assert found["stream"].to_list() == ["trade"] * 3
    assert found["price"].to_list() == ROWS["price"]


def test_a_date_not_in_the_history_is_answered_with_those_that_are(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    keep_day(store, "trade", ROWS)
    for ask in (lambda: store.streams("2024-01-16"), lambda: store.day("trade", "2024-01-16")):
        with pytest.raises(UnknownDateError, match=DATE):
            ask()


def test_what_is_not_a_date_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="YYYY-MM-DD"):
        HistoryStore(tmp_path).streams("*")


def test_a_write_that_fails_leaves_the_day_as_it_was(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    before = keep_day(store, "trade", ROWS)

    def failing() -> Iterator[pa.RecordBatch]:
        yield from pa.table(ROWS).to_batches()
        raise OSError("disk full")

    with pytest.raises(HistoryError, match="disk full"):
        store.write(before.stream, DATE, failing(), order="event", made={})
    assert rows_of(store.day("trade", DATE)) == pa.table(ROWS)
    assert len(list(tmp_path.rglob("*"))) == 4  # two folders, the part, the summary


def test_a_first_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)

    def failing() -> Iterator[pa.RecordBatch]:
        yield from pa.table(ROWS).to_batches()
        raise OSError("disk full")

    with pytest.raises(HistoryError):
        store.write(
            Stream(name="trade", schema=pa.table(ROWS).schema), DATE, failing(), order="event", made={}
        )
    assert store.dates() == []
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_day_is_replaced_whole(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    keep_day(store, "trade", ROWS)
    fewer = {name: values[:1] for name, values in ROWS.items()}
    keep_day(store, "trade", fewer)
    assert rows_of(store.day("trade", DATE)) == pa.table(fewer)
    assert len(list(tmp_path.rglob("*.parquet"))) == 1


def test_reading_from_a_row_on_gives_the_rest(tmp_path: Path) -> None:
    day = keep_day(HistoryStore(tmp_path), "trade", ROWS)
    rest = pa.Table.from_batches(day.batches(columns=["symbol"], rows=1, start=1))
    assert rest.column("symbol").to_pylist() == ["B", "A"]


def test_disorder_is_how_far_a_row_trails_the_newest_before_it(tmp_path: Path) -> None:
    event_ns = [NOON_NS + late for late in (10, 7, 30, 12)]
    columns = {"event_ns": event_ns, "known_ns": sorted(event_ns), "symbol": ["A"] * 4}
    day = keep_day(HistoryStore(tmp_path), "trade", columns)
    assert (day.disorder_ns("event"), day.disorder_ns("known")) == (18, 0)


def test_a_clock_with_gaps_says_how_many(tmp_path: Path) -> None:
    columns = {
        "event_ns": pa.array([None, NOON_NS, None], pa.int64()),
        "known_ns": [NOON_NS, NOON_NS + 1, NOON_NS + 2],
        "symbol": ["A"] * 3,
    }
    clocks = keep_day(HistoryStore(tmp_path), "trade", columns).summary.clocks
    assert (clocks["event_ns"].nulls, clocks["event_ns"].first_ns) == (2, NOON_NS)
    assert clocks["known_ns"].nulls == 0


def test_a_summary_reads_back_as_it_was_written(tmp_path: Path) -> None:
    summary = keep_day(HistoryStore(tmp_path), "trade", ROWS).summary
    assert DaySummary.from_json(summary.to_json()) == summary


def test_a_damaged_summary_is_named(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    keep_day(store, "trade", ROWS)
    summary = next(tmp_path.rglob("_day.json"))
    summary.write_text("{")
    with pytest.raises(HistoryError, match=r"_day\.json"):
        store.day("trade", DATE)
