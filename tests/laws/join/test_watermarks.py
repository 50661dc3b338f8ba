"""How far inputs are complete: watermark, frontier, late rows, final records, pausing."""

import numpy as np

from operators.inputs.progress import InputProgress
from operators.inputs.watermark import InputClock
from schemas.clocks import BEGINNING_NS
from tests.stage.scenes import (
    advance,
    bids,
    is_full,
    make_join,
    progress,
    quotes,
    resume,
    trades,
)


def test_an_early_row_does_not_pull_the_watermark_back() -> None:
    join = make_join(grace_ns={"trade": 5})
    join.push("trade", trades((20, "A")))
    join.push("trade", trades((16, "A")))
    assert join.inputs.watermark_ns("trade") == 15


def test_a_lower_progress_record_does_not_pull_the_watermark_back() -> None:
    join = make_join()
    join.advance("trade", 20)
    join.advance("trade", 10)
    assert join.inputs.watermark_ns("trade") == 20


def test_the_watermark_of_a_very_early_row_stays_in_range() -> None:
    clock = InputClock(grace_ns=10)
    clock.see_rows(np.array([BEGINNING_NS + 5]), 0)
    assert clock.watermark_ns == BEGINNING_NS


def test_the_frontier_is_the_smallest_watermark() -> None:
    join = make_join()
    join.advance("trade", 30)
    join.seal()
    assert join.frontier_ns == BEGINNING_NS
    join.advance("quote", 20)
    join.seal()
    assert join.frontier_ns == 20


def test_pushing_does_not_move_the_frontier() -> None:
    join = make_join()
    join.push("trade", trades((10, "A")))
    join.push("quote", quotes((10, "A", 1)))
    assert join.frontier_ns == BEGINNING_NS


def test_a_row_behind_the_frontier_is_late_and_changes_nothing() -> None:
    join = make_join()
    advance(join, 10)
    join.seal()
    join.push("quote", quotes((9, "A", 1), (10, "A", None)))
    join.push("trade", trades((9, "A"), (11, "A")))
    assert bids(join.finish()) == [(11, None)]
    assert join.late("quote").to_pylist() == [
        {"offset": 0, "index": 0, "time_ns": 9, "lateness_ns": 1, "frontier_ns": 10}
    ]
    assert join.late("trade")["offset"].to_pylist() == [0]


def test_late_rows_are_told_once() -> None:
    join = make_join()
    advance(join, 10)
    join.seal()
    join.push("trade", trades((3, "A")))
    assert join.late("trade").num_rows == 1
    assert join.late("trade").num_rows == 0
    assert join.inputs.counts("trade").late == 1


def test_a_row_at_the_frontier_is_not_late() -> None:
    join = make_join()
    advance(join, 10)
    join.seal()
    join.push("trade", trades((10, "A")))
    assert bids(join.finish()) == [(10, None)]


def test_a_right_row_behind_its_watermark_but_not_the_frontier_is_used_and_counted() -> None:
    join = make_join()
    join.push("trade", trades((10, "A")))
    join.push("quote", quotes((20, "A", 2)))
    join.push("quote", quotes((10, "A", 1)))
    advance(join, 21)
    assert bids(join.seal()) == [(10, 1)]
    join.push("quote", quotes((30, "A", 3), (21, "A", 4)))
    join.push("quote", quotes((21, "A", 4), (20, "A", 4)))
    assert join.frontier_ns == 21
    assert (join.inputs.counts("quote").behind, join.inputs.counts("quote").late) == (2, 1)


def test_rows_are_counted_where_they_went() -> None:
    join = make_join()
    join.push("quote", quotes((1, "A", 1), (2, None, 1)))
    join.push("trade", trades((3, "A"), (4, "B")))
    sealed = join.operator.finish()["aligned"]
    trade, quote = join.inputs.counts("trade"), join.inputs.counts("quote")
    assert (trade.pushed, trade.late, len(bids(sealed.rows))) == (2, 0, 2)
    assert (quote.pushed, sealed.matched_rows) == (2, {"quote": 1})


def test_final_records_end_a_period_and_the_next_is_not_late() -> None:
    join = make_join(grace_ns={"trade": 100, "quote": 100})
    join.push("quote", quotes((98, "A", 1)))
    join.push("trade", trades((99, "A")))
    for stream in join.streams:
        join.advance(stream, 100, final=True)
    ends = [join.operator.final]
    assert bids(join.seal()) == [(99, 1)]
    ends.append(join.operator.final)
    join.push("trade", trades((100, "A")))
    ends.append(join.operator.final)
    assert ends == [False, True, False]
    assert bids(join.finish()) == [(100, 1)]
    assert join.late("trade").num_rows == 0


def test_a_progress_record_after_the_final_one_leaves_it_final() -> None:
    join = make_join()
    for stream in join.streams:
        join.advance(stream, 100, final=True)
    join.advance("trade", 110)
    assert join.operator.final


def test_only_what_is_new_after_a_restart_ends_the_end() -> None:
    clock = InputClock(grace_ns=0)
    clock.resume(InputProgress(0, 2, 10, final=True), 0)
    clock.see_offset(2)
    ends = [clock.final]
    clock.see_rows(np.array([12]), 2)
    ends.append(clock.final)
    assert ends == [True, False]


def test_a_final_record_told_after_rows_that_lie_behind_it_ends_nothing() -> None:
    clock = InputClock(grace_ns=0)
    clock.see_rows(np.array([5, 60]), 7)
    clock.see_progress(50, final=True, offset=6)
    told = [clock.final]
    clock.see_progress(90, final=True, offset=8)
    told.append(clock.final)
    assert told == [False, True]


def test_only_a_new_progress_record_counts_after_a_restart() -> None:
    clock = InputClock(grace_ns=0)
    clock.resume(InputProgress(0, 2, 10), 0)
    clock.see_progress(50, final=True, offset=1)
    told = [(clock.watermark_ns, clock.final)]
    clock.see_progress(50, final=True, offset=2)
    told.append((clock.watermark_ns, clock.final))
    assert told == [(10, False), (50, True)]


def test_a_row_at_its_own_watermark_is_not_behind_it() -> None:
    join = make_join()
    join.push("quote", quotes((20, "A", 2)))
    join.push("quote", quotes((20, "A", 1)))
    assert join.inputs.counts("quote").behind == 0


def test_a_stream_over_its_limit_is_paused_until_the_others_catch_up() -> None:
    join = make_join(buffer_size_max={"quote": 2 * 48})
    states = []
    for event_ns in (1, 2, 3):
        join.push("quote", quotes((event_ns, "A", 1)))
        states.append(is_full(join, "quote"))
    join.advance("trade", 200)
    join.advance("quote", 200)
    join.seal()
    assert [*states, is_full(join, "quote")] == [False, False, True, False]


def test_a_stream_that_is_read_again_is_not_paused_before_it_is_where_it_was() -> None:
    join = make_join(buffer_size_max={"quote": 0, "trade": 0})
    inputs = {"trade": InputProgress(0, 2, 90), "quote": InputProgress(0, 1, 95)}
    resume(join, 0, inputs, dict.fromkeys(inputs, 0))
    join.push("trade", trades((100, "A")))
    join.push("quote", quotes((101, "A", 1)))
    assert [is_full(join, "trade"), is_full(join, "quote")] == [False, True]
    join.push("trade", trades((100, "A")))
    assert [is_full(join, "trade"), is_full(join, "quote")] == [False, True]


def test_what_is_buffered_is_told_in_rows_and_bytes() -> None:
    join = make_join(grace_ns={"quote": 100})
    join.push("quote", quotes((1, "A", 1), (5, "A", 2), (9, "A", 3)))
    row_size = 32 + 2 * 8  # control columns, bid and ask
    assert join.operator.held("quote") == (3, 3 * row_size)
    advance(join, 5)
    join.seal()
    assert join.operator.held("quote") == (2, 2 * row_size)


def test_a_stream_that_holds_the_frontier_itself_is_never_paused() -> None:
    join = make_join(buffer_size_max={"quote": 0}, grace_ns={"quote": 1000})
    join.advance("trade", 50)
    join.push("quote", quotes((60, "A", 1)))
    assert not is_full(join, "quote")
    join.advance("quote", 51)
    assert is_full(join, "quote")


def test_the_end_of_the_log_told_late_does_not_take_back_what_was_read() -> None:
    join = make_join()
    join.push("quote", quotes((1, "A", 1), (2, "A", 2), (3, "A", 3)))
    join.inputs.read_to("quote", 2)
    assert progress(join, "quote").next_offset == 3


def test_of_a_batch_only_the_rows_below_the_watermark_are_behind_it() -> None:
    join = make_join()
    join.advance("quote", 10)
    join.push("quote", quotes((9, "A", 1), (10, "A", 2)))
    assert join.inputs.counts("quote").behind == 1
