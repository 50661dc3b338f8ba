"""SQL sees the rows of a version, reads nothing else, and writes nothing."""

import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from replay.errors import HistoryError
from replay.store.engines import IDLE_MAX, Engines
from replay.store.prune import Wanted
from replay.store.scan import Scan
from replay.store.snapshot import Snapshot
from replay.store.sql import run_query
from schemas.clocks import NS_PER_S
from tests.stage.history_tables import DAY_NS, SCHEMA, append, draw_rows, placed, table_of

HALF_DAY = Wanted(from_ns=DAY_NS, to_ns=DAY_NS + 12 * 3_600 * NS_PER_S, keys=frozenset({b"A", b"D"}))


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    batches = [draw_rows(200, seed) for seed in range(3)]
    return table_of(tmp_path_factory.mktemp("history"), *batches).snapshot()


def test_a_query_answers_as_the_rows_in_python_do(snapshot: Snapshot) -> None:
    query = (
        "select symbol, count(*) as rows, max(price) as highest from quote group by symbol order by symbol"
    )
    answer = run_query(query, {"quote": snapshot}, HALF_DAY)
    rows = pa.Table.from_batches(list(Scan(snapshot, HALF_DAY).batches())).to_pylist()
    expected = [
        {
            "symbol": symbol,
            "rows": sum(row["symbol"] == symbol for row in rows),
            "highest": max(
                row["price"] for row in rows if row["symbol"] == symbol and row["price"] is not None
            ),
        }
        for symbol in ("A", "D")
    ]
    assert answer.rows.to_pylist() == expected
    assert answer.reports["quote"].parts.by_key < answer.reports["quote"].parts.total


def test_tables_are_joined_and_a_column_that_came_later_is_null(tmp_path: Path) -> None:
    table = table_of(tmp_path, draw_rows(50, seed=1))
    table.grow(SCHEMA.append(pa.field("venue", pa.string())))
    query = (
        "select count(*) as rows, count(one.venue) as venues from quote one join quote other using (_offset)"
    )
    (row,) = run_query(query, {"quote": table.snapshot()}, Wanted()).rows.to_pylist()
    assert row == {"rows": 50, "venues": 0}
    append(table, placed(draw_rows(5, seed=2), 50))
    (row,) = run_query(query, {"quote": table.snapshot()}, Wanted()).rows.to_pylist()
    assert row == {"rows": 55, "venues": 0}


def test_a_column_that_one_part_lacks_is_null_where_keys_are_wanted(tmp_path: Path) -> None:
    table = table_of(tmp_path, draw_rows(50, seed=1))
    table.grow(SCHEMA.append(pa.field('venue\'s "own"', pa.string())))
    rows = placed(draw_rows(50, seed=2), 50)
    append(table, rows.append_column('venue\'s "own"', pa.array(["N"] * 50)))
    query = """select count(*) as rows, count("venue's ""own""\") as venues from quote"""
    wanted = Wanted(keys=frozenset({b"A", b"it's"}))
    (row,) = run_query(query, {"quote": table.snapshot()}, wanted).rows.to_pylist()
    assert 0 < row["venues"] < row["rows"]


def test_a_query_reads_no_part_that_only_the_query_before_it_needed(snapshot: Snapshot) -> None:
    run_query("select * from quote", {"quote": snapshot}, Wanted())
    needless = next(part for part in snapshot.parts if {b"A", b"D"}.isdisjoint(snapshot.footer(part).keys))
    query = f"select * from read_parquet('{snapshot.root / needless.path}')"  # noqa: S608
    assert run_query(query, {"quote": snapshot}, Wanted()).rows.num_rows == needless.rows
    with pytest.raises(HistoryError, match=r"cannot be run.*Permission"):
        run_query(query, {"quote": snapshot}, HALF_DAY)


def test_an_engine_keeps_no_view_of_the_query_before() -> None:
    engines = Engines()
    for _ in range(2):
        with engines.open([]) as engine:
            engine.execute("create temp view seen as select 1")
    assert engines.idle == 1


def test_as_many_engines_are_kept_as_allowed_and_none_whose_query_failed() -> None:
    engines = Engines()
    for number in range(IDLE_MAX + 2):
        with engines.open([f"{number}.parquet"]):
            pass
    assert engines.idle == IDLE_MAX
    with pytest.raises(duckdb.Error), engines.open([f"{IDLE_MAX}.parquet"]) as engine:
        engine.execute("select nowhere")
    assert engines.idle == IDLE_MAX - 1


FORKED = """
import os, sys
from replay.store.engines import engines
def ask():
    with engines().open([]) as engine:
        return engine.sql("select count(*) from range(300_000) a, range(10) b").fetchall() == [(3_000_000,)]
assert ask() and engines().idle == 1
child = os.fork()
if not child:
    os._exit(0 if engines().idle == 0 and ask() else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_asks_by_engines_of_its_own() -> None:
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=120)


def test_a_table_without_a_wanted_row_is_there_without_rows(snapshot: Snapshot) -> None:
    answer = run_query("select * from quote", {"quote": snapshot}, Wanted(keys=frozenset({b"nobody"})))
    assert answer.rows.num_rows == 0
    assert answer.rows.column_names == snapshot.schema.names


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_csv('/etc/hostname', header=false)",
        "select * from read_parquet('{other}')",
        "select * from read_text('/etc/hostname')",
        "select * from glob('/*')",
    ],
)
def test_no_other_file_is_read(snapshot: Snapshot, tmp_path: Path, query: str) -> None:
    other = tmp_path / "other.parquet"
    pa.parquet.write_table(pa.table({"a": [1]}), other)
    with pytest.raises(HistoryError, match=r"cannot be run.*(disabled|Permission)"):
        run_query(query.format(other=other), {"quote": snapshot}, Wanted())


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("copy quote to '/tmp/copied.parquet'", "COPY"),
        ("attach 'other.db'", "ATTACH"),
        ("drop view quote", "DROP"),
        ("set enable_external_access = true", "SET"),
        ("select 1; select 2", "SELECT, SELECT"),
        ("insert into quote values (1)", "INSERT"),
        ("", "nothing"),
    ],
)
def test_what_writes_attaches_or_is_several_is_refused_with_its_word(
    snapshot: Snapshot, query: str, word: str
) -> None:
    with pytest.raises(HistoryError, match=f"a query is one SELECT, and this is {word}"):
        run_query(query, {"quote": snapshot}, Wanted())


def test_what_is_no_sql_or_names_no_column_is_said_in_one_error(snapshot: Snapshot) -> None:
    with pytest.raises(HistoryError, match="no SQL"):
        run_query("selekt 1", {"quote": snapshot}, Wanted())
    with pytest.raises(HistoryError, match=r"cannot be run.*nowhere"):
        run_query("select nowhere from quote", {"quote": snapshot}, Wanted())


def test_what_memory_does_not_hold_is_written_in_the_folder_for_temporary_files() -> None:
    query = "select value from duckdb_settings() where name = 'temp_directory'"
    (row,) = run_query(query, {}, Wanted()).rows.to_pylist()
    assert Path(row["value"]).parent == Path(tempfile.gettempdir())
