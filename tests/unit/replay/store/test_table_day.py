"""A day of a table is a day of the history: the same rows in the same order, however many parts it has."""

from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rich.console import Console

from replay.errors import HistoryError, UnknownDateError
from replay.market.generate import generate_day
from replay.store.catalog import list_days, print_catalog
from replay.store.compact import compact, plan_compaction
from replay.store.days import HistoryStore
from replay.store.table import HistoryTable
from replay.store.table_day import table_day
from replay.store.upgrade import upgrade
from tests.stage.days import DATE
from tests.stage.history_tables import append, draw_rows, placed, table_of

SIZES = {"symbols": 9, "trades": 400, "quotes": 3_000}


def rows_of(store: HistoryStore, stream: str) -> pa.Table:
    day = store.day(stream, DATE)
    return pa.Table.from_batches(day.batches(), day.stream.schema)


def upgraded(folder: Path) -> tuple[HistoryStore, dict[str, pa.Table]]:
    store = HistoryStore(folder)
    generate_day(store, DATE, **SIZES)
    before = {stream: rows_of(store, stream) for stream in ("trade", "quote")}
    upgrade(store)
    return store, before


def test_a_store_of_days_becomes_tables_with_the_same_rows_in_the_same_order(tmp_path: Path) -> None:
    store, before = upgraded(tmp_path)
    assert store.dates() == [DATE]
    assert store.streams(DATE) == ["quote", "trade"]
    for stream, rows in before.items():
        assert rows_of(store, stream).equals(rows)
    assert not list(tmp_path.rglob("_day.json"))


def test_a_summary_says_what_that_of_the_day_said(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    generate_day(store, DATE, **SIZES)
    before = store.day("quote", DATE)
    stream = before.stream
    upgrade(store)
    after = store.day("quote", DATE)
    for name in ("stream", "date", "rows", "keys", "key", "sequence", "order", "clocks"):
        assert getattr(after.summary, name) == getattr(before.summary, name), name
    assert (after.zone, after.root, after.stream) == (before.zone, before.root, stream)


def test_the_catalog_names_the_version(tmp_path: Path) -> None:
    store, _ = upgraded(tmp_path)
    shown = StringIO()
    print_catalog(list_days(store), Console(file=shown))
    assert shown.getvalue().count("version 1 of its table") == 2


def test_reading_begins_at_any_row(tmp_path: Path) -> None:
    store, before = upgraded(tmp_path)
    day = store.day("quote", DATE)
    for start in (0, 1, 1_234, 2_999, 3_000):
        read = pa.Table.from_batches(
            day.batches(["event_ns"], rows=100, start=start), day.times().select([0]).schema
        )
        assert read.column(0).to_pylist() == before["quote"].column("event_ns").to_pylist()[start:]


def test_a_compaction_beside_it_changes_neither_rows_nor_digest(tmp_path: Path) -> None:
    store, before = upgraded(tmp_path)
    day = store.day("quote", DATE)
    table = HistoryTable(tmp_path, "quote")
    for group in plan_compaction(table.snapshot()):
        compact(table, group, by="a test")
    assert pa.Table.from_batches(day.batches(), day.stream.schema).equals(before["quote"])
    assert store.day("quote", DATE).summary.digest == day.summary.digest


def test_an_upgrade_that_was_stopped_goes_on_and_doubles_nothing(tmp_path: Path) -> None:
    store, before = upgraded(tmp_path)
    generate_day(HistoryStore(tmp_path / "again"), DATE, **SIZES)
    (tmp_path / "again" / "stream=quote" / f"date={DATE}" / "_day.json").rename(
        tmp_path / "stream=quote" / f"date={DATE}" / "_day.json"
    )
    for part in (tmp_path / "again" / "stream=quote" / f"date={DATE}").glob("*.parquet"):
        part.rename(tmp_path / "stream=quote" / f"date={DATE}" / part.name)
    upgrade(store)
    assert rows_of(store, "quote").equals(before["quote"])


def test_a_day_that_is_not_there_is_refused_with_those_there_are(tmp_path: Path) -> None:
    upgraded(tmp_path)
    with pytest.raises(UnknownDateError, match=f"has no day 2030-01-01.*it has {DATE}"):
        table_day(tmp_path, "quote", "2030-01-01")
    with pytest.raises(UnknownDateError, match=f"it has {DATE}"):
        HistoryStore(tmp_path).day("quote", "2030-01-01")


def test_a_day_that_is_in_a_table_is_not_written_over(tmp_path: Path) -> None:
    store, before = upgraded(tmp_path)
    stream = store.day("quote", DATE).stream
    with pytest.raises(HistoryError, match="is in the table quote"):
        store.write(stream, DATE, before["quote"].to_batches(), order="known", made={})
    with pytest.raises(HistoryError, match="is in the table quote"):
        store.delete("quote", DATE)
    assert rows_of(store, "quote").equals(before["quote"])


def test_a_day_whose_rows_did_not_all_arrive_keeps_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = HistoryStore(tmp_path)
    generate_day(store, DATE, **SIZES)
    monkeypatch.setattr("replay.store.upgrade.stored_rows", lambda *_: iter(()))
    assert {done.problem.split(":")[0] for done in upgrade(store)} == {"its rows read back are others"}
    assert len(list(tmp_path.rglob("_day.json"))) == 2


def test_a_publication_of_an_earlier_version_has_its_rows(tmp_path: Path) -> None:
    store, before = upgraded(tmp_path)
    version = HistoryTable(tmp_path, "quote").version
    append(
        HistoryTable(tmp_path, "quote"),
        placed(before["quote"].slice(0, 5).combine_chunks().to_batches()[0], 9_000),
    )
    assert store.day("quote", DATE).rows == 3_005
    days = list_days(store, DATE, {"quote": version})
    assert {day.summary.stream: day.rows for day in days} == {"quote": 3_000, "trade": 400}
    with pytest.raises(HistoryError, match="no table bar"):
        list_days(store, DATE, {"bar": 1})


def test_files_for_who_reads_files_have_the_rows_in_their_order(tmp_path: Path) -> None:
    store, before = upgraded(tmp_path / "store")
    (path,) = store.day("trade", DATE).files_in(tmp_path)
    assert pa.parquet.read_table(path).equals(before["trade"])


def test_a_table_is_opened_again_only_where_it_has_a_newer_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = table_of(tmp_path, draw_rows(30, seed=1, days=1))
    opened = []

    class CountedTable(HistoryTable):
        def __init__(self, *where: Any) -> None:
            opened.append(where)
            super().__init__(*where)

    monkeypatch.setattr("replay.store.table.HistoryTable", CountedTable)
    store = HistoryStore(tmp_path)
    first = store.dates()
    assert (store.streams(first[0]), store.has("quote", first[0]), len(opened)) == (["quote"], True, 1)
    append(table, placed(draw_rows(30, seed=1, days=9), 30))
    assert len(store.dates()) > len(first)
    assert (store.has("quote", first[0]), len(opened)) == (True, 2)
