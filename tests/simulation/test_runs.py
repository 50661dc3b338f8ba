"""Whole runs from a seed: workers die between any two steps, commits fail, partitions move; the rows stand.

After each run the audit, which shares no code with the join, must find every accepted row aligned once, with
the match an offline join gives it.  `make simulate SEEDS=1000` runs many; a failing seed is printed.
"""

import logging
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import structlog

from app import failpoints, progress_metadata
from app.audit import AuditReport, audit
from app.dead_topic import ahead_places
from app.wiring import Pipeline
from app.worker import Worker
from operators import late_rows
from tests.simulation.scene import Feed, pipeline_of, settings_of
from topics.bus import FencedError
from topics.memory import CommitFault, MemoryBus
from topics.memory_consumer import MemoryConsumer

SEEDS = 60


class Death(Exception):
    """A worker dies here."""


class Mortal:
    """Runs workers that die at drawn moments and are started again under the same name."""

    def __init__(
        self, rng: random.Random, pipeline: Pipeline, workers: int, wall_ns: Callable[[], int]
    ) -> None:
        self._rng = rng
        self._wall_ns = wall_ns
        self._now_ns = 0
        self.immortal = False
        self._pipeline = pipeline
        self._workers = {str(slot): self._start(str(slot)) for slot in range(workers)}

    def _start(self, slot: str) -> Worker:
        pipeline = self._pipeline.with_slot(slot)
        return Worker(pipeline, until_final=True, elapsed_ns=self._tick, wall_ns=self._wall_ns)

    def _tick(self) -> int:
        self._now_ns += 300_000
        return self._now_ns

    def turn(self) -> None:
        """Let every worker turn, and some of them die: between turns, or before a step of the commit."""
        for slot, worker in list(self._workers.items()):
            fate = 1.0 if self.immortal else self._rng.random()
            if fate < 0.1:
                failpoints.arm(partial(_die_at, self._rng.choice(failpoints.ALL)))
            elif fate < 0.2:
                failpoints.arm(partial(self._fail_commit, self._rng.choice(list(CommitFault))))
            try:
                worker.turn()
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


def _die_at(doomed: str, reached: str) -> None:
    if reached == doomed:
        raise Death


@contextmanager
def little_room(rng: random.Random) -> Iterator[None]:
    """In some runs commits have room for a few late rows only, so that restarts read the late topic."""
    with pytest.MonkeyPatch.context() as patch:
        if rng.random() < 0.3:
            patch.setattr(late_rows, "ROWS_MAX", rng.choice([1, 4]))
            patch.setattr(progress_metadata, "METADATA_SIZE_MAX", rng.choice([0, 150, 4_000]))
        yield


def run(seed: int, folder: Path) -> tuple[AuditReport, int, bool]:
    """Play one seed to its end; returns the audit, the trades sent, and whether rows may have been late."""
    rng = random.Random(seed)
    with little_room(random.Random(f"room of {seed}")):
        return _run(rng, folder, seed)


def _run(rng: random.Random, folder: Path, seed: int) -> tuple[AuditReport, int, bool]:
    settings = settings_of(rng, folder)
    pipeline = pipeline_of(settings)
    may_be_late = rng.random() < 0.3
    # Whether a row is late hangs on what came before it, so rows that are read anew may be judged anew.
    may_be_late = may_be_late and settings.worker.guarantee == "exactly_once"
    disorder_ns = settings.pipeline.grace_ns + (10 if may_be_late else 0)
    feed = Feed(rng, pipeline, rows=rng.choice([20, 150]), disorder_ns=disorder_ns)
    workers = Mortal(rng, pipeline, rng.choice([1, 1, 2, 3]), lambda: feed.wall_ns)
    for _ in feed.steps():
        for _ in range(rng.randrange(3)):
            workers.turn()
    for turn in range(3_000):
        workers.immortal = turn > 100
        if workers.finished():
            break
        workers.turn()
    else:
        pytest.fail(f"seed {seed}: the run does not come to its end")
    workers.close()
    report = audit(pipeline)
    ahead = [ahead_places(pipeline, n) for n in range(settings.bus.partitions)]
    rows_ahead = sum(len(places["trade"]) for places in ahead)
    may_be_late = may_be_late or settings.pipeline.idle_after_ms is not None
    may_be_late = may_be_late or settings.pipeline.max_ahead_ns is not None
    assert (settings.pipeline.max_ahead_ns is not None) or not report.rows_dead, f"seed {seed}"
    return report, report.rows_in["trade"] - report.rows_late["trade"] - rows_ahead, may_be_late


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_accepted_row_is_aligned_once_whatever_dies(seed: int, tmp_path: Path) -> None:
    report, accepted, may_be_late = run(seed, tmp_path)
    assert not report.violations, f"seed {seed}: {report.violations}"
    assert report.rows_aligned == accepted, f"seed {seed}"
    assert may_be_late or not sum(report.rows_late.values()), f"seed {seed}: late within the grace"


def main(seeds: int, say: Callable[[str], object] = print) -> int:
    """Run many seeds; returns how many failed."""
    failed = 0
    for seed in range(seeds):
        with TemporaryDirectory() as folder:
            try:
                test_every_accepted_row_is_aligned_once_whatever_dies(seed, Path(folder))
            except Exception as wrong:  # the seed is what matters; the rest goes on
                failed += 1
                say(f"seed {seed} failed: {type(wrong).__name__}: {str(wrong)[:200]}")
    say(f"{seeds - failed} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    # Deaths, failed commits and what the worker has to say of them are what a simulation is made of.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.exit(1 if main(int(sys.argv[1]), lambda line: sys.stdout.write(f"{line}\n")) else 0)
