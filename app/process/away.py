"""A broker that is away is waited for, a while."""

from collections.abc import Callable
from typing import TypeVar

import structlog

from app.process.clock import monotonic_ns, pause
from schemas.clocks import NS_PER_S
from topics.bus import BusUnavailableError

log = structlog.get_logger()

WAIT_MAX_NS = 120 * NS_PER_S  # well below max.poll.interval.ms, after which the group would expel us anyway
AGAIN_S = 0.2  # a question may take 15 s to fail, or be refused at once

T = TypeVar("T")


def wait_out(attempt: Callable[[], T], on_wait: Callable[[int], None] = lambda _: None) -> T:
    """Call until a broker answers; raises BusUnavailableError after `WAIT_MAX_NS` without an answer.

    `on_wait` hears after each attempt in vain how long it took, in ns, with the pause behind it.
    """
    begun_ns, logged = monotonic_ns(), False
    since_ns = begun_ns
    while True:
        try:
            return attempt()
        except BusUnavailableError as away:
            if monotonic_ns() - begun_ns > WAIT_MAX_NS:
                raise
            if not logged:
                log.warning("waiting for the broker", reason=str(away))
            logged = True
            pause(AGAIN_S)
            waited_ns, since_ns = monotonic_ns() - since_ns, monotonic_ns()
            on_wait(waited_ns)
