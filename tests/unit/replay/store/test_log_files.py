"""A commit is on the disk before it counts, and one that is an empty file is found."""

from pathlib import Path

import pytest

from replay.errors import HistoryError, UnknownCommitError
from replay.store.log_files import bring_log_to_disk
from replay.store.table import LOG, HistoryTable
from replay.store.upkeep import restore, verify
from tests.stage.history_tables import append, draw_rows, folder_of, placed, table_of


@pytest.fixture
def brought(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what was brought to the disk, in order."""
    names: list[str] = []
    monkeypatch.setattr("replay.store.log_files.bring_to_disk", lambda path: names.append(path.name))
    return names


def entry(version: int) -> str:
    return f"{version:020d}.json"


def test_each_commit_is_brought_to_the_disk_and_the_folder_after_it(
    tmp_path: Path, brought: list[str]
) -> None:
    table = table_of(tmp_path, draw_rows(5, seed=1))
    assert brought == [entry(0), LOG, entry(1), LOG]
    brought.clear()
    other = HistoryTable(tmp_path, "quote")
    append(table, placed(draw_rows(5, seed=2), 5))
    append(other, placed(draw_rows(5, seed=3), 10))  # sees that of the first, too
    assert brought == [entry(2), LOG, entry(2), entry(3), LOG]
    brought.clear()
    restore(HistoryTable(tmp_path, "quote"), 1, by="a test")
    HistoryTable(tmp_path, "quote").set_properties({"a": "b"})
    assert brought == [entry(4), LOG, entry(5), LOG]


def test_a_checkpoint_is_brought_there_with_its_commit(tmp_path: Path, brought: list[str]) -> None:
    for name in (entry(50), f"{50:020d}.checkpoint.parquet", "_last_checkpoint", entry(51)):
        (tmp_path / name).touch()
    bring_log_to_disk(tmp_path, 49, 51)
    assert brought == [
        entry(50),
        f"{50:020d}.checkpoint.parquet",
        "_last_checkpoint",
        entry(51),
        tmp_path.name,
    ]


def test_a_commit_that_may_not_be_on_the_disk_has_an_unknown_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = table_of(tmp_path, draw_rows(5, seed=1))

    def refuse(path: Path) -> None:
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr("replay.store.log_files.bring_to_disk", refuse)
    with pytest.raises(UnknownCommitError, match="Input/output error"):
        append(table, placed(draw_rows(5, seed=2), 5))


def test_an_empty_entry_of_the_log_is_a_fault(tmp_path: Path) -> None:
    table = table_of(tmp_path, *(draw_rows(20, seed=seed) for seed in range(3)))
    (folder_of(table) / LOG / entry(2)).write_bytes(b"")
    (fault,) = verify(HistoryTable(tmp_path, "quote").snapshot())
    assert str(fault) == f"_delta_log/{entry(2)}: is empty: the table lacks what this commit changed; 0 rows"


def test_a_cut_entry_is_one_line(tmp_path: Path) -> None:
    table = table_of(tmp_path, draw_rows(20, seed=1))
    path = folder_of(table) / LOG / entry(1)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(HistoryError, match="cannot be opened") as refused:
        HistoryTable(tmp_path, "quote")
    assert "<unknown>" not in str(refused.value)
