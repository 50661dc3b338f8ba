"""What source partitions say together: the smallest bound, and the end once all are at theirs."""

import pytest

from app.errors import RunError
from app.repartition.bounds import Bound, Bounds
from topics.wire import Progress


def joint(bounds: Bounds, source: int, upper_ns: int, *, final: bool = False) -> tuple[int, bool] | None:
    record = bounds.see_progress(source, Progress("quote", upper_ns, final, "day"))
    return None if record is None else (record.upper_ns, record.final)


def test_nothing_is_said_before_every_partition_has_spoken() -> None:
    bounds = Bounds({0: Bound(), 1: Bound()})
    assert joint(bounds, 0, 5) is None
    assert joint(bounds, 0, 9, final=True) is None
    assert joint(bounds, 1, 7) == (7, False)


def test_the_smallest_bound_is_said_only_as_it_rises() -> None:
    bounds = Bounds({0: Bound(5), 1: Bound(7)})
    assert joint(bounds, 1, 8) is None
    assert joint(bounds, 0, 6) == (6, False)
    assert joint(bounds, 0, 3) is None


def test_the_end_is_said_once_all_are_at_theirs() -> None:
    bounds = Bounds({0: Bound(5), 1: Bound(5)})
    assert joint(bounds, 0, 5, final=True) is None
    assert joint(bounds, 1, 5, final=True) == (5, True)
    assert joint(bounds, 1, 5, final=True) is None


def test_a_row_behind_a_final_record_takes_it_back() -> None:
    bounds = Bounds({0: Bound(5, final=True), 1: Bound(5)})
    bounds.see_row(0)
    assert joint(bounds, 1, 9, final=True) is None
    assert joint(bounds, 0, 9, final=True) == (9, True)


def test_a_bound_is_committed_as_it_stands() -> None:
    for bound in (Bound(), Bound(-7, final=True)):
        assert Bound.from_metadata(bound.to_metadata(), "quote[0]") == bound


@pytest.mark.parametrize("text", ["", "{}", "3", '{"upper_ns": 1}'])
def test_metadata_that_no_copy_wrote_is_named(text: str) -> None:
    with pytest.raises(RunError, match=r"quote\[0\]: the committed position holds"):
        Bound.from_metadata(text, "quote[0]")
