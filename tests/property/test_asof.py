"""The as-of join against its definition in words and against pandas, over all settings."""

import random
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.asof_columns import frozen
from operators.asof_kernel import match_backward, match_forward
from tests.property.asof_cases import describe, difference, draw_case

GROUPS = 3


@st.composite
def cases(draw):  # type: ignore[no-untyped-def]
    return draw_case(lambda lower, upper: draw(st.integers(lower, upper)), 8)


@given(cases())
@settings(max_examples=60, deadline=None)
def test_a_join_is_what_its_definition_says(case):  # type: ignore[no-untyped-def]
    found = difference(case)
    assert found is None, f"{describe(case)}\n{found}"


@pytest.mark.parametrize(("seed", "rows"), [(seed, 12) for seed in range(60)] + [(7, 150), (8, 150)])
def test_a_seeded_join_is_what_its_definition_says(seed: int, rows: int) -> None:
    case = draw_case(random.Random(seed).randint, rows)
    found = difference(case)
    assert found is None, f"{describe(case)}\n{found}"


rows = st.lists(st.tuples(st.integers(0, 12), st.integers(-1, GROUPS)), max_size=14).map(sorted)


@pytest.mark.parametrize("kernel", [match_backward, match_forward])
@given(left=rows, right=rows, cut=st.integers(0, 14), strict=st.integers(0, 1))
@settings(max_examples=60, deadline=None)
def test_where_the_left_rows_are_cut_among_threads_changes_nothing(
    kernel: Callable[..., int],
    left: list[tuple[int, int]],
    right: list[tuple[int, int]],
    cut: int,
    strict: int,
) -> None:
    size = len(left)
    whole, parts = np.full(size, -2, np.int32), np.full(size, -2, np.int32)
    cut = min(cut, size)
    for positions, ranges in ((whole, [(0, size)]), (parts, [(0, cut), (cut, size)])):
        for begin, end in ranges:
            table = np.full(GROUPS, -1, np.int32)
            part = positions[begin:end]
            kernel(*side(left[begin:end]), *side(right), len(right), strict, -1, table, part)
    assert whole.tolist() == parts.tolist()


def side(rows: list[tuple[int, int]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], None]:
    """Rows in time order; a group of -1 or beyond the table matches nothing."""
    ns = np.array([time_ns for time_ns, _ in rows], np.int64)
    return frozen(ns), frozen(np.array([group for _, group in rows], np.int32)), None
