"""What `replay quality` says of days in folders and in tables, and what it keeps."""

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from replay import history
from replay.cli import main
from replay.quality import tables
from replay.quality.tables import QUALITY_SCHEMA
from replay.store.days import HistoryStore
from replay.store.part import Covered
from replay.store.table import Change, HistoryTable, create_table
from replay.store.upgrade import upgrade
from schemas.clocks import NS_PER_S
from tests.stage.days import DATE, NOON_NS, keep_day
from tests.stage.history_tables import RULES, SCHEMA, draw_rows, placed, write_parts

MINUTE_NS = 60 * NS_PER_S


def quality(capsys: pytest.CaptureFixture[str], store: Path, *arguments: str, code: int = 0) -> str:
    """What the command prints over a store."""
    assert main(["quality", "--store", str(store), *arguments]) == code
    printed = capsys.readouterr()
    return printed.out + printed.err


def trades(store: HistoryStore, **others: Any) -> None:
    """A day of twenty trades of a symbol, a second apart, but for the last, which comes three hours later."""
    times_ns = [NOON_NS + number * NS_PER_S for number in range(19)]
    columns = {
        "event_ns": [*times_ns, times_ns[-1] + 180 * MINUTE_NS],
        "symbol": ["A"] * 20,
        "price": [10.0] * 18 + [0.0, 12.0],
        "trade_id": [*range(7), *range(9, 21), 20],
    }
    keep_day(store, "trade", columns | others)


def test_a_day_of_a_folder_is_measured_and_the_result_is_in_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trades(HistoryStore(tmp_path))
    answer = quality(capsys, tmp_path, "--number", "trade=trade_id", "--hours", "09:30-16:00")
    assert (
        f"trade {DATE}: degraded: 2 numbers missing; 1 rows with a number that was there; "
        "1 silences of the whole stream; 1 rows crossed or not positive\n"
    ) in answer
    assert "numbers: 1 gaps, 2 missing, 0 came later, 1 twice" in answer
    assert "prices: 1 not positive, 0 crossed, 0 locked, 0 wide, 2 outlier" in answer
    assert "one value all day: symbol" in answer
    rows = history.sql(
        "select stream, condition, number_gaps, silence_ns_max, outlier from quality", store=tmp_path
    )
    assert rows.to_pylist() == [
        {
            "stream": "trade",
            "condition": "degraded",
            "number_gaps": 1,
            "silence_ns_max": 180 * MINUTE_NS,
            "outlier": 2,
        }
    ]
    gaps = history.sql(
        "select source, first_number, last_number, row_event_ns from quality_gap", store=tmp_path
    )
    assert gaps.to_pylist() == [
        {"source": "A", "first_number": 7, "last_number": 8, "row_event_ns": NOON_NS + 7 * NS_PER_S}
    ]


def test_a_day_measured_again_takes_its_place_and_the_same_result_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = HistoryStore(tmp_path)
    trades(store)
    keep_day(store, "quote", {"event_ns": [NOON_NS], "symbol": ["A"], "bid_price": [2.0], "ask_price": [1.0]})
    quality(capsys, tmp_path)
    version = HistoryTable(tmp_path, "quality").version
    quality(capsys, tmp_path)
    assert HistoryTable(tmp_path, "quality").version == version
    quality(capsys, tmp_path, "--stream", "trade", "--tick", "A=10", "--number", "trade=trade_id")
    rows = history.sql("select stream, outlier, number_gaps from quality order by stream", store=tmp_path)
    assert rows.to_pylist() == [
        {"stream": "quote", "outlier": 0, "number_gaps": None},
        {"stream": "trade", "outlier": 0, "number_gaps": 1},
    ]


def test_reports_are_no_days_to_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trades(HistoryStore(tmp_path))
    quality(capsys, tmp_path)
    assert HistoryStore(tmp_path).streams(DATE) == ["trade"]
    assert HistoryStore(tmp_path).dates() == [DATE]


def test_a_day_of_a_table_is_measured_as_its_folder_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = HistoryStore(tmp_path)
    trades(store, known_ns=[NOON_NS + number * NS_PER_S for number in range(20)])
    before = quality(capsys, tmp_path, "--no-table", "--number", "trade=trade_id").splitlines()
    assert upgrade(store, 16)
    after = quality(capsys, tmp_path, "--number", "trade=trade_id").splitlines()
    assert [line for line in after if "bytes a row" not in line] == [
        line for line in before if "bytes a row" not in line
    ]
    assert history.sql("select version from quality", store=tmp_path).to_pylist() == [{"version": 1}]


def captured_table(store: Path) -> None:
    """Two days captured with a hole of 4 offsets, and rows that are there twice under other offsets."""
    table = create_table(store, RULES, SCHEMA)
    first, second = draw_rows(100, seed=1), draw_rows(50, seed=2)
    parts = write_parts(table, placed(first), Covered("quotes", 0, 0, 100))
    parts += write_parts(table, placed(second, 105), Covered("quotes", 0, 105, 155))
    parts += write_parts(table, placed(second, 105), Covered("quotes", 0, 104, 154))
    table.commit(Change(adds=parts, transactions={}, expected={}))


def test_a_captured_day_names_offsets_and_rows_that_are_missing_or_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    captured_table(tmp_path)
    first, newest = HistoryTable(tmp_path, "quote").snapshot().dates()
    answer = quality(capsys, tmp_path)
    assert f"quote {first}: degraded: 4 offsets missing; " in answer
    assert "offsets there twice; " in answer
    assert "rows from a place that was there" in answer
    assert f"quote {newest}: pending: " in answer
    alone = quality(capsys, tmp_path, "--date", first)
    assert alone == "".join(line for line in answer.partition(f"quote {newest}")[0].splitlines(keepends=True))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--number", "trade"], "write STREAM=COLUMN"),
        (["--number", "trade=nothing"], "trade has no column nothing"),
        (["--number", "trade=price"], "column price is double"),
        (["--number", "bar=trade_id"], "no day of a stream bar is here; there is trade"),
        (["--stream", "bar"], "no day of a stream bar is here"),
        (["--tick", "small"], "write a step of prices"),
        (["--tick", "0"], "must be more than 0"),
        (["--hours", "16:00-09:30"], "write the first hour and the last"),
        (["--hours", "09:30-24:01"], "write the first hour and the last"),
        (["--date", "2024-01-16"], f"it has {DATE}"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    trades(HistoryStore(tmp_path))
    answer = quality(capsys, tmp_path, *arguments, code=2)
    assert reason in answer
    assert answer.count("\n") == 1
    assert not (tmp_path / "stream=quality").exists()


def test_a_table_of_results_of_an_earlier_version_takes_up_the_new_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = HistoryStore(tmp_path)
    trades(store)
    keep_day(store, "quote", {"event_ns": [NOON_NS], "symbol": ["A"], "bid_price": [2.0], "ask_price": [1.0]})
    before = pa.schema(list(QUALITY_SCHEMA)[: -len(tables.CHECK_COUNTS)])
    with monkeypatch.context() as earlier:
        earlier.setattr(tables, "QUALITY_SCHEMA", before)
        quality(capsys, tmp_path, "--stream", "quote")
    quality(capsys, tmp_path, "--stream", "trade", "--ids", "trade=trade_id", "--trimmed-mean")
    rows = history.sql("select stream, crossed, duplicate, far from quality order by stream", store=tmp_path)
    assert rows.to_pylist() == [
        {"stream": "quote", "crossed": 1, "duplicate": None, "far": None},
        {"stream": "trade", "crossed": 0, "duplicate": 0, "far": 1},
    ]


def test_the_query_of_the_page_asks_for_the_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trades(HistoryStore(tmp_path))
    quality(capsys, tmp_path)
    page = (Path(__file__).parents[3] / "docs" / "history.md").read_text()
    (query,) = re.findall(r"`(select [^`]* from quality)`", page)
    (row,) = history.sql(query, store=tmp_path).to_pylist()
    assert (str(row["day"]), row["stream"], row["condition"]) == (DATE, "trade", "degraded")


def test_numbers_beyond_64_bits_with_a_sign_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trades(HistoryStore(tmp_path), trade_id=pa.array([2**63 + number for number in range(20)], pa.uint64()))
    answer = quality(capsys, tmp_path, "--number", "trade=trade_id", code=2)
    assert "--number counts in 64 bits with a sign" in answer
    assert answer.count("\n") == 1
