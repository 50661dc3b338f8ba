"""A table's commits: each whole or not at all, and what delta-rs would let pass is refused."""

from pathlib import Path

import pyarrow as pa
import pytest

from replay.errors import FencedCommitError, HistoryError
from replay.store.part import Covered
from replay.store.table import Change, HistoryTable, create_table
from tests.stage.history_tables import RULES, SCHEMA, append, draw_rows, placed, table_of, write_parts

APP = "capture:quotes:0"


def captured(table: HistoryTable, upper: int, expected: int | None) -> Change:
    lower = expected or 0
    rows = placed(draw_rows(upper - lower, seed=upper), lower)
    covered = Covered("quotes", 0, lower, upper)
    return Change(
        adds=write_parts(table, rows, covered),
        transactions={APP: upper},
        expected={APP: expected},
        facts={"by": "a test"},
    )


def test_a_table_comes_back_with_its_rules_and_its_columns(tmp_path: Path) -> None:
    create_table(tmp_path, RULES, SCHEMA)
    table = HistoryTable(tmp_path, "quote")
    assert table.rules == RULES
    assert [field.name for field in table.schema] == [*SCHEMA.names, "_partition", "_offset", "_index"]
    assert table.snapshot().parts == []


def test_a_table_is_made_once(tmp_path: Path) -> None:
    table_of(tmp_path, draw_rows(10, seed=1))
    assert create_table(tmp_path, RULES, SCHEMA).snapshot().rows == 10


def test_a_stale_writer_of_the_same_offsets_is_refused(tmp_path: Path) -> None:
    create_table(tmp_path, RULES, SCHEMA)
    first, second = HistoryTable(tmp_path, "quote"), HistoryTable(tmp_path, "quote")
    first.commit(captured(first, 20, None))
    with pytest.raises(FencedCommitError, match="by a test"):
        second.commit(captured(second, 30, None))
    assert HistoryTable(tmp_path, "quote").snapshot().rows == 20


def test_offsets_that_are_there_are_refused_from_a_fresh_handle_too(tmp_path: Path) -> None:
    """delta-rs accepts them, and the rows would be there twice."""
    table = create_table(tmp_path, RULES, SCHEMA)
    table.commit(captured(table, 20, None))
    fresh = HistoryTable(tmp_path, "quote")
    with pytest.raises(FencedCommitError, match="is at 20 and None was expected"):
        fresh.commit(captured(fresh, 20, None))
    assert HistoryTable(tmp_path, "quote").snapshot().rows == 20


def test_an_append_of_another_topic_goes_through(tmp_path: Path) -> None:
    create_table(tmp_path, RULES, SCHEMA)
    first, second = HistoryTable(tmp_path, "quote"), HistoryTable(tmp_path, "quote")
    first.commit(captured(first, 20, None))
    append(second, placed(draw_rows(5, seed=9), 100))
    second.refresh()
    assert second.snapshot().rows == 25


def test_a_new_column_is_null_before_and_a_changed_one_is_refused(tmp_path: Path) -> None:
    table = table_of(tmp_path, draw_rows(10, seed=1))
    grown = SCHEMA.append(pa.field("venue", pa.dictionary(pa.int32(), pa.string())))
    table.grow(grown)
    assert table.schema.field("venue").type == pa.dictionary(pa.int32(), pa.string())
    table.grow(grown)
    append(table, placed(draw_rows(5, seed=2), 10))
    changed = SCHEMA.set(3, pa.field("price", pa.int64()))
    with pytest.raises(HistoryError, match=r"price is int64 and was double; venue is gone.*another stream"):
        table.grow(changed)


def test_a_name_that_the_table_needs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="column bucket, a name that its table needs"):
        create_table(tmp_path, RULES, SCHEMA.append(pa.field("bucket", pa.int32())))


def test_other_rules_are_refused(tmp_path: Path) -> None:
    create_table(tmp_path, RULES, SCHEMA)
    other = type(RULES).from_dict({**RULES.to_dict(), "buckets": 8})
    with pytest.raises(HistoryError, match="other rules"):
        create_table(tmp_path, other, SCHEMA)


def test_versions_outside_the_log_are_refused_with_those_there_are(tmp_path: Path) -> None:
    table_of(tmp_path, draw_rows(10, seed=1), draw_rows(10, seed=2))
    assert HistoryTable(tmp_path, "quote", 1).snapshot().rows == 10
    with pytest.raises(HistoryError, match="has versions 0 to 2, not 7"):
        HistoryTable(tmp_path, "quote", 7)


def test_what_is_no_table_is_said(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="has no table quote"):
        HistoryTable(tmp_path, "quote")


def test_a_commit_names_what_it_is(tmp_path: Path) -> None:
    table = create_table(tmp_path, RULES, SCHEMA)
    table.commit(captured(table, 20, None))
    assert table.commits(1)[0]["tidemark"] == {"by": "a test"}
