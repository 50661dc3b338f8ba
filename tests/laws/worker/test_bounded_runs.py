"""When a bounded run is over: every period's end is committed, nothing waits, and nothing follows."""

from functools import partial
from pathlib import Path

import polars as pl
import pytest

from app.audit.emitted import beyond
from app.audit.topics import audit
from app.process import failpoints
from app.worker.bounded import FINAL_CHECK_INTERVAL_NS
from app.worker.worker import Worker
from tests.stage.deaths import Death, buried, die_at
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.bus import BusUnavailableError
from topics.memory.consumer import MemoryConsumer


def test_rows_beyond_the_final_record_are_sealed_before_the_run_ends(tmp_path: Path) -> None:
    market = Market(tmp_path)
    worker = market.worker(until_final=True)
    market.trade(3, 7)
    market.progress(5, final=True)
    worker.turn()
    worker.commit()
    assert not worker.finished()
    turn_until_quiet(worker)
    worker.commit()
    assert worker.finished()
    assert market.aligned() == [(3, None), (7, None)]


def test_a_broker_that_is_away_as_the_end_is_asked_for_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = Market(tmp_path)
    worker = market.worker(until_final=True)
    market.trade(3)
    market.progress(5, final=True)
    turn_until_quiet(worker)
    worker.commit()

    def away(*_: object) -> None:
        raise BusUnavailableError("the broker does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryConsumer, "committed", away)
        assert not worker.finished()
    market.elapsed_ns += FINAL_CHECK_INTERVAL_NS
    assert worker.finished()


def test_a_run_is_not_over_while_rows_wait_and_nobody_has_their_task(tmp_path: Path) -> None:
    market = Market(tmp_path)
    first = market.worker(until_final=True)
    market.trade(3, 7)
    market.progress(5, final=True)
    first.turn()
    first.commit()
    buried(market, first)
    second = market.worker(until_final=True)
    assert not second.finished()
    turn_until_quiet(second)
    second.commit()
    assert second.finished()
    assert market.aligned() == [(3, None), (7, None)]


def test_a_run_is_not_over_while_the_next_period_lies_in_the_log(tmp_path: Path) -> None:
    market = Market(tmp_path)
    first = market.worker(until_final=True)
    market.trade(3)
    market.progress(5, final=True)
    turn_until_quiet(first)
    first.commit()
    assert first.finished()
    market.trade(8)
    market.progress(9, final=True)
    with pytest.raises(Death):
        _dies_before_the_commit(market, first)
    second = market.worker(until_final=True)
    assert not second.finished()
    turn_until_quiet(second)
    second.commit()
    assert second.finished()
    assert market.aligned() == [(3, None), (8, None)]


def test_a_full_input_reads_on_where_the_others_have_ended_their_period(tmp_path: Path) -> None:
    market = Market(tmp_path, worker={"buffer_rows_max": 1, "poll_messages_max": 1})
    worker = market.worker(until_final=True)
    market.trade(1)
    market.progress(5, "trade", final=True)
    for time_ns in range(6, 12):
        market.quote(time_ns)
    market.progress(12, "quote", final=True)
    for _ in range(40):
        worker.turn()
    worker.commit()
    assert worker.finished()
    assert audit(market.pipeline).violations == []


def test_rows_that_come_again_within_one_reading_are_no_disorder() -> None:
    rows = pl.DataFrame({"event_ns": [3, 4, 5, 3, 4, 5, 6], "left_offset": [0, 1, 2, 0, 1, 2, 3]})
    order = rows.columns
    assert rows.filter(beyond(rows, None, order))["left_offset"].to_list() == [0, 1, 2, 3]
    assert rows.filter(beyond(rows, rows[1:2], order))["left_offset"].to_list() == [2, 3]


def _dies_before_the_commit(market: Market, worker: Worker) -> None:
    failpoints.arm(partial(die_at, failpoints.COMMIT_END))
    try:
        market.pass_commit_interval()
        worker.turn()
    finally:
        failpoints.arm(None)
        buried(market, worker)
