"""What a join takes beyond its inputs and its result: under 25 bytes per left row and 25 per right row."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from numba import config

from operators.asof import asof_join
from tests.unit.operators.asof_tables import large_tables

ROWS = 10_000 if config.DISABLE_JIT else 120_000  # type: ignore[attr-defined]
BYTES_PER_ROW = 25
POOLS: list[pa.MemoryPool] = []  # Arrow needs a pool to outlive what it gave out


def shuffled(table: pa.Table) -> pa.Table:
    return table.take(np.random.default_rng(1).permutation(table.num_rows))


def in_pieces(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table[: ROWS // 3].combine_chunks(), table[ROWS // 3 :].combine_chunks()])


def in_microseconds(table: pa.Table) -> pa.Table:
    return table.set_column(0, "event_ns", table["event_ns"].cast(pa.timestamp("us")))


def with_numbers(table: pa.Table) -> pa.Table:
    scattered = np.random.default_rng(2).integers(0, 2**60, 500)
    codes = np.random.default_rng(3).integers(0, 500, table.num_rows)
    return table.set_column(1, "symbol", pa.array(scattered[codes]))


def as_it_is(table: pa.Table) -> pa.Table:
    return table


@pytest.mark.parametrize("change", [as_it_is, shuffled, in_pieces, in_microseconds, with_numbers])
@pytest.mark.parametrize("settings", [{}, {"direction": "nearest"}, {"carry": "column"}])
def test_a_join_takes_less_than_25_bytes_a_row_beyond_its_inputs_and_its_result(
    change: object, settings: dict[str, str]
) -> None:
    assert callable(change)
    left, right = (change(table) for table in large_tables(ROWS, symbols=500))
    asof_join(left, right, **settings)  # type: ignore[arg-type]  # compiles, so that it is not measured
    pool = pa.default_memory_pool()
    counted = pa.proxy_memory_pool(pool)
    POOLS.append(counted)
    pa.set_memory_pool(counted)
    tracemalloc.start()
    try:
        joined = asof_join(left, right, threads=2, **settings)  # type: ignore[arg-type]
        in_numpy = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(pool)
    result = counted.bytes_allocated()
    beyond = counted.max_memory() + in_numpy - result
    assert result > 0
    assert joined.num_rows == ROWS
    assert beyond / (left.num_rows + right.num_rows) < BYTES_PER_ROW


def test_sorted_columns_of_one_piece_are_not_copied() -> None:
    left, right = large_tables(ROWS, symbols=500)
    left, right = left.drop_columns(["symbol"]), right.select(["event_ns", "bid"])
    asof_join(left, right, by=None)
    tracemalloc.start()
    try:
        asof_join(left, right, by=None, threads=2)
        in_numpy = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    positions = 4 * ROWS
    assert in_numpy < positions + 100_000
