"""Of two workers in one slot the older stops, however it finds out, and the newer does not notice."""

from pathlib import Path

import pytest

from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.bus import FencedError
from topics.memory.consumer import MemoryConsumer


def test_of_two_workers_in_one_slot_the_older_stops(tmp_path: Path) -> None:
    market = Market(tmp_path)
    older = market.worker()
    market.trade(1)
    market.progress(2)
    turn_until_quiet(older)
    market.worker()
    with pytest.raises(FencedError):
        older.commit()
    older.close(failed=True)
    assert market.aligned() == []


def test_an_older_worker_that_gives_up_its_partitions_does_not_take_the_slot_back(tmp_path: Path) -> None:
    market = Market(tmp_path)
    older = market.worker()
    market.trade(1)
    market.progress(2)
    turn_until_quiet(older)
    newer = market.worker()
    with pytest.raises(FencedError):
        turn_until_quiet(newer, older)
    older.close(failed=True)
    turn_until_quiet(newer)
    newer.close()
    assert market.aligned() == [(1, None)]


def test_a_worker_that_was_thrown_out_and_replaced_does_not_join_again(tmp_path: Path) -> None:
    market = Market(tmp_path)
    older = market.worker()
    market.trade(1)
    market.progress(2)
    turn_until_quiet(older)
    older.commit()
    consumer = older.consumer
    assert isinstance(consumer, MemoryConsumer)
    market.bus.evict(consumer)
    newer = market.worker()
    turn_until_quiet(newer)
    tasks = list(newer.tasks)
    with pytest.raises(FencedError):
        older.turn()
    older.close(failed=True)
    market.trade(3)
    market.progress(4)
    turn_until_quiet(newer)
    assert list(newer.tasks) == tasks
    newer.close()
    assert market.aligned() == [(1, None), (3, None)]
