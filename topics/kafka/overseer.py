"""Calls of a client that may never return, made where they can be left behind."""

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread

_Job = tuple[Future[None], Callable[[], object]]


class Overseer:
    """Makes calls one at a time in a thread of its own, which ends with the process if one never returns."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: Thread | None = None

    def call(self, work: Callable[[], object], patience_s: float) -> None:
        """Return when `work` has; raises what it raises, and TimeoutError where it takes longer.

        After a TimeoutError nothing more is to be called here.
        """
        if self._thread is None:
            # A daemon: the end of the process must not wait for it.
            self._thread = Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        job: _Job = Future(), work
        self._jobs.put(job)
        job[0].result(patience_s)

    def close(self) -> None:
        """Let the thread end when it can."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            answer, work = job
            try:
                work()
            except BaseException as raised:
                answer.set_exception(raised)
            else:
                answer.set_result(None)
