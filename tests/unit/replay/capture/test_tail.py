"""Rows that a table lacks are read beside it: each row is in one of both, whatever is committed meanwhile."""

from collections import Counter
from pathlib import Path
from threading import Event, Thread

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from replay import history
from replay.capture.capture import CaptureLimits
from replay.capture.tail import Follower, Tail
from replay.errors import HistoryError
from replay.store.compact import compact, plan_compaction
from replay.store.places import PLACES
from replay.store.prune import Wanted
from replay.store.scan import Scan
from replay.store.snapshot import Snapshot
from replay.store.table import HistoryTable
from replay.store.upkeep import restore
from tests.stage.captured import STREAM, TOPIC, QuoteTopic
from tests.stage.history_tables import SCHEMA, draw_rows
from topics.avro.decode import Decoder
from topics.block import TopicPartition

EVERY = "select count(*) as rows, count(distinct (_partition, _offset, _index)) as places from quote"


def topic_with(store: Path) -> QuoteTopic:
    topic = QuoteTopic(store)
    topic.make_tables()
    return topic


def caught_up(tail: Tail) -> Snapshot:
    tail.catch_up()
    return tail.snapshot()


def rows_of(snapshot: Snapshot) -> Counter[tuple[object, ...]]:
    """The rows of a snapshot, read in the order of the store."""
    rows = pa.Table.from_batches(list(history.batches("quote", SCHEMA.names, at=snapshot)), schema=SCHEMA)
    return Counter(tuple(row.values()) for row in rows.to_pylist())


def sent(*batches: pa.RecordBatch) -> Counter[tuple[object, ...]]:
    return Counter(tuple(row.values()) for batch in batches for row in batch.to_pylist())


def require_once(snapshot: Snapshot, expected: int, *, framed: bool = True, in_sql: bool = True) -> None:
    """Each place is there once, in SQL and in the frame."""
    assert framed or in_sql
    if in_sql:
        (answer,) = history.sql(EVERY, at={"quote": snapshot}, store=Path("nowhere")).to_pylist()
        assert answer == {"rows": expected, "places": expected}
    if not framed:
        return
    frame = history.scan("quote", list(PLACES), at=snapshot).collect()
    assert (frame.height, frame.unique().height) == (expected, expected)


def test_rows_behind_the_table_are_in_each_answer_and_each_row_once(tmp_path: Path) -> None:
    topic = topic_with(tmp_path)
    first, second, third = (draw_rows(40, seed) for seed in (1, 2, 3))
    topic.publish(first)
    tail = topic.tail()
    assert rows_of(caught_up(tail)) == sent(first)
    work = topic.capture()
    work.turn(0, wait_ms=0)
    work.commit(0)
    topic.publish(second, garbage=b"\x00no Avro")
    topic.publish(draw_rows(9, seed=8), kept=False)
    snapshot = caught_up(tail)
    assert snapshot.rows == 40
    assert snapshot.tail is not None
    assert snapshot.tail.num_rows == 40
    require_once(snapshot, 80)
    assert rows_of(snapshot) == sent(first, second)
    topic.publish(third)
    work.turn(1, wait_ms=0)
    work.commit(1)
    assert rows_of(snapshot) == sent(first, second), "a snapshot stays as it was taken"
    later = tail.snapshot()
    assert later.tail is not None
    assert later.tail.num_rows == 0
    require_once(later, 120)
    assert rows_of(later) == sent(first, second, third)


def test_wanted_rows_of_the_tail_are_those_that_a_table_of_all_would_give(tmp_path: Path) -> None:
    topic = topic_with(tmp_path)
    topic.publish(draw_rows(60, seed=1))
    work = topic.capture()
    work.turn(0, wait_ms=0)
    work.commit(0)
    topic.publish(draw_rows(60, seed=2))
    live = caught_up(topic.tail())
    work.turn(1, wait_ms=0)
    work.commit(1)
    whole = HistoryTable(tmp_path, "quote").snapshot()
    times = sorted(row["known_ns"] for row in draw_rows(60, seed=2).to_pylist())
    for keys in (None, frozenset({b"A", b"D"}), frozenset({b"nobody"})):
        for span in ((None, None), (times[10], times[50]), (times[-1] + 1, None)):
            wanted = Wanted(from_ns=span[0], to_ns=span[1], keys=keys)
            answers = []
            for snapshot in (live, whole):
                scan = Scan(snapshot, wanted, ["known_ns", "symbol", "price"])
                ordered = pa.Table.from_batches(list(scan.batches()), schema=scan.schema)
                frame = scan.frame().collect()
                ours = pl.from_arrow(ordered)
                assert isinstance(ours, pl.DataFrame)
                assert frame.sort(frame.columns).equals(ours.sort(ours.columns))
                answers.append(ordered)
            assert answers[0].equals(answers[1])


def test_a_tail_that_is_full_says_how_far_the_capture_is_behind(tmp_path: Path) -> None:
    topic = topic_with(tmp_path)
    topic.publish(draw_rows(40, seed=1))
    tail = topic.tail(size_max=1_000)
    tail.turn()
    with pytest.raises(HistoryError, match=r"full, .* of 1,000 bytes.*offsets of partition 0.*capture"):
        tail.snapshot()
    topic.publish(draw_rows(40, seed=2))
    with pytest.raises(HistoryError, match="is full"):
        tail.catch_up()
    work = topic.capture()
    work.turn(0, wait_ms=0)
    work.commit(0)
    require_once(caught_up(tail), 80)


def test_after_a_restore_the_tail_reads_again_what_the_table_lost(tmp_path: Path) -> None:
    topic = topic_with(tmp_path)
    work = topic.capture()
    for seed in (1, 2):
        topic.publish(draw_rows(40, seed))
        work.turn(seed, wait_ms=0)
        work.commit(seed)
    tail = topic.tail()
    topic.publish(draw_rows(40, seed=3))
    require_once(caught_up(tail), 120)
    table = HistoryTable(tmp_path, "quote")
    restore(table, table.version - 1, by="a test")
    require_once(tail.snapshot(), 40)  # a part of the log, without a hole
    require_once(caught_up(tail), 120)


def test_rows_that_the_log_has_lost_are_said(tmp_path: Path) -> None:
    topic = topic_with(tmp_path)
    topic.publish(draw_rows(40, seed=1))
    work = topic.capture()
    work.turn(0, wait_ms=0)
    work.commit(0)
    topic.publish(draw_rows(40, seed=2))
    for number in range(topic.partitions):
        place = TopicPartition(TOPIC, number)
        topic.memory.delete_before(place, topic.bus.admin().ranges([place])[place].stable)
    with pytest.raises(HistoryError, match=r"quotes\[0\] begins at offset .* its rows between are lost"):
        topic.tail()


def run_queries(store: Path, queries: int, seed: int, *, in_sql: int = 1) -> None:
    """Publish, capture, compact and ask in an order that is drawn: the answers have each row sent, once.

    One query in `in_sql` is SQL; the others, and each fifth, are frames.
    """
    draw = np.random.default_rng(seed)
    topic = topic_with(store)
    tail = topic.tail()
    work = topic.capture(limits=CaptureLimits(held_ns_max=2**62))
    total, asked = 0, 0
    while asked < queries:
        step = draw.choice(("publish", "read", "commit", "ask", "compact"), p=(0.12, 0.15, 0.07, 0.63, 0.03))
        if step == "publish":
            rows = draw_rows(int(draw.integers(1, 30)), int(draw.integers(2**31)))
            kept = bool(draw.random() < 0.8)
            topic.publish(rows, kept=kept)
            total += rows.num_rows if kept else 0
        elif step == "read":
            work.turn(0, wait_ms=0)
        elif step == "commit":
            work.commit(0)
        elif step == "compact":
            table = HistoryTable(store, "quote")
            for group in plan_compaction(table.snapshot()):
                compact(table, group, by="a test")
        else:
            asked += 1
            of_sql = asked % in_sql == 0
            require_once(caught_up(tail), total, framed=asked % 5 == 0 or not of_sql, in_sql=of_sql)


@pytest.mark.parametrize("seed", [1])
def test_twenty_queries_beside_a_capture_have_each_row_once(tmp_path: Path, seed: int) -> None:
    run_queries(tmp_path, 20, seed)


@pytest.mark.slow
def test_three_hundred_queries_beside_a_capture_have_each_row_once(tmp_path: Path) -> None:
    run_queries(tmp_path, 300, seed=2)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_ten_thousand_queries_beside_a_capture_have_each_row_once(tmp_path: Path) -> None:
    run_queries(tmp_path, 10_000, seed=3, in_sql=4)  # of which one opens an engine, ten times the work


def test_a_thread_reads_while_others_commit_and_ask(tmp_path: Path) -> None:
    topic = topic_with(tmp_path)
    work = topic.capture()
    follower = Follower(topic.tail())
    stop = Event()

    def publish_and_capture() -> None:
        for seed in range(40):
            topic.publish(draw_rows(5, seed))
            work.turn(seed, wait_ms=0)
            if seed % 3 == 0:
                work.commit(seed)
        stop.set()

    thread = Thread(target=publish_and_capture)
    thread.start()
    seen = [0]
    while not stop.is_set() or seen[-1] < 200:
        (answer,) = history.sql(EVERY, at={"quote": follower.snapshot()}, store=tmp_path).to_pylist()
        assert answer["rows"] == answer["places"]
        seen.append(answer["rows"])
    thread.join()
    follower.close()
    assert seen == sorted(seen), "rows that were seen stay"
    assert seen[-1] == 200


def test_what_fails_in_the_thread_is_raised_by_who_asks(tmp_path: Path) -> None:
    topic = topic_with(tmp_path)
    topic.publish(draw_rows(5, seed=1))

    class BrokenDecoder(Decoder):
        def decode(self, *_: object) -> object:  # type: ignore[override]
            raise RuntimeError("no such column")

    follower = Follower(topic.tail(decoder=BrokenDecoder(STREAM, "known", topic.registry)))
    follower._thread.join()  # noqa: SLF001
    with pytest.raises(RuntimeError, match="no such column"):
        follower.snapshot()
    follower.close()
