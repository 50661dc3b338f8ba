"""Mortal workers: they join, leave, die between any two steps, lose disks, and are held to their limits."""

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from app.process import failpoints
from app.task import metadata as progress_metadata
from app.task.task import Task
from app.wiring.pipeline import Pipeline
from app.worker.assembly import open_worker
from app.worker.worker import Worker
from operators.inputs import set_aside
from operators.rows import columns
from topics.bus import FencedError
from topics.memory.bus import CommitFault, MemoryBus
from topics.memory.consumer import MemoryConsumer

SLOTS_MAX = 4
TICK_NS = 300_000


class Death(Exception):
    """A worker dies here."""


class Mortal:
    """Runs workers that die at drawn moments and are started again under the same name.

    `watch` is called at every moment at which one could die.
    """

    def __init__(
        self,
        rng: random.Random,
        pipeline: Pipeline,
        workers: int,
        wall_ns: Callable[[], int],
        watch: Callable[[], None],
    ) -> None:
        self._watch = watch
        self._rng = rng
        self._wall_ns = wall_ns
        self._now_ns = 0
        self.immortal = False
        self._overfull: dict[tuple[int, str], Task] = {}
        self._pipeline = pipeline
        self._workers = {str(slot): self._start(str(slot)) for slot in range(workers)}

    def turn(self) -> None:
        """Let every worker turn, and some of them die: between turns, or before a step of the commit."""
        if not self.immortal and self._rng.random() < 0.04:
            self._come_or_go()
        for slot, worker in list(self._workers.items()):
            fate = 1.0 if self.immortal else self._rng.random()
            meet: Callable[[str], None] = _go_on
            if fate < 0.1:
                meet = partial(_die_at, self._rng.choice(failpoints.ALL))
            elif fate < 0.2:
                meet = partial(self._fail_commit, self._rng.choice(list(CommitFault)))
            failpoints.arm(partial(self._reach, meet))
            try:
                self._turn_within_limits(worker)
                if 0.2 < fate < 0.25:
                    raise Death
            except (Death, FencedError):
                self._bury(worker)
                self._workers[slot] = self._start(slot)
            finally:
                failpoints.arm(None)

    def finished(self) -> bool:
        """Whether every worker says the group is done."""
        return all(worker.finished() for worker in self._workers.values())

    def close(self) -> None:
        """End all workers well."""
        for worker in self._workers.values():
            worker.close()

    def _start(self, slot: str) -> Worker:
        pipeline = self._pipeline.with_slot(slot)
        return open_worker(pipeline, until_final=True, elapsed_ns=self._tick, wall_ns=self._wall_ns)

    def _tick(self) -> int:
        self._now_ns += TICK_NS
        return self._now_ns

    def _come_or_go(self) -> None:
        """A worker joins the group, or one that is not the last leaves it well."""
        absent = sorted({str(slot) for slot in range(SLOTS_MAX)} - set(self._workers))
        if absent and (len(self._workers) == 1 or self._rng.random() < 0.5):
            self._workers[absent[0]] = self._start(absent[0])
        else:
            self._workers.pop(self._rng.choice(sorted(self._workers))).close()

    def _turn_within_limits(self, worker: Worker) -> None:
        """What is at its limit while others have to come first gets no row, but for a batch after a start."""
        full = {
            (number, stream): (task, task.operator.held(stream))
            for number, task in worker.tasks.items()
            for stream in _full(task)
        }
        worker.turn()
        for (number, stream), (task, (rows, _)) in full.items():
            now = task.operator.held(stream)[0]
            if worker.tasks.get(number) is task and now > rows:
                grown = self._overfull.get((number, stream))
                assert grown is not task, f"{stream}[{number}] was full with {rows} rows and now has {now}"
                self._overfull[number, stream] = task

    def _reach(self, meet: Callable[[str], None], reached: str) -> None:
        self._watch()
        meet(reached)

    def _fail_commit(self, fault: CommitFault, reached: str) -> None:
        if reached == failpoints.COMMIT_END:
            assert isinstance(self._pipeline.bus, MemoryBus)
            self._pipeline.bus.fail_commits([fault])

    def _bury(self, worker: Worker) -> None:
        """A dead process: no callback runs, the group finds out, the locks of its stores fall with it.

        Some take their disk with them.
        """
        bus = self._pipeline.bus
        assert isinstance(bus, MemoryBus)
        assert isinstance(worker.consumer, MemoryConsumer)
        bus.evict(worker.consumer)
        disk_dies = self._rng.random() < 0.3
        for task in worker.tasks.values():
            task.close()
            if disk_dies:
                shutil.rmtree(self._pipeline.state_path(task.partition))


@contextmanager
def little_room(rng: random.Random) -> Iterator[None]:
    """Columns begin with room for a few rows, and in some runs commits have room for a few late rows only, so
    that restarts read the late topic.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "CAPACITY_MIN", rng.choice([1, 8]))
        if rng.random() < 0.3:
            patch.setattr(set_aside, "ROWS_MAX", rng.choice([1, 4]))
            patch.setattr(progress_metadata, "METADATA_SIZE_MAX", rng.choice([0, 150, 4_000]))
        yield


def _full(task: Task) -> list[str]:
    """The streams that are to wait; none where the period of all others has ended.

    Nothing else can go on there, so those that wait are read on.  One that was paused waits until it is half
    empty.
    """
    operator = task.operator
    inputs, progress = operator.inputs, operator.progress().inputs
    held = {stream: operator.held(stream) for stream in inputs.streams}
    full = [stream for stream in inputs.streams if inputs.is_full(stream, held[stream])]
    others = [stream for stream in inputs.streams if not inputs.is_full(stream, held[stream], paused=True)]
    return [] if all(progress[stream].final for stream in others) else full


def _go_on(_reached: str) -> None:
    """Nothing happens to the worker."""


def _die_at(doomed: str, reached: str) -> None:
    if reached == doomed:
        raise Death
