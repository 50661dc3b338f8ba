"""Small parts become one: the same rows, one winner of two, and nothing counts that is not equal."""

from pathlib import Path

import pytest

from replay.errors import FencedCommitError, HistoryError
from replay.store.compact import compact, plan_compaction
from replay.store.content_hash import combined
from replay.store.prune import Wanted
from replay.store.scan import Scan, stored_rows
from replay.store.snapshot import Snapshot
from replay.store.table import HistoryTable
from tests.stage.history_month import measure
from tests.stage.history_tables import append, draw_rows, placed, table_of


def rows_of(snapshot: Snapshot) -> list[dict[str, object]]:
    scan = Scan(snapshot, Wanted(), snapshot.schema.names)
    return [row for batch in scan.batches() for row in batch.to_pylist()]


def hash_of(snapshot: Snapshot) -> int:
    return combined(*(snapshot.footer(part).content_hash for part in snapshot.parts))


def small_parts(store: Path) -> HistoryTable:
    return table_of(store, *(draw_rows(60, seed) for seed in range(6)))


def test_rows_and_hash_stay_and_parts_become_one_of_each_day_and_bucket(tmp_path: Path) -> None:
    table = small_parts(tmp_path)
    before = table.snapshot()
    for group in plan_compaction(before):
        compact(table, group, by="a test")
    after = table.snapshot()
    assert len(after.parts) == len({(part.date, part.bucket) for part in before.parts}) < len(before.parts)
    assert rows_of(after) == rows_of(before)
    assert hash_of(after) == hash_of(before)
    assert plan_compaction(after) == []


def test_an_earlier_version_has_its_parts_still(tmp_path: Path) -> None:
    table = small_parts(tmp_path)
    before = table.snapshot()
    compact(table, plan_compaction(before)[0], by="a test")
    again = HistoryTable(tmp_path, "quote", before.version).snapshot()
    assert rows_of(again) == rows_of(before)


def test_of_two_that_compact_the_same_parts_the_second_is_refused(tmp_path: Path) -> None:
    """delta-rs accepts both, and the rows would be there twice."""
    rows = small_parts(tmp_path).snapshot().rows
    first, second = HistoryTable(tmp_path, "quote"), HistoryTable(tmp_path, "quote")
    group = plan_compaction(first.snapshot())[0]
    compact(first, group, by="the first")
    with pytest.raises(FencedCommitError, match="by the first"):
        compact(second, group, by="the second")
    assert HistoryTable(tmp_path, "quote").snapshot().rows == rows


def test_parts_that_are_gone_are_not_compacted_from_a_fresh_handle(tmp_path: Path) -> None:
    table = small_parts(tmp_path)
    group = plan_compaction(table.snapshot())[0]
    compact(table, group, by="a test")
    rows = table.snapshot().rows
    with pytest.raises(FencedCommitError, match="has taken"):
        compact(HistoryTable(tmp_path, "quote"), group, by="another")
    assert HistoryTable(tmp_path, "quote").snapshot().rows == rows


def test_rows_that_come_beside_it_stay(tmp_path: Path) -> None:
    table = small_parts(tmp_path)
    other = HistoryTable(tmp_path, "quote")
    append(other, placed(draw_rows(30, seed=9), 1_000))
    compact(table, plan_compaction(table.snapshot())[0], by="a test")
    assert table.snapshot().rows == 390


def test_what_has_not_the_rows_that_were_read_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = small_parts(tmp_path)
    version = table.version
    shorter = lambda *one: (rows.slice(1) for rows in stored_rows(*one))  # noqa: E731
    monkeypatch.setattr("replay.store.compact.stored_rows", shorter)
    with pytest.raises(HistoryError, match="nothing was changed"):
        compact(table, plan_compaction(table.snapshot())[0], by="a test")
    assert HistoryTable(tmp_path, "quote").version == version


def test_days_from_a_date_on_are_left_alone(tmp_path: Path) -> None:
    snapshot = small_parts(tmp_path).snapshot()
    days = snapshot.dates()
    assert {group.date for group in plan_compaction(snapshot, before=days[1])} == {days[0]}


@pytest.mark.slow
def test_it_halves_what_a_query_for_the_days_of_a_symbol_reads_and_memory_stays(tmp_path: Path) -> None:
    month = measure(tmp_path, 3, rows=8_000, flushes=10)
    assert month.rows == 24_000
    assert month.hashes[0] == month.hashes[1]
    assert month.halved, month.lines()
    assert month.flat, month.lines()
