"""Commits at least once that nobody waits for: nothing counts before its rows are there, nothing twice."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.audit.topics import audit
from app.commit.later_commit import LaterCommit
from app.commit.outbox import Outbox
from app.commit.producers import Producers
from app.worker.worker import Worker
from state.store import TaskStore
from tests.stage.deaths import buried
from tests.stage.market import counts_of
from tests.stage.slow_bus import SlowBus, committed_next, market_of, sealed
from tests.stage.turns import turn_until_quiet
from topics.bus import AbortableError
from topics.memory.bus import CommitFault
from topics.memory.consumer import MemoryConsumer


def turn_till(worker: Worker, reached: Callable[[], bool], turns_max: int = 10) -> None:
    """Turn until something is so."""
    for _ in range(turns_max):
        if reached():
            return
        worker.turn()
    assert reached()


def test_offsets_wait_until_the_rows_sealed_before_them_are_acknowledged(tmp_path: Path) -> None:
    market = market_of(tmp_path)
    worker = sealed(market, 2)
    slow = SlowBus()
    producers = Producers(slow, "later", lambda: True, exactly_once=False)
    later = LaterCommit(
        Outbox(market.settings, producers, market.pipeline.registry, market.pipeline.output_limits()),
        worker.consumer,
        counts_of(market),
    )
    later.begin(worker.tasks, {})
    assert later.advance() is None
    assert committed_next(market, worker) is None
    slow.acknowledges = True
    assert later.advance() == {}
    assert committed_next(market, worker) == 2
    assert not later.open
    worker.close()


def test_a_due_commit_counts_some_turns_later_and_what_came_meanwhile_with_the_next(tmp_path: Path) -> None:
    market = market_of(tmp_path)
    worker = sealed(market, 2)
    turn_till(worker, lambda: committed_next(market, worker) is None)
    market.trade(4)
    market.progress(5)
    market.pass_commit_interval()
    worker.turn()  # begins
    market.trade(7)
    market.progress(8)
    turn_till(worker, lambda: committed_next(market, worker) == 4)
    buried(market, worker)
    second = market.worker()
    turn_until_quiet(second)
    second.close()
    assert market.aligned() == [(2, None), (4, None), (7, None), (7, None)]
    report = audit(market.pipeline)
    assert (report.rows_aligned, report.rows_repeated, report.violations) == (3, 1, [])


def test_state_kept_after_a_later_commit_is_that_of_its_offsets(tmp_path: Path) -> None:
    market = market_of(tmp_path)
    worker = sealed(market, 2)
    market.elapsed_ns += 10**10  # the state is due too
    market.trade(4)
    worker.turn()  # begins, with the trade of 4 waiting
    market.trade(7)
    turn_till(worker, lambda: committed_next(market, worker) == 3)
    buried(market, worker)
    store = TaskStore.open(
        market.pipeline.state_path(0), market.pipeline.identity(0, market.pipeline.log_ids())
    )
    assert store.checkpoint is not None
    assert store.checkpoint.next_offsets["trade"] == 3
    store.close()


def test_a_commit_that_is_refused_later_takes_the_worker_back(tmp_path: Path) -> None:
    market = market_of(tmp_path)
    worker = sealed(market, 2)
    market.pass_commit_interval()
    market.trade(4)
    market.progress(5)
    worker.turn()  # begins
    market.bus.fail_commits([CommitFault.REFUSED])
    turn_until_quiet(worker)
    worker.close()
    report = audit(market.pipeline)
    assert (report.rows_aligned, report.violations) == (2, [])
    assert report.rows_repeated > 0


def test_giving_up_tasks_finishes_the_commit_under_way(tmp_path: Path) -> None:
    market = market_of(tmp_path)
    worker = sealed(market, 2)
    market.pass_commit_interval()
    market.trade(4)
    market.progress(5)
    worker.turn()  # begins
    worker.close()
    second = market.worker()
    turn_until_quiet(second)
    second.close()
    assert market.aligned() == [(2, None), (4, None)]


def test_a_commit_of_a_member_that_was_thrown_out_does_not_count(tmp_path: Path) -> None:
    market = market_of(tmp_path)
    worker = sealed(market, 2)
    producers = Producers(market.bus, "later", lambda: True, exactly_once=False)
    later = LaterCommit(
        Outbox(market.settings, producers, market.pipeline.registry, market.pipeline.output_limits()),
        worker.consumer,
        counts_of(market),
    )
    later.begin(worker.tasks, {})
    assert isinstance(worker.consumer, MemoryConsumer)
    market.bus.evict(worker.consumer)
    with pytest.raises(AbortableError):
        later.advance()
    assert not later.open
    turn_until_quiet(worker)
    worker.close()
    assert audit(market.pipeline).violations == []
