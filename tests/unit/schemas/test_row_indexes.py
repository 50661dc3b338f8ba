"""Indexes of rows as runs: a sequence like a tuple of them, whatever the runs were."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.row_indexes import RowIndexes, runs_of

INDEXES = st.lists(st.integers(0, 12), max_size=20).map(tuple)


@given(INDEXES, st.slices(20))
def test_they_are_what_a_tuple_of_them_is(indexes: tuple[int, ...], part: slice) -> None:
    ours = RowIndexes(runs_of(indexes))
    assert (len(ours), tuple(ours), bool(ours)) == (len(indexes), indexes, bool(indexes))
    assert ours == indexes
    assert hash(ours) == hash(indexes)
    assert ours[part] == indexes[part]
    assert [ours[place] for place in range(-len(indexes), len(indexes))] == [*indexes, *indexes]
    assert ours == RowIndexes(range(index, index + 1) for index in indexes)
    with pytest.raises(IndexError):
        ours[len(indexes)]


def test_others_are_not_equal() -> None:
    ours = RowIndexes([range(3)])
    assert ours not in [(0, 1), (0, 1, 3), (0, 1, "2"), 3, RowIndexes([range(4)])]
