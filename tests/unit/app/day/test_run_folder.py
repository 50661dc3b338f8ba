from pathlib import Path

import pytest

from app.day.run_folder import RunFolder
from app.errors import UsageError


def test_an_unfinished_run_of_the_same_request_goes_on(tmp_path: Path) -> None:
    first = RunFolder.open(tmp_path, {"date": "2024-01-15"})
    again = RunFolder.open(tmp_path, {"date": "2024-01-15"})
    assert again.resumed
    assert again.run == first.run


def test_a_finished_run_begins_anew_and_names_the_one_before(tmp_path: Path) -> None:
    first = RunFolder.open(tmp_path, {"date": "2024-01-15"})
    first.finish()
    again = RunFolder.open(tmp_path, {"date": "2024-01-15"})
    assert not again.resumed
    assert again.run != first.run
    assert again.previous == first.run


def test_another_request_does_not_go_on_with_this_run(tmp_path: Path) -> None:
    first = RunFolder.open(tmp_path, {"partitions": 3})
    again = RunFolder.open(tmp_path, {"partitions": 8})
    assert not again.resumed
    assert again.previous == first.run


def test_a_foreign_record_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UsageError, match=r"run\.json"):
        RunFolder.open(tmp_path, {})


def test_a_run_whose_log_is_gone_begins_anew(tmp_path: Path) -> None:
    first = RunFolder.open(tmp_path, {}, log_lasts=False)
    again = RunFolder.open(tmp_path, {}, log_lasts=False)
    assert not again.resumed
    assert again.run != first.run
