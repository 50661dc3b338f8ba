"""When a stream is to be paused: its buffers are at their limit and reading it cannot move the frontier."""

from collections.abc import Sequence

from operators.inputs.watermark import InputClock


def is_full(at_limit: bool, clock: InputClock, others: Sequence[InputClock]) -> bool:
    """Whether to pause the input of `clock`, whose buffers are beyond a limit where `at_limit`.

    An input that holds the frontier itself is never paused, however much it buffers: only its own next rows
    can free them; an idle input holds nothing.  Nor is one that has not yet been read up to where an earlier
    life had come.
    """
    if not at_limit or not clock.caught_up:
        return False
    behind = any(not other.caught_up for other in others)
    return behind or any(clock.watermark_ns > other.watermark_ns for other in others if not other.idle)
