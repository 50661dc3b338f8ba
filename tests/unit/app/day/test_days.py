"""Laws of several days in one run: each is as it would be alone, none is run twice, none is mixed in."""

import json
import shutil
from dataclasses import replace
from io import StringIO
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from app.day import days as several
from app.day.dates import days_between
from app.day.days import replay_dates, replay_days
from app.day.days_summary import DaysSummary
from app.day.request import ReplayRequest
from app.day.run import replay_day
from app.day.summary import Summary
from app.errors import UsageError
from replay.store.days import HistoryStore
from schemas.clocks import NS_PER_DAY, NS_PER_S
from tests.stage.days import NOON_NS, keep_day

SPAN = "2024-01-15..2024-01-18"
DATES = ("2024-01-15", "2024-01-16", "2024-01-18")


@pytest.fixture
def request_of_days(tmp_path: Path) -> ReplayRequest:
    """A history of three days in four, of which each begins with a trade before any quote."""
    store = HistoryStore(tmp_path / "history")
    for date in DATES:
        noon_ns = NOON_NS + (int(date[-2:]) - 15) * NS_PER_DAY
        rows = {"symbol": ["A", "A"], "price": [1.0, 2.0]}
        keep_day(store, "trade", rows | {"event_ns": [noon_ns, noon_ns + 2 * NS_PER_S]}, date=date)
        keep_day(store, "quote", {"symbol": ["A"], "bid": [1.0], "event_ns": [noon_ns + 1]}, date=date)
    return ReplayRequest(
        date=DATES[0], store=tmp_path / "history", bus="embedded", out=tmp_path / "out", partitions=1
    )


def run(request: ReplayRequest, span: str = SPAN) -> tuple[DaysSummary, list[str]]:
    said: list[str] = []
    return replay_days(span, request, said.append), said


def test_each_day_is_as_it_is_alone_and_all_open_as_one_folder(request_of_days: ReplayRequest) -> None:
    summary, said = run(request_of_days)
    assert [day.date for day in summary.days] == list(DATES)
    assert [(day.rows_aligned, day.rows_matched) for day in summary.days] == [(2, 1)] * 3
    assert "not in the history, so skipped: 2024-01-17" in said
    alone = replay_day(
        ReplayRequest(
            date=DATES[1],
            store=request_of_days.store,
            bus="embedded",
            out=request_of_days.out.with_name("alone"),
            partitions=1,
        ),
        lambda _: None,
    )
    assert alone.hash == summary.days[1].hash
    rows = pl.read_parquet(request_of_days.out / "aligned")
    assert rows["day"].cast(pl.String).unique(maintain_order=True).to_list() == list(DATES)
    whole = json.loads((request_of_days.out / "summary.json").read_text())
    assert (whole["rows_aligned"], whole["rows_matched"], whole["audit_violations"]) == (6, 3, 0)
    assert whole["skipped"] == ["2024-01-17"]
    assert Summary.read(request_of_days.out / DATES[1] / "summary.json").hash == alone.hash


def test_a_run_that_was_stopped_goes_on_with_the_day_it_was_in(
    request_of_days: ReplayRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []

    def stopped_on_the_second(request: ReplayRequest, say: object) -> Summary:
        runs.append(request.date)
        if runs == list(DATES[:2]):
            raise KeyboardInterrupt
        return replay_day(request, lambda _: None)

    monkeypatch.setattr(several, "replay_day", stopped_on_the_second)
    with pytest.raises(KeyboardInterrupt):
        run(request_of_days)
    _, said = run(request_of_days)
    assert runs == [DATES[0], DATES[1], DATES[1], DATES[2]]
    assert "2024-01-15, day 1 of 3: done before" in said
    run(request_of_days, f"{DATES[2]}..{DATES[2]}")
    assert runs[-1] == DATES[2]
    left = [folder.name for folder in (request_of_days.out / "aligned").iterdir()]
    assert left == [f"day={DATES[2]}"]


def stop_in(date: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stop the run in that day; the list returned has the days that are run."""
    runs: list[str] = []

    def until(request: ReplayRequest, say: object) -> Summary:
        runs.append(request.date)
        if request.date == date:
            raise KeyboardInterrupt
        return replay_day(request, lambda _: None)

    monkeypatch.setattr(several, "replay_day", until)
    return runs


def test_a_stopped_run_leaves_nothing_that_speaks_of_rows_that_are_gone(
    request_of_days: ReplayRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(request_of_days)
    stop_in(DATES[1], monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(request_of_days)
    assert not (request_of_days.out / "summary.json").exists()
    other = request_of_days.out / "mids" / f"day={DATES[0]}"  # an output of settings that are no more
    other.mkdir(parents=True)
    (other / "partition-00000.parquet").touch()
    with pytest.raises(KeyboardInterrupt):
        run(replace(request_of_days, tolerance_ns=1))
    assert not other.exists()


def test_rows_that_are_not_all_written_do_not_lie_among_those_of_other_days(
    request_of_days: ReplayRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    there: list[list[str]] = []

    def rename(folder: Path, target: Path) -> Path:
        if target.name == f"day={DATES[1]}":
            there.append(sorted(each.name for each in target.parent.iterdir()))
        return Path(shutil.move(folder, target))

    monkeypatch.setattr(Path, "rename", rename)
    run(request_of_days)
    assert there == [[f"day={DATES[0]}"]]


@pytest.mark.parametrize("lost", [f"aligned/day={DATES[0]}", DATES[0]])
def test_a_day_whose_rows_were_deleted_is_run_again(
    request_of_days: ReplayRequest, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    runs = stop_in(DATES[1], monkeypatch)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(request_of_days)
    assert runs == [DATES[0], DATES[1], DATES[1]]
    shutil.rmtree(request_of_days.out / lost)
    with pytest.raises(KeyboardInterrupt):
        run(request_of_days)
    assert runs[3:] == [DATES[0], DATES[1]]


@pytest.mark.parametrize(
    ("span", "told"),
    [
        ("2024-02-01..2024-02-03", "no day of DATE=2024-02-01..2024-02-03 is in .* it has 2024-01-15, "),
        ("2024-01-16..2024-01-15", "ends before it begins: write DATE=2024-01-15..2024-01-16"),
        ("2024-01-16..", "DATE='' is not a date"),
        ("1024-01-16..2024-01-16", "at most 3,660"),
    ],
)
def test_a_span_that_names_no_day_is_refused(request_of_days: ReplayRequest, span: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        replay_dates(span, lambda _: request_of_days, lambda _: None)
    assert not request_of_days.out.exists()


def test_one_day_and_several_do_not_share_a_folder(request_of_days: ReplayRequest) -> None:
    (request_of_days.out).mkdir()
    (request_of_days.out / "run.json").write_text("{}")
    with pytest.raises(UsageError, match="holds a run of one day"):
        run(request_of_days)
    (request_of_days.out / "run.json").rename(request_of_days.out / "days.json")
    with pytest.raises(UsageError, match="holds a run of several days"):
        replay_day(request_of_days, lambda _: None)


def test_a_month_is_all_its_days() -> None:
    assert len(days_between("2024-02-01..2024-02-29")) == 29


def test_one_wrong_row_of_one_day_is_a_wrong_run_and_no_figure_is_cut(request_of_days: ReplayRequest) -> None:
    summary, _ = run(request_of_days, f"{DATES[0]}..{DATES[1]}")
    second = replace(summary.days[1], audit_violations=3, audit_findings=["partition 0: 3 rows missing"])
    wrong = replace(summary, days=[summary.days[0], second])
    shown = StringIO()
    wrong.show(Console(file=shown, width=20))
    lines = shown.getvalue().splitlines()
    assert wrong.audit_violations == wrong.to_json()["audit_violations"] == 3
    assert [line.split()[0] for line in lines[2:4]] == list(DATES[:2])
    assert lines[2].endswith(summary.days[0].hash)
    assert "3 rows wrong" in lines[4]
    assert f"  {DATES[1]}: partition 0: 3 rows missing" in lines
