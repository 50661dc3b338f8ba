"""Answers of any length: rows come as they are read, and a file has its name when it is whole."""

import os
import signal
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from replay.cli import main
from replay.store.prune import Wanted
from replay.store.sql import open_query, run_query
from tests.stage.history_tables import draw_rows, table_of

ALL = "select * from quote order by _offset"
BREAKS = "select cast(case when range = 900000 then 'x' else '1' end as int) as n from range(1000000)"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    table_of(tmp_path / "store", draw_rows(300, seed=1))
    return tmp_path / "store"


def asked(store: Path, query: str, *more: object) -> int:
    return main(["sql", query, "--store", str(store), *map(str, more)])


def test_rows_come_before_the_query_has_ended() -> None:
    with open_query("select * from range(1000000000000)", {}, Wanted()) as answer:
        first, second = next(answer.batches), next(answer.batches)
    assert first.column(0)[0].as_py() == 0
    assert second.column(0)[0].as_py() == first.num_rows


def test_an_open_answer_has_the_rows_of_the_whole_one(store: Path) -> None:
    snapshots = {"quote": table_of(store, draw_rows(0, seed=1)).snapshot()}
    whole = run_query(ALL, snapshots, Wanted()).rows
    with open_query(ALL, snapshots, Wanted()) as answer:
        assert pa.Table.from_batches(answer.batches, answer.schema).equals(whole)


def test_a_file_is_of_the_kind_that_its_name_says(store: Path, tmp_path: Path) -> None:
    rows = [tmp_path / f"rows.{kind}" for kind in ("parquet", "arrow", "csv")]
    assert [asked(store, ALL, "--out", path) for path in rows] == [0, 0, 0]
    table = pq.read_table(rows[0])
    assert table.num_rows == 300
    assert pa.ipc.open_file(rows[1].read_bytes()).read_all().equals(table)
    assert pa.csv.read_csv(rows[2]).column("_offset").to_pylist() == table.column("_offset").to_pylist()


def test_a_query_that_fails_on_its_way_leaves_the_file_as_it_was(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out" / "rows.parquet"
    out.parent.mkdir()
    assert asked(store, "select 1 as one", "--out", out) == 0
    assert asked(store, BREAKS, "--out", out) == 2
    error = capsys.readouterr().err
    assert "Could not convert string 'x'" in error
    assert error.count("\n") == 1
    assert pq.read_table(out).to_pylist() == [{"one": 1}]
    assert list(out.parent.iterdir()) == [out]


def test_a_file_that_cannot_be_written_is_one_line(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(store, "select 1", "--out", tmp_path / "nowhere" / "rows.parquet") == 2
    assert asked(store, "select [1, 2] as both", "--out", tmp_path / "rows.csv") == 2
    assert capsys.readouterr().err.count("cannot be written") == 2
    assert not list(tmp_path.glob("*rows*"))


def test_columns_of_one_name_are_all_shown(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(store, "select 1 as a, 2 as a from quote limit 1") == 0
    assert capsys.readouterr().out.splitlines()[1] == "1\t2"


def test_a_query_that_takes_long_is_stopped_by_the_keyboard(store: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # workers of pytest take no notice
    try:
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        assert asked(store, "select count(*) from range(100000000000) t(a) where a % 7 = 3") == 130
    finally:
        signal.signal(signal.SIGINT, before)
