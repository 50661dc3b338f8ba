"""Whole runs from a seed: workers die between any two steps, commits fail, partitions move; the rows stand.

After each run the audit, a slow oracle and one uninterrupted life of the operator must find every accepted
row aligned once, with the match an offline join gives it.  `make simulate SEEDS=10000` runs many, a failing
seed is printed, and `make simulate SEED=n` plays it again.
"""

import argparse
import logging
import random
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import structlog

from app.wiring.pipeline import Pipeline
from tests.simulation.auditor import Auditor
from tests.simulation.feed import Feed
from tests.simulation.folder import memory_folder
from tests.simulation.judgement import judge
from tests.simulation.mortal import Mortal, little_room
from tests.simulation.retention import forget
from tests.simulation.scene import pipeline_of, settings_of

pytestmark = pytest.mark.takes_s(320)

SEEDS = 60  # `make simulate SEEDS=10000` plays as many as one has time for
TURNS_MAX = 3_000
MORTAL_TURNS = 60  # after the last row
AUDIT_CHANCE = 0.005  # at each moment at which a worker could die; about one audit a run
RETENTION_CHANCE = 0.1  # that after a run the beginnings of topics are deleted, and it is audited again


def play(seed: int, folder: Path, audit_chance: float = AUDIT_CHANCE) -> Auditor:
    """Play one seed to its end, audit it on the way and judge it; raises where the rows do not stand."""
    with little_room(random.Random(f"room of {seed}")):
        audits = random.Random(f"audits of {seed}")
        pipeline, auditor = _play(random.Random(seed), folder, audits, audit_chance)
        retention = random.Random(f"retention of {seed}")
        if retention.random() < RETENTION_CHANCE:
            forget(retention, pipeline, rounds=1)
        return auditor


def _play(
    rng: random.Random, folder: Path, audits: random.Random, audit_chance: float
) -> tuple[Pipeline, Auditor]:
    settings = settings_of(rng, folder)
    pipeline = pipeline_of(settings)
    asked = settings.pipeline
    beyond_grace = rng.random() < 0.3
    # Whether a row is late hangs on what came before it, so rows that are read anew may be judged anew.
    beyond_grace = beyond_grace and settings.worker.guarantee == "exactly_once"
    disorder_ns = asked.grace_ns + (10 if beyond_grace else 0)
    feed = Feed(
        rng,
        pipeline,
        rows=rng.choice([20, 60, 120]),
        periods=rng.choice([1, 1, 2, 3]),
        disorder_ns=disorder_ns,
    )
    auditor = Auditor(audits, pipeline, audit_chance)
    workers = Mortal(rng, pipeline, rng.choice([1, 1, 2, 3]), lambda: feed.wall_ns, auditor.look)
    for _ in feed.steps():
        auditor.look()
        for _ in range(rng.randrange(3)):
            workers.turn()
    for turn in range(TURNS_MAX):
        workers.immortal = turn > MORTAL_TURNS
        if workers.finished():
            break
        workers.turn()
    else:
        pytest.fail("the run does not come to its end")
    workers.close()
    report = judge(pipeline)
    may_be_late = beyond_grace or asked.idle_after_ms is not None or asked.max_ahead_ns is not None
    assert may_be_late or not sum(report.rows_late.values()), f"late within the grace: {report.rows_late}"
    assert report.rows_repeated == 0 or settings.worker.guarantee == "at_least_once"
    return pipeline, auditor


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_accepted_row_is_aligned_once_whatever_dies(seed: int) -> None:
    with memory_folder() as folder:
        play(seed, folder)


def main(seeds: Sequence[int], say: Callable[[str], object] = print) -> int:
    """Play seeds; returns how many failed."""
    failed = 0
    for seed in seeds:
        with memory_folder() as folder:
            try:
                play(seed, folder)
            except (Exception, pytest.fail.Exception) as wrong:  # the seed is what matters; the rest goes on
                failed += 1
                say(f"seed {seed} failed: {type(wrong).__name__}: {str(wrong)[:300]}")
                if len(seeds) == 1:
                    say(traceback.format_exc())
                else:
                    say(f"  again: make simulate SEED={seed}")
        if (seed + 1) % 500 == 0:
            say(f"played up to seed {seed}")
    say(f"{len(seeds) - failed} passed, {failed} failed")
    return failed


def _asked(arguments: Sequence[str]) -> Sequence[int]:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="this one alone, with where it failed")
    asked = parser.parse_args(arguments)
    return [asked.seed] if asked.seed is not None else range(asked.first, asked.first + asked.seeds)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # Deaths, failed commits and what the worker has to say of them are what a simulation is made of.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.exit(1 if main(_asked(sys.argv[1:]), _say) else 0)
