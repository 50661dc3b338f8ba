"""A call that takes too long is noticed from outside, and one that ends in time is left alone."""

import subprocess
import sys
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


STUCK = """
import re
from app.process.watchdog import Watchdog
watchdog = Watchdog(100_000_000, lambda: None, hard_ns=200_000_000)
with watchdog.over():
    pass
with watchdog.over():
    re.match("(a+)+$", "a" * 64 + "b")
"""


def test_a_call_that_lets_no_other_thread_run_ends_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert "Timeout" in done.stderr
    assert "in match" in done.stderr
