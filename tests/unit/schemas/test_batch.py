"""Rows of a batch by mask and by place."""

import numpy as np
import pyarrow as pa

from schemas.batch import Batch


def batch_of(count: int) -> Batch:
    rows = np.arange(count, dtype=np.int64)
    return Batch(
        columns=pa.RecordBatch.from_pydict({"x": rows}),
        time_ns=rows + 10,
        sequence=rows + 20,
        offset=rows + 30,
        index=rows.astype(np.int32),
        key_code=(rows % 2).astype(np.int32),
        keys=pa.array([b"a", b"b"]),
    )


def values(batch: Batch) -> list[tuple[int, ...]]:
    columns = (batch.time_ns, batch.sequence, batch.offset, batch.index, batch.key_code)
    own = [column.tolist() for column in columns]
    return list(zip(batch.columns["x"].to_pylist(), *own, strict=True))


def test_where_keeps_every_field_of_the_rows_of_a_mask() -> None:
    batch = batch_of(5)
    mask = np.array([True, False, False, True, False])
    assert values(batch.where(mask)) == [values(batch)[0], values(batch)[3]]
    assert batch.where(mask).keys is batch.keys
    assert batch.where(~mask & mask).rows == 0


def test_where_all_rows_are_kept_the_batch_is_the_same() -> None:
    batch = batch_of(3)
    assert batch.where(np.ones(3, np.bool_)) is batch


def test_between_is_a_view_of_neighbouring_rows() -> None:
    batch = batch_of(5)
    part = batch.between(1, 3)
    assert values(part) == values(batch)[1:3]
    assert np.shares_memory(part.time_ns, batch.time_ns)
