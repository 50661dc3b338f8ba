"""Where rows that are read back stand."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from operators.graph.row_places import row_places
from operators.inputs.progress import RowPlace

PLACES = st.tuples(*[st.integers(0, 2)] * 4)


def rows_at(places: list[RowPlace]) -> pa.RecordBatch:
    columns = list(zip(*places, strict=True)) or [()] * 4
    names = ("event_ns", "sequence", "left_offset", "left_index")
    types = (pa.int64(), pa.int32(), pa.int64(), pa.int32())
    return pa.record_batch(
        {name: pa.array(column, kind) for name, column, kind in zip(names, columns, types, strict=True)}
    )


@given(st.sets(PLACES), PLACES)
def test_rows_up_to_a_place_are_those_that_do_not_come_behind_it(
    places: set[RowPlace], bound: RowPlace
) -> None:
    ordered = sorted(places)
    found = row_places(rows_at(ordered), "event_ns", "sequence")
    assert found.count_up_to(bound, 0, len(ordered)) == sum(place <= bound for place in ordered)
    assert [found.place(row) for row in range(len(ordered))] == ordered


@given(st.lists(PLACES, min_size=1))
def test_a_stretch_ends_where_a_row_does_not_come_behind_the_one_before_it(places: list[RowPlace]) -> None:
    edges = row_places(rows_at(places), "event_ns", "sequence").stretches()
    back = [row for row in range(1, len(places)) if places[row] <= places[row - 1]]
    assert edges == [0, *back, len(places)]


def test_without_a_sequence_rows_of_one_time_are_in_the_order_of_their_messages() -> None:
    rows = rows_at([(1, 9, 3, 0)])
    assert row_places(rows, "event_ns", None).place(0) == (1, 0, 3, 0)
