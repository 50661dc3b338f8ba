"""What rides in a commit comes back as it was, and never needs more room than a broker gives."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import RunError
from app.late_places import decode_places, encode_places
from app.progress_metadata import METADATA_SIZE_MAX, from_position, to_position
from operators.operator import InputProgress
from topics.bus import Position

PLACES = st.sets(st.tuples(st.integers(0, 30), st.integers(0, 4)), max_size=60)


@given(PLACES, st.integers(0, 2**60))
def test_places_come_back_as_they_were(drawn: set[tuple[int, int]], first: int) -> None:
    places = tuple(sorted((first + offset, index) for offset, index in drawn))
    assert decode_places(encode_places(places)) == places


def test_neighbours_take_no_more_room_than_one() -> None:
    block = [(7, index) for index in range(1000)]
    assert encode_places(tuple((offset, 0) for offset in range(5, 1000))) == "5x995"
    assert encode_places((*block, (8, 0), (8, 2))) == "7:0-999 1:0,2"


def test_progress_comes_back_as_it_was() -> None:
    progress = InputProgress(5, 90, -3, final=True, late=((6, 0), (80, 3)), late_from=2)
    assert from_position(to_position(progress, 77), "t[0]") == (progress, 77)


def test_late_rows_that_find_no_room_are_said_to_be_missing() -> None:
    late = tuple((5 + 3 * i, 0) for i in range(10_000))
    position = to_position(InputProgress(5, 90_000, 0, late=late), 0)
    progress, _ = from_position(position, "t[0]")
    assert len(position.metadata) <= METADATA_SIZE_MAX
    assert 0 < len(progress.late) < len(late)
    assert progress.late == tuple(row for row in late if row[0] >= progress.late_from)


def test_a_position_of_somebody_else_is_refused() -> None:
    for metadata in ("", "7", json.dumps({"v": 99, "frontier_ns": 0})):
        with pytest.raises(RunError, match="was not written by this program"):
            from_position(Position(3, metadata), "t[0]")
