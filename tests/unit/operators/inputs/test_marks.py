"""Marks say where in a log rows of a time lie, whatever order they came in, and stay few."""

from hypothesis import given
from hypothesis import strategies as st

from operators.inputs.marks import MARKS_MAX, Marks, offset_before
from schemas.clocks import BEGINNING_NS, NS_PER_S

MINUTE_NS = 60 * NS_PER_S


@given(st.lists(st.integers(0, 300 * NS_PER_S), min_size=1, max_size=80), st.integers(0, 79))
def test_no_row_of_a_time_lies_before_the_offset_that_is_named_for_it(times: list[int], restart: int) -> None:
    marks = Marks()
    for offset, time_ns in enumerate(times):
        if offset == restart:
            committed = marks.committed(offset)
            marks = Marks()
            marks.resume(committed, BEGINNING_NS, offset)
        marks.see(time_ns, offset)
    committed = marks.committed(len(times))
    assert len(committed) <= MARKS_MAX
    for oldest_ns in (0, *times, *(time_ns + 1 for time_ns in times)):
        begin = offset_before(committed, oldest_ns) or 0
        assert all(time_ns < oldest_ns for time_ns in times[:begin])


def test_marks_of_a_long_log_are_dense_where_it_is_new() -> None:
    marks = Marks()
    count = 10_000
    for second in range(count):
        marks.see(second * NS_PER_S, second)
    committed = marks.committed(count)
    for behind in (1, 5, 60, 600, 3_600):
        begin = offset_before(committed, (count - 1 - behind) * NS_PER_S)
        assert begin is not None
        assert behind <= count - begin <= 6 * behind + 2, (behind, committed)


def test_after_a_commit_without_marks_older_rows_lie_anywhere() -> None:
    marks = Marks()
    marks.resume((), 10 * MINUTE_NS, 50)
    marks.see(20 * MINUTE_NS, 60)
    marks.see(200 * MINUTE_NS, 70)
    marks.see(300 * MINUTE_NS, 80)
    committed = marks.committed(90)
    assert offset_before(committed, 20 * MINUTE_NS) is None
    assert offset_before(committed, 250 * MINUTE_NS) == 70


def test_an_input_without_rows_has_no_marks() -> None:
    assert Marks().committed(7) == ()
    assert offset_before((), 5) is None
