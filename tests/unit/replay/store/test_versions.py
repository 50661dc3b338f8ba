"""A moment names the version that had been committed by then, wherever rows are asked for."""

import json
from pathlib import Path
from shutil import copytree

import pytest

from replay import history
from replay.errors import HistoryError, UnknownDateError
from replay.store.catalog import list_days
from replay.store.days import HistoryStore
from replay.store.table import HistoryTable
from replay.store.upkeep import expired, retain
from replay.store.versions import version_as_of
from schemas.clocks import NS_PER_MS, NS_PER_S
from tests.stage.history_tables import draw_rows, table_of

FIRST_MS = 1_764_700_000_000
MADE_MS = (FIRST_MS, FIRST_MS + 10, FIRST_MS + 10, FIRST_MS + 5, FIRST_MS + 40)  # the clock went back once


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("history")
    table_of(store, *(draw_rows(50, seed) for seed in range(len(MADE_MS) - 1)))
    date_commits(store, "quote")
    return store


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Path:
    """A table with 50 rows more in each version, committed at the times of MADE_MS."""
    return copytree(made, tmp_path / "store")


def date_commits(store: Path, stream: str) -> None:
    for path, made_ms in zip(
        sorted((store / f"stream={stream}/_delta_log").glob("*.json")), MADE_MS, strict=True
    ):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            if "commitInfo" in line:
                line["commitInfo"]["timestamp"] = made_ms
        path.write_text("\n".join(json.dumps(line) for line in lines))


def slow_version(time_ns: int) -> int:
    """The last version before the first commit that a later moment shows."""
    return max(
        version
        for version in range(len(MADE_MS))
        if all(made_ms * NS_PER_MS <= time_ns for made_ms in MADE_MS[: version + 1])
    )


@pytest.mark.parametrize("after_ns", [0, 4_999_999, 5_000_000, 10_000_000, 39_999_999, 40_000_000, NS_PER_S])
def test_a_moment_names_the_last_version_committed_by_then(store: Path, after_ns: int) -> None:
    time_ns = FIRST_MS * NS_PER_MS + after_ns
    version = slow_version(time_ns)
    assert version_as_of(store, "quote", time_ns) == version
    assert history.snapshot("quote", as_of_ns=time_ns, store=store).version == version
    rows = 50 * version
    assert history.scan("quote", as_of_ns=time_ns, store=store).collect().height == rows
    assert sum(batch.num_rows for batch in history.batches("quote", as_of_ns=time_ns, store=store)) == rows
    (row,) = history.sql("select count(*) as rows from quote", as_of_ns=time_ns, store=store).to_pylist()
    assert row == {"rows": rows}


def test_a_moment_before_the_first_version_is_named_with_the_span_there_is(store: Path) -> None:
    with pytest.raises(HistoryError, match=r"no version of 2025-12-02T18:26:39\.999Z: version 0 .*newest, 4"):
        version_as_of(store, "quote", FIRST_MS * NS_PER_MS - 1)


def test_a_version_beside_a_moment_is_refused(store: Path) -> None:
    with pytest.raises(HistoryError, match="one of them"):
        history.snapshot("quote", version=1, as_of_ns=FIRST_MS * NS_PER_MS, store=store)
    with pytest.raises(HistoryError, match="one of them"):
        list_days(HistoryStore(store), "2025-11-28", {"quote": 1}, FIRST_MS * NS_PER_MS)


def test_a_query_opens_only_tables_that_it_names(store: Path) -> None:
    (store / "stream=bar/_delta_log").mkdir(parents=True)  # cannot be opened
    assert history.sql("select count(*) from Quote", store=store).num_rows == 1
    with pytest.raises(HistoryError, match="bar"):
        history.sql("select count(*) from bar", store=store)
    with pytest.raises(HistoryError, match="no table news"):
        history.sql("select count(*) from quote", versions={"news": 1}, store=store)


def test_days_are_those_of_the_moment_also_those_let_go_since(store: Path) -> None:
    days = HistoryStore(store)
    table = HistoryTable(store, "quote")
    now_ns = (FIRST_MS + 40) * NS_PER_MS
    rows = [day.rows for day in list_days(days, "2025-11-28", as_of_ns=now_ns)]
    assert rows == [days.day("quote", "2025-11-28").rows]
    (early,) = list_days(days, "2025-11-28", as_of_ns=(FIRST_MS + 39) * NS_PER_MS)
    assert early.summary.made["version"] == "3"
    retain(table, expired(table.snapshot(), "2025-11-29"), by="a test")
    with pytest.raises(UnknownDateError):
        list_days(days, "2025-11-28")
    assert [day.rows for day in list_days(days, "2025-11-28", as_of_ns=now_ns)] == rows
    with pytest.raises(UnknownDateError):
        list_days(days, "2025-12-24", as_of_ns=now_ns)
