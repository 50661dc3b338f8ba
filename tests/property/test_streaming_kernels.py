"""The loops of the streaming join against their definitions."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.join.seal_kernel import refresh_last
from operators.rows.bytes_kernel import copy_spans
from operators.rows.order_kernel import append_in_order, count_below, merge_tail, pick_up_to, sort_rows

TIMES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), max_size=20)


@settings(max_examples=200, deadline=None)
@given(TIMES, TIMES, st.integers(0, 3), st.integers(0, 7))
def test_rows_added_in_any_order_end_up_sorted_and_stable(
    first: list[tuple[int, int]], second: list[tuple[int, int]], taken: int, bound_ns: int
) -> None:
    rows = first + second
    time_ns = np.array([row_ns for row_ns, _ in rows], np.int64)
    sequence = np.array([order for _, order in rows], np.int64)
    old = sorted(range(len(first)), key=lambda row: rows[row])
    order = np.full(taken + len(rows), -9, np.int64)
    order[taken : taken + len(old)] = old
    stop = taken + len(old)
    placed = append_in_order(order, taken, stop, len(first), len(second), time_ns, sequence)
    rest = sorted(range(len(first) + placed, len(rows)), key=lambda row: rows[row])
    merge_tail(order, taken, stop + placed, np.array(rest, np.int64), time_ns, sequence)
    assert order[taken:].tolist() == sorted(range(len(rows)), key=lambda row: rows[row])
    assert order[:taken].tolist() == [-9] * taken
    below = count_below(order, taken, order.size, time_ns, bound_ns)
    assert below == sum(row_ns < bound_ns for row_ns, _ in rows)


@settings(max_examples=100, deadline=None)
@given(TIMES)
def test_rows_in_order_are_all_placed_without_a_merge(rows: list[tuple[int, int]]) -> None:
    rows = sorted(rows)
    time_ns = np.array([row_ns for row_ns, _ in rows], np.int64)
    sequence = np.array([order for _, order in rows], np.int64)
    order = np.zeros(len(rows), np.int64)
    assert append_in_order(order, 0, 0, 0, len(rows), time_ns, sequence) == len(rows)


WIDE = st.one_of(st.integers(0, 40), st.integers(0, 2**40), st.integers(-(2**63), 2**63 - 1))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(WIDE, st.integers(-1, 1)), min_size=1, max_size=90), st.booleans())
def test_rows_are_sorted_by_time_and_sequence_and_stay_in_order_of_arrival(
    rows: list[tuple[int, int]], has_sequence: bool
) -> None:
    time_ns = np.array([row_ns for row_ns, _ in rows], np.int64)
    sequence = np.array([order if has_sequence else 0 for _, order in rows], np.int64)
    found = np.arange(len(rows))
    with np.errstate(over="ignore"):
        sort_rows(found, time_ns, sequence, *np.empty((3, len(rows)), np.int64))
    assert found.tolist() == sorted(range(len(rows)), key=lambda row: (time_ns[row], sequence[row]))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=20), st.integers(-1, 7))
def test_rows_up_to_a_time_are_picked_and_the_others_stay_as_they_were(
    times: list[int], newest_ns: int
) -> None:
    loose, picked = np.arange(len(times)), np.full(len(times), -9)
    count, oldest_ns = pick_up_to(loose, np.array(times, np.int64), newest_ns, picked)
    assert picked[:count].tolist() == [row for row, row_ns in enumerate(times) if row_ns <= newest_ns]
    left = [row for row, row_ns in enumerate(times) if row_ns > newest_ns]
    assert loose[: len(left)].tolist() == left
    assert oldest_ns == min((times[row] for row in left), default=2**63 - 1)


refreshed = st.lists(
    st.tuples(*[st.integers(0, 2)] * 4, st.integers(-1, 1), st.booleans(), st.booleans()), max_size=14
)


@settings(max_examples=200, deadline=None)
@given(refreshed)
def test_the_newest_row_of_a_group_stands_in_whatever_order_they_come(
    rows: list[tuple[int, int, int, int, int, bool, bool]],
) -> None:
    def newest(group: int, column: int | None) -> int:
        known = [i for i, r in enumerate(rows) if r[4] == group and (column is None or r[5 + column])]
        best = max((rows[i][:4] for i in known), default=None)
        return next((i for i in known if rows[i][:4] == best), -1)

    time_ns, sequence, offset = (np.array([row[c] for row in rows], np.int64) for c in range(3))
    index, group = (np.array([row[c] for row in rows], np.int32) for c in (3, 4))
    present = np.array([row[5:] for row in rows], np.uint8).reshape(len(rows), 2)
    last, last_value = np.full(2, -1, np.int64), np.full((2, 2), -1, np.int64)
    filled = refresh_last(
        np.arange(len(rows)), time_ns, sequence, offset, index, group, present, last, last_value
    )
    assert last.tolist() == [newest(0, None), newest(1, None)]
    assert last_value.tolist() == [[newest(g, c) for c in (0, 1)] for g in (0, 1)]
    assert filled == np.count_nonzero(last >= 0) + np.count_nonzero(last_value >= 0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=5), min_size=1, max_size=8), st.data())
def test_spans_are_copied_one_after_the_other(values: list[bytes], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(-1, len(values) - 1), max_size=10))
    chosen = [b"" if row < 0 else values[row] for row in rows]
    first = np.cumsum([0, *[len(value) for value in values]])[:-1].astype(np.int64)
    bounds = np.cumsum([0, *[len(value) for value in chosen]]).astype(np.int64)
    out = np.zeros(int(bounds[-1]), np.uint8)
    held = np.frombuffer(b"".join(values), np.uint8).copy()
    copy_spans(held, first, np.array(rows, np.int64), bounds, out)
    assert out.tobytes() == b"".join(chosen)
