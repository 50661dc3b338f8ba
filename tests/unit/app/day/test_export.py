"""Laws of a run's rows as one file: all of them, in the order of time where that is wanted, or no file."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.day import export as exporting
from app.day.export import RunRows, export
from app.errors import UsageError
from app.reading.row_files import MOMENT
from tests.stage.days import NOON_NS
from tests.stage.programs import App

DAYS = ("2024-03-04", "2024-03-05")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two days of three partitions, one of them empty, with many rows of one time; batches are of 7 rows."""
    monkeypatch.setattr(exporting, "BATCH_ROWS", 7)
    draw = np.random.default_rng(1)
    for day, date in enumerate(DAYS):
        for partition, rows in enumerate((50, 0, 31)):
            times = np.sort(draw.integers(0, 20, rows)) + NOON_NS + day * 1_000
            place = np.arange(rows) + 1_000 * partition
            columns = {"event_ns": pa.array(times, MOMENT), "place": pa.array(place, pa.int64())}
            folder = tmp_path / f"run/aligned/day={date}"
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(columns), folder / f"partition-{partition:05d}.parquet")
    return tmp_path / "run"


def test_rows_are_in_the_order_of_time_and_each_partition_keeps_its_own(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    assert export(RunRows.of(run), file, in_order=True) == 162
    rows = pl.read_parquet(file)
    assert rows["event_ns"].is_sorted()
    for partition in (0, 2):
        places = rows.filter(pl.col("place") // 1_000 == partition)["place"].to_list()
        days = [places[: len(places) // 2], places[len(places) // 2 :]]
        assert days[0] == days[1] == sorted(days[0])


def test_without_order_partitions_follow_one_another(run: Path, tmp_path: Path) -> None:
    export(RunRows.of(run), tmp_path / "rows.csv", in_order=False)
    rows = pd.read_csv(tmp_path / "rows.csv", parse_dates=["event_ns"])
    assert rows.place.tolist() == 2 * [*range(50), *range(2_000, 2_031)]
    assert rows.event_ns.min().value >= NOON_NS


def test_what_csv_cannot_hold_leaves_no_file(tmp_path: Path, run_app: App) -> None:
    folder = tmp_path / "run/aligned"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"event_ns": [1], "sizes": [[1, 2]]}), folder / "partition-00000.parquet")
    answer = run_app("export", tmp_path / "run", "--sorted", "--csv", tmp_path / "rows.csv")
    assert answer.code == 2
    assert "CSV holds no such column, Parquet does: --parquet" in answer.error
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ([], "--csv FILE or --parquet FILE"),
        (["--csv", "rows.parquet"], "name a file that ends in .csv"),
        (["--csv", "rows.csv", "--output", "mids"], "holds no *.parquet; it has rows of aligned"),
    ],
)
def test_what_cannot_be_exported_is_one_line(run: Path, run_app: App, typed: list[str], told: str) -> None:
    assert told in run_app("export", run, *typed).error


def test_the_clock_is_the_one_that_the_days_were_joined_on(run: Path) -> None:
    (run / DAYS[0]).mkdir()
    (run / DAYS[0] / "summary.json").write_text('{"clock": "known"}')  # the run was stopped in the second day
    assert RunRows.of(run).clock == "known_ns"
    shutil.move(run / f"aligned/day={DAYS[0]}", run / "mids")
    (run / "summary.json").write_text('{"clock": "event"}')
    assert RunRows.of(run, "mids").clock == "event_ns"


@pytest.mark.parametrize("times", [[3, 2, 1], [1, 2, 3, 4, 5, 6, 7, 1, 2], [1, None, 3]])
def test_rows_that_are_not_in_order_are_refused(run: Path, tmp_path: Path, times: list[int | None]) -> None:
    place = pa.array(range(len(times)), pa.int64())
    rows = pa.table({"event_ns": pa.array(times, MOMENT), "place": place})
    pq.write_table(rows, run / f"aligned/day={DAYS[1]}/partition-00001.parquet")
    with pytest.raises(UsageError, match=r"partition-00001\.parquet are not in the order of event_ns"):
        export(RunRows.of(run), tmp_path / "rows.parquet", in_order=True)
    assert export(RunRows.of(run), tmp_path / "rows.parquet", in_order=False) == 162 + len(times)


@pytest.mark.parametrize("name", ["all.parquet", f"day={DAYS[0]}/partition-00000.parquet"])
def test_a_file_among_the_rows_is_refused(run: Path, name: str) -> None:
    with pytest.raises(UsageError, match="name another folder"):
        export(RunRows.of(run), run / "aligned" / name, in_order=False)
    assert pl.read_parquet(run / "aligned").height == 162


def test_days_that_differ_can_be_exported_one_by_one(run: Path, tmp_path: Path) -> None:
    other = run / f"aligned/day={DAYS[1]}/partition-00003.parquet"
    pq.write_table(pa.table({"known_ns": [1]}), other)
    with pytest.raises(UsageError, match=f"such as --output aligned/day={DAYS[1]}"):
        RunRows.of(run)
    assert export(RunRows.of(run, f"aligned/day={DAYS[0]}"), tmp_path / "rows.csv", in_order=True) == 81


def test_what_is_no_file_is_one_line(run: Path, tmp_path: Path, run_app: App) -> None:
    (tmp_path / "rows.csv").mkdir()
    answer = run_app("export", run, "--csv", tmp_path / "rows.csv")
    assert (answer.code, "cannot be written: Is a directory" in answer.error) == (2, True)
    (run / f"aligned/day={DAYS[0]}/partition-00000.parquet").write_bytes(b"none")
    answer = run_app("export", run, "--csv", tmp_path / "rows.csv")
    assert (answer.code, "cannot be read as Parquet" in answer.error) == (2, True)


def test_one_day_of_several_is_exported_by_its_own_folder(run: Path, tmp_path: Path) -> None:
    assert [len(files) for files in RunRows.of(run / DAYS[1]).days] == [3]
    assert export(RunRows.of(run / DAYS[1]), tmp_path / "rows.parquet", in_order=True) == 81
    assert pl.read_parquet(tmp_path / "rows.parquet")["event_ns"].cast(int).min() >= NOON_NS + 1_000  # type: ignore[operator]


def test_the_folder_of_the_rows_is_answered_with_the_run(run: Path) -> None:
    with pytest.raises(UsageError, match=f"are the rows of a run: name the run, {run}"):
        RunRows.of(run / "aligned")


@pytest.mark.parametrize("in_order", [False, True])
def test_rows_that_cannot_be_read_are_not_blamed_on_the_file_they_go_to(
    run: Path, tmp_path: Path, in_order: bool
) -> None:
    part = run / f"aligned/day={DAYS[0]}/partition-00000.parquet"
    data = bytearray(part.read_bytes())
    data[4:60] = bytes(56)  # its pages, behind which the columns stand as before
    part.write_bytes(data)
    with pytest.raises(UsageError, match=r"the rows in .*aligned cannot be read: .*run it again"):
        export(RunRows.of(run), tmp_path / "rows.csv", in_order=in_order)
    assert not list(tmp_path.glob("rows.csv*"))
