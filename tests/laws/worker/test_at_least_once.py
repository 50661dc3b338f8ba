"""At least once: rows are there as soon as they are sealed, and a crash repeats them but changes none."""

from functools import partial
from pathlib import Path

import pytest

from app.audit.topics import audit
from app.process import failpoints
from tests.stage.deaths import Death, buried, die_at
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.bus import AbortableError
from topics.memory.consumer import MemoryConsumer


def direct(folder: Path, **worker: object) -> Market:
    return Market(folder, worker={"guarantee": "at_least_once", **worker})


def test_a_sealed_row_is_there_before_anything_is_committed(tmp_path: Path) -> None:
    market = direct(tmp_path)
    worker = market.worker()
    market.quote(1)
    market.trade(2)
    market.progress(5)
    turn_until_quiet(worker)
    assert market.aligned() == [(2, 1)]


def test_a_crash_repeats_the_rows_since_the_last_commit_and_no_others(tmp_path: Path) -> None:
    market = direct(tmp_path)
    first = market.worker()
    market.trade(2)
    market.progress(5)
    turn_until_quiet(first)
    first.commit()
    market.trade(7)
    market.progress(9)
    turn_until_quiet(first)
    buried(market, first)
    second = market.worker()
    turn_until_quiet(second)
    second.close()
    assert market.aligned() == [(2, None), (7, None), (7, None)]
    report = audit(market.pipeline)
    assert (report.rows_aligned, report.rows_repeated, report.violations) == (2, 1, [])


@pytest.mark.parametrize("doomed", [f for f in failpoints.ALL if f.startswith("commit")])
def test_no_step_of_the_commit_loses_a_row(tmp_path: Path, doomed: str) -> None:
    market = direct(tmp_path, last_known_interval_ms=1)
    first = market.worker()
    market.quote(1)
    market.trade(2)
    market.progress(5)
    turn_until_quiet(first)
    market.pass_commit_interval()
    failpoints.arm(partial(die_at, doomed))
    try:
        with pytest.raises(Death):
            first.commit()
    finally:
        failpoints.arm(None)
    buried(market, first)
    market.trade(7)
    market.progress(9)
    second = market.worker()
    turn_until_quiet(second)
    second.close()
    report = audit(market.pipeline)
    assert (report.rows_aligned, report.violations) == (2, [])


def test_a_worker_the_group_has_thrown_out_commits_nothing_and_joins_again(tmp_path: Path) -> None:
    market = direct(tmp_path)
    worker = market.worker()
    market.trade(2)
    market.progress(5)
    turn_until_quiet(worker)
    assert isinstance(worker.consumer, MemoryConsumer)
    market.bus.evict(worker.consumer)
    with pytest.raises(AbortableError):
        worker.commit()
    turn_until_quiet(worker)
    worker.close()
    report = audit(market.pipeline)
    assert (report.rows_aligned, report.rows_repeated, report.violations) == (1, 1, [])
