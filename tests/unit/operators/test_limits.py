"""Pausing never stops the input that the others wait for."""

from operators.limits import is_full
from operators.watermark import InputClock


def clock(watermark_ns: int) -> InputClock:
    return InputClock(grace_ns=0, watermark_ns=watermark_ns)


def test_two_inputs_that_hold_the_frontier_together_both_go_on() -> None:
    assert not is_full(10, 0, clock(5), [clock(5)])


def test_an_input_ahead_of_any_other_is_paused() -> None:
    assert is_full(10, 0, clock(5), [clock(9), clock(4)])
    assert not is_full(10, 0, clock(4), [clock(9), clock(5)])


def test_an_input_within_its_limit_goes_on() -> None:
    assert not is_full(10, 10, clock(5), [clock(4)])
