"""A join without a tolerance rebuilt from topics alone: its last rows have a topic of their own."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.audit.topics import audit
from app.errors import RunError
from app.reading.aligned import write_output
from app.worker.worker import Worker
from tests.stage.market import Market
from tests.stage.small_topics import with_limits, with_notes
from tests.stage.turns import turn_until_quiet
from topics.block import TopicPartition
from topics.bus import Position
from topics.catalogue import LAST_KNOWN
from topics.memory.consumer import MemoryConsumer

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


def after_an_old_quote(folder: Path, carry: str = "row", **worker: object) -> tuple[Market, Worker]:
    """A market whose only quote of A is of 1 and whose frontier stands at 100, committed."""
    market = Market(folder, pipeline={"carry": carry}, worker={"last_known_interval_ms": 1, **worker})
    market.quote(1)
    market.quote(2, symbol="B")
    market.progress(100)
    first = market.worker()
    turn_until_quiet(first)
    market.pass_commit_interval()
    first.commit()
    return market, first


def a_restart_finds_both(market: Market) -> None:
    market.trade(110)
    market.trade(111, symbol="B")
    market.progress(200)
    second = market.worker()
    turn_until_quiet(second)
    second.close()
    assert market.aligned() == [(110, 1), (111, 2)]


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
def test_the_last_row_is_found_although_the_log_has_dropped_it(tmp_path: Path, guarantee: str) -> None:
    market, first = after_an_old_quote(tmp_path, guarantee=guarantee)
    killed(market, first)
    needed = committed(market).offset
    assert needed > 2, "both quotes and the progress record lie behind"
    market.bus.delete_before(QUOTES, needed)
    a_restart_finds_both(market)


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


def grown(market: Market, first: Worker, *, lost: bool = True) -> Worker:
    """The next worker, with its disk or without, after quotes have got a column."""
    if lost:
        killed(market, first)
    else:
        first.close()
    market.add_column("quote", pa.field("depth", pa.int64()))
    return market.worker()


@pytest.mark.parametrize("lost", [True, False])
def test_last_rows_kept_before_a_column_was_added_are_read_again(tmp_path: Path, lost: bool) -> None:
    market, first = after_an_old_quote(tmp_path)
    assert committed(market).offset > 2
    second = grown(market, first, lost=lost)
    market.trade(110)
    market.trade(111, symbol="B")
    market.progress(200)
    turn_until_quiet(second)
    second.close()  # writes them with the new column
    assert market.aligned() == [(110, 1), (111, 2)]
    needed = committed(market).offset
    assert needed > 2
    market.bus.delete_before(QUOTES, needed)
    shutil.rmtree(market.settings.worker.state)
    market.trade(210)
    market.progress(300)
    third = market.worker()
    turn_until_quiet(third)
    third.close()
    assert market.aligned() == [(110, 1), (111, 2), (210, 1)]


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
def test_rows_of_before_and_after_a_column_was_added_are_audited_and_kept(
    tmp_path: Path, guarantee: str
) -> None:
    market, first = after_an_old_quote(tmp_path, guarantee=guarantee)
    market.trade(105)
    market.progress(107)
    turn_until_quiet(first)
    if guarantee == "exactly_once":
        market.pass_commit_interval()
        first.commit()
    second = grown(market, first)
    market.keyed("quote", "A", market.block("quote", [108], columns={"depth": [7]}))
    market.trade(110)
    market.progress(200)
    turn_until_quiet(second)
    second.close()
    report = audit(market.pipeline)
    assert report.violations == []
    assert (report.rows_aligned, report.rows_repeated) == (2, int(guarantee == "at_least_once"))
    write_output(market.pipeline, "aligned", tmp_path / "aligned")
    kept = pq.read_table(tmp_path / "aligned")
    assert kept.column("quote_depth").to_pylist()[-1] == 7


def test_a_late_row_among_those_read_again_stays_out(tmp_path: Path) -> None:
    market, first = after_an_old_quote(tmp_path)
    market.quote(50)  # newer than the one that stands, and late
    turn_until_quiet(first)
    market.pass_commit_interval()
    first.commit()
    market.quote(150, symbol="B")
    market.progress(200)
    turn_until_quiet(first)
    market.pass_commit_interval()
    first.commit()
    assert committed(market).offset > 4, "the late row lies behind"
    second = grown(market, first)
    market.trade(210)
    market.trade(211, symbol="B")
    market.progress(300)
    turn_until_quiet(second)
    second.close()
    assert market.aligned() == [(210, 1), (211, 150)]


def test_a_worker_that_dies_while_it_reads_them_again_begins_anew(tmp_path: Path) -> None:
    market, first = after_an_old_quote(tmp_path, poll_messages_max=1)
    second = grown(market, first)
    while not second.tasks:
        second.turn()
    assert not second.tasks[0].operator.inputs.caught_up
    second.commit()
    killed(market, second)
    market.trade(110)
    market.progress(200)
    third = market.worker()
    turn_until_quiet(third)
    third.close()
    assert market.aligned() == [(110, 1)]


def test_rows_to_be_read_again_that_the_log_has_dropped_are_asked_for(tmp_path: Path) -> None:
    market, first = after_an_old_quote(tmp_path)
    market.bus.delete_before(QUOTES, committed(market).offset)
    second = grown(market, first)
    with pytest.raises(RunError, match=r"offset 0 is needed but the log holds 3 \(low\)"):
        turn_until_quiet(second)
    second.close(failed=True)


def test_a_column_that_carries_its_own_last_value_is_added_where_the_log_has_all_rows(tmp_path: Path) -> None:
    market, first = after_an_old_quote(tmp_path, carry="column")
    second = grown(market, first)
    market.trade(110)
    market.trade(111, symbol="B")
    market.progress(200)
    turn_until_quiet(second)
    second.close()
    assert market.aligned() == [(110, 1), (111, 2)]


def test_a_column_that_carries_its_own_last_value_cannot_be_added_without_them(tmp_path: Path) -> None:
    market, first = after_an_old_quote(tmp_path, carry="column")
    market.bus.delete_before(QUOTES, committed(market).offset)
    second = grown(market, first)
    with pytest.raises(RunError, match=r"kept beside it are of no use to this rule"):
        turn_until_quiet(second)
    second.close(failed=True)


def test_a_join_with_a_tolerance_has_no_such_topic(tmp_path: Path) -> None:
    market = Market(tmp_path, pipeline={"tolerance_ns": 5})
    described = market.bus.admin().describe([market.settings.topic(LAST_KNOWN)])
    assert described == {"tidemark.last-known": None}


@pytest.mark.parametrize("carry", ["row", "column"])
def test_last_rows_too_large_for_their_topic_are_read_again_from_the_input(
    tmp_path: Path, carry: str
) -> None:
    market = Market(tmp_path, pipeline={"carry": carry}, worker={"last_known_interval_ms": 1})
    with_limits(with_notes(market, "quote"), **{LAST_KNOWN: 20_000})
    market.keyed("quote", "A", market.block("quote", [1], columns={"note": ["x" * 30_000]}))
    market.quote(2, symbol="B")
    market.progress(100)
    first = market.worker()
    turn_until_quiet(first)
    market.pass_commit_interval()
    first.commit()
    sizes = {entry.key: len(entry.value or b"") for entry in market.messages(LAST_KNOWN)}
    assert sizes[b"quote\0A"] < 200
    assert set(sizes) == {b"quote\0A", b"quote\0B"}
    killed(market, first)
    a_restart_finds_both(market)
    assert audit(market.pipeline).violations == []
    last = market.worker()
    turn_until_quiet(last)
    killed(market, last)
    market.bus.delete_before(QUOTES, 2)
    with pytest.raises(RunError, match=r"tidemark\.quote\[0\]: offset 0 is needed but the log holds 2"):
        turn_until_quiet(market.worker())
