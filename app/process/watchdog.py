"""A watchdog: it ends the process where a call takes too long, whatever that call is stuck in."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Thread

from app.process.clock import monotonic_ns
from schemas.clocks import NS_PER_S


class Watchdog:
    """Watches over calls, one at a time, each of which has so long."""

    def __init__(self, limit_ns: int, expired: Callable[[], None]) -> None:
        """`expired` is called from a thread of its own."""
        self._limit_ns = limit_ns
        self._expired = expired
        self._condition = Condition()
        self._deadline_ns: int | None = None
        self._sleeps = True  # until somebody wakes it
        self._thread: Thread | None = None

    @contextmanager
    def over(self) -> Iterator[None]:
        """Watch over what happens within."""
        with self._condition:
            self._deadline_ns = monotonic_ns() + self._limit_ns
            if self._thread is None:
                self._thread = Thread(target=self._watch, name="watchdog", daemon=True)
                self._thread.start()
            elif self._sleeps:
                self._condition.notify()
        try:
            yield
        finally:
            with self._condition:
                self._deadline_ns = None

    def _watch(self) -> None:
        with self._condition:
            while True:
                if self._deadline_ns is None:
                    self._sleeps = True
                    self._condition.wait()
                    self._sleeps = False
                    continue
                left_ns = self._deadline_ns - monotonic_ns()
                if left_ns <= 0:
                    self._expired()
                    return
                self._sleeps = False
                self._condition.wait(left_ns / NS_PER_S)


def end_process(why: str) -> None:
    """Say why in a line, and end at once: nothing is committed, as if the machine had gone."""
    # Straight to the descriptor: the thread that is stuck may hold the lock of the stream.
    os.write(sys.stderr.fileno(), f"stopped: {why}\n".encode())
    os._exit(1)
