"""What a join takes beyond its inputs and its result: under 25 bytes per left row and 25 per right row."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from numba import config

from operators.asof import asof_join
from tests.stage.asof_tables import large_tables

pytestmark = pytest.mark.skipif(
    bool(config.DISABLE_JIT),  # type: ignore[attr-defined]
    reason="plain Python is too slow for as many rows as outweigh what any join takes",
)
ROWS = 120_000
BYTES_PER_ROW = 25
POOLS: list[pa.MemoryPool] = []  # Arrow needs a pool to outlive what it gave out


def shuffled(table: pa.Table) -> pa.Table:
    return table.take(np.random.default_rng(1).permutation(table.num_rows))


def in_pieces(table: pa.Table) -> pa.Table:
    third = table.num_rows // 3
    return pa.concat_tables([table[:third].combine_chunks(), table[third:].combine_chunks()])


def shuffled_in_pieces(table: pa.Table) -> pa.Table:
    return in_pieces(shuffled(table))


def in_microseconds(table: pa.Table) -> pa.Table:
    return table.set_column(0, "event_ns", table["event_ns"].cast(pa.timestamp("us")))


def with_numbers(table: pa.Table, symbols: int = 500) -> pa.Table:
    scattered = np.random.default_rng(2).integers(0, 2**60, symbols)
    codes = np.random.default_rng(3).integers(0, symbols, table.num_rows)
    return table.set_column(1, "symbol", pa.array(scattered[codes]))


def with_many_symbols(table: pa.Table) -> pa.Table:
    return with_numbers(table, symbols=ROWS // 2)


def as_it_is(table: pa.Table) -> pa.Table:
    return table


CHANGES = [as_it_is, shuffled, in_pieces, shuffled_in_pieces, in_microseconds, with_numbers]
SETTINGS: list[dict[str, str]] = [{}, {"direction": "nearest"}, {"carry": "column"}]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("settings", SETTINGS)
def test_a_join_takes_less_than_25_bytes_a_row_beyond_its_inputs_and_its_result(
    change: Callable[[pa.Table], pa.Table], settings: dict[str, str]
) -> None:
    left, right = (change(table) for table in large_tables(ROWS, symbols=500))
    assert bytes_per_row(left, {"quote": right}, settings) < BYTES_PER_ROW


@pytest.mark.parametrize("change", [*CHANGES, with_many_symbols])
@pytest.mark.parametrize("settings", SETTINGS)
def test_a_join_of_many_tables_takes_no_more_a_row(
    change: Callable[[pa.Table], pa.Table], settings: dict[str, str]
) -> None:
    left, right = large_tables(ROWS, symbols=500)
    parts = [right.slice(number * ROWS // 9, ROWS // 3) for number in range(6)]
    rights = {f"s{number}": change(part) for number, part in enumerate(parts)}
    assert bytes_per_row(change(left), rights, settings) < BYTES_PER_ROW


def bytes_per_row(left: pa.Table, rights: dict[str, pa.Table], settings: dict[str, str]) -> float:
    """Return what a join takes beyond its inputs and its result, by the rows of all tables."""
    asof_join(left, rights, **settings)  # type: ignore[arg-type]  # compiles, so that it is not measured
    pool = pa.default_memory_pool()
    counted = pa.proxy_memory_pool(pool)
    POOLS.append(counted)
    pa.set_memory_pool(counted)
    tracemalloc.start()
    try:
        joined = asof_join(left, rights, threads=2, **settings)  # type: ignore[arg-type]
        in_numpy = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(pool)
    result = counted.bytes_allocated()
    beyond = counted.max_memory() + in_numpy - result
    assert result > 0
    assert joined.num_rows == left.num_rows
    return float(beyond / (left.num_rows + sum(right.num_rows for right in rights.values())))


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
