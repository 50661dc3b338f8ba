"""The laws of pacing."""

import time

import pytest

from replay.errors import PublishError
from replay.publish.pace import PACED_STEP_NS, Pace, parse_speed, wait_a_step
from schemas.clocks import NS_PER_S


def test_a_moment_is_due_when_its_share_of_the_clock_has_passed() -> None:
    pace = Pace(speed=10.0, market_ns=1_000, now_ns=50)
    assert [pace.wait_ns(2_000, now_ns) for now_ns in (50, 100, 150, 200)] == [100, 50, 0, 0]


def test_a_wait_is_one_step_at_most_and_said() -> None:
    begun_ns = time.monotonic_ns()
    assert [wait_a_step(0), wait_a_step(1), wait_a_step(3_600 * NS_PER_S)] == [False, True, True]
    assert PACED_STEP_NS <= time.monotonic_ns() - begun_ns < 1_000 * PACED_STEP_NS


@pytest.mark.parametrize(("text", "speed"), [("max", None), ("1", 1.0), ("0.5", 0.5), ("10", 10.0)])
def test_a_speed_is_max_or_a_multiple_of_the_market(text: str, speed: float | None) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["0", "-1", "fast", "inf", "nan", ""])
def test_what_is_no_speed_is_refused(text: str) -> None:
    with pytest.raises(PublishError, match="max"):
        parse_speed(text)
