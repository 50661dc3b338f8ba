"""Taking up where an earlier life ended: what is read again, what is dropped, when sealing goes on."""

from dataclasses import replace
from typing import Any

import pytest

from operators.inputs.intake import batch_of
from operators.inputs.progress import InputProgress, TaskProgress
from operators.inputs.resuming import ResumePlan, plan_resume
from operators.inputs.watermark import InputClock
from operators.operator import Operator
from operators.streaming import StreamingAsof
from schemas.arrived import Arrived
from tests.stage.scenes import (
    FRESH,
    TRADE,
    advance,
    bids,
    make_join,
    next_life,
    progress,
    quotes,
    resume,
    trades,
)


def ended() -> StreamingAsof:
    """A life whose frontier is 10: a trade at 5 is sealed, one at 12 waits, the quote at 4 stands."""
    join = make_join()
    join.push("quote", quotes((1, "A", 1), (4, "A", 2)))
    join.push("trade", trades((5, "A"), (12, "A")))
    advance(join, 10)
    assert bids(join.seal()) == [(5, 2)]
    return join


def as_a_worker_drives_it(join: StreamingAsof) -> Operator:
    """The join behind the protocol."""
    return join.operator


def test_a_fresh_task_resumes_from_nothing() -> None:
    operator = as_a_worker_drives_it(make_join())
    fresh = TaskProgress(inputs=dict.fromkeys(operator.inputs.streams, FRESH))
    operator.resume(ResumePlan(fresh, dict.fromkeys(operator.inputs.streams, 0)))
    operator.push("trade", Arrived(trades((1, "A"))))
    assert bids(operator.finish()["aligned"].rows) == [(1, None)]


def test_the_needed_offset_is_that_of_the_oldest_row_still_needed() -> None:
    join = ended()
    assert progress(join, "trade") == InputProgress(1, 2, 12)
    assert progress(join, "quote") == InputProgress(1, 2, 10)
    assert join.operator.progress().through == {"aligned": (5, 0, 0, 0)}


def test_with_nothing_needed_reading_goes_on_at_the_next_offset() -> None:
    join = make_join(tolerance_ns=1)
    join.push("quote", quotes((1, "A", 1)))
    join.push("trade", trades((2, "A")))
    join.advance("trade", 99, offset=7)
    join.advance("quote", 99, offset=8)
    join.seal()
    assert progress(join, "trade") == InputProgress(8, 8, 99)
    assert progress(join, "quote") == InputProgress(9, 9, 99)
    assert join.operator.progress().through == {"aligned": (2, 0, 0, 0)}


def test_a_row_a_tolerance_behind_the_frontier_is_still_needed() -> None:
    join, after = make_join(tolerance_ns=5), make_join(tolerance_ns=5)
    join.push("quote", quotes((5, "A", 1), (12, "B", 2)))
    advance(join, 10)
    join.seal()
    assert progress(join, "quote").needed_offset == 0
    after.restore(join.snapshot().puts)
    after.push("trade", trades((10, "A")))
    assert bids(after.finish()) == [(10, 1)]


def test_a_row_farther_behind_is_not_needed() -> None:
    join = make_join(tolerance_ns=5)
    join.push("quote", quotes((4, "A", 1), (12, "B", 2)))
    advance(join, 10)
    join.seal()
    assert progress(join, "quote").needed_offset == 1


def test_restored_state_goes_on_as_if_nothing_had_happened() -> None:
    after = next_life(ended(), state=True)
    assert after.frontier_ns == 10
    assert bids(after.finish()) == [(12, 2)]
    assert after.late("trade").num_rows == 0


def test_nothing_is_sealed_before_every_input_is_read_up_to_where_it_was() -> None:
    after = next_life(ended(), state=False)
    advance(after, 50)
    assert after.seal() is None
    after.inputs.read_to("trade", 2)
    after.seal()
    assert after.frontier_ns < 50
    after.inputs.read_to("quote", 2)
    after.seal()
    assert after.frontier_ns == 50


def test_a_snapshot_before_everything_is_read_again_is_refused() -> None:
    after = next_life(ended(), state=False)
    with pytest.raises(AssertionError, match="read again"):
        after.snapshot()


def test_state_ahead_of_the_commit_is_refused() -> None:
    join = ended()
    inputs = {name: replace(progress(join, name), next_offset=1) for name in join.streams}
    after = make_join()
    after.restore(join.snapshot().puts)
    with pytest.raises(AssertionError, match="ahead of the commit"):
        resume(after, 10, inputs, dict.fromkeys(after.streams, 2))


def test_rows_judged_before_are_neither_emitted_nor_late_nor_counted_again() -> None:
    after = next_life(ended(), state=False)
    after.push("trade", trades((12, "A")))
    after.push("quote", quotes((4, "A", 2)))
    assert bids(after.finish()) == [(12, 2)]
    assert after.late("quote").num_rows == 0
    assert after.inputs.counts("quote").pushed == after.inputs.counts("trade").pushed == 0


def test_a_left_row_sealed_before_is_dropped_when_read_again() -> None:
    after = make_join()
    resume(after, 10, {"trade": InputProgress(0, 2, 12), "quote": FRESH}, {"trade": 0, "quote": 0})
    after.push("trade", trades((5, "A"), (12, "A")))
    assert bids(after.finish()) == [(12, None)]
    assert after.late("trade").num_rows == 0


def test_a_row_read_again_does_not_displace_a_newer_one() -> None:
    after = make_join()
    resume(after, 10, {"trade": FRESH, "quote": InputProgress(0, 3, 12)}, {"trade": 0, "quote": 0})
    after.push("quote", quotes((4, "A", 2), (3, "A", 1), (9, "B", 3)))
    after.push("trade", trades((12, "A"), (13, "B")))
    assert bids(after.finish()) == [(12, 2), (13, 3)]


def test_rows_after_the_judged_ones_are_new() -> None:
    after = next_life(ended(), state=False)
    after.push("trade", trades((12, "A"), (9, "A")))
    assert after.late("trade")["offset"].to_pylist() == [2]


def test_a_strict_row_sealed_at_the_frontier_is_not_sealed_again() -> None:
    join = make_join(allow_exact=False)
    join.push("trade", trades((12, "A"), (10, "A")))
    advance(join, 10)
    assert bids(join.seal()) == [(10, None)]
    after = next_life(join, state=False, allow_exact=False)
    after.push("trade", trades((12, "A"), (10, "A")))
    assert bids(after.finish()) == [(12, None)]


def test_a_strict_row_that_came_after_the_last_seal_is_not_lost() -> None:
    join = make_join(allow_exact=False)
    advance(join, 10)
    join.seal()
    join.push("trade", trades((10, "A")))
    after = next_life(join, state=False, allow_exact=False)
    after.push("trade", trades((10, "A")))
    assert bids(after.finish()) == [(10, None)]


def test_a_final_record_stays_final_over_a_restart() -> None:
    join = make_join()
    join.push("trade", trades((5, "A")))
    for stream in join.streams:
        join.advance(stream, 100, final=True, offset=1)
    join.seal()
    after = next_life(join, state=True)
    assert after.operator.final
    again = make_join()
    resume(again, 100, join.operator.progress().inputs, dict.fromkeys(join.streams, 0))
    again.push("trade", trades((5, "A")))
    ends = [again.operator.final]
    for stream in again.streams:
        again.advance(stream, 100, final=True, offset=1)
    ends.append(again.operator.final)
    assert ends == [False, True]


def test_messages_read_once_are_not_taken_again() -> None:
    clock = InputClock(grace_ns=0)
    clock.see_offset(5)
    clock.require_order(4)  # a message may be cut into two batches
    with pytest.raises(AssertionError, match="count twice"):
        clock.require_order(3)


def test_rows_up_to_the_last_one_sealed_are_sealed_and_those_behind_it_wait() -> None:
    after = make_join(direction="forward", tolerance_ns=9)
    inputs = {"trade": InputProgress(0, 7, 12), "quote": FRESH}
    resume(after, 12, inputs, dict.fromkeys(inputs, 0), through=(10, 0, 3, 0))
    after.push("trade", trades(*[(event_ns, "A") for event_ns in (9, 10, 11, 10, 10, 9, 12)]))
    sealed = after.finish()
    assert sealed is not None
    assert sealed["left_offset"].to_pylist() == [4, 2, 6]


def test_a_row_below_the_offset_still_needed_waits_no_more_when_older_state_reads_it_again() -> None:
    join = make_join(max_ahead_ns=100, max_ahead_of="wall")
    inputs = {"trade": InputProgress(3, 3, 10), "quote": InputProgress(0, 0, 10)}
    resume(join, 10, inputs, {"trade": 2, "quote": 0}, through=(5, 0, 1, 0))
    join.push("trade", batch_of(TRADE, "event_ns", trades((1_000, "A")), 2), now_ns=950)  # once too far ahead
    assert join.inputs.caught_up
    assert join.operator.held("trade").rows == 0


def test_a_quote_read_again_at_the_frontier_waits_and_stands_for_nothing_before_it() -> None:
    join = make_join(allow_exact=False)
    inputs = {
        "trade": InputProgress(0, 1, 10),
        "quote": InputProgress(0, 2, 10),
    }
    resume(join, 10, inputs, dict.fromkeys(inputs, 0))
    join.push("quote", quotes((4, "A", 2), (10, "A", 3)))
    assert join.operator.held("quote").rows == 1
    join.push("trade", trades((10, "A")))
    advance(join, 11)
    assert bids(join.seal()) == [(10, 2)]


@pytest.mark.parametrize("state", [True, False])
def test_rows_that_no_waiting_row_may_match_are_let_go_once_all_is_read_again(state: bool) -> None:
    asked: dict[str, Any] = {"direction": "forward", "tolerance_ns": 5}
    join, after = make_join(**asked), make_join(**asked)
    waiting, rows = trades((11, "C")), quotes((11, "A", 1), (8, "B", 2), (9, "B", 3))
    join.push("trade", waiting)
    join.push("quote", rows)
    before_the_seal = join.snapshot().puts
    advance(join, 12)
    assert join.seal() is None
    committed = join.operator.progress()
    if state:
        after.restore(before_the_seal)
        after.operator.resume(plan_resume(committed, {"trade": 1, "quote": 3}, {}))
    else:
        after.operator.resume(plan_resume(committed, None, {}))
        after.push("quote", rows)
        assert after.operator.held("quote").rows == 3, "a trade read again may still match them"
        after.push("trade", waiting)
    assert after.operator.held("quote").rows == join.operator.held("quote").rows == 1


def test_state_is_restored_before_anything_else_and_once() -> None:
    entries = ended().snapshot().puts
    for used in (ended(), next_life(ended(), state=True)):
        with pytest.raises(AssertionError, match="before anything else"):
            used.restore(entries)
    held = make_join()
    held.push("trade", trades((12, "A")))
    with pytest.raises(AssertionError, match="before anything else"):
        held.restore(entries)
