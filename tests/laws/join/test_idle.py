"""An idle input is left out of the frontier until it speaks; what was sealed meanwhile is told apart."""

import pytest

from operators.inputs.progress import InputProgress
from operators.inputs.watermark import InputClock
from operators.streaming import StreamingAsof
from tests.stage.scenes import (
    advance,
    bids,
    is_full,
    make_join,
    next_life,
    progress,
    quotes,
    seal,
    trades,
)


def silenced() -> StreamingAsof:
    """Trades up to 30; quotes have been complete up to 10 and are idle since."""
    join = make_join()
    join.push("quote", quotes((10, "A", 1)))
    join.push("trade", trades((5, "A"), (9, "A"), (20, "A"), (30, "A")))
    join.inputs.leave_out("quote")
    return join


def test_an_idle_input_does_not_hold_the_frontier() -> None:
    join = silenced()
    assert bids(join.seal()) == [(5, None), (9, None), (20, 1)]
    assert join.frontier_ns == 30


def test_rows_that_evidence_would_have_sealed_are_not_counted_as_assumed() -> None:
    join = silenced()
    sealed = [seal(join)]
    join.push("trade", trades((40, "A")))
    sealed += [seal(join), seal(join), join.operator.finish()["aligned"]]
    assert [one.assumed_rows for one in sealed] == [1, 1, 0, 0]
    assert [len(bids(one.rows)) for one in sealed] == [3, 1, 0, 1]


def test_a_row_at_the_evident_frontier_is_assumed() -> None:
    join = make_join()
    advance(join, 10)
    join.push("trade", trades((9, "A"), (10, "A"), (11, "A")))
    join.inputs.leave_out("quote")
    sealed = seal(join)
    assert len(bids(sealed.rows)) == 2
    assert sealed.assumed_rows == 1


@pytest.mark.parametrize("by", ["row", "progress record"])
def test_an_idle_input_returns_with_its_first_word(by: str) -> None:
    join = silenced()
    join.seal()
    if by == "row":
        join.push("quote", quotes((35, "A", 2)))
    else:
        join.advance("quote", 35)
    join.push("trade", trades((50, "A")))
    assert not progress(join, "quote").idle
    sealed = seal(join)
    assert sealed.rows is not None
    assert join.frontier_ns == 35
    assert sealed.assumed_rows == 0


def test_rows_of_a_returning_input_below_the_frontier_are_late_by_it() -> None:
    join = silenced()
    join.seal()
    join.push("quote", quotes((29, "A", 2), (30, "A", 3)))
    assert join.late("quote").to_pylist() == [
        {"offset": 1, "index": 0, "time_ns": 29, "lateness_ns": 1, "frontier_ns": 30}
    ]
    assert bids(join.finish()) == [(30, 3)]


def test_a_returning_input_does_not_pull_the_frontier_back() -> None:
    join = silenced()
    join.seal()
    join.push("quote", quotes((12, "A", 2)))
    assert join.seal() is None
    assert join.frontier_ns == 30


def test_when_all_are_idle_the_frontier_stands_still() -> None:
    join = silenced()
    join.seal()
    join.inputs.leave_out("trade")
    assert join.seal() is None
    assert join.frontier_ns == 30
    again = silenced()
    again.inputs.leave_out("trade")
    sealed = seal(again)
    assert bids(sealed.rows) == [(5, None), (9, None)]
    assert (again.frontier_ns, sealed.assumed_rows) == (10, 0)


def test_a_late_row_returns_an_idle_input_too() -> None:
    join = silenced()
    join.seal()
    join.push("quote", quotes((11, "A", 2)))
    assert join.late("quote").num_rows == 1
    assert not progress(join, "quote").idle


def test_the_idle_flag_is_in_the_progress_and_only_new_evidence_counts_after_a_restart() -> None:
    join = silenced()
    join.seal()
    assert {name: progress(join, name).idle for name in join.streams} == {"trade": False, "quote": True}
    after = next_life(join, state=False)
    after.push("trade", trades((30, "A"), (60, "A")))
    after.push("quote", quotes((10, "A", 1)))
    assert after.seal() is None
    after.inputs.leave_out("quote")
    assert bids(after.seal()) == [(30, 1)]


def test_an_input_that_is_read_again_cannot_be_idle() -> None:
    clock = InputClock(grace_ns=0)
    clock.resume(InputProgress(0, 2, 10), 0)
    with pytest.raises(AssertionError, match="read again"):
        clock.leave_out()
    clock.see_offset(2)
    clock.leave_out()
    assert clock.idle


def test_a_progress_record_read_again_does_not_return_an_idle_input() -> None:
    clock = InputClock(grace_ns=0)
    clock.resume(InputProgress(0, 3, 10), 3)
    clock.leave_out()
    clock.see_progress(50, final=False, offset=2)
    told = [clock.idle]
    clock.see_progress(50, final=False, offset=3)
    told.append(clock.idle)
    assert told == [True, False]


def test_an_idle_input_is_not_waited_for_by_one_that_is_full() -> None:
    join = make_join(buffer_size_max={"trade": 0}, grace_ns={"trade": 100})
    join.push("quote", quotes((10, "A", 1)))
    join.push("trade", trades((150, "A")))
    full = [is_full(join, "trade")]
    join.inputs.leave_out("quote")
    full.append(is_full(join, "trade"))
    assert full == [True, False]
