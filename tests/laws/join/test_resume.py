"""Taking up where an earlier life ended: what is read again, what is dropped, when sealing goes on."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from operators.inputs.intake import batch_of
from operators.inputs.progress import InputProgress
from operators.inputs.watermark import InputClock
from operators.streaming import StreamingAsof
from schemas.clocks import BEGINNING_NS
from tests.stage.scenes import FRESH, TRADE, advance, bids, make_join, quotes, trades

if TYPE_CHECKING:
    from operators.operator import Operator


def ended() -> StreamingAsof:
    """A life whose frontier is 10: a trade at 5 is sealed, one at 12 waits, the quote at 4 stands."""
    join = make_join()
    join.push("quote", quotes((1, "A", 1), (4, "A", 2)))
    join.push("trade", trades((5, "A"), (12, "A")))
    advance(join, 10)
    assert bids(join.seal()) == [(5, 2)]
    return join


def resumed(join: StreamingAsof, state: bool) -> StreamingAsof:
    """The next life, with the state or without."""
    inputs = {name: join.progress(name) for name in join.streams}
    after = make_join()
    if state:
        after.restore(join.snapshot().puts)
        after.resume(join.frontier_ns, inputs, {name: p.next_offset for name, p in inputs.items()})
    else:
        after.resume(join.frontier_ns, inputs, {name: p.needed_offset for name, p in inputs.items()})
    return after


def test_a_fresh_task_resumes_from_nothing() -> None:
    join: Operator = make_join()  # as the worker knows it
    join.resume(BEGINNING_NS, dict.fromkeys(join.streams, FRESH), dict.fromkeys(join.streams, 0))
    join.push("trade", trades((1, "A")))
    assert bids(join.finish()) == [(1, None)]


def test_the_needed_offset_is_that_of_the_oldest_row_still_needed() -> None:
    join = ended()
    assert join.progress("trade") == InputProgress(1, 2, 12, sealed_through=(5, 0, 0, 0))
    assert join.progress("quote") == InputProgress(1, 2, 10)


def test_with_nothing_needed_reading_goes_on_at_the_next_offset() -> None:
    join = make_join(tolerance_ns=1)
    join.push("quote", quotes((1, "A", 1)))
    join.push("trade", trades((2, "A")))
    join.advance("trade", 99, offset=7)
    join.advance("quote", 99, offset=8)
    join.seal()
    assert join.progress("trade") == InputProgress(8, 8, 99, sealed_through=(2, 0, 0, 0))
    assert join.progress("quote") == InputProgress(9, 9, 99)


def test_a_row_a_tolerance_behind_the_frontier_is_still_needed() -> None:
    join, after = make_join(tolerance_ns=5), make_join(tolerance_ns=5)
    join.push("quote", quotes((5, "A", 1), (12, "B", 2)))
    advance(join, 10)
    join.seal()
    assert join.progress("quote").needed_offset == 0
    after.restore(join.snapshot().puts)
    after.push("trade", trades((10, "A")))
    assert bids(after.finish()) == [(10, 1)]


def test_a_row_farther_behind_is_not_needed() -> None:
    join = make_join(tolerance_ns=5)
    join.push("quote", quotes((4, "A", 1), (12, "B", 2)))
    advance(join, 10)
    join.seal()
    assert join.progress("quote").needed_offset == 1


def test_restored_state_goes_on_as_if_nothing_had_happened() -> None:
    after = resumed(ended(), state=True)
    assert after.frontier_ns == 10
    assert bids(after.finish()) == [(12, 2)]
    assert after.late("trade").num_rows == 0


def test_nothing_is_sealed_before_every_input_is_read_up_to_where_it_was() -> None:
    after = resumed(ended(), state=False)
    advance(after, 50)
    assert after.seal() is None
    after.reached("trade", 2)
    after.seal()
    assert after.frontier_ns < 50
    after.reached("quote", 2)
    after.seal()
    assert after.frontier_ns == 50


def test_a_snapshot_before_everything_is_read_again_is_refused() -> None:
    after = resumed(ended(), state=False)
    with pytest.raises(AssertionError, match="read again"):
        after.snapshot()


def test_state_ahead_of_the_commit_is_refused() -> None:
    join = ended()
    inputs = {name: replace(join.progress(name), next_offset=1) for name in join.streams}
    after = make_join()
    after.restore(join.snapshot().puts)
    with pytest.raises(AssertionError, match="ahead of the commit"):
        after.resume(10, inputs, dict.fromkeys(after.streams, 2))


def test_rows_judged_before_are_neither_emitted_nor_late_nor_counted_again() -> None:
    after = resumed(ended(), state=False)
    after.push("trade", trades((12, "A")))
    after.push("quote", quotes((4, "A", 2)))
    assert bids(after.finish()) == [(12, 2)]
    assert after.late("quote").num_rows == 0
    assert after.counts("quote").pushed == after.counts("trade").pushed == 0


def test_a_left_row_sealed_before_is_dropped_when_read_again() -> None:
    after = make_join()
    after.resume(10, {"trade": InputProgress(0, 2, 12), "quote": FRESH}, {"trade": 0, "quote": 0})
    after.push("trade", trades((5, "A"), (12, "A")))
    assert bids(after.finish()) == [(12, None)]
    assert after.late("trade").num_rows == 0


def test_a_row_read_again_does_not_displace_a_newer_one() -> None:
    after = make_join()
    after.resume(10, {"trade": FRESH, "quote": InputProgress(0, 3, 12)}, {"trade": 0, "quote": 0})
    after.push("quote", quotes((4, "A", 2), (3, "A", 1), (9, "B", 3)))
    after.push("trade", trades((12, "A"), (13, "B")))
    assert bids(after.finish()) == [(12, 2), (13, 3)]


def test_rows_after_the_judged_ones_are_new() -> None:
    after = resumed(ended(), state=False)
    after.push("trade", trades((12, "A"), (9, "A")))
    assert after.late("trade")["offset"].to_pylist() == [2]


def test_a_strict_row_sealed_at_the_frontier_is_not_sealed_again() -> None:
    join = make_join(allow_exact=False)
    join.push("trade", trades((12, "A"), (10, "A")))
    advance(join, 10)
    assert bids(join.seal()) == [(10, None)]
    after = make_join(allow_exact=False)
    inputs = {name: join.progress(name) for name in join.streams}
    after.resume(10, inputs, {name: p.needed_offset for name, p in inputs.items()})
    after.push("trade", trades((12, "A"), (10, "A")))
    assert bids(after.finish()) == [(12, None)]


def test_a_strict_row_that_came_after_the_last_seal_is_not_lost() -> None:
    join = make_join(allow_exact=False)
    advance(join, 10)
    join.seal()
    join.push("trade", trades((10, "A")))
    after = make_join(allow_exact=False)
    inputs = {name: join.progress(name) for name in join.streams}
    after.resume(10, inputs, {name: p.needed_offset for name, p in inputs.items()})
    after.push("trade", trades((10, "A")))
    assert bids(after.finish()) == [(10, None)]


def test_a_final_record_stays_final_over_a_restart() -> None:
    join = make_join()
    join.push("trade", trades((5, "A")))
    for stream in join.streams:
        join.advance(stream, 100, final=True, offset=1)
    join.seal()
    after = resumed(join, state=True)
    assert after.final
    again = make_join()
    again.resume(100, {name: join.progress(name) for name in join.streams}, dict.fromkeys(join.streams, 0))
    again.push("trade", trades((5, "A")))
    ends = [again.final]
    for stream in again.streams:
        again.advance(stream, 100, final=True, offset=1)
    ends.append(again.final)
    assert ends == [False, True]


def test_messages_read_once_are_not_taken_again() -> None:
    clock = InputClock(grace_ns=0)
    clock.see_offset(5)
    clock.require_order(4)  # a message may be cut into two batches
    with pytest.raises(AssertionError, match="count twice"):
        clock.require_order(3)


def test_rows_up_to_the_last_one_sealed_are_sealed_and_those_behind_it_wait() -> None:
    after = make_join(direction="forward", tolerance_ns=9)
    trade = InputProgress(0, 7, 12, sealed_through=(10, 0, 3, 0))
    after.resume(12, {"trade": trade, "quote": FRESH}, {"trade": 0, "quote": 0})
    after.push("trade", trades(*[(event_ns, "A") for event_ns in (9, 10, 11, 10, 10, 9, 12)]))
    sealed = after.finish()
    assert sealed is not None
    assert sealed["left_offset"].to_pylist() == [4, 2, 6]


def test_a_row_below_the_offset_still_needed_waits_no_more_when_older_state_reads_it_again() -> None:
    join = make_join(max_ahead_ns=100, max_ahead_of="wall")
    inputs = {"trade": InputProgress(3, 3, 10, sealed_through=(5, 0, 1, 0)), "quote": InputProgress(0, 0, 10)}
    join.resume(10, inputs, {"trade": 2, "quote": 0})
    join.push("trade", batch_of(TRADE, "event_ns", trades((1_000, "A")), 2), now_ns=950)  # once too far ahead
    assert join.caught_up
    assert join.buffered("trade")[0] == 0


def test_a_quote_read_again_at_the_frontier_waits_and_stands_for_nothing_before_it() -> None:
    join = make_join(allow_exact=False)
    inputs = {
        "trade": InputProgress(0, 1, 10),
        "quote": InputProgress(0, 2, 10),
    }
    join.resume(10, inputs, dict.fromkeys(inputs, 0))
    join.push("quote", quotes((4, "A", 2), (10, "A", 3)))
    assert join.buffered("quote")[0] == 1
    join.push("trade", trades((10, "A")))
    advance(join, 11)
    assert bids(join.seal()) == [(10, 2)]
