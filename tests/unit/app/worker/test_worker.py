"""The worker's loop on the embedded bus, a turn at a time."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.audit.topics import audit
from app.commit.commit import commit
from app.commit.local_state import SHARE_MAX
from app.worker.assembly import open_worker
from app.worker.worker import Worker
from schemas.clocks import NS_PER_MS
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.bus import ExpiredError, Producer
from topics.memory.consumer import MemoryConsumer


def test_a_trade_is_emitted_once_both_inputs_are_past_it(tmp_path: Path) -> None:
    market = Market(tmp_path)
    worker = market.worker()
    market.quote(5)
    market.trade(7)
    turn_until_quiet(worker)
    worker.commit()
    assert market.aligned() == []
    market.quote(8)
    market.progress(8, "trade")
    turn_until_quiet(worker)
    worker.commit()
    assert market.aligned() == [(7, 5)]


def test_writing_local_state_takes_no_more_than_its_share_of_the_time(tmp_path: Path) -> None:
    market = Market(tmp_path, worker={"checkpoint_interval_ms": 1})
    now_ns = itertools.count(0, NS_PER_MS)  # every look at the clock takes a millisecond, and so a write does
    worker = open_worker(market.pipeline, elapsed_ns=lambda: next(now_ns))
    market.quote(5)
    turn_until_quiet(worker)
    first = checkpoints(worker)
    begun_ns = next(now_ns)
    for time_ns in range(6, 306):
        market.quote(time_ns)
        worker.turn()
        worker.commit()
    elapsed_ns = next(now_ns) - begun_ns
    assert 1 < checkpoints(worker) - first <= 1 + SHARE_MAX * elapsed_ns / NS_PER_MS


@pytest.mark.parametrize(("takes_ms", "cycle_ms"), [(0, 100), (30, 100), (80, 130)])
def test_commits_keep_their_interval_but_leave_half_of_it_for_rows(
    tmp_path: Path, takes_ms: int, cycle_ms: int
) -> None:
    market = Market(tmp_path)
    begun_ms: list[int] = []

    def timed(*given: Any) -> None:
        begun_ms.append(market.elapsed_ns // NS_PER_MS)
        commit(*given)
        market.elapsed_ns += takes_ms * NS_PER_MS

    worker = market.worker(commit=timed)
    for time_ns in range(1, 60):
        market.quote(time_ns)
        worker.turn()
        market.elapsed_ns += 10 * NS_PER_MS
    assert len(begun_ms) > 3
    assert {later - earlier for earlier, later in itertools.pairwise(begun_ms)} == {cycle_ms}


def checkpoints(worker: Worker) -> int:
    """How often the local state of the worker's only task has been written."""
    written = worker.tasks[0].store.checkpoint
    return written.txn_count if written else 0


def test_a_quiet_input_holds_every_row_until_a_progress_record_speaks_for_it(tmp_path: Path) -> None:
    market = Market(tmp_path)
    worker = market.worker()
    market.trade(*range(10, 500))
    turn_until_quiet(worker)
    worker.commit()
    assert market.aligned() == []
    market.progress(400, "quote")
    turn_until_quiet(worker)
    worker.commit()
    assert market.aligned() == [(time_ns, None) for time_ns in range(10, 400)]


def test_a_quiet_partition_does_not_hold_another(tmp_path: Path) -> None:
    market = Market(tmp_path, partitions=2)
    worker = market.worker()
    for symbol in ("A", "D"):  # one in each partition
        market.trade(1, 2, symbol=symbol)
    market.quote(9, symbol="A")
    turn_until_quiet(worker)
    worker.commit()
    assert market.aligned() == [(1, None)]


def test_nothing_is_visible_before_a_commit_is_due(tmp_path: Path) -> None:
    market = Market(tmp_path)
    worker = market.worker()
    market.trade(1)
    market.progress(2)
    turn_until_quiet(worker)
    assert market.aligned() == []
    market.pass_commit_interval()
    worker.turn()
    assert market.aligned() == [(1, None)]


def test_many_rows_are_committed_before_the_interval_is_over(tmp_path: Path) -> None:
    market = Market(tmp_path, worker={"commit_rows_max": 3})
    worker = market.worker()
    market.trade(1, 2, 3)
    market.progress(4)
    turn_until_quiet(worker)
    assert market.aligned() == [(1, None), (2, None), (3, None)]


def test_a_bounded_run_ends_with_the_final_record_of_every_partition(tmp_path: Path) -> None:
    market = Market(tmp_path, partitions=2)
    worker = market.worker(until_final=True)
    market.trade(1)
    market.progress(5, "trade", final=True)
    turn_until_quiet(worker)
    worker.commit()
    assert not worker.finished()
    market.progress(5, "quote", final=True)
    turn_until_quiet(worker)
    assert not worker.finished(), "what is not committed is not done"
    worker.commit()
    assert worker.finished()
    assert market.aligned() == [(1, None)]


def test_a_bounded_run_seals_in_the_end_what_waits_for_rows_of_a_later_period(tmp_path: Path) -> None:
    market = Market(tmp_path, pipeline={"direction": "forward", "tolerance_ns": 10})
    worker = market.worker(until_final=True)
    market.trade(1, 4)
    market.quote(3)
    market.progress(5, final=True)
    worker.turn()
    worker.commit()
    assert not worker.finished()
    assert market.aligned() == [(1, 3)]
    turn_until_quiet(worker)
    worker.commit()
    assert worker.finished()
    assert market.aligned() == [(1, 3), (4, None)]


def test_an_unbounded_run_lets_rows_wait_for_the_next_period(tmp_path: Path) -> None:
    market = Market(tmp_path, pipeline={"direction": "nearest", "tolerance_ns": 10})
    worker = market.worker()
    market.trade(4)
    market.progress(5, final=True)
    turn_until_quiet(worker)
    worker.commit()
    assert market.aligned() == []
    market.quote(6)
    market.trade(7)
    market.quote(7)
    turn_until_quiet(worker)
    worker.commit()
    assert market.aligned() == [(4, 6)]


def test_rows_that_wait_over_a_restart_are_sealed_once(tmp_path: Path) -> None:
    market = Market(tmp_path, pipeline={"direction": "forward", "tolerance_ns": 10})
    first = market.worker()
    market.trade(1, 4, 6)
    market.quote(3)
    market.progress(6)
    turn_until_quiet(first)
    first.close()
    assert market.aligned() == [(1, 3)]
    second = market.worker(until_final=True)
    market.quote(8)
    market.progress(9, final=True)
    turn_until_quiet(second)
    second.commit()
    assert market.aligned() == [(1, 3), (4, 8), (6, 8)]
    assert second.finished()


def test_a_worker_without_partitions_ends_with_the_group(tmp_path: Path) -> None:
    market = Market(tmp_path)
    first, second = market.worker("0", until_final=True), market.worker("1", until_final=True)
    market.trade(1)
    market.progress(5, final=True)
    turn_until_quiet(first, second)
    assert sorted(len(worker.tasks) for worker in (first, second)) == [0, 1]
    for worker in (first, second):
        worker.commit()
    assert first.finished()
    assert second.finished()


def test_a_stop_commits_what_is_sealed_and_the_next_worker_goes_on(tmp_path: Path) -> None:
    market = Market(tmp_path)
    turns = iter([False, False, True])
    market.quote(1)
    market.trade(2, 4)
    market.progress(3)
    worker = market.worker()
    worker.run(lambda: next(turns))
    assert market.aligned() == []
    worker.close()
    assert market.aligned() == [(2, 1)]
    successor = market.worker()
    market.progress(9)
    turn_until_quiet(successor)
    successor.close()
    assert market.aligned() == [(2, 1), (4, 1)]


def test_a_worker_that_joins_takes_over_what_the_first_has_committed(tmp_path: Path) -> None:
    market = Market(tmp_path, partitions=2)
    first = market.worker("0")
    for symbol in ("A", "D"):  # one in each partition
        market.quote(1, symbol=symbol)
        market.trade(2, 4, symbol=symbol)
    market.progress(3)
    turn_until_quiet(first)
    second = market.worker("1")
    market.progress(9)
    turn_until_quiet(first, second)
    assert [list(first.tasks), list(second.tasks)] == [[0], [1]]
    first.close()
    second.close()
    assert sorted(market.aligned()) == [(2, 1), (2, 1), (4, 1), (4, 1)]
    assert audit(market.pipeline).violations == []


def full_market(folder: Path) -> Market:
    """A market whose buffers take next to nothing: a few quotes too far ahead fill them."""
    market = Market(folder, worker={"buffer_size_max": 1, "poll_messages_max": 2})
    market.progress(1, "trade")
    for time_ns in range(2, 20):
        market.quote(time_ns)
    return market


def test_a_full_input_is_paused_until_the_other_catches_up_and_no_row_is_lost(tmp_path: Path) -> None:
    market = full_market(tmp_path)
    worker = market.worker()
    turn_until_quiet(worker)
    (task,) = worker.tasks.values()
    assert task.paused == {"tidemark.quote"}
    assert task.readings["tidemark.quote"].rows_in < 18
    market.trade(10)
    market.progress(30)
    turn_until_quiet(worker)
    worker.commit()
    assert task.paused == set()
    assert task.readings["tidemark.quote"].rows_in == 18
    assert market.aligned() == [(10, 10)]


def test_a_paused_input_stays_so_until_its_buffers_are_half_empty(tmp_path: Path) -> None:
    market = Market(tmp_path, worker={"buffer_rows_max": 10, "poll_messages_max": 2})
    worker = market.worker()
    market.progress(1, "trade")
    market.quote(1)
    turn_until_quiet(worker)
    (task,) = worker.tasks.values()
    for time_ns in range(2, 62):
        market.quote(time_ns)
    pauses, rows_at_resume = 0, set()
    for time_ns in range(2, 62):  # the trades free one quote after the other
        market.progress(time_ns, "trade")
        for _ in range(4):
            before = bool(task.paused)
            worker.turn()
            pauses += not before and bool(task.paused)
            if before and not task.paused:
                rows_at_resume.add(task.operator.held("quote")[0])
    assert (pauses, rows_at_resume) == (9, {5})


def test_an_input_that_was_full_when_its_partition_was_lost_is_paused_again(tmp_path: Path) -> None:
    market = full_market(tmp_path)
    worker = market.worker()
    turn_until_quiet(worker)
    before = worker.tasks[0]
    assert isinstance(worker.consumer, MemoryConsumer)
    market.bus.evict(worker.consumer)
    turn_until_quiet(worker)
    assert worker.tasks[0] is not before
    assert worker.tasks[0].paused == {"tidemark.quote"}
    market.progress(30)
    turn_until_quiet(worker)
    assert worker.tasks[0].paused == set()


def test_a_worker_whose_transaction_expired_takes_its_id_anew_only_once_it_has_tasks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = Market(tmp_path)
    workers: list[Worker] = []
    had_tasks: list[bool] = []  # whether the first worker had, as each of its producers was made
    make = market.bus.producer

    def producer(**given: Any) -> Producer:
        made = make(**given)
        if given["transactional_id"] == "tidemark-0":
            had_tasks.append(bool(workers) and bool(workers[0].tasks))
            if len(had_tasks) == 1:
                monkeypatch.setattr(made, "abort", expired_once(made.abort))
        return made

    monkeypatch.setattr(market.bus, "producer", producer)
    workers.append(market.worker())
    market.quote(5)
    market.trade(7)
    market.progress(10)
    turn_until_quiet(workers[0])  # what is sealed is in a transaction now
    consumer = workers[0].consumer
    assert isinstance(consumer, MemoryConsumer)
    commit_some = consumer.commit
    # Kafka takes a commit of nothing from anybody.
    monkeypatch.setattr(consumer, "commit", lambda offsets: commit_some(offsets) if offsets else None)
    market.bus.evict(consumer)
    heir = market.worker("1")
    turn_until_quiet(heir)
    assert heir.tasks
    turn_until_quiet(workers[0], heir)
    heir.close()
    market.quote(15)
    market.trade(17)
    market.progress(20)
    turn_until_quiet(workers[0])
    workers[0].commit()
    assert had_tasks == [False, True]
    assert market.aligned() == [(7, 5), (17, 15)]


def expired_once(abort: Callable[[], None]) -> Callable[[], None]:
    """An abort that finds, the first time, that the broker has ended the transaction already."""
    failures = [ExpiredError("the transaction was open for too long")]

    def aborted() -> None:
        if failures:
            raise failures.pop()
        abort()

    return aborted
