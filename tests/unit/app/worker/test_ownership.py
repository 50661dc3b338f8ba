"""Local state that cannot be taken up is rebuilt from the log, and the rows are the same."""

from pathlib import Path

import pytest

from app.errors import RunError
from app.process.meter import Meter
from app.worker.ownership import Ownership
from state.store import TaskStore
from tests.stage.market import Market, counts_of
from tests.stage.turns import turn_until_quiet
from topics.block import TopicPartition
from topics.memory.bus import MemoryBus
from topics.memory.consumer import MemoryConsumer


class NothingToCommit:
    """Stands where commits do, for tasks that seal nothing."""

    def before_revoke(self) -> None:
        return

    def mark_dirty(self) -> None:
        return

    def after_lost(self) -> None:
        return

    def require_slot(self, source: TopicPartition) -> None:
        return


def ownership_of(market: Market) -> Ownership:
    """Ownership with nobody behind it, for a consumer that has not joined."""
    return Ownership(
        market.pipeline,
        market.bus.consumer(group="tidemark"),
        counts_of(market),
        {},
        Meter(),
        lambda: 0,
        NothingToCommit(),
        lambda _: None,
    )


def after_a_first_worker(folder: Path) -> Market:
    """A market whose worker has sealed the trade of 2, waits with that of 4, and is gone."""
    market = Market(folder, worker={"checkpoint_interval_ms": 1})
    market.quote(1)
    market.trade(2, 4)
    market.progress(3)
    first = market.worker()
    turn_until_quiet(first)
    market.pass_commit_interval()
    first.commit()
    first.close()
    assert market.aligned() == [(2, 1)]
    return market


def goes_on(market: Market) -> None:
    successor = market.worker()
    market.progress(9)
    turn_until_quiet(successor)
    successor.close()
    assert market.aligned() == [(2, 1), (4, 1)]


def test_entries_no_operator_wrote_are_wiped_and_rebuilt(tmp_path: Path) -> None:
    market = after_a_first_worker(tmp_path)
    path = market.pipeline.state_path(0)
    store = TaskStore.open(path, market.pipeline.identity(0, market.pipeline.log_ids()))
    assert store.checkpoint is not None
    store.write(store.checkpoint, [(b"zz", b"of another version")])
    store.close()
    goes_on(market)
    reopened = TaskStore.open(path, market.pipeline.identity(0, market.pipeline.log_ids()))
    assert b"zz" not in dict(reopened.entries())
    reopened.close()


@pytest.mark.parametrize("hang", [1, 2, 3])
def test_state_that_others_hold_is_left_to_them_and_built_in_a_folder_that_nobody_holds(
    tmp_path: Path, hang: int
) -> None:
    market = after_a_first_worker(tmp_path)
    path, identity = market.pipeline.state_path(0), market.pipeline.identity(0, market.pipeline.log_ids())
    paths = [path, *(path.with_name(path.name + suffix) for suffix in ("-0", "-0-2", "-0-3"))]
    held = [TaskStore.open(path, identity) for path in paths[:hang]]
    goes_on(market)
    assert [path.exists() for path in paths] == [True] * (hang + 1) + [False] * (3 - hang)
    for store in held:
        store.close()


def test_older_state_whose_rows_are_gone_gives_way_to_the_restart_offsets(tmp_path: Path) -> None:
    market = Market(tmp_path, pipeline={"tolerance_ns": 5})
    first = market.worker()
    turn_until_quiet(first)
    first.commit()
    first.close()  # its state stands at the beginning of the log
    market.quote(1)
    market.trade(2)
    market.progress(50)
    second = market.worker()
    turn_until_quiet(second)
    second.commit()
    assert isinstance(second.consumer, MemoryConsumer)
    market.bus.evict(second.consumer)  # it dies before its state follows the commit
    for task in second.tasks.values():
        task.close()
    for name in ("trade", "quote"):
        market.bus.delete_before(TopicPartition(f"tidemark.{name}", 0), 2)
    third = market.worker()
    market.quote(60)
    market.trade(61)
    market.progress(90)
    turn_until_quiet(third)
    third.close()
    assert market.aligned() == [(2, 1), (61, 60)]


def test_a_restart_that_needs_rows_which_retention_removed_is_refused_with_the_figures(
    tmp_path: Path,
) -> None:
    market = after_a_first_worker(tmp_path)
    TaskStore.destroy(market.pipeline.state_path(0))
    market.bus.delete_before(TopicPartition("tidemark.trade", 0), 1)
    with pytest.raises(
        RunError, match=r"offset 0 is needed but the log holds 1 \(low\) to \d+ \(high\), committed is 0"
    ):
        goes_on(market)


def test_a_task_opens_when_the_last_of_its_inputs_has_come(tmp_path: Path) -> None:
    market = Market(tmp_path, bus={"group_protocol": "consumer"})
    ownership = ownership_of(market)
    trade, quote = TopicPartition("tidemark.trade", 0), TopicPartition("tidemark.quote", 0)
    market.trade(1)
    assert ownership.assigned([trade]) == {trade: 1}
    assert not ownership.tasks
    assert "partition 0 of tidemark.trade without tidemark.quote" in str(ownership.incomplete())
    assert ownership.assigned([quote]) == {trade: 0, quote: 0}, (
        "the one that waited starts where it is needed"
    )
    assert list(ownership.tasks) == [0]
    assert ownership.incomplete() is None
    ownership.revoked([trade])
    assert not ownership.tasks
    ownership.lost([quote])
    assert ownership.incomplete() is None


def test_under_the_classic_protocol_a_lone_input_is_refused_at_once(tmp_path: Path) -> None:
    market = Market(tmp_path)
    ownership = ownership_of(market)
    with pytest.raises(RunError, match=r"partition 0 of tidemark\.trade without tidemark\.quote"):
        ownership.assigned([TopicPartition("tidemark.trade", 0)])


def test_a_task_whose_state_a_hung_worker_holds_goes_on_with_a_folder_of_its_own(tmp_path: Path) -> None:
    market = after_a_first_worker(tmp_path)
    path = market.pipeline.state_path(0)
    held = TaskStore.open(path, market.pipeline.identity(0, market.pipeline.log_ids()))
    goes_on(market)
    held.close()
    assert path.with_name(f"{path.name}-0").is_dir()


def test_a_worker_whose_tasks_went_to_an_heir_does_not_commit_what_it_had_sent_for_them(
    tmp_path: Path,
) -> None:
    market = Market(tmp_path)
    market.quote(1)
    market.trade(2)
    market.progress(3)
    hung = market.worker("0")
    turn_until_quiet(hung)  # its transaction holds the row of 2
    assert isinstance(hung.consumer, MemoryConsumer)
    assert isinstance(market.bus, MemoryBus)
    market.bus.evict(hung.consumer)
    heir = market.worker("1")
    turn_until_quiet(heir)
    heir.commit()
    market.quote(4)
    market.trade(5)
    market.progress(9)
    for _ in range(6):
        market.pass_commit_interval()
        hung.turn()
        heir.turn()
    hung.close()
    heir.close()
    assert market.aligned() == [(2, 1), (5, 4)]
