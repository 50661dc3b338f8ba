"""Values survive the history: whatever Parquet gives, the store gives back."""

import decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.imports.folder import import_folder
from replay.store.days import HistoryStore
from tests.stage.days import DATE, NOON_NS, rows_of

int64s = st.integers(-(2**63), 2**63 - 1)
VALUES: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.int8(), st.integers(-128, 127)),
    (pa.uint16(), st.integers(0, 2**16 - 1)),
    (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    (pa.int64(), int64s),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float32(), st.floats(width=32, allow_nan=False)),
    (pa.float64(), st.floats(allow_nan=False)),
    (pa.bool_(), st.booleans()),
    (pa.string(), st.text(max_size=5)),
    (pa.large_string(), st.text(max_size=5)),
    (pa.binary(), st.binary(max_size=5)),
    (pa.binary(3), st.binary(min_size=3, max_size=3)),
    (pa.list_(pa.string()), st.lists(st.none() | st.text(max_size=5))),
    (pa.list_(pa.float64()), st.lists(st.floats(allow_nan=False))),
    (
        pa.decimal128(20, 4),
        st.decimals(-(10**15), 10**15, places=4).map(lambda d: d or decimal.Decimal("0.0000")),
    ),
    (pa.date32(), st.dates()),
    (pa.time64("ns"), st.integers(0, 86_399_999_999_999)),
    (pa.timestamp("us"), int64s),
    (pa.timestamp("ns", "Asia/Tokyo"), int64s),
    (pa.duration("ns"), int64s),
]


@pytest.mark.parametrize(("kind", "values"), VALUES, ids=[str(kind) for kind, _ in VALUES])
def test_a_column_of_any_type_comes_back_as_parquet_had_it(
    kind: pa.DataType, values: st.SearchStrategy[Any]
) -> None:
    @given(st.lists(st.none() | values, min_size=1, max_size=8))
    @settings(max_examples=5, deadline=None)
    def check(column: list[Any]) -> None:
        array = (
            pa.array(column, pa.int64()).cast(kind) if pa.types.is_temporal(kind) and _counted(kind) else None
        )
        array = pa.array(column, kind) if array is None else array
        with TemporaryDirectory() as folder:
            rows = pa.table(
                {
                    "before": array,
                    "event_ns": [NOON_NS] * len(column),
                    "symbol": ["A"] * len(column),
                    "after": array,
                }
            )
            pq.write_table(rows, Path(folder) / "trades.parquet")
            expected = pq.read_table(Path(folder) / "trades.parquet")
            store = HistoryStore(Path(folder) / "history")
            import_folder(store, Path(folder))
            assert rows_of(store.day("trade", DATE)).equals(expected)

    check()


def _counted(kind: pa.DataType) -> bool:
    """Times that a test draws as counts, since Python's own hold no nanoseconds."""
    return not pa.types.is_date(kind)
