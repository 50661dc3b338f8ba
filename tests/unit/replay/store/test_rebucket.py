"""Rows come into other buckets, all of them, once, whatever else goes on; keys find them before and after."""

from pathlib import Path

import pyarrow as pa
import pytest

from replay.capture.dead import DEAD_SCHEMA, dead_rules
from replay.errors import FencedCommitError, HistoryError
from replay.store.compact import compact, plan_compaction
from replay.store.content_hash import combined
from replay.store.coverage import covered_ranges
from replay.store.part import merged_ranges
from replay.store.places import buckets_of
from replay.store.prune import Wanted
from replay.store.rebucket import plan_rebucket, rebucket
from replay.store.scan import Scan, stored_rows
from replay.store.snapshot import Snapshot
from replay.store.table import BUCKETS_NOW, HistoryTable, create_table
from replay.store.upkeep import restore, verify
from tests.stage.captured import QuoteTopic
from tests.stage.history_tables import SYMBOLS, append, draw_rows, placed, table_of


def rows_of(snapshot: Snapshot, *symbols: str) -> list[dict[str, object]]:
    wanted = Wanted(keys=frozenset(symbol.encode() for symbol in symbols)) if symbols else Wanted()
    scan = Scan(snapshot, wanted, snapshot.schema.names)
    return [row for batch in scan.batches() for row in batch.to_pylist()]


def require_in_place(snapshot: Snapshot) -> None:
    """Each part holds rows of its own bucket alone, and each key finds its rows."""
    rules = snapshot.rules
    for part in snapshot.parts:
        assert part.buckets == rules.buckets
        for rows in stored_rows(snapshot, [part]):
            assert set(buckets_of(rows, rules).tolist()) == {part.bucket}
    rows = rows_of(snapshot)
    for symbol in SYMBOLS:
        assert rows_of(snapshot, symbol) == [row for row in rows if row["symbol"] == symbol]


@pytest.mark.parametrize("buckets", [8, 6, 2, 1])
def test_rows_and_hash_stay_and_each_row_is_in_its_bucket(tmp_path: Path, buckets: int) -> None:
    table = table_of(tmp_path, *(draw_rows(60, seed) for seed in range(3)))
    before = table.snapshot()
    version = rebucket(table, buckets, by="a test")
    after = table.snapshot()
    assert (after.version, after.rules.buckets) == (version, buckets)
    require_in_place(after)
    assert rows_of(after) == rows_of(before)
    assert combined(*(after.footer(part).content_hash for part in after.parts)) == combined(
        *(before.footer(part).content_hash for part in before.parts)
    )
    assert list(verify(after)) == []
    assert table.commits(1)[0]["tidemark"]["rows_read"] == before.rows  # each once
    assert rows_of(HistoryTable(tmp_path, "quote", before.version).snapshot(), "A") == rows_of(before, "A")
    assert rebucket(table, buckets, by="a test") == version


def test_parts_whose_names_do_not_say_are_counted_as_the_table_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr("replay.store.part_writer.among", lambda _: "")
        table = table_of(tmp_path, draw_rows(80, seed=1))
    assert not any("-n" in part.path for part in table.snapshot().parts)
    table.set_properties({BUCKETS_NOW: "8"})
    append(table, placed(draw_rows(80, seed=2), 80))
    mixed = table.snapshot()
    assert {part.buckets for part in mixed.parts} == {4, 8}
    for symbol in SYMBOLS:
        assert rows_of(mixed, symbol) == [row for row in rows_of(mixed) if row["symbol"] == symbol]
    assert {group.parts[0].buckets for group in plan_compaction(mixed) if len(group.parts) > 1} <= {4, 8}
    rebucket(table, 8, by="a test")
    require_in_place(table.snapshot())
    assert rows_of(table.snapshot()) == rows_of(mixed)


def test_stopped_before_its_commit_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of(tmp_path, draw_rows(80, seed=1))
    before = rows_of(table.snapshot())
    with monkeypatch.context() as stopped:
        stopped.setattr("replay.store.rebucket._require_all", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            rebucket(table, 8, by="a test")
    between = HistoryTable(tmp_path, "quote")
    assert rows_of(between.snapshot()) == before
    assert rows_of(between.snapshot(), "A") == [row for row in before if row["symbol"] == "A"]
    rebucket(between, 8, by="a test")
    require_in_place(between.snapshot())
    assert rows_of(between.snapshot()) == before


def test_rows_that_are_not_all_there_are_not_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = table_of(tmp_path, draw_rows(80, seed=1))
    before = table.snapshot()

    def lossy(snapshot: Snapshot, parts: object) -> list[pa.RecordBatch]:
        return [rows.slice(1) for rows in stored_rows(snapshot, parts)]  # type: ignore[arg-type]

    monkeypatch.setattr("replay.store.rebucket.stored_rows", lossy)
    with pytest.raises(HistoryError, match=r"what was written has .* parts are as they were"):
        rebucket(table, 8, by="a test")
    table.refresh()
    assert table.snapshot().parts == before.parts


def test_of_two_at_once_and_of_a_compaction_beside_it_the_second_is_refused(tmp_path: Path) -> None:
    table = table_of(tmp_path, *(draw_rows(60, seed) for seed in range(3)))
    rows = rows_of(table.snapshot())
    group = plan_compaction(table.snapshot())[0]
    stale, other = HistoryTable(tmp_path, "quote"), HistoryTable(tmp_path, "quote")
    table.set_properties({BUCKETS_NOW: "8"})
    with pytest.raises(FencedCommitError, match="a change of properties"):
        rebucket(stale, 8, by="one that knows of nothing")
    other.refresh()
    rebucket(table, 8, by="the first")
    with pytest.raises(FencedCommitError, match="by the first"):
        rebucket(other, 8, by="the second")
    with pytest.raises(FencedCommitError):
        compact(stale, group, by="a compaction")
    assert rows_of(HistoryTable(tmp_path, "quote").snapshot()) == rows


def test_a_capture_beside_it_goes_on_and_a_restore_brings_the_old_parts_back(tmp_path: Path) -> None:
    topic = QuoteTopic(tmp_path)
    topic.make_tables()
    topic.publish(draw_rows(40, seed=1))
    work = topic.capture()
    work.turn(0, wait_ms=0)
    work.commit(0)
    table = HistoryTable(tmp_path, "quote")
    version = table.version
    topic.publish(draw_rows(40, seed=2))
    work.turn(1, wait_ms=0)
    rebucket(table, 8, by="a test")
    for _ in range(2):  # where the first is refused, the rows are read again
        work.commit(1)
        work.turn(1, wait_ms=0)
    work.commit(1)
    table.refresh()
    assert table.snapshot().rows == 80
    assert all(len(ranges) == 1 for ranges in covered_ranges(table.snapshot()).values())
    rebucket(table, 8, by="a test")
    require_in_place(table.snapshot())
    restore(table, version, by="a test")
    snapshot = table.snapshot()
    assert snapshot.rows == 40
    assert rows_of(snapshot, "A") == [row for row in rows_of(snapshot) if row["symbol"] == "A"]
    assert merged_ranges(snapshot.footer(snapshot.parts[0]).covered)


def test_buckets_that_would_mix_partitions_are_refused(tmp_path: Path) -> None:
    topic = QuoteTopic(tmp_path)
    topic.make_tables()
    topic.publish(draw_rows(40, seed=1))
    work = topic.capture()
    work.turn(0, wait_ms=0)
    work.commit(0)
    table = HistoryTable(tmp_path, "quote")
    with pytest.raises(HistoryError, match="captured from 2 partitions or more, and 9 buckets"):
        rebucket(table, 9, by="a test")
    assert table.rules.buckets == 4
    dead = create_table(tmp_path, dead_rules("trade", "UTC"), DEAD_SCHEMA)
    with pytest.raises(HistoryError, match="trade_dead has no key"):
        plan_rebucket(dead.snapshot(), 4)
