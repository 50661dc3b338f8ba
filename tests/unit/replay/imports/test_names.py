"""The laws of names in a folder: read in any case, and never passed over where a stream would be without."""

import gzip
from pathlib import Path

import pytest

from replay.errors import SourceError
from replay.imports.folder import import_folder
from replay.imports.report import ImportReport
from replay.store.days import HistoryStore
from tests.stage.days import NOON_NS, write_file

LINES = f"event_ns,symbol,bid\n{NOON_NS},A,1.5\n".encode()


def imported(tmp_path: Path) -> ImportReport:
    return import_folder(HistoryStore(tmp_path / "history"), tmp_path / "data")


def put(tmp_path: Path, name: str) -> None:
    path = tmp_path / "data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(LINES) if name.lower().endswith(".gz") else LINES)


@pytest.mark.parametrize("name", ["Quotes.csv", "QUOTES.CSV", "quotes.CSV.GZ", "Quotes/part-0.Csv"])
def test_names_are_read_in_any_case(tmp_path: Path, name: str) -> None:
    write_file(tmp_path / "data", "Trades.PARQUET", event_ns=[NOON_NS], symbol=["A"])
    put(tmp_path, name)
    assert [(day.stream, day.rows) for day in imported(tmp_path).days] == [("trade", 1), ("quote", 1)]


@pytest.mark.parametrize(
    ("name", "example"),
    [("quote.csv", "quotes.csv"), ("aapl_Quotes.csv.gz", "quotes.csv.gz"), ("quote/a.csv", "quotes/")],
)
def test_the_only_file_of_a_stream_under_another_name_is_refused(
    tmp_path: Path, name: str, example: str
) -> None:
    write_file(tmp_path / "data", "trades.parquet", event_ns=[NOON_NS], symbol=["A"])
    put(tmp_path, name)
    with pytest.raises(
        SourceError, match=f"holds no quotes.*, and would be read without .*: call it {example},"
    ):
        imported(tmp_path)
    write_file(tmp_path / "data", "quotes.parquet", event_ns=[NOON_NS], symbol=["A"])
    assert any(line.startswith("not read, since neither") for line in imported(tmp_path).notes)
