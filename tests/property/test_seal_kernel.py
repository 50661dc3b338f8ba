"""The loop of the seal against its definition: which row matches, what stands afterwards, what was filled."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.join.seal_kernel import match_backward, oldest_offset

GROUPS, COLUMNS, UNBOUNDED = 2, 2, 2**63 - 1
lefts = st.lists(st.tuples(st.integers(0, 8), st.integers(-1, 1)), max_size=8).map(sorted)
rights = st.lists(
    st.tuples(st.integers(0, 8), st.integers(-1, 1), st.booleans(), st.booleans()), max_size=10
).map(lambda rows: sorted(rows, key=lambda row: row[0]))


@settings(max_examples=200, deadline=None)
@given(lefts, rights, st.integers(0, 10), st.booleans(), st.sampled_from([0, 2, UNBOUNDED]))
def test_the_seal_matches_and_folds_by_definition(
    left: list[tuple[int, int]],
    right: list[tuple[int, int, bool, bool]],
    folded: int,
    allow_exact: bool,
    tolerance_ns: int,
) -> None:
    folded = min(folded, len(right))

    def newest(group: int, column: int | None, before: int, upto_ns: float, oldest_ns: float) -> int:
        """The last of the first `before` rows in this time range, -1 for none; only the newest may be old."""
        for i in reversed(range(before)):
            in_time = right[i][0] < upto_ns or (allow_exact and right[i][0] == upto_ns)
            if right[i][1] == group and in_time and (column is None or right[i][2 + column]):
                return i if right[i][0] >= oldest_ns else -1
        return -1

    def standing(before: int) -> tuple[list[int], list[list[int]]]:
        ends = (before, float("inf"), float("-inf"))
        rows = [newest(g, None, *ends) for g in range(GROUPS)]
        return rows, [[newest(g, c, *ends) for c in range(COLUMNS)] for g in range(GROUPS)]

    rows, values = standing(folded)
    last, last_value = np.array(rows, np.int64), np.array(values, np.int64)
    empty = np.count_nonzero(last < 0) + np.count_nonzero(last_value < 0)
    floor_ns = right[folded - 1][0] if folded else 0  # rows folded before are older than any left row
    left = [(left_ns + floor_ns + 1, group) for left_ns, group in left]
    match = np.full(len(left), -9, np.int64)
    match_value = np.full((COLUMNS, len(left)), -9, np.int64)
    filled = match_backward(
        np.arange(len(left)),
        np.array([left_ns for left_ns, _ in left], np.int64),
        np.array([group for _, group in left], np.int32),
        np.arange(folded, len(right)),
        np.array([row[0] for row in right], np.int64),
        np.array([row[1] for row in right], np.int32),
        np.array([row[2:] for row in right[folded:]], np.uint8).reshape(-1, COLUMNS),
        allow_exact,
        tolerance_ns,
        last,
        last_value,
        match,
        match_value,
    )
    for i, (left_ns, group) in enumerate(left):
        reach = (len(right), left_ns, left_ns - tolerance_ns)
        assert match[i] == (newest(group, None, *reach) if group >= 0 else -1)
        for c in range(COLUMNS):
            assert match_value[c, i] == (newest(group, c, *reach) if group >= 0 else -1)
    assert (last.tolist(), last_value.tolist()) == standing(len(right))
    assert filled == empty - np.count_nonzero(last < 0) - np.count_nonzero(last_value < 0)


rows = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(rows, st.data(), st.integers(-1, 6), st.integers(0, 10))
def test_the_oldest_offset_is_that_of_a_row_that_stands_and_may_still_match(
    row: list[tuple[int, int]], data: st.DataObject, oldest_ns: int, otherwise: int
) -> None:
    names = st.lists(st.integers(-1, len(row) - 1), min_size=GROUPS, max_size=GROUPS)
    last, *values = [data.draw(names) for _ in range(1 + COLUMNS)]
    standing = {name for name in (*last, *(name for column in values for name in column)) if name >= 0}
    offsets = [row[name][0] for name in standing if row[name][1] >= oldest_ns]
    found = oldest_offset(
        np.array(last, np.int64),
        np.ascontiguousarray(np.array(values, np.int64).T),
        np.array([offset for offset, _ in row], np.int64),
        np.array([time_ns for _, time_ns in row], np.int64),
        oldest_ns,
        otherwise,
    )
    assert found == min([*offsets, otherwise])
