"""This process's clock, read by the shells only."""

import time


def now_ns() -> int:
    """Wall clock, for what is shown or stamped; never for what is sealed."""
    return time.time_ns()


def monotonic_ns() -> int:
    """A clock that never steps back, for waiting and for elapsed time."""
    return time.monotonic_ns()


def pause(seconds: float) -> None:
    """Wait; only between attempts to reach something that is away."""
    time.sleep(seconds)
