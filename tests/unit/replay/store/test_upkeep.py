"""What is checked, taken back, let go and deleted: each says what it does, and nothing is lost by it."""

import time
from pathlib import Path

import pytest

from replay.capture.session import capture
from replay.errors import FencedCommitError, HistoryError
from replay.store.compact import compact, plan_compaction
from replay.store.coverage import covered_ranges
from replay.store.footers import read_footer
from replay.store.table import HistoryTable
from replay.store.upkeep import expired, restore, retain, vacuum, verify
from tests.stage.captured import QuoteTopic
from tests.stage.history_tables import draw_rows, folder_of, table_of


def captured(store: Path, *seeds: int) -> QuoteTopic:
    topic = QuoteTopic(store)
    for seed in seeds:
        more(topic, seed)
    return topic


def more(topic: QuoteTopic, seed: int) -> None:
    topic.publish(draw_rows(40, seed))
    capture([topic.captured_topic()], topic.target())


def newest(store: Path) -> HistoryTable:
    return HistoryTable(store, "quote")


def test_a_sound_table_has_no_fault(tmp_path: Path) -> None:
    assert list(verify(table_of(tmp_path, draw_rows(100, seed=1)).snapshot())) == []


def test_each_part_that_is_gone_cut_or_changed_is_named_with_its_rows(tmp_path: Path) -> None:
    snapshot = table_of(tmp_path, draw_rows(100, seed=1)).snapshot()
    gone, cut, *_ = snapshot.parts
    (folder_of(snapshot) / gone.path).unlink()
    path = folder_of(snapshot) / cut.path
    path.write_bytes(path.read_bytes()[:-7])
    read_footer.cache_clear()
    faults = {fault.path: str(fault) for fault in verify(snapshot)}
    assert set(faults) == {gone.path, cut.path}
    assert faults[gone.path] == f"{gone.path}: is not there; {gone.rows:,} rows"
    assert "other bytes" in faults[cut.path]


def test_a_restore_takes_rows_and_next_offsets_back_and_capture_goes_on_from_there(tmp_path: Path) -> None:
    topic = captured(tmp_path, 1, 2)
    version = newest(tmp_path).version
    more(topic, 3)
    assert newest(tmp_path).snapshot().rows == 120
    restore(newest(tmp_path), version, by="a test")
    assert newest(tmp_path).snapshot().rows == 80
    more(topic, 4)
    assert newest(tmp_path).snapshot().rows == 160
    assert all(len(ranges) == 1 for ranges in covered_ranges(newest(tmp_path).snapshot()).values())


def test_a_capture_that_runs_is_refused_after_a_restore_and_reads_again(tmp_path: Path) -> None:
    topic = captured(tmp_path, 1)
    version = newest(tmp_path).version
    more(topic, 2)
    work = topic.capture()
    topic.publish(draw_rows(40, seed=3))
    while work.turn(0, wait_ms=0):
        continue
    restore(newest(tmp_path), version, by="a test")
    work.commit(0)
    assert work.counts.fenced == 1
    while work.turn(1, wait_ms=0):
        continue
    work.commit(1)
    assert newest(tmp_path).snapshot().rows == 120


def test_days_that_are_let_go_are_in_earlier_versions_and_capture_knows_of_them(tmp_path: Path) -> None:
    topic = captured(tmp_path, 1, 2)
    table = newest(tmp_path)
    before = table.snapshot()
    day = before.dates()[1]
    retain(table, expired(before, day), by="a test")
    assert table.snapshot().dates() == [day]
    assert HistoryTable(tmp_path, "quote", before.version).snapshot().rows == 80
    more(topic, 3)
    assert newest(tmp_path).snapshot().rows > table.snapshot().rows - 40


def test_a_compaction_that_had_begun_does_not_bring_back_what_was_let_go(tmp_path: Path) -> None:
    captured(tmp_path, 1, 2, 3)
    stale = newest(tmp_path)
    group = plan_compaction(stale.snapshot())[0]
    table = newest(tmp_path)
    retain(table, [part for part in table.snapshot().parts if part.date == group.date], by="a test")
    with pytest.raises(FencedCommitError):
        compact(stale, group, by="a compaction")
    assert group.date not in newest(tmp_path).snapshot().dates()


def test_files_that_a_kept_version_has_are_not_deleted(tmp_path: Path) -> None:
    captured(tmp_path, 1, 2)
    table = newest(tmp_path)
    before = table.snapshot()
    for group in plan_compaction(before):
        compact(table, group, by="a test")
    with pytest.raises(HistoryError, match="--keep-hours 24 is less than the 720"):
        vacuum(table, 24, dry_run=False)
    assert vacuum(table, 720, dry_run=False) == []
    assert HistoryTable(tmp_path, "quote", before.version).snapshot().rows == 80
    assert list(verify(before)) == []


def test_a_machine_whose_clock_is_behind_takes_out_nothing_that_vacuum_would_delete_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = table_of(tmp_path, draw_rows(30, seed=1), draw_rows(30, seed=2))
    late_ms = time.time_ns() // 1_000_000 - 60 * 86_400_000
    monkeypatch.setattr("replay.store.table._now_ms", lambda: late_ms)
    for group in plan_compaction(table.snapshot()):
        compact(table, group, by="a test")
    assert vacuum(table, 720, dry_run=True) == []
    assert HistoryTable(tmp_path, "quote", 2).snapshot().rows == 60
