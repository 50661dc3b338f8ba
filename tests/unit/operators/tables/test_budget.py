"""How the lookups of a join are spread over passes and threads."""

from operators.tables.budget import SCRATCH_SIZE_PER_ROW, Pass, Scratch, passes

KB = 1 << 10
ROWS = 1_024 * KB // SCRATCH_SIZE_PER_ROW  # so many that a pass may take 1 MiB


def test_all_lookups_share_one_pass_and_all_threads_while_they_fit() -> None:
    lookup = Scratch(once=64 * KB, per_thread=32 * KB)
    assert list(passes([lookup] * 8, ROWS, threads=2)) == [Pass(range(8), 2)]


def test_lookups_that_would_take_too_much_together_are_split_over_passes() -> None:
    lookup = Scratch(once=0, per_thread=256 * KB)
    assert list(passes([lookup] * 5, ROWS, threads=2)) == [
        Pass(range(2), 2),
        Pass(range(2, 4), 2),
        Pass(range(4, 5), 2),
    ]


def test_a_lookup_that_takes_too_much_by_itself_has_fewer_threads_but_at_least_one() -> None:
    small, large = Scratch(once=0, per_thread=KB), Scratch(once=512 * KB, per_thread=128 * KB)
    huge = Scratch(once=3_000 * KB, per_thread=1_000 * KB)
    assert list(passes([small, large, huge, small], ROWS, threads=8)) == [
        Pass(range(1), 8),
        Pass(range(1, 2), 4),
        Pass(range(2, 3), 1),
        Pass(range(3, 4), 8),
    ]


def test_more_rows_allow_more() -> None:
    lookup = Scratch(once=1_024 * KB, per_thread=0)
    assert list(passes([lookup] * 4, 3 * ROWS, threads=1)) == [Pass(range(3), 1), Pass(range(3, 4), 1)]


def test_without_right_tables_there_is_no_pass() -> None:
    assert list(passes([], ROWS, threads=2)) == []
