"""Hashes of the rows of one layout are those that each column gives by itself."""

from typing import Final

import numpy as np
import pyarrow as pa
import pytest

from operators.hashing.batch_hash import BatchHashes
from operators.hashing.parity import sealed_hasher, sealed_hashes
from operators.hashing.row_hash import row_hashes

ROWS: Final = 37
TYPES: Final = (
    *(pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.large_binary()),
    *(pa.timestamp("ns"), pa.date32(), pa.duration("us"), pa.decimal128(30, 2), pa.list_(pa.int64())),
    *(pa.dictionary(pa.int8(), pa.string()), pa.null()),
)


def column(of_type: pa.DataType, nulls: float) -> pa.Array:
    """Values of any type, some of them null."""
    random = np.random.default_rng(TYPES.index(of_type))
    there = random.random(ROWS) >= nulls
    numbers = random.integers(0, 100, ROWS)
    if pa.types.is_null(of_type):
        return pa.nulls(ROWS)
    if pa.types.is_list(of_type):
        return pa.array([[int(n)] if t else None for n, t in zip(numbers, there, strict=True)], of_type)
    if pa.types.is_floating(of_type):
        values = np.where(numbers < 10, -0.0, np.where(numbers < 20, np.nan, numbers / 8 - 5))
        return pa.array(values.astype(of_type.to_pandas_dtype()), of_type, mask=~there, from_pandas=False)
    if pa.types.is_boolean(of_type):
        return pa.array(numbers % 2 == 0, mask=~there)
    if pa.types.is_decimal(of_type) or pa.types.is_temporal(of_type):
        return pa.array(numbers, pa.int32() if of_type.bit_width == 32 else pa.int64(), mask=~there).cast(
            of_type
        )
    if pa.types.is_integer(of_type):
        return pa.array(numbers.astype(of_type.to_pandas_dtype()), of_type, mask=~there)
    return pa.array([str(n) if t else None for n, t in zip(numbers, there, strict=True)]).cast(of_type)


def batch(nulls: float) -> pa.RecordBatch:
    names = [f"c{place}" for place in range(len(TYPES))]
    return pa.RecordBatch.from_arrays([column(kind, nulls) for kind in TYPES], names=names)


@pytest.mark.parametrize("nulls", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("lower", "rows"), [(0, ROWS), (0, 1), (3, 20), (8, 8), (17, 0), (36, 1)])
def test_columns_folded_in_one_call_give_the_hashes_of_each_by_itself(
    nulls: float, lower: int, rows: int
) -> None:
    part = batch(nulls).slice(lower, rows)
    expected = row_hashes(part.columns, rows)
    assert BatchHashes(part.schema).of(part).tolist() == expected.tolist()


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_a_column_of_any_type_counts_and_its_nulls_do(kind: pa.DataType) -> None:
    rows = pa.RecordBatch.from_arrays([column(kind, 0.5)], names=["c"])
    hashes = BatchHashes(rows.schema).of(rows)
    assert hashes.tolist() == row_hashes(rows.columns, ROWS).tolist()


def test_where_left_rows_stood_does_not_count() -> None:
    columns = {"x": [1.5, None], "left_offset": [1, 2], "left_index": [0, 0]}
    rows = pa.record_batch(columns)
    moved = pa.record_batch({**columns, "left_offset": [7, 8]})
    hashes = sealed_hasher(rows.schema)
    assert hashes.of(rows).tolist() == hashes.of(moved).tolist() == sealed_hashes(rows).tolist()


def test_rows_of_another_layout_are_no_rows_for_it() -> None:
    with pytest.raises(AssertionError, match="another layout"):
        BatchHashes(pa.schema([("x", pa.int64())])).of(pa.record_batch({"x": [1.0]}))
