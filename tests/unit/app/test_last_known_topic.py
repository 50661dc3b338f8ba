"""A join without a tolerance rebuilt from topics alone: its last rows have a topic of their own."""

import shutil
from pathlib import Path

import pytest

from app.audit import audit
from app.errors import RunError
from app.worker import Worker
from tests.unit.app.market import Market
from tests.unit.app.test_worker import turn_until_quiet
from topics.block import TopicPartition
from topics.bus import Position
from topics.catalogue import LAST_KNOWN
from topics.memory_consumer import MemoryConsumer

QUOTES = TopicPartition("tidemark.quote", 0)


def killed(market: Market, worker: Worker) -> None:
    """The worker is gone without a word, and its disk with it."""
    assert isinstance(worker.consumer, MemoryConsumer)
    market.bus.evict(worker.consumer)
    for task in worker.tasks.values():
        task.close()
    shutil.rmtree(market.settings.worker.state)


def committed(market: Market) -> Position:
    reader = market.bus.consumer(group="tidemark")
    position = reader.committed([QUOTES])[QUOTES]
    assert position is not None
    return position


def after_an_old_quote(folder: Path, **worker: object) -> tuple[Market, Worker]:
    """A market whose only quote of A is of 1 and whose frontier stands at 100, committed."""
    market = Market(folder, worker={"last_known_interval_ms": 1, **worker})
    market.quote(1)
    market.quote(2, symbol="B")
    market.progress(100)
    first = market.worker()
    turn_until_quiet(first)
    market.pass_commit_interval()
    first.commit()
    return market, first


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
def test_the_last_row_is_found_although_the_log_has_dropped_it(tmp_path: Path, guarantee: str) -> None:
    market, first = after_an_old_quote(tmp_path, guarantee=guarantee)
    killed(market, first)
    needed = committed(market).offset
    assert needed > 2, "both quotes and the progress record lie behind"
    market.bus.delete_before(QUOTES, needed)
    market.trade(110)
    market.trade(111, symbol="B")
    market.progress(200)
    second = market.worker()
    turn_until_quiet(second)
    second.close()
    assert market.aligned() == [(110, 1), (111, 2)]


def test_between_two_writes_the_restart_offset_stands_still(tmp_path: Path) -> None:
    market, worker = after_an_old_quote(tmp_path, last_known_interval_ms=10_000)
    worker.close()  # writes what is last known
    successor = market.worker()
    turn_until_quiet(successor)
    pinned = committed(market).offset
    for time_ns in (110, 120, 130):
        market.quote(time_ns)
        market.progress(time_ns)
        turn_until_quiet(successor)
        successor.commit()
    assert len(market.messages(LAST_KNOWN)) == 2
    assert pinned <= committed(market).offset <= pinned + 4


def test_a_close_writes_what_changed_and_the_next_worker_starts_behind_it(tmp_path: Path) -> None:
    market, worker = after_an_old_quote(tmp_path, last_known_interval_ms=1_000_000)
    before = committed(market).offset
    worker.close()
    assert {letter.key for letter in market.messages(LAST_KNOWN)} == {b"quote\0A", b"quote\0B"}
    assert committed(market).offset > before


def test_a_key_that_was_taken_back_is_gone(tmp_path: Path) -> None:
    market, first = after_an_old_quote(tmp_path)
    killed(market, first)
    producer = market.bus.producer()
    producer.produce(market.settings.topic(LAST_KNOWN), partition=0, key=b"quote\0A", value=None)
    market.trade(110)
    market.trade(111, symbol="B")
    market.progress(200)
    second = market.worker()
    turn_until_quiet(second)
    second.close()
    assert market.aligned() == [(110, None), (111, 2)]


def test_an_entry_of_an_aborted_transaction_never_counts(tmp_path: Path) -> None:
    market, first = after_an_old_quote(tmp_path)
    killed(market, first)
    producer = market.bus.producer(transactional_id="torn")
    producer.begin()
    producer.produce(market.settings.topic(LAST_KNOWN), partition=0, key=b"quote\0A", value=b"torn")
    producer.abort()
    market.trade(110)
    market.progress(200)
    second = market.worker()
    turn_until_quiet(second)
    second.close()
    assert market.aligned() == [(110, 1)]
    assert audit(market.pipeline).violations == []


def test_a_damaged_entry_stops_the_start_and_says_where(tmp_path: Path) -> None:
    market, first = after_an_old_quote(tmp_path)
    killed(market, first)
    producer = market.bus.producer()
    producer.produce(market.settings.topic(LAST_KNOWN), partition=0, key=b"quote\0A", value=b"garbage")
    second = market.worker()
    with pytest.raises(RunError, match=r"tidemark\.last-known\[0\].*quote"):
        turn_until_quiet(second)
    second.close(failed=True)


def test_a_join_with_a_tolerance_has_no_such_topic(tmp_path: Path) -> None:
    market = Market(tmp_path, pipeline={"tolerance_ns": 5})
    described = market.bus.admin().describe([market.settings.topic(LAST_KNOWN)])
    assert described == {"tidemark.last-known": None}
