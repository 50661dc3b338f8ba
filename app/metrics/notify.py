"""Words to systemd: that a worker is ready, that its loop turns, and that it ends."""

import socket
from contextlib import suppress
from typing import Final

from app.process.clock import monotonic_ns
from schemas.clocks import NS_PER_S

NS_PER_US: Final = 1_000
ALIVE_EVERY_NS: Final = 5 * NS_PER_S  # where nobody says how often
EXTEND_US: Final = 60_000_000  # what a beat before the worker is ready asks for


class Notifier:
    """Sends datagrams to the socket of `NOTIFY_SOCKET`; does nothing without one."""

    def __init__(self, path: str, watchdog_us: int) -> None:
        """`path` begins with @ for a socket without a file; `watchdog_us` is 0 where nobody watches."""
        self._path = f"\0{path[1:]}" if path.startswith("@") else path
        self._every_ns = watchdog_us * NS_PER_US // 3 or ALIVE_EVERY_NS
        self._beaten_ns = -self._every_ns
        self._watched = watchdog_us > 0
        self._is_ready = False

    def ready(self) -> None:
        """The worker is ready."""
        self._is_ready = True
        self._send("READY=1")

    def alive(self) -> None:
        """The loop turns: say so as often as the watchdog wants; before it is ready, ask for time."""
        if not self._path or (self._is_ready and not self._watched):
            return
        now_ns = monotonic_ns()
        if now_ns - self._beaten_ns < self._every_ns:
            return
        self._beaten_ns = now_ns
        lines = ["WATCHDOG=1"] if self._watched else []
        self._send("\n".join(lines if self._is_ready else [*lines, f"EXTEND_TIMEOUT_USEC={EXTEND_US}"]))

    def stopping(self) -> None:
        """The worker ends."""
        self._send("STOPPING=1")

    def _send(self, words: str) -> None:
        if not self._path:
            return
        # A manager that does not listen is no reason to stop joining.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            to.setblocking(False)
            to.sendto(words.encode(), self._path)
