"""What runs shards: this process, a pool of processes, or a Ray cluster."""

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

from app.backfill.shard import run_shard


class Runner(Protocol):
    """Runs shards of a stage; `slots` is how many may be given to it at once, and `name` says what it is."""

    name: str
    slots: int

    def start(self, shard: str) -> None:
        """Begin a shard."""
        ...

    def wait(self) -> dict[str, bool]:
        """Wait for at least one of those begun; by name whether it is done, or was lost with its process.

        Raises what a shard raised.
        """
        ...

    def close(self) -> None:
        """Let go of all processes; what they are at is not waited for."""
        ...


class HereRunner:
    """Runs shards in this process, one after the other."""

    name = "this process"
    slots = 1

    def __init__(self, stage: Path, run: Callable[[str, str], str] = run_shard) -> None:
        self._stage, self._run = stage, run
        self._next: list[str] = []

    def start(self, shard: str) -> None:
        """Note the shard, which `wait` runs."""
        self._next.append(shard)

    def wait(self) -> dict[str, bool]:
        """Run the shards that were begun."""
        names, self._next = self._next, []
        return {self._run(str(self._stage), name): True for name in names}

    def close(self) -> None:
        """There is nothing to let go of."""


class PoolRunner:
    """Runs shards in processes of this machine; where one is killed, a new pool takes its place."""

    def __init__(self, stage: Path, processes: int) -> None:
        self.name = f"{processes} processes"
        self.slots = processes
        self._stage = stage
        self._pool = self._open()
        self._futures: dict[Future[str], str] = {}

    def start(self, shard: str) -> None:
        """Give a shard to the pool."""
        try:
            future = self._pool.submit(run_shard, str(self._stage), shard)
        except BrokenProcessPool:  # a process was killed while it had nothing to do
            self._pool = self._open()
            future = self._pool.submit(run_shard, str(self._stage), shard)
        self._futures[future] = shard

    def wait(self) -> dict[str, bool]:
        """Wait for a shard; with a process that was killed all that the pool was at is lost."""
        ended, _ = wait(self._futures, return_when=FIRST_COMPLETED)
        done: dict[str, bool] = {}
        for future in ended:
            shard = self._futures.pop(future)
            try:
                done[future.result()] = True
            except BrokenProcessPool:
                done[shard] = False
        if not all(done.values()):
            done |= dict.fromkeys(self._futures.values(), False)
            self._futures = {}
            self._pool.shutdown(wait=True)
            self._pool = self._open()
        return done

    def close(self) -> None:
        """End the processes that are idle, and the others after their shard."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _open(self) -> ProcessPoolExecutor:
        # Not forked: threads of Arrow and numba would not be there in a child.
        return ProcessPoolExecutor(self.slots, mp_context=get_context("spawn"))
