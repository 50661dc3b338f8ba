"""A call that takes too long is noticed from outside, and one that ends in time is left alone."""

from threading import Event

from app.process.watchdog import Watchdog
from schemas.clocks import NS_PER_MS, NS_PER_S


def test_a_call_that_takes_too_long_is_noticed_while_it_is_stuck() -> None:
    expired = Event()
    watchdog = Watchdog(10 * NS_PER_MS, expired.set)
    with watchdog.over():
        assert expired.wait(30)


def test_a_call_that_is_stuck_behind_quick_ones_is_noticed() -> None:
    expired = Event()
    watchdog = Watchdog(20 * NS_PER_MS, expired.set)
    for _ in range(100):
        with watchdog.over():
            pass
    assert not expired.is_set()
    with watchdog.over():
        assert expired.wait(30)


def test_calls_that_end_in_time_are_left_alone() -> None:
    expired = Event()
    watchdog = Watchdog(3_600 * NS_PER_S, expired.set)
    for _ in range(100):
        with watchdog.over():
            pass
    assert not expired.is_set()
