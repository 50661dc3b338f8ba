"""A file that is not the part its table says is refused by whoever reads it: no row is left out unsaid."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from replay import history
from replay.cli import main
from replay.errors import HistoryError
from replay.store.compact import compact, plan_compaction
from replay.store.footers import read_footer
from replay.store.rebucket import rebucket
from replay.store.snapshot import PartEntry
from replay.store.table import HistoryTable
from replay.store.upkeep import verify
from tests.stage.history_tables import DAY_NS, RULES, SCHEMA, draw_rows, folder_of, table_of

READERS: dict[str, Callable[[Path], object]] = {
    "batches": lambda store: list(history.batches("quote", store=store)),
    "a frame": lambda store: history.scan("quote", store=store).collect(),
    "SQL": lambda store: history.sql("select * from quote", store=store),
    "SQL of symbols": lambda store: history.sql("select * from quote", symbols=["A", "B"], store=store),
}


def file_of(table: HistoryTable, part: PartEntry) -> Path:
    return folder_of(table) / part.path


def table_and_part(store: Path) -> tuple[HistoryTable, PartEntry]:
    """A table, and its part with the most rows of the symbol A."""
    table = table_of(store, draw_rows(900, seed=1), draw_rows(900, seed=2))
    snapshot = table.snapshot()
    return table, max(snapshot.parts, key=lambda part: snapshot.footer(part).keys.get(b"A", 0))


def swap(file: Path, other: Path) -> None:
    shutil.copy(other, file)
    read_footer.cache_clear()


@pytest.mark.parametrize("reader", READERS)
def test_another_part_in_the_place_of_one_is_refused_with_the_rows_at_stake(
    tmp_path: Path, reader: str
) -> None:
    table, part = table_and_part(tmp_path)
    other = min(table.snapshot().parts, key=lambda each: each.rows)
    swap(file_of(table, part), file_of(table, other))
    with pytest.raises(HistoryError, match=f"{part.path}, of version 2, with {part.rows:,} rows"):
        READERS[reader](tmp_path)


@pytest.mark.parametrize("reader", READERS)
def test_a_folder_in_the_place_of_a_part_is_refused(tmp_path: Path, reader: str) -> None:
    table, part = table_and_part(tmp_path)
    file_of(table, part).unlink()
    file_of(table, part).mkdir()
    read_footer.cache_clear()
    with pytest.raises(HistoryError, match=f"{part.path}, of version 2"):
        READERS[reader](tmp_path)
    assert [fault.path for fault in verify(table.snapshot())] == [part.path]


@pytest.mark.parametrize("reader", ["batches", "SQL"])
def test_bytes_that_changed_inside_are_said_of_the_part(tmp_path: Path, reader: str) -> None:
    table, part = table_and_part(tmp_path)
    content = bytearray(file_of(table, part).read_bytes())
    for place in range(200, len(content) // 2, 97):
        content[place] ^= 0xFF
    file_of(table, part).write_bytes(content)
    read_footer.cache_clear()
    with pytest.raises(HistoryError, match=f"{part.path}, of version 2, .* cannot be read"):
        READERS[reader](tmp_path)


def two_of_one_size(store: Path) -> HistoryTable:
    """A table of two parts of a row each, whose files have the same length."""
    rows = [
        pa.RecordBatch.from_pylist(
            [{"event_ns": DAY_NS, "known_ns": DAY_NS + at, "symbol": "A", "price": 1.0, "sequence": at}],
            schema=SCHEMA,
        )
        for at in (1, 2)
    ]
    table = table_of(store, *rows, rules=RULES)
    first, second = table.snapshot().parts
    assert first.size == second.size
    swap(file_of(table, first), file_of(table, second))
    return table


def test_a_file_of_the_same_length_is_not_compacted_into_the_newest_version(tmp_path: Path) -> None:
    table = two_of_one_size(tmp_path)
    (group,) = plan_compaction(table.snapshot())
    with pytest.raises(HistoryError, match="has other bytes than it was named for"):
        compact(table, group, by="a test")
    with pytest.raises(HistoryError, match="has other bytes than it was named for"):
        rebucket(table, 8, by="a test")
    assert len(table.snapshot().parts) == 2


def test_a_command_that_reads_a_broken_part_ends_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, part = table_and_part(tmp_path)
    file_of(table, part).write_bytes(b"")
    read_footer.cache_clear()
    assert main(["compact", "--stream", "quote", "--store", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
