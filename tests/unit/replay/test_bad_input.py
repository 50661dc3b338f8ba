"""Every row of the design's table of bad input has a test: most stand with what they test, the rest here."""

from pathlib import Path

import pyarrow as pa
import pytest

from replay import history
from replay.capture.dead import dead_stream
from replay.capture.session import capture
from replay.cli import main
from replay.errors import HistoryError
from replay.market.generate import generate_day
from replay.store.days import HistoryStore
from replay.store.footers import read_footer
from replay.store.table import HistoryTable
from tests.stage.captured import QuoteTopic
from tests.stage.days import DATE
from tests.stage.history_tables import draw_rows, folder_of, table_of
from tests.tidy.guards import missing_guards

HERE = "tests/unit/replay"
ANSWERS = {
    "test_bad_input.py": {
        "test_a_store_of_days_is_no_table_and_may_become_one": "no history, or an old day store",
        "test_a_query_over_a_part_that_is_gone_names_it_and_its_rows": "part gone",
        "test_a_query_over_a_part_that_is_cut_is_refused": "part cut",
        "test_a_row_without_its_clock_is_a_dead_letter_of_the_capture": "no clock",
        "test_times_of_a_query_are_utc_and_what_is_none_is_refused": "time without a zone",
    },
    "test_odd_input.py": {
        "test_a_disk_that_refuses_ends_a_command_with_1_since_it_may_be_tried_again": "disk full, exit 1",
    },
    "test_query_command.py": {
        "test_rows_come_before_the_query_has_ended": "a million rows to a file",
    },
    "store/test_cache.py": {
        "test_a_disk_that_is_full_evicts_before_it_bypasses": "disk of the cache full",
    },
    "store/test_damage.py": {
        "test_another_part_in_the_place_of_one_is_refused_with_the_rows_at_stake": "part of other rows",
    },
    "store/test_table.py": {
        "test_versions_outside_the_log_are_refused_with_those_there_are": "version outside of the log",
        "test_a_new_column_is_null_before_and_a_changed_one_is_refused": "column changed its type",
        "test_a_stale_writer_of_the_same_offsets_is_refused": "two captures",
    },
    "store/test_upkeep.py": {
        "test_each_part_that_is_gone_cut_or_changed_is_named_with_its_rows": "parts listed by verify",
    },
    "capture/test_capture.py": {
        "test_a_log_that_begins_behind_what_was_captured_stops_it_unless_the_gap_is_accepted": "rows lost",
        "test_a_topic_made_anew_is_seen": "topic made anew",
        "test_what_cannot_be_read_or_has_no_key_is_kept_with_its_reason": "null key",
    },
    "store/test_part_writer.py": {
        "test_a_write_that_fails_leaves_nothing": "disk full",
    },
    "store/test_compact.py": {
        "test_of_two_that_compact_the_same_parts_the_second_is_refused": "two compactions",
    },
    "store/test_sql.py": {
        "test_what_writes_attaches_or_is_several_is_refused_with_its_word": "SQL that writes",
        "test_no_other_file_is_read": "SQL that reads files",
    },
    "store/test_objects.py": {
        "test_no_bucket_is_said_before_anything_is_read": "no bucket",
        "test_no_right_is_said_with_where_rights_come_from": "wrong secret, no right",
        "test_a_right_to_read_alone_is_found_before_rows_are_written": "no right to put",
        "test_a_store_that_writes_over_new_objects_is_refused": "If-None-Match not heeded",
        "test_a_capture_waits_for_a_store_that_goes_away": "store away",
    },
    "test_table_commands.py": {
        "test_a_query_is_answered_explained_and_written_whole": "many rows on the screen",
    },
}


def test_each_answer_is_that_of_a_test_that_is_there() -> None:
    named = " ".join(f"`{HERE}/{file}::{test}`" for file, tests in ANSWERS.items() for test in tests)
    assert missing_guards(named, [f"{HERE}/{file}" for file in ANSWERS]) == []


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a command says of bad input."""
    assert main(list(arguments)) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    return printed


def test_a_store_of_days_is_no_table_and_may_become_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generate_day(HistoryStore(tmp_path), DATE, symbols=2, trades=5, quotes=9)
    answer = error_of(capsys, "compact", "--stream", "quote", "--store", str(tmp_path))
    assert "has no table quote" in answer
    assert "python -m replay upgrade" in answer
    answer = error_of(capsys, "sql", "select count(*) from quote", "--store", str(tmp_path))
    assert "python -m replay upgrade" in answer


def broken_table(store: Path, *, cut: bool) -> Path:
    """A table one part of which is gone, or has lost its end."""
    snapshot = table_of(store, draw_rows(100, seed=1)).snapshot()
    path: Path = folder_of(snapshot) / snapshot.parts[0].path
    if cut:
        path.write_bytes(path.read_bytes()[:-20])
    else:
        path.unlink()
    read_footer.cache_clear()
    return path


def test_a_query_over_a_part_that_is_gone_names_it_and_its_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = broken_table(tmp_path, cut=False)
    answer = error_of(capsys, "sql", "select count(*) from quote", "--store", str(tmp_path))
    assert f"{path}, of version 1, with " in answer
    assert "python -m replay verify" in answer
    with pytest.raises(HistoryError, match=f"{path}, of version 1, with .* is not there"):
        list(history.batches("quote", store=tmp_path))


def test_a_query_over_a_part_that_is_cut_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = broken_table(tmp_path, cut=True)
    answer = error_of(capsys, "sql", "select count(*) from quote", "--store", str(tmp_path))
    assert path.name in answer
    assert "python -m replay verify" in answer
    with pytest.raises(HistoryError, match=f"{path}.* cannot be read"):
        list(history.batches("quote", store=tmp_path))


def test_a_row_without_its_clock_is_a_dead_letter_of_the_capture(tmp_path: Path) -> None:
    topic = QuoteTopic(tmp_path)
    rows = draw_rows(3, seed=1)
    without = rows.set_column(1, "known_ns", pa.array([None, *rows.column("known_ns").to_pylist()[1:]]))
    topic.publish(without)
    capture([topic.captured_topic()], topic.target())
    assert HistoryTable(tmp_path, "quote").snapshot().rows == 2
    (dead,) = history.batches(dead_stream("quote"), store=tmp_path)
    assert "known_ns" in dead.column("reason")[0].as_py()


def test_times_of_a_query_are_utc_and_what_is_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table_of(tmp_path, draw_rows(10, seed=1))
    query = ("sql", "select count(*) from quote", "--store", str(tmp_path))
    answer = error_of(capsys, *query, "--from", "tomorrow")
    assert "'tomorrow' is no time" in answer
    assert "UTC" in answer
    for moment in ("2025-11-28T10:00", "1764324000000000000"):
        assert main([*query, "--from", moment]) == 0
    first, second = capsys.readouterr().out.split("count_star()\n")[1:]
    assert first == second
