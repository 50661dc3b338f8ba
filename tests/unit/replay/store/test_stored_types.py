"""Every type that a stream may have comes back from a table as it was, to the last nanosecond."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from replay.errors import HistoryError
from replay.store.prune import Wanted
from replay.store.scan import Scan
from replay.store.stored_types import stored_schema, stored_type
from replay.store.table import HistoryTable, create_table
from tests.stage.history_tables import DAY_NS, RULES, append, placed

NANOSECOND = DAY_NS + 123_456_789
COLUMNS = {
    "nano": pa.array([NANOSECOND, None], pa.timestamp("ns", "Europe/Berlin")),
    "micro": pa.array([NANOSECOND // 1_000, None], pa.timestamp("us")),
    "day_time": pa.array([123_456_789, None], pa.time64("ns")),
    "second_time": pa.array([3_600, None], pa.time32("s")),
    "span": pa.array([987_654_321, None], pa.duration("ns")),
    "byte": pa.array([200, None], pa.uint8()),
    "short": pa.array([60_000, None], pa.uint16()),
    "word": pa.array([4_000_000_000, None], pa.uint32()),
    "long": pa.array([2**64 - 1, None], pa.uint64()),
    "half": pa.array([1.5, None], pa.float32()).cast(pa.float16()),
    "name": pa.array(["a", None]).dictionary_encode(),
    "text": pa.array(["b", None], pa.large_string()),
    "view": pa.array(["c", None], pa.string_view()),
    "fixed": pa.array([b"1234", None], pa.binary(4)),
    "amount": pa.array([Decimal("12.34"), None], pa.decimal128(10, 2)),
    "calendar": pa.array([date(2026, 11, 28), None], pa.date32()),
    "flag": pa.array([True, None]),
    "levels": pa.array([[1, 2], None], pa.large_list(pa.uint8())),
    "best": pa.array(
        [{"price": 1.5, "at": 7}, None], pa.struct([("price", pa.float64()), ("at", pa.duration("ns"))])
    ),
    "nothing": pa.nulls(2),
}


def rows() -> pa.RecordBatch:
    clocks = {
        "event_ns": pa.array([DAY_NS, DAY_NS + 1]),
        "known_ns": pa.array([DAY_NS + 2, DAY_NS + 3]),
        "symbol": pa.array(["A", "A"]),
        "sequence": pa.array([1, 2]),
    }
    return pa.RecordBatch.from_pydict({**clocks, **COLUMNS})


def kept(store: Path) -> HistoryTable:
    table = create_table(store, RULES, rows().schema)
    append(table, placed(rows()))
    return HistoryTable(store, "quote")


def test_rows_come_back_in_their_own_types(tmp_path: Path) -> None:
    batch = pa.concat_batches(list(Scan(kept(tmp_path).snapshot(), Wanted()).batches()))
    assert batch.schema == rows().schema
    for name in batch.schema.names:
        assert batch.column(name).to_pylist() == rows().column(name).to_pylist(), name


def test_a_frame_has_every_nanosecond(tmp_path: Path) -> None:
    frame = (
        Scan(kept(tmp_path).snapshot(), Wanted(), ["nano", "long", "name", "span", "levels"])
        .frame()
        .collect()
    )
    assert frame["nano"].dtype == pl.Datetime("ns", "Europe/Berlin")
    assert frame["nano"].to_physical()[0] == NANOSECOND
    assert frame["span"].to_physical()[0] == 987_654_321
    assert frame["long"][0] == 2**64 - 1
    assert frame["name"].to_list() == ["a", None]
    assert frame["levels"].to_list() == [[1, 2], None]


def test_what_cannot_be_kept_is_refused_by_its_column() -> None:
    union = pa.sparse_union([pa.field("a", pa.int64())])
    with pytest.raises(HistoryError, match=r"column odd is sparse_union.*leave it out"):
        stored_schema(pa.schema([("odd", union)]))
    with pytest.raises(HistoryError, match="cannot keep"):
        stored_type(pa.decimal256(60, 2))
    with pytest.raises(HistoryError, match="cannot keep"):
        stored_type(pa.month_day_nano_interval())
