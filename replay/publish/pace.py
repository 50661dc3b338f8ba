"""How fast market time passes, and how long to wait until a moment of it is due."""

import time
from dataclasses import dataclass
from typing import Final

from replay.errors import PublishError
from schemas.clocks import NS_PER_MS, NS_PER_S

PACED_STEP_NS: Final = 50 * NS_PER_MS  # of this process's clock: how coarse a paced replay is
_SPEED_MAX: Final = 1e9  # beyond it the clock's nanoseconds pace nothing


def parse_speed(text: str) -> float | None:
    """Return market seconds per second, None for `max`; raises PublishError for anything not above 0."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= _SPEED_MAX:
        raise PublishError(
            f"speed {text!r} must be max, or how many times faster than the market: 1, 10, 0.5"
        )
    return speed


def wait_a_step(wait_ns: int) -> bool:
    """Sleep so long, a step at most, so that who stops us is heard; return whether there was any wait."""
    if wait_ns:
        time.sleep(min(wait_ns, PACED_STEP_NS) / NS_PER_S)
    return wait_ns > 0


@dataclass(frozen=True, slots=True)
class Pace:
    """Market time `market_ns` was due at `now_ns`, and passes `speed` times as fast as the clock."""

    speed: float
    market_ns: int
    now_ns: int

    def wait_ns(self, market_ns: int, now_ns: int) -> int:
        """Return how long it is until `market_ns` is due; 0 when it is due or overdue."""
        due_ns = self.now_ns + int((market_ns - self.market_ns) / self.speed)
        return max(due_ns - now_ns, 0)
