"""Versions, times, keys and columns that nobody can mean are one error that says so, and change nothing."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from replay import history
from replay.cli import main
from replay.errors import FencedCommitError, HistoryError, NotWrittenError
from replay.store.table import HistoryTable, create_table
from tests.stage.history_tables import RULES, SCHEMA, draw_rows, table_of

NO_TEXT = "\udcff"  # how a shell's byte that is no UTF-8 reaches a program


@pytest.fixture
def store(tmp_path: Path) -> Path:
    table_of(tmp_path, draw_rows(60, seed=1))
    return tmp_path


@pytest.mark.parametrize("version", [-1, 2**64, 10**30])
def test_a_version_that_no_table_has_is_refused_with_those_there_are(
    store: Path, version: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(HistoryError, match=f"has versions 0 to 1, not {version}"):
        history.scan("quote", version=version, store=store)
    assert main(["verify", "--stream", "quote", "--version", str(version), "--store", str(store)]) == 2
    assert "has versions 0 to 1" in capsys.readouterr().err


@pytest.mark.parametrize("span", [{"from_ns": 2**63}, {"to_ns": -(2**63) - 1}])
def test_times_beyond_64_bits_are_refused(store: Path, span: dict[str, Any]) -> None:
    with pytest.raises(HistoryError, match="times are int64 nanoseconds"):
        history.scan("quote", **span, store=store)


def test_a_symbol_that_is_no_text_has_no_row_and_those_beside_it_have_theirs(store: Path) -> None:
    for symbols in ([NO_TEXT], [NO_TEXT, "A"]):
        count = sum(rows.num_rows for rows in history.batches("quote", symbols=symbols, store=store))
        assert history.scan("quote", symbols=symbols, store=store).collect().height == count
        assert history.sql("select * from quote", symbols=symbols, store=store).num_rows == count
    assert count > 0
    assert main(["sql", "select * from quote", "--symbols", NO_TEXT, "--store", str(store)]) == 0


def test_a_column_that_differs_in_case_alone_is_refused(store: Path) -> None:
    for name, other in (("PRICE", "price"), ("Bucket", "bucket"), ("_OFFSET", "_offset")):
        with pytest.raises(HistoryError, match=f"has a column {name}, which for a table is {other} but for"):
            HistoryTable(store, "quote").grow(pa.schema([*SCHEMA, pa.field(name, pa.int64())]))
    assert HistoryTable(store, "quote").version == 1
    with pytest.raises(HistoryError, match="but for its case"):
        create_table(store / "other", RULES, pa.schema([*SCHEMA, pa.field("Price", pa.int64())]))


def test_of_two_that_add_columns_at_once_the_second_is_refused(store: Path) -> None:
    first, second = HistoryTable(store, "quote"), HistoryTable(store, "quote")
    first.grow(pa.schema([*SCHEMA, pa.field("venue", pa.string())]))
    with pytest.raises(FencedCommitError, match="a change of properties"):
        second.grow(pa.schema([*SCHEMA, pa.field("lot", pa.int64())]))
    assert "venue" in HistoryTable(store, "quote").schema.names


def test_a_disk_that_refuses_ends_a_command_with_1_since_it_may_be_tried_again(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("replay.store.part_writer.bring_to_disk", refuse)
    with pytest.raises(NotWrittenError, match="No space left on device"):
        table_of(store / "other", draw_rows(5, seed=1))
    sizes = ("--trades", "5", "--quotes", "9", "--symbols", "2")
    assert main(["generate", "--date", "2024-01-15", "--store", str(store / "days"), *sizes]) == 0
    assert main(["upgrade", "--store", str(store / "days")]) == 1
    assert capsys.readouterr().err.startswith("stopped: the history at ")
