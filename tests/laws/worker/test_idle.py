"""Inputs that fall silent: when the worker stops waiting for one, and when it must not."""

from pathlib import Path

import pytest

from app.audit.topics import audit
from app.task.metadata import from_position
from app.worker.worker import Worker
from schemas.clocks import NS_PER_MS
from schemas.frame import FrameHeaders
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.block import TopicPartition
from topics.memory.consumer import MemoryConsumer

IDLE_AFTER_MS = 500


def silent_market(folder: Path, **worker: object) -> Market:
    """Trades up to 30 whose quotes have fallen silent after 10."""
    market = Market(folder, pipeline={"idle_after_ms": IDLE_AFTER_MS}, worker=worker)
    market.quote(10)
    market.trade(5)
    market.trade(20)
    market.trade(30)
    return market


def wait(market: Market, worker: Worker, ms: int = IDLE_AFTER_MS) -> None:
    """Let time pass, and the worker turn."""
    market.elapsed_ns += ms * NS_PER_MS
    turn_until_quiet(worker)


def committed_idle(market: Market) -> dict[str, bool]:
    """The idle flags in the committed offsets of partition 0, by topic."""
    reader = market.bus.consumer(group="tidemark")
    places = [TopicPartition(market.settings.topic(name), 0) for name in ("trade", "quote")]
    found = {
        place.topic: from_position(position, place.topic).progress.idle
        for place, position in reader.committed(places).items()
        if position is not None
    }
    reader.close()
    return found


def test_a_silenced_partition_holds_the_frontier_for_the_timeout_and_no_longer(tmp_path: Path) -> None:
    market = silent_market(tmp_path)
    worker = market.worker()
    turn_until_quiet(worker)
    wait(market, worker, IDLE_AFTER_MS - 1)
    market.trade(40)  # not silent itself
    turn_until_quiet(worker)
    assert market.aligned() == [(5, None)]
    wait(market, worker, 1)
    worker.commit()
    assert market.aligned() == [(5, None), (20, 10), (30, 10)]
    headers = [FrameHeaders.from_kafka(frame.headers) for frame in market.messages("aligned")]
    assert [(told.rows, told.assumed_rows) for told in headers] == [(1, 0), (2, 2)]
    assert committed_idle(market) == {"tidemark.trade": False, "tidemark.quote": True}
    assert worker.tasks[0].counts.rows_assumed == 2


def test_the_buffers_of_the_other_input_stay_bounded_while_one_is_silent(tmp_path: Path) -> None:
    market = silent_market(tmp_path, buffer_size_max=200, poll_messages_max=2)
    worker = market.worker()
    turn_until_quiet(worker)
    for time_ns in range(31, 60):
        market.trade(time_ns)
    turn_until_quiet(worker)
    task = worker.tasks[0]
    assert task.paused == {"tidemark.trade"}
    wait(market, worker)
    assert task.paused == set()
    assert task.readings["tidemark.trade"].rows_in == 32
    assert task.operator.inputs.frontier_ns == 59


def test_off_by_default_a_silent_partition_is_waited_for(tmp_path: Path) -> None:
    market = Market(tmp_path)
    worker = market.worker()
    market.trade(5)
    turn_until_quiet(worker)
    wait(market, worker, 10**9)
    assert worker.tasks[0].counts.rows_sealed == 0


def test_a_stream_may_have_a_timeout_of_its_own(tmp_path: Path) -> None:
    market = Market(tmp_path, streams={"quote": {"idle_after_ms": 7}})
    worker = market.worker()
    market.trade(5)
    market.trade(6)
    turn_until_quiet(worker)
    wait(market, worker, 7)
    assert worker.tasks[0].counts.rows_sealed == 1


def test_rows_of_a_returning_partition_are_late_by_the_frontier_or_used(tmp_path: Path) -> None:
    market = silent_market(tmp_path)
    worker = market.worker()
    turn_until_quiet(worker)
    market.trade(40)
    wait(market, worker)
    market.quote(39)
    market.quote(45)
    market.trade(50)
    turn_until_quiet(worker)
    market.progress(60)
    turn_until_quiet(worker)
    worker.close()
    assert market.aligned()[-2:] == [(40, 10), (50, 45)]
    assert audit(market.pipeline).rows_late["quote"] == 1
    assert audit(market.pipeline).violations == []


def test_a_paused_partition_is_not_idle(tmp_path: Path) -> None:
    market = Market(tmp_path, pipeline={"idle_after_ms": IDLE_AFTER_MS}, worker={"buffer_size_max": 1})
    worker = market.worker()
    market.progress(1, "trade")
    market.quote(2)
    market.quote(3)
    turn_until_quiet(worker)
    task = worker.tasks[0]
    assert task.paused == {"tidemark.quote"}
    market.trade(1)
    wait(market, worker)
    assert not task.operator.progress().inputs["quote"].idle


def test_a_partition_with_rows_that_were_not_delivered_is_not_idle(tmp_path: Path) -> None:
    market = silent_market(tmp_path)
    worker = market.worker()
    turn_until_quiet(worker)
    producer = market.bus.producer(transactional_id="slow")
    producer.begin()
    producer.produce("tidemark.quote", partition=0, key=b"A", value=market.block("quote", [25]))
    wait(market, worker)
    assert worker.tasks[0].counts.rows_assumed == 0
    producer.commit()
    market.progress(31, "quote")
    turn_until_quiet(worker)
    worker.commit()
    assert market.aligned()[:2] == [(5, None), (20, 10)]
    assert worker.tasks[0].readings["tidemark.quote"].rows_late == 0


def test_an_input_idle_at_the_last_commit_is_so_again_once_its_log_is_seen_to_end_there(
    tmp_path: Path,
) -> None:
    market = silent_market(tmp_path)
    worker = market.worker()
    turn_until_quiet(worker)
    wait(market, worker)
    worker.close()
    market.trade(60)
    market.trade(70)
    successor = market.worker()
    turn_until_quiet(successor)
    assert successor.tasks[0].operator.inputs.frontier_ns == 70


def test_what_an_idle_input_got_while_no_worker_ran_comes_first(tmp_path: Path) -> None:
    market = silent_market(tmp_path)
    worker = market.worker()
    market.trade(31)
    turn_until_quiet(worker)
    wait(market, worker)
    worker.close()
    for time_ns in (55, 60):
        market.trade(time_ns)
        market.quote(time_ns - 1)
    successor = market.worker()
    turn_until_quiet(successor)
    assert successor.tasks[0].operator.inputs.frontier_ns == 59
    assert not successor.tasks[0].operator.progress().inputs["quote"].idle
    successor.close()
    assert audit(market.pipeline).rows_late["quote"] == 0


def test_a_rebalance_restarts_the_timeout(tmp_path: Path) -> None:
    market = silent_market(tmp_path)
    worker = market.worker()
    turn_until_quiet(worker)
    market.elapsed_ns += (IDLE_AFTER_MS - 1) * NS_PER_MS
    assert isinstance(worker.consumer, MemoryConsumer)
    market.bus.evict(worker.consumer)
    turn_until_quiet(worker)
    wait(market, worker, 1)
    assert not worker.tasks[0].operator.progress().inputs["quote"].idle


@pytest.mark.parametrize("jump_ns", [3_600 * 10**9, -3_600 * 10**9])
def test_a_jump_of_the_wall_clock_neither_seals_nor_silences(tmp_path: Path, jump_ns: int) -> None:
    market = silent_market(tmp_path)
    worker = market.worker()
    turn_until_quiet(worker)
    market.wall_ns += jump_ns
    turn_until_quiet(worker)
    assert worker.tasks[0].operator.inputs.frontier_ns == 10
    assert not worker.tasks[0].operator.progress().inputs["quote"].idle
