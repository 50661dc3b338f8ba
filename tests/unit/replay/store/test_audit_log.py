"""Each command on a table is logged before it changes anything, and with what became of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from replay import history
from replay.capture.session import capture
from replay.cli import main
from replay.errors import HistoryError
from replay.store.audit_log import AUDIT_LOG, KEPT_DAYS, logged, whoami
from replay.store.days import OWN_TABLES, HistoryStore
from replay.store.table import HistoryTable
from schemas.stream import Stream
from tests.stage.captured import QuoteTopic
from tests.stage.history_tables import SCHEMA, draw_rows, table_of


def log_of(store: Path) -> list[dict[str, object]]:
    query = "select * exclude (known_ns, run) from audit_log order by known_ns"
    return [
        {name: value for name, value in row.items() if not name.startswith("_")}
        for row in history.sql(query, store=store).to_pylist()
    ]


def test_commands_are_logged_by_whom_on_which_version_and_why(tmp_path: Path) -> None:
    before = table_of(tmp_path, *(draw_rows(60, seed) for seed in range(3)))
    where = ["--stream", "quote", "--store", str(tmp_path)]
    assert main(["compact", *where, "--dry-run"]) == 0
    assert not (tmp_path / f"stream={AUDIT_LOG}").exists()
    assert main(["compact", *where, "--why", "many parts"]) == 0
    assert main(["rebucket", *where, "--buckets", "8"]) == 0
    assert main(["restore", *where, "--version", "3"]) == 0
    entries = log_of(tmp_path)
    assert [(entry["command"], entry["outcome"]) for entry in entries] == [
        (command, outcome) for command in ("compact", "rebucket", "restore") for outcome in ("begun", "done")
    ]
    assert {entry["by"] for entry in entries} == {whoami()}
    begun, done = entries[:2]
    assert begun == {
        "by": whoami(),
        "command": "compact",
        "stream": "quote",
        "outcome": "begun",
        "version": 3,
        "rows": 0,
        "files": 0,
        "why": "many parts",
        "message": "",
    }
    assert (done["rows"], done["files"]) == (180, len(before.snapshot().parts))
    assert done["version"] == entries[2]["version"]
    assert [entry["version"] for entry in entries][-1] == HistoryTable(tmp_path, "quote").version


def fail(store: Path) -> None:
    with logged(store, "compact", "quote", "") as effect:
        effect.rows = 3
        raise HistoryError("no more room")


def test_what_failed_is_logged_with_its_error(tmp_path: Path) -> None:
    table_of(tmp_path, draw_rows(20, seed=1))
    with pytest.raises(HistoryError, match="no more room"):
        fail(tmp_path)
    with pytest.raises(KeyboardInterrupt), logged(tmp_path, "vacuum", "quote", ""):
        raise KeyboardInterrupt
    outcomes = [(entry["outcome"], entry["rows"], entry["message"]) for entry in log_of(tmp_path)]
    assert outcomes == [
        ("begun", 0, ""),
        ("failed", 3, "no more room"),
        ("begun", 0, ""),
        ("failed", 0, "KeyboardInterrupt"),
    ]


def test_nothing_is_changed_where_the_log_cannot_be_written(tmp_path: Path) -> None:
    table = table_of(tmp_path, draw_rows(20, seed=1))
    (tmp_path / f"stream={AUDIT_LOG}").write_text("in the way")
    with pytest.raises(HistoryError, match="cannot be written"), logged(tmp_path, "retain", "quote", ""):
        pytest.fail("the command was run")
    table.refresh()
    assert table.version == 1


def test_the_log_is_only_added_to_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table_of(tmp_path, draw_rows(20, seed=1))
    with logged(tmp_path, "compact", "quote", ""):
        pass
    where = ["--stream", AUDIT_LOG, "--store", str(tmp_path)]
    assert main(["restore", *where, "--version", "1"]) == 2
    assert "to which rows are only added" in capsys.readouterr().err
    today = datetime.now(UTC).date()
    assert main(["retain", *where, "--before", today.isoformat()]) == 2
    assert f"is kept for {KEPT_DAYS} days" in capsys.readouterr().err
    old = (today - timedelta(days=KEPT_DAYS + 1)).isoformat()
    assert main(["retain", *where, "--before", old]) == 0
    assert len(log_of(tmp_path)) == 2


def test_the_log_is_no_stream_of_the_history(tmp_path: Path) -> None:
    assert {AUDIT_LOG} <= OWN_TABLES
    table_of(tmp_path, draw_rows(20, seed=1))
    days = HistoryStore(tmp_path)
    dates = days.dates()
    with logged(tmp_path, "compact", "quote", ""):
        pass
    assert days.dates() == dates
    assert days.streams(dates[0]) == ["quote"]
    log = Stream(name=AUDIT_LOG, schema=SCHEMA, sequence="sequence")
    with pytest.raises(HistoryError, match="keeps about itself"):
        days.write(log, dates[0], [pa.RecordBatch.from_pylist([], SCHEMA)], order="known", made={})
    topic = QuoteTopic(tmp_path)
    captured = replace(topic.captured_topic(), stream=log)
    with pytest.raises(HistoryError, match="keeps about itself"):
        capture([captured], topic.target())
