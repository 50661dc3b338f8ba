"""A capture's laws, one scene each; the stories in which everything dies are in tests/simulation."""

from pathlib import Path

import pyarrow as pa
import pytest

from replay.capture.capture import CaptureLimits
from replay.capture.dead import dead_stream
from replay.capture.session import capture
from replay.errors import HistoryError
from replay.store.coverage import covered_ranges, known_gaps
from replay.store.part import Covered
from replay.store.prune import Wanted
from replay.store.scan import Scan
from replay.store.table import HistoryTable
from tests.stage.captured import TOPIC, QuoteTopic
from tests.stage.history_tables import draw_rows
from topics.block import TopicPartition


def topic_of(store: Path, *batches: pa.RecordBatch, partitions: int = 1) -> QuoteTopic:
    topic = QuoteTopic(store, partitions=partitions)
    topic.make_tables()
    for rows in batches:
        topic.publish(rows)
    return topic


def read_all(topic: QuoteTopic, *, accepts_gaps: bool = False) -> None:
    work = topic.capture(accepts_gaps=accepts_gaps)
    while work.turn(0, wait_ms=0):
        continue
    work.commit(0)
    work.close()


def table(topic: QuoteTopic) -> HistoryTable:
    return HistoryTable(topic.store, "quote")


def test_a_command_makes_the_table_and_captures_to_the_end(tmp_path: Path) -> None:
    topic = QuoteTopic(tmp_path, partitions=3)
    rows = draw_rows(200, seed=1)
    topic.publish(rows)
    assert capture([topic.captured_topic()], topic.target()) == 0
    assert table(topic).rules.buckets == 18
    batches = list(Scan(table(topic).snapshot(), Wanted()).batches())
    assert sorted(map(str, pa.Table.from_batches(batches).to_pylist())) == sorted(map(str, rows.to_pylist()))


def test_what_comes_later_is_captured_by_the_next_command_alone(tmp_path: Path) -> None:
    topic = QuoteTopic(tmp_path)
    for seed in range(3):
        topic.publish(draw_rows(50, seed))
        capture([topic.captured_topic()], topic.target())
    assert table(topic).snapshot().rows == 150
    for ranges in covered_ranges(table(topic).snapshot()).values():
        assert len(ranges) == 1


def test_buckets_that_would_mix_partitions_are_refused(tmp_path: Path) -> None:
    topic = QuoteTopic(tmp_path, partitions=3)
    with pytest.raises(HistoryError, match="16 buckets, which is no multiple of the topic's 3 partitions"):
        capture([topic.captured_topic()], topic.target(buckets=16))


def test_rows_are_held_until_their_time_or_their_size(tmp_path: Path) -> None:
    topic = topic_of(tmp_path, draw_rows(20, seed=1))
    work = topic.capture(limits=CaptureLimits(held_ns_max=10))
    work.turn(9, wait_ms=0)
    assert table(topic).snapshot().rows == 0
    work.turn(10, wait_ms=0)
    assert table(topic).snapshot().rows == 20
    topic.publish(draw_rows(20, seed=2))
    topic.capture(limits=CaptureLimits(held_size_max=1)).turn(0, wait_ms=0)
    assert table(topic).snapshot().rows == 40


def test_a_log_that_begins_behind_what_was_captured_stops_it_unless_the_gap_is_accepted(
    tmp_path: Path,
) -> None:
    topic = topic_of(tmp_path, draw_rows(20, seed=1))
    read_all(topic)
    topic.publish(draw_rows(30, seed=2))
    topic.publish(draw_rows(10, seed=3))
    topic.memory.delete_before(TopicPartition(TOPIC, 0), 40)
    with pytest.raises(HistoryError, match=r"begins at offset 40 and was captured up to 20.*--accept-gap"):
        topic.capture()
    read_all(topic, accepts_gaps=True)
    assert known_gaps(table(topic)) == [Covered(TOPIC, 0, 20, 40)]
    assert table(topic).snapshot().rows > 20
    read_all(topic)


def test_a_topic_made_anew_is_seen(tmp_path: Path) -> None:
    topic = topic_of(tmp_path, draw_rows(20, seed=1))
    read_all(topic)
    again = QuoteTopic(tmp_path, partitions=1)
    again.publish(draw_rows(5, seed=2))
    with pytest.raises(HistoryError, match="captured up to 20: it was made anew"):
        again.capture()


def test_a_table_restored_by_other_means_is_not_captured_into(tmp_path: Path) -> None:
    """A restore brings parts back and leaves the versions of transactions: rows would be lost for good."""
    topic = topic_of(tmp_path, draw_rows(20, seed=1))
    read_all(topic)
    before = table(topic).version
    topic.publish(draw_rows(30, seed=2))
    read_all(topic)
    table(topic).restore(before, {})
    assert table(topic).snapshot().rows == 20
    with pytest.raises(HistoryError, match="is captured up to offset 51, and its parts hold 0 to 20"):
        topic.capture()


def test_what_cannot_be_read_or_has_no_key_is_kept_with_its_reason(tmp_path: Path) -> None:
    topic = topic_of(tmp_path, draw_rows(20, seed=1))
    without_key = draw_rows(3, seed=2).set_column(2, "symbol", pa.array(["A", None, "B"]))
    topic.publish(without_key, garbage=b"\x00no Avro")
    read_all(topic)
    read_all(topic)
    dead = HistoryTable(tmp_path, dead_stream("quote")).snapshot()
    batches = list(Scan(dead, Wanted(), dead.schema.names).batches())
    rows = sorted(pa.Table.from_batches(batches).to_pylist(), key=lambda row: int(row["_offset"]))
    assert len(rows) == 2
    assert "key" in rows[0]["reason"]
    assert (rows[1]["value"], rows[1]["_index"], rows[1]["_partition"]) == (b"\x00no Avro", -1, 0)
    assert table(topic).snapshot().rows == 22


def test_one_who_commits_between_our_commit_and_our_next_look_is_seen(tmp_path: Path) -> None:
    """Our handle then has the other's version, of which delta-rs would take a newer one."""
    topic = topic_of(tmp_path, draw_rows(20, seed=1))
    others: list[int] = []

    class Watched(HistoryTable):
        def refresh(self) -> None:
            if self.stream == "quote" and not others:
                others.append(1)
                topic.publish(draw_rows(10, seed=2))
                read_all(topic)
            super().refresh()

    work = topic.capture(open_table=Watched)
    while work.turn(0, wait_ms=0):
        continue
    work.commit(0)
    topic.publish(draw_rows(5, seed=3))
    while work.turn(1, wait_ms=0):
        continue
    work.commit(1)
    assert work.counts.fenced == 1
    while work.turn(2, wait_ms=0):
        continue
    work.commit(2)
    assert others == [1]
    assert table(topic).snapshot().rows == 35
