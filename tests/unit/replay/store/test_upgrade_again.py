"""A day comes into a table where that has no row of it, however often days were brought there or let go."""

from pathlib import Path

import pyarrow as pa

from replay.capture.session import capture
from replay.store.days import HistoryStore
from replay.store.table import HistoryTable
from replay.store.upgrade import upgrade
from replay.store.upkeep import expired, restore, retain
from schemas.stream import Stream
from tests.stage.captured import QuoteTopic
from tests.stage.history_tables import SCHEMA, draw_rows

DATE = "2025-11-28"


def store_of_a_day(folder: Path, rows: pa.RecordBatch) -> HistoryStore:
    store = HistoryStore(folder)
    stream = Stream(name="quote", schema=SCHEMA, sequence="sequence")
    store.write(stream, DATE, [rows], order="known", made={"timezone": "UTC"})
    return store


def brought(store: HistoryStore, to: Path) -> tuple[str, int]:
    """What an upgrade says of the day, and the rows of the table then."""
    (done,) = upgrade(store, to=to)
    return done.problem, HistoryTable(to, "quote").snapshot().rows


def test_a_day_of_which_rows_were_captured_is_not_brought_beside_them(tmp_path: Path) -> None:
    topic = QuoteTopic(tmp_path / "live")
    topic.publish(draw_rows(60, seed=1, days=1))
    capture([topic.captured_topic()], topic.target())
    store = store_of_a_day(tmp_path / "days", draw_rows(50, seed=2, days=1))
    for _ in range(2):
        problem, rows = brought(store, tmp_path / "live")
        assert "has rows of that day already" in problem
        assert rows == 60
    assert store.day("quote", DATE).rows == 50


def test_a_day_that_was_taken_back_or_let_go_is_brought_again(tmp_path: Path) -> None:
    store = store_of_a_day(tmp_path / "days", draw_rows(50, seed=1, days=1))
    to = tmp_path / "tables"
    assert brought(store, to) == ("", 50)
    restore(HistoryTable(to, "quote"), 0, by="a test")
    assert brought(store, to) == ("", 50)
    table = HistoryTable(to, "quote")
    retain(table, expired(table.snapshot(), "2026-01-01"), by="a test")
    assert table.snapshot().rows == 0
    assert brought(store, to) == ("", 50)
    assert brought(store, to) == ("", 50)


def test_another_day_of_the_same_date_stays_a_folder(tmp_path: Path) -> None:
    to = tmp_path / "tables"
    assert brought(store_of_a_day(tmp_path / "first", draw_rows(50, seed=1, days=1)), to) == ("", 50)
    problem, rows = brought(store_of_a_day(tmp_path / "second", draw_rows(50, seed=2, days=1)), to)
    assert "its rows read back are others" in problem
    assert rows == 50
