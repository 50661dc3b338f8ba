"""How the lookups of a join are spread over passes and threads."""

from operators.asof_budget import SCRATCH_SIZE_MIN, SCRATCH_SIZE_PER_ROW, Pass, Scratch, passes

MB = 1 << 20


def test_all_lookups_share_one_pass_while_they_fit() -> None:
    small = Scratch(once=1_000, per_thread=4_000)
    assert list(passes([small] * 8, row_count=0, threads=2)) == [Pass(range(8), 2)]


def test_lookups_that_would_take_too_much_together_are_split_over_passes() -> None:
    lookup = Scratch(once=0, per_thread=SCRATCH_SIZE_MIN // 4)
    assert list(passes([lookup] * 5, row_count=0, threads=2)) == [
        Pass(range(2), 2),
        Pass(range(2, 4), 2),
        Pass(range(4, 5), 2),
    ]


def test_a_lookup_that_takes_too_much_by_itself_has_fewer_threads_but_at_least_one() -> None:
    small, large = Scratch(once=0, per_thread=8), Scratch(once=MB // 2, per_thread=MB // 8)
    huge = Scratch(once=3 * MB, per_thread=MB)
    assert list(passes([small, large, huge, small], row_count=0, threads=8)) == [
        Pass(range(1), 8),
        Pass(range(1, 2), 4),
        Pass(range(2, 3), 1),
        Pass(range(3, 4), 8),
    ]


def test_more_rows_allow_more() -> None:
    lookup = Scratch(once=MB, per_thread=0)
    rows = 3 * MB // SCRATCH_SIZE_PER_ROW
    assert list(passes([lookup] * 4, rows, threads=1)) == [Pass(range(3), 1), Pass(range(3, 4), 1)]


def test_without_right_tables_there_is_no_pass() -> None:
    assert list(passes([], row_count=9, threads=2)) == []
