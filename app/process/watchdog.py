"""A watchdog: it ends the process where a call takes too long, whatever that call is stuck in."""

import faulthandler
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Lock, Thread
from typing import Final

from app.process.clock import monotonic_ns
from schemas.clocks import NS_PER_S

STDERR: Final = 2
HARD_NS: Final = 2 * NS_PER_S
_hard: Final = Lock()  # held by the call that is watched from outside of Python: there is one such timer


class Watchdog:
    """Watches over calls, one at a time, each of which has so long."""

    def __init__(self, limit_ns: int, expired: Callable[[], None], *, hard_ns: int | None = None) -> None:
        """`expired` is called from a thread of its own.

        A call that lets no other thread run, such as an endless search for a pattern, keeps that one waiting
        too: then the process ends `hard_ns` later with a traceback of the call, if that is given.
        """
        self._limit_ns = limit_ns
        self._expired = expired
        self._hard_ns = hard_ns
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
        hard = self._hard_ns is not None and _hard.acquire(blocking=False)
        if hard:
            after_s = (self._limit_ns + (self._hard_ns or 0)) / NS_PER_S
            faulthandler.dump_traceback_later(after_s, exit=True, file=STDERR)
        try:
            yield
        finally:
            if hard:
                faulthandler.cancel_dump_traceback_later()
                _hard.release()
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
