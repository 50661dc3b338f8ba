"""Which rows are in one group, for every type that can be a key."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from operators.asof import AsofError, asof_join

DAY = dt.date(2024, 1, 15)
KEYS = [
    *(pa.array([1, 2, 1, None], kind) for kind in (pa.int8(), pa.uint16(), pa.int32(), pa.uint64())),
    pa.array([-(2**63), 2**63 - 1, -(2**63), None], pa.int64()),
    pa.array([2**64 - 1, 0, 2**64 - 1, None], pa.uint64()),
    pa.array([True, False, True, None]),
    pa.array([-0.0, float("nan"), 0.0, None], pa.float32()),
    pa.array(["a", "", "a", None]),
    pa.array(["a long symbol", "a long symbo", "a long symbol", None], pa.large_string()),
    pa.array([b"a\x00", b"a", b"a\x00", None], pa.binary()),
    pa.array([b"abc", b"abd", b"abc", None], pa.binary(3)),
    pa.array([Decimal("1.5"), Decimal("2.5"), Decimal("1.5"), None], pa.decimal128(9, 2)),
    pa.array([DAY, DAY + dt.timedelta(1), DAY, None], pa.date32()),
    pa.array([1, 2, 1, None], pa.timestamp("ms", "UTC")),
    pa.array(["a", "b", "a", None]).dictionary_encode(),
    pa.DictionaryArray.from_arrays(pa.array([0, 1, 0, 2], pa.uint32()), pa.array(["a", "b", None])),
]


@pytest.mark.parametrize("keys", KEYS, ids=lambda keys: str(keys.type))
@pytest.mark.parametrize("cut", [0, 1, 3])
def test_equal_keys_match_and_null_keys_do_not(keys: pa.Array, cut: int) -> None:
    column = pa.chunked_array([keys[:cut], keys[cut:]]) if cut else pa.chunked_array([keys])
    right = pa.table({"event_ns": [1, 2, 3, 4], "symbol": column, "row": [0, 1, 2, 3]})
    left = pa.table({"event_ns": [9, 9, 2, 9], "symbol": column})
    assert asof_join(left, right)["right_row"].to_pylist() == [2, 1, 0, None]


@pytest.mark.parametrize(
    ("keys", "right_type"),
    [
        (pa.array([200, 7]), pa.int16()),
        (pa.array([200, 7], pa.uint8()), pa.int64()),
        (pa.array([200, 7], pa.uint64()), pa.uint8()),
        (pa.array([200, 7]).dictionary_encode(), pa.int32()),
    ],
)
def test_whole_numbers_compare_across_widths(keys: pa.Array, right_type: pa.DataType) -> None:
    left = pa.table({"event_ns": [9, 9], "symbol": keys})
    right = pa.table({"event_ns": [1, 2], "symbol": pa.array([7, 8]).cast(right_type), "row": [0, 1]})
    assert asof_join(left, right)["right_row"].to_pylist() == [None, 0]


@pytest.mark.parametrize(
    "left_type", [pa.string(), pa.large_string(), pa.dictionary(pa.int16(), pa.string())]
)
@pytest.mark.parametrize("right_type", [pa.large_string(), pa.dictionary(pa.uint8(), pa.large_string())])
def test_text_compares_across_its_encodings(left_type: pa.DataType, right_type: pa.DataType) -> None:
    left = pa.table({"event_ns": [9, 9], "symbol": pa.array(["zz", "a"]).cast(left_type)})
    right = pa.table({"event_ns": [1, 2], "symbol": pa.array(["a", "b"]).cast(right_type), "row": [0, 1]})
    assert asof_join(left, right)["right_row"].to_pylist() == [None, 0]


def test_several_group_columns_must_all_be_equal() -> None:
    right = pa.table({"event_ns": [1, 2, 3], "symbol": ["A", "A", "B"], "venue": [1, 2, 2], "row": [0, 1, 2]})
    left = pa.table(
        {"event_ns": [9, 9, 9], "symbol": ["A", "B", "B"], "venue": pa.array([1, 2, 1], pa.int8())}
    )
    joined = asof_join(left, right, by=["symbol", "venue"])
    assert joined["right_row"].to_pylist() == [0, 2, None]
    assert joined.schema.names == [
        "event_ns",
        "symbol",
        "venue",
        "right_row",
        "right_event_ns",
        "right_age_ns",
    ]


def test_a_column_of_nothing_but_nulls_groups_nothing() -> None:
    right = pa.table({"event_ns": [1], "symbol": ["A"], "row": [0]})
    left = pa.table({"event_ns": [9], "symbol": pa.nulls(1)})
    assert asof_join(left, right)["right_row"].to_pylist() == [None]


def test_many_keys_are_kept_apart() -> None:
    rows = 60_000
    numbers = np.random.default_rng(5).choice(2**62, rows, replace=False)
    for keys in (pa.array(numbers), pa.array(numbers).cast(pa.string()), pa.array(numbers % 2**16)):
        right = pa.table({"event_ns": np.arange(rows), "symbol": keys, "row": np.arange(rows)})
        left = pa.table({"event_ns": np.full(rows, rows), "symbol": keys})
        latest = dict(zip(keys.to_pylist(), range(rows), strict=True))
        expected = [latest[key] for key in keys.to_pylist()]
        assert asof_join(left, right, threads=2)["right_row"].to_pylist() == expected


def test_a_nested_key_is_refused() -> None:
    table = pa.table({"event_ns": [1], "symbol": [[1]]})
    with pytest.raises(AsofError, match="cannot be a group column: expected text, binary or numbers"):
        asof_join(table, table)


def test_signed_and_64_bit_unsigned_numbers_are_not_taken_for_each_other() -> None:
    left = pa.table({"event_ns": [1], "symbol": pa.array([-1])})
    right = pa.table({"event_ns": [1], "symbol": pa.array([2**64 - 1], pa.uint64())})
    with pytest.raises(AsofError, match="as a group column it needs one type"):
        asof_join(left, right)
