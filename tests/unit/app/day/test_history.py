"""Laws of a run's own files: a repeated run reads them as it is told now, or says that it does not."""

from pathlib import Path
from typing import Any

import pytest

from app.day.history import HISTORY, open_history
from app.day.reading import Reading
from app.errors import UsageError
from replay.store.days import HistoryStore
from schemas.clocks import NS_PER_S
from tests.stage.days import DATE, NOON_NS, rows_of, write_file

LATE_NS = NOON_NS + 10 * 3_600 * NS_PER_S  # 22:00 in New York, the next day in UTC
NEXT = "2024-01-16"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trade and a quote of one evening in New York, which is the next day in UTC."""
    monkeypatch.chdir(tmp_path)
    for name in ("trades", "quotes"):
        write_file(tmp_path / "data", f"{name}.parquet", event_ns=[LATE_NS], symbol=["A"])
    return tmp_path / "data"


def times(data: Path, date: str, store: Path | None = None, **reading: Any) -> list[Any]:
    """What the clock of the trades of a day holds, as a run with these options reads it."""
    history = open_history(data=data, store=store, reading=Reading(**reading), say=lambda _: None)
    trades, _ = history.days(date, ["trade", "quote"], lambda _: None)
    values: list[Any] = rows_of(trades).column("event_ns").to_pylist()
    return values


@pytest.mark.parametrize("store", [None, Path("shared")])
def test_files_are_read_again_where_other_options_are_stated(data: Path, store: Path | None) -> None:
    assert times(data, DATE, store) == [LATE_NS]
    write_file(data, "trades.parquet", at=[NOON_NS + 7], symbol=["A"])
    write_file(data, "quotes.parquet", at=[NOON_NS + 7], symbol=["A"])
    assert times(data, DATE, store, event="at") == [NOON_NS + 7]


def test_a_day_of_other_options_is_not_there(data: Path) -> None:
    assert times(data, NEXT, Path("shared"), timezone="UTC") == [LATE_NS]
    with pytest.raises(UsageError, match=f"has no .*trade of {NEXT}; the history at shared has, from an ear"):
        times(data, NEXT, Path("shared"))
    assert times(data, DATE, Path("shared")) == [LATE_NS]


def test_options_without_files_are_refused() -> None:
    for name, reading in {
        "EVENT": Reading(event="at"),
        "NAIVE_AS": Reading(naive_as="UTC"),
        "UNIT": Reading(unit="us"),
    }.items():
        with pytest.raises(UsageError, match=f"{name}= says how files are read"):
            open_history(data=None, store=None, reading=reading, say=lambda _: None)


def test_without_options_a_folder_keeps_its_history(data: Path) -> None:
    told: list[str] = []
    for _ in range(2):
        open_history(data=data, store=None, reading=Reading(), say=told.append)
    (root,) = (data.parent / HISTORY).iterdir()
    assert told[-1] == f"history: {root.relative_to(data.parent)}, imported before"
    assert HistoryStore(root).dates() == [DATE]


def test_an_option_that_a_run_lacks_is_named_with_the_command_that_has_it(data: Path) -> None:
    write_file(data, "quotes.parquet", event_ns=[NOON_NS], symbol=["A"], sides=[{"bid": 1.0}])
    with pytest.raises(
        UsageError, match=r"--drop .*\(options of python -m replay import .* --store shared; t"
    ):
        times(data, DATE, Path("shared"))
    write_file(data, "quotes.parquet", moment=[NOON_NS], symbol=["A"])
    with pytest.raises(UsageError, match=r"name another with --event or --known$"):
        times(data, DATE, Path("shared"))
