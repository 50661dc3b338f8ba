"""What may be committed and when: nothing after a loss or a failure; a commit under way makes nobody spin."""

from pathlib import Path

from app.commit.commit import commit
from app.commit.commits import Commits, State
from app.commit.later_commit import WATCH_MS
from app.commit.outbox import Outbox
from app.commit.producers import Producers
from app.worker.worker import Worker
from tests.stage.market import Market, counts_of
from tests.stage.slow_bus import SlowBus, committed_next, market_of, sealed
from topics.bus import AbortableError, Bus


def commits_of(market: Market, worker: Worker, bus: Bus) -> tuple[Commits, Producers]:
    """Commits of a worker's tasks, and the producers of their rows on a bus of the test's."""
    settings = market.settings
    exactly_once = settings.worker.guarantee == "exactly_once"
    producers = Producers(bus, "test", lambda: True, exactly_once=exactly_once)
    outbox = Outbox(settings, producers, market.pipeline.registry, market.pipeline.output_limits())
    commits = Commits(
        worker.tasks,
        outbox,
        worker.consumer,
        counts_of(market),
        settings.worker,
        lambda: market.elapsed_ns,
        commit,
    )
    return commits, producers


def test_after_a_loss_nothing_is_committed_until_all_tasks_have_gone_back(tmp_path: Path) -> None:
    market = Market(tmp_path)
    worker = sealed(market, 2)
    commits, producers = commits_of(market, worker, market.bus)
    commits.mark_dirty()
    producers.transaction()
    commits.after_lost()
    assert commits.state is State.LOST
    commits.before_revoke()
    assert committed_next(market, worker) is None
    commits.undo(AbortableError("tasks lost"))
    commits.before_revoke()
    assert committed_next(market, worker) == 2


def test_after_a_failure_nothing_is_committed_any_more(tmp_path: Path) -> None:
    market = Market(tmp_path)
    worker = sealed(market, 2)
    commits, producers = commits_of(market, worker, market.bus)
    commits.mark_dirty()
    producers.transaction()
    commits.fail()
    commits.after_lost()
    assert commits.state is State.FAILED
    commits.before_revoke()
    assert committed_next(market, worker) is None


def test_a_worker_does_not_spin_while_the_commit_under_way_keeps_the_next_from_beginning(
    tmp_path: Path,
) -> None:
    market = market_of(tmp_path)
    worker = sealed(market, 2)
    commits, _ = commits_of(market, worker, SlowBus())
    for _ in range(2):
        commits.mark_dirty()
        market.pass_commit_interval()
        commits.go_on()
    assert not commits.settled
    assert commits.wait_ms() == WATCH_MS
