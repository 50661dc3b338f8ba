"""Laws of a backfill into tables: the rows that files would have, committed once, whoever writes parts."""

import shutil
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from app.backfill.runners import HereRunner, PoolRunner
from app.backfill.shard import run_shard
from app.errors import UsageError
from replay import history
from replay.store.compact import Group, compact
from replay.store.places import INDEX, OFFSET, PARTITION
from replay.store.table import HistoryTable
from replay.store.upkeep import restore
from tests.stage.backfills import DATES, OUTPUTS, PARTITIONS, SPAN, Market, killer, rows_of
from tests.stage.programs import App

pytestmark = pytest.mark.takes_s(90)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """Three small days, their backfill `whole` into files, and one into the tables of the store `tables`."""
    market = Market(tmp_path_factory.mktemp("backfill"))
    market.backfill("whole", groups=1)
    market.backfill("tabled", into=market.folder / "tables")
    return market


def table_rows(store: Path, output: str) -> pa.Table:
    """All rows of an output's table, by partition in the order of their places."""
    names = [PARTITION, OFFSET, INDEX]
    schema = HistoryTable(store, output).schema
    rows = pa.Table.from_batches(history.batches(output, schema.names, store=store), schema=schema)
    return rows.sort_by([(name, "ascending") for name in names])


def parts_of(store: Path) -> dict[str, list[str]]:
    return {
        name: sorted(part.path for part in HistoryTable(store, name).snapshot().parts) for name in OUTPUTS
    }


def test_the_tables_have_the_rows_of_the_files_each_once(market: Market) -> None:
    for output in OUTPUTS:
        rows = table_rows(market.folder / "tables", output)
        parts = [rows_of(market.folder / "whole", output, number) for number in range(PARTITIONS)]
        files = pa.concat_tables(parts)
        assert rows.select(files.schema.names).equals(files), output
        assert files.num_rows > 0
        numbers = [number for number, part in enumerate(parts) for _ in range(part.num_rows)]
        assert rows.column(PARTITION).to_pylist() == numbers


def test_a_second_run_finds_its_own_commit_without_its_folder_too(market: Market) -> None:
    store = market.folder / "tables"
    versions = {name: HistoryTable(store, name).version for name in OUTPUTS}
    assert set(versions.values()) == {1}  # made, and one commit
    shutil.copytree(store, market.folder / "copied")
    for out in ("tabled", "elsewhere"):
        again = market.backfill(out, into=store)
        assert list(again.lines())[-1] == "committed before: nothing was run"
        assert again.record["tables"]["aligned"]["rows"] == table_rows(store, "aligned").num_rows
    assert {name: HistoryTable(store, name).version for name in OUTPUTS} == versions
    log = history.sql(
        "select stream, outcome, rows from audit_log where command = 'backfill' order by known_ns",
        store=store,
    ).to_pylist()
    assert [(row["stream"], row["outcome"]) for row in log] == [
        (name, outcome) for name in OUTPUTS for outcome in ("begun", "done")
    ]


def test_however_it_is_cut_into_shards_the_parts_are_the_same(market: Market) -> None:
    other = market.folder / "other"
    done = market.backfill("cut", groups=1, into=other)
    assert parts_of(other) == parts_of(market.folder / "tables")
    first = market.backfill("tabled", into=market.folder / "tables").record
    assert {**done.record, "into": ""} == {**first, "into": ""}


def test_a_driver_that_dies_before_the_commit_leaves_no_row_and_is_taken_up(market: Market) -> None:
    left, store = [5], market.folder / "taken"

    def dies(stage: str, name: str) -> str:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return run_shard(stage, name)

    with pytest.raises(KeyboardInterrupt):
        market.backfill("taken-out", partial(HereRunner, run=dies), into=store)
    assert all(not HistoryTable(store, name).snapshot().parts for name in OUTPUTS)
    done = market.backfill("taken-out", into=store)
    assert done.known == 5
    assert parts_of(store) == parts_of(market.folder / "tables")


def test_a_plan_with_other_rows_takes_the_place_of_the_last_one_and_captured_days_are_refused(
    market: Market,
) -> None:
    store = market.folder / "replaced"
    shutil.copytree(market.folder / "tables", store)
    alone = market.backfill("replaced-out", overnight=False, into=store)
    assert table_rows(store, "aligned").num_rows == alone.record["outputs"]["aligned"]["rows"]
    assert not set(parts_of(store)["tick"]) & set(parts_of(market.folder / "tables")["tick"])
    table = HistoryTable(store, "tick")
    for part in table.snapshot().parts:
        compact(table, Group(part.date, part.bucket, (part,)), by="a test")
    assert market.backfill("replaced-out", overnight=False, into=store).run == 0
    with pytest.raises(UsageError, match="that were captured, imported or compacted"):
        market.backfill("refused", into=store)


def test_after_a_restore_a_backfill_that_was_taken_back_is_run_again(market: Market) -> None:
    store = market.folder / "restored"
    shutil.copytree(market.folder / "tables", store)
    table = HistoryTable(store, "bars")
    restore(table, 0, by="a test")
    assert not table.snapshot().parts
    assert market.backfill("restored-out", into=store).run == PARTITIONS * len(DATES)
    assert parts_of(store) == parts_of(market.folder / "tables")
    assert HistoryTable(store, "tick").version == 1  # it has its rows


def test_files_of_an_earlier_backfill_are_not_lost_to_a_record(market: Market) -> None:
    with pytest.raises(UsageError, match="holds the rows of a backfill"):
        market.backfill("whole", into=market.folder / "tables")


def test_the_command_says_which_store_has_the_rows(market: Market, run_app: App) -> None:
    words: tuple[object, ...] = (
        *("backtest", "--store", market.store, "-c", market.config),
        *("--partitions", PARTITIONS),
    )
    words += ("--overnight", "--to", market.folder / "tables", "--out", market.folder / "by-command")
    done = run_app(*words, "--date", SPAN)
    assert "committed before: nothing was run" in done.out
    assert f"rows {market.folder / 'tables'}" in done.out
    assert "share several days: say --date FIRST..LAST" in run_app(*words, "--date", DATES[0]).error


@pytest.mark.slow
def test_a_process_that_is_killed_in_a_shard_changes_no_part(market: Market) -> None:
    store = market.folder / "killed"
    with killer(market.folder, "killed-out") as killed:
        done = market.backfill("killed-out", partial(PoolRunner, processes=2), groups=2, into=store)
    assert killed
    assert done.lost >= 1
    assert parts_of(store) == parts_of(market.folder / "tables")
