"""Once warm, a batch allocates nothing of its size: counted in bytes, by batch."""

import tracemalloc
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gpu_sink.frames import Frame, Place
from gpu_sink.options import Windows
from gpu_sink.source import AlignedStream

BATCH_ROWS = 8_192
ROW_SIZE = 8 + 8 + 1 + 4 + 1 + 2 + 1 + 4 + 4 + 1  # bytes of a row in a slot
OBJECTS_SIZE = 16_384  # bytes; views, runs, and what else has the size of an object


def frames(count: int) -> list[Frame]:
    """Frames that end anywhere in batches, with nulls, booleans, codes and short words."""
    rng = np.random.default_rng(1)
    venues = np.array(["X", "ARCA", "NASDAQ", ""])
    made, number = [], 0
    for offset in range(count):
        rows = int(rng.integers(2_000, 9_000))
        nulls = rng.random(rows) < 0.1
        columns = {
            "event_ns": pa.array(np.arange(number, number + rows)),
            "price": pa.array(rng.random(rows), mask=nulls),
            "size": pa.array(rng.integers(0, 9, rows, np.int32), mask=nulls),
            "up": pa.array(rng.random(rows) < 0.5, mask=nulls),
            "venue": pa.array(venues[rng.integers(0, len(venues), rows)], mask=nulls),
            "symbol": pa.DictionaryArray.from_arrays(rng.integers(0, 3, rows, np.int8), ["A", "B", "C"]),
        }
        number += rows
        fields = [pa.field(name, one.type, nullable=name != "symbol") for name, one in columns.items()]
        batch = pa.RecordBatch.from_arrays(list(columns.values()), schema=pa.schema(fields))
        made.append(Frame(batch, None, Place("aligned", 0, offset)))
    return made


def allocated(**options: Any) -> list[int]:
    """Per batch, the most memory that it took above what was held before it, in bytes."""
    batches = iter(
        AlignedStream.from_frames(frames(60)).batches(batch_rows=BATCH_ROWS, prefetch=0, **options)
    )
    for _ in range(8):
        next(batches)
    sizes = []
    tracemalloc.start()
    for _ in range(12):
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        next(batches)
        sizes.append(tracemalloc.get_traced_memory()[1] - before)
    tracemalloc.stop()
    batches.close()  # type: ignore[attr-defined]
    return sizes


@pytest.mark.parametrize("options", [{}, {"pad": True}, {"dtypes": {"price": "float32"}}])
def test_a_warm_batch_allocates_nothing_of_its_size(options: dict[str, Any]) -> None:
    sizes = allocated(**options)
    assert max(sizes) < OBJECTS_SIZE < BATCH_ROWS * ROW_SIZE / 10


def test_a_warm_shuffled_batch_allocates_nothing_of_its_size() -> None:
    assert max(allocated(shuffle_rows=2 * BATCH_ROWS)) < OBJECTS_SIZE


def test_warm_windows_allocate_indexes_of_rows_but_no_windows() -> None:
    steps, columns = 16, ["price", "size"]
    sizes = allocated(windows=Windows(steps=steps, columns=columns))
    assert max(sizes) < 12 * BATCH_ROWS * 8 < BATCH_ROWS * steps * len(columns) * 4


def test_arrow_allocates_nothing_for_a_warm_batch() -> None:
    """Counted by Arrow's pool itself: codes, short words, masks and values are made without it."""
    batches = iter(AlignedStream.from_frames(frames(60)).batches(batch_rows=BATCH_ROWS, prefetch=0))
    for _ in range(8):
        next(batches)
    before = pa.default_memory_pool().num_allocations()
    assert sum(batch.rows for batch in islice(batches, 12)) == 12 * BATCH_ROWS
    assert pa.default_memory_pool().num_allocations() == before
    pa.array([1])
    assert pa.default_memory_pool().num_allocations() > before


def test_arrows_pool_holds_no_more_after_many_batches_than_after_a_few() -> None:
    batches = AlignedStream.from_frames(frames(60)).batches(batch_rows=BATCH_ROWS, prefetch=0)
    held = []
    for number, _ in enumerate(batches):
        if number >= 8:
            held.append(pa.total_allocated_bytes())
    assert len(held) > 20
    assert max(held) - min(held) < OBJECTS_SIZE


def test_tracing_would_see_a_batch_that_owns_its_memory() -> None:
    assert min(allocated(copy=True)) > BATCH_ROWS * ROW_SIZE / 2
