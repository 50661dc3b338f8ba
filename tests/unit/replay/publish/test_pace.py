"""The laws of pacing."""

import pytest

from replay.errors import PublishError
from replay.publish.pace import Pace, parse_speed


def test_a_moment_is_due_when_its_share_of_the_clock_has_passed() -> None:
    pace = Pace(speed=10.0, market_ns=1_000, now_ns=50)
    assert [pace.wait_ns(2_000, now_ns) for now_ns in (50, 100, 150, 200)] == [100, 50, 0, 0]


@pytest.mark.parametrize(("text", "speed"), [("max", None), ("1", 1.0), ("0.5", 0.5), ("10", 10.0)])
def test_a_speed_is_max_or_a_multiple_of_the_market(text: str, speed: float | None) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["0", "-1", "fast", "inf", "nan", ""])
def test_what_is_no_speed_is_refused(text: str) -> None:
    with pytest.raises(PublishError, match="max"):
        parse_speed(text)
