"""Pausing never stops the input that the others wait for."""

from typing import Any

import pytest

from operators.inputs import pausing
from operators.inputs.watermark import InputClock
from tests.stage.scenes import is_full, make_join, quotes, trades


def clock(watermark_ns: int) -> InputClock:
    return InputClock(grace_ns=0, watermark_ns=watermark_ns)


def test_two_inputs_that_hold_the_frontier_together_both_go_on() -> None:
    assert not pausing.is_full(True, clock(5), [clock(5)])


def test_an_input_ahead_of_any_other_is_paused() -> None:
    assert pausing.is_full(True, clock(5), [clock(9), clock(4)])
    assert not pausing.is_full(True, clock(4), [clock(9), clock(5)])


def test_an_input_at_its_limit_waits_for_one_that_is_read_again() -> None:
    again = InputClock(grace_ns=0, watermark_ns=9, judged_next=3)
    assert pausing.is_full(True, clock(5), [again])


def test_an_input_within_its_limit_goes_on() -> None:
    assert not pausing.is_full(False, clock(5), [clock(4)])


@pytest.mark.parametrize("limit", [{"buffer_rows_max": {"quote": 2}}, {"buffer_size_max": {"quote": 96}}])
def test_rows_and_bytes_are_limited_and_nothing_is_dropped(limit: dict[str, Any]) -> None:
    join = make_join(**limit)
    join.push("trade", trades((1, "A")))
    join.push("quote", quotes((1, "A", 1), (2, "A", 2)))
    full = [is_full(join, "quote")]
    join.push("quote", quotes((3, "A", 3)))
    full.append(is_full(join, "quote"))
    assert full == [False, True]
    assert join.operator.held("quote").rows == 3
    join.advance("trade", 4)
    join.seal()
    assert not is_full(join, "quote")


@pytest.mark.parametrize("limit", [{"buffer_rows_max": {"quote": 4}}, {"buffer_size_max": {"quote": 4 * 48}}])
def test_a_paused_stream_waits_until_its_buffers_are_half_empty(limit: dict[str, Any]) -> None:
    join = make_join(**limit)
    join.push("trade", trades((1, "A")))
    join.push("quote", quotes(*((t, "A", t) for t in (1, 2, 3, 4, 5))))
    told = [(is_full(join, "quote"), is_full(join, "quote", paused=True))]
    for upper_ns in (3, 4):
        join.advance("trade", upper_ns)
        join.seal()
        told.append((is_full(join, "quote"), is_full(join, "quote", paused=True)))
    assert told == [(True, True), (False, True), (False, False)]


def test_right_rows_that_a_waiting_left_row_may_match_count_as_buffered() -> None:
    join = make_join(direction="forward", tolerance_ns=5, buffer_rows_max={"quote": 1})
    join.push("trade", trades((10, "A")))
    join.push("quote", quotes((11, "B", 1), (14, "B", 2)))
    join.advance("trade", 13)
    join.seal()
    assert join.operator.held("quote").rows == 2
    assert is_full(join, "quote")
    join.push("trade", trades((16, "A")))
    assert not is_full(join, "quote")


def test_of_two_inputs_at_their_limits_one_always_goes_on() -> None:
    join = make_join(
        direction="nearest", tolerance_ns=9, buffer_rows_max={"trade": 0, "quote": 0}, grace_ns={"trade": 3}
    )
    rows = {"trade": [trades((t, "A")) for t in range(50)], "quote": [quotes((t, "A", t)) for t in range(50)]}
    sealed = 0
    while rows["trade"] or rows["quote"]:
        going = [name for name in join.streams if not is_full(join, name)]
        assert going
        for name in going:
            if rows[name]:
                join.push(name, rows[name].pop(0))
            else:
                join.advance(name, 99)
        answer = join.seal()
        sealed += answer.num_rows if answer is not None else 0
    last = join.finish()
    assert sealed + (last.num_rows if last is not None else 0) == 50
