"""Rows that wait, in batches of any size and order, against a sorted list."""

from unittest.mock import patch

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.rows import columns, pending
from operators.rows.pending import PendingRows
from schemas.batch import Batch

SCHEMA = pa.schema([("number", pa.int64())])
TIMES = st.lists(st.integers(0, 30), min_size=1, max_size=40)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), TIMES),
        st.tuples(st.just("hold"), TIMES),
        st.tuples(st.just("pass"), st.integers(1, 6)),
    )
)


def batch_of(times: list[int], first: int) -> Batch:
    """Rows of these times, numbered from `first` on."""
    count = len(times)
    return Batch(
        columns=pa.record_batch([pa.array(range(first, first + count))], schema=SCHEMA),
        time_ns=np.array(times, np.int64),
        sequence=np.zeros(count, np.int64),
        offset=np.arange(first, first + count),
        index=np.zeros(count, np.int32),
        key_code=np.zeros(count, np.int32),
        keys=pa.array([b""], pa.binary()),
    )


@settings(max_examples=300, deadline=None)
@given(STEPS, st.booleans())
def test_rows_come_out_in_order_whatever_the_batches_and_bounds(
    steps: list[tuple[str, list[int] | int]], settling: bool
) -> None:
    with patch.object(pending, "COMPACT_ROWS_MIN", 8), patch.object(columns, "CAPACITY_MIN", 4):
        play(steps, settling=settling)


def play(steps: list[tuple[str, list[int] | int]], *, settling: bool) -> None:
    """Do the steps with `PendingRows` and with a list."""
    rows = PendingRows(SCHEMA, ("number",))
    waiting: list[tuple[int, int]] = []  # the time and number of each, sorted
    held = np.empty(0, np.int64)
    number = bound_ns = 0
    for step, given_step in steps:
        if isinstance(given_step, list):
            times = [bound_ns + time_ns for time_ns in given_step]  # none comes before the bound
            batch = batch_of(times, number)
            if step == "hold":
                held = rows.hold(batch, batch.key_code)
            else:
                rows.add(batch, batch.key_code)
                waiting = sorted([*waiting, *zip(times, range(number, number + len(times)), strict=True)])
            number += len(times)
        else:
            bound_ns += given_step
            passed = [row for row in waiting if row[0] < bound_ns]
            if settling:
                rows.settle(bound_ns)
            assert rows.below(bound_ns) == len(passed)
            assert numbers(rows, rows.take(len(passed))) == [row for _, row in passed]
            waiting = waiting[len(passed) :]
            if rows.worth_forgetting(held.size):
                kept = numbers(rows, held)
                held = rows.forget(held)[held]
                assert numbers(rows, held) == kept
        assert rows.rows == len(waiting)
        assert rows.oldest_offset(number) == min((row for _, row in waiting), default=number)
        assert sorted(numbers(rows, rows.ids_unordered)) == sorted(row for _, row in waiting)
        if waiting:
            assert rows.oldest_ns == waiting[0][0]
    assert numbers(rows, rows.ids) == [row for _, row in waiting]


def numbers(rows: PendingRows, ids: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[int]:
    """The numbers of rows."""
    found: list[int] = rows.store.gather("number", ids).to_pylist()
    return found
