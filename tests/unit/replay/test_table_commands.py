"""The commands that look after tables, as they are typed: what they say, and what they exit with."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from replay.cli import main
from replay.store.table import HistoryTable
from tests.stage.history_tables import draw_rows, folder_of, table_of


def told(capsys: pytest.CaptureFixture[str], store: Path, *arguments: str, code: int = 0) -> str:
    """What a command prints over a store, standard error with it."""
    assert main([*arguments, "--store", str(store)]) == code
    printed = capsys.readouterr()
    return printed.out + printed.err


@pytest.fixture
def store(tmp_path: Path) -> Path:
    table_of(tmp_path, *(draw_rows(60, seed) for seed in range(6)))
    return tmp_path


def test_small_parts_are_planned_and_then_made_one(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = told(capsys, store, "compact", "--stream", "quote", "--dry-run")
    assert "would become one part" in plan
    assert HistoryTable(store, "quote").version == 6
    done = told(capsys, store, "compact", "--stream", "quote")
    assert plan.count("\n") == done.count("are one part in version")
    assert "worth it" in told(capsys, store, "compact", "--stream", "quote")
    assert "360 rows, 0 faults" in told(capsys, store, "verify", "--stream", "quote")


def test_a_part_that_is_gone_is_named_and_the_exit_is_1(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot = HistoryTable(store, "quote").snapshot()
    (folder_of(snapshot) / snapshot.parts[0].path).unlink()
    report = told(capsys, store, "verify", "--stream", "quote", code=1)
    assert f"{snapshot.parts[0].path}: is not there" in report


def test_days_are_let_go_and_brought_back(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    day = HistoryTable(store, "quote").snapshot().dates()[1]
    assert "would go" in told(capsys, store, "retain", "--stream", "quote", "--before", day, "--dry-run")
    told(capsys, store, "retain", "--stream", "quote", "--before", day)
    assert HistoryTable(store, "quote").snapshot().dates() == [day]
    assert "is as version 6 was" in told(capsys, store, "restore", "--stream", "quote", "--version", "6")
    assert HistoryTable(store, "quote").snapshot().rows == 360
    assert "0 files would be deleted" in told(capsys, store, "vacuum", "--stream", "quote")


def test_a_query_is_answered_explained_and_written_whole(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query = "select symbol, count(*) as rows from quote group by symbol order by symbol"
    answer = told(capsys, store, "sql", query, "--symbols", "A,B", "--explain")
    assert "symbol\trows\n" in answer
    assert "quote: parts: " in answer
    assert "60 rows" not in answer
    whole = told(capsys, store, "sql", "select * from quote", "--version", "quote=1")
    assert "60 rows, of which 40 are shown" in whole
    out = tmp_path / "answer.parquet"
    told(capsys, store, "sql", "select * from quote", "--out", str(out))
    assert pq.read_table(out).num_rows == 360


def test_bad_input_is_one_line_and_exit_2(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "has no table bar" in told(capsys, store, "verify", "--stream", "bar", code=2)
    assert "versions 0 to 6" in told(capsys, store, "verify", "--stream", "quote", "--version", "9", code=2)
    assert "write STREAM=NUMBER" in told(capsys, store, "sql", "select 1", "--version", "x", code=2)
    assert "this is DROP" in told(capsys, store, "sql", "drop view quote", code=2)
    assert "less than the 720" in told(
        capsys, store, "vacuum", "--stream", "quote", "--keep-hours", "1", code=2
    )
