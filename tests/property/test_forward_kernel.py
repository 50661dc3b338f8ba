"""The loops that look ahead against their definition, over any frontiers: what is found, and when."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.join.forward_kernel import match_forward, match_nearest, release, settle

GROUPS = 2
LEFTS = st.lists(st.tuples(st.integers(0, 9), st.integers(-1, 1)), max_size=8).map(sorted)
RIGHTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1)), max_size=10)


class Rows(NamedTuple):
    """(time_ns, group) of each row, in order of time."""

    left: list[tuple[int, int]]
    right: list[tuple[int, int]]


class Chains:
    """The tables that the loops work on."""

    def __init__(self, rows: Rows) -> None:
        self.left_ns, self.left_group = columns(rows.left)
        self.right_ns, self.right_group = columns(rows.right)
        self.following = np.full(len(rows.right), -9, np.int64)
        self.tail = np.full(GROUPS, -1, np.int64)
        self.heads = np.full((2, GROUPS), -1, np.int64)
        self.before = np.full(GROUPS, -1, np.int64)
        self.last = np.full(GROUPS, -1, np.int64)

    def settle(self, lower: int, upper: int) -> None:
        settle(np.arange(lower, upper), self.right_group, self.following, self.tail, self.heads)

    def release(self, lower: int, upper: int) -> None:
        rows = np.arange(lower, upper)
        release(rows, self.right_group, self.following, self.tail, self.heads, self.before)
        for row in rows:
            self.last[self.right_group[row]] = row

    def match(
        self, direction: str, first: int, frontier_ns: int, strict: int, tolerance_ns: int
    ) -> list[int]:
        """The matches of the final left rows from place `first` on."""
        left = np.array(
            [i for i in range(first, self.left_ns.size) if self.left_ns[i] < frontier_ns], np.int64
        )
        found = np.full(left.size, -9, np.int64)
        sides = (left, self.left_ns, self.left_group, frontier_ns - 1, strict, tolerance_ns)
        chains = (self.right_ns, self.following, self.heads)
        if direction == "forward":
            count = match_forward(*sides, *chains, found)
        else:
            count = match_nearest(*sides, *chains, self.before, self.last, found)
        assert found[count:].tolist() == [-9] * (left.size - count)
        answer: list[int] = found[:count].tolist()
        return answer


def columns(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([r[0] for r in rows], np.int64), np.array([r[1] for r in rows], np.int32)


def expected(
    rows: Rows, left: int, direction: str, frontier_ns: int, strict: int, tolerance_ns: int
) -> int | None:
    """The row that a left row matches, -1 for none; None while a row from the frontier on may change it."""
    left_ns, group = rows.left[left]
    reach = [
        row
        for row, (right_ns, of) in enumerate(rows.right)
        if of == group and strict <= abs(left_ns - right_ns) <= tolerance_ns and right_ns < frontier_ns
    ]
    before = [row for row in reach if rows.right[row][0] <= left_ns] if direction == "nearest" else []
    after = [row for row in reach if rows.right[row][0] >= left_ns]
    candidates = before[-1:] + after[:1]
    if not candidates:
        return -1 if frontier_ns > left_ns + tolerance_ns else None
    best = min(candidates, key=lambda row: abs(left_ns - rows.right[row][0]))
    return best if frontier_ns > left_ns + abs(left_ns - rows.right[best][0]) else None


@pytest.mark.parametrize("direction", ["forward", "nearest"])
@settings(max_examples=200, deadline=None)
@given(
    LEFTS, RIGHTS, st.lists(st.integers(0, 14), max_size=4).map(sorted), st.integers(0, 1), st.integers(0, 4)
)
def test_each_left_row_gets_its_match_as_soon_as_that_is_final(
    direction: str,
    left: list[tuple[int, int]],
    right: list[tuple[int, int]],
    frontiers: list[int],
    strict: int,
    tolerance_ns: int,
) -> None:
    rows = Rows(left, sorted(right, key=lambda row: row[0]))
    chains = Chains(rows)
    done = settled = released = 0
    for frontier_ns in frontiers:
        upper = sum(right_ns < frontier_ns for right_ns, _ in rows.right)
        chains.settle(settled, max(settled, upper))
        settled = max(settled, upper)
        found = chains.match(direction, done, frontier_ns, strict, tolerance_ns)
        for match in found:
            assert match == expected(rows, done, direction, frontier_ns, strict, tolerance_ns)
            done += 1
        if done < len(left) and left[done][0] < frontier_ns:
            assert expected(rows, done, direction, frontier_ns, strict, tolerance_ns) is None
        floor_ns = min([frontier_ns, *[left_ns for left_ns, _ in left[done:]]])
        upper = sum(right_ns < floor_ns for right_ns, _ in rows.right)
        chains.release(released, max(released, upper))
        released = max(released, upper)
