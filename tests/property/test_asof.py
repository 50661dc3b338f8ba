"""The as-of join against its definition in words and against pandas, over all settings."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.rows.views import frozen
from operators.tables.settings import read_settings
from operators.tables.walk import Side, Walk, link, needs_links
from tests.property.asof_cases import describe, difference, draw_case

pytestmark = pytest.mark.takes_s(20)

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


@pytest.mark.parametrize("direction", ["backward", "forward", "nearest"])
@pytest.mark.parametrize("by", ["symbol", None])
@given(left=rows, right=rows, cuts=st.lists(st.integers(0, 14), max_size=3), strict=st.booleans())
@settings(max_examples=60, deadline=None)
def test_where_the_left_rows_are_cut_changes_nothing(
    direction: str,
    by: str | None,
    left: list[tuple[int, int]],
    right: list[tuple[int, int]],
    cuts: list[int],
    strict: bool,
) -> None:
    asked = read_settings(
        on="event_ns",
        by=by,
        direction=direction,
        tolerance_ns=None,
        allow_exact=not strict,
        carry="row",
        sequence=None,
        threads=1,
    )
    others = side(right, by)
    links = link(others, GROUPS) if needs_links(others, asked) else None

    def matched(bounds: list[int], *, anew: bool) -> list[int]:
        """Match tile after tile between the bounds, by one walk or each by a new one."""
        positions = np.full(len(left), -2, np.int32)
        walk = Walk(others, GROUPS, asked, links)
        spans = list(itertools.pairwise(bounds))
        for begin, end in spans[::-1] if direction == "forward" else spans:
            walk = Walk(others, GROUPS, asked, links) if anew else walk
            walk.match(side(left[begin:end], by), positions[begin:end])
        return positions.tolist()

    size = len(left)
    bounds = [0, *sorted(min(cut, size) for cut in cuts), size]
    whole = matched([0, size], anew=True)
    assert matched(bounds, anew=False) == whole, "a walk went on differently behind a tile"
    assert matched(bounds, anew=True) == whole, "a walk began differently at a thread's range"


def side(rows: list[tuple[int, int]], by: str | None) -> Side:
    """Rows in time order; a group of -1 or beyond the table matches nothing."""
    ns = np.array([time_ns for time_ns, _ in rows], np.int64)
    code = np.array([group for _, group in rows], np.int32)
    return Side(frozen(ns), frozen(code) if by else None, None, len(rows))
