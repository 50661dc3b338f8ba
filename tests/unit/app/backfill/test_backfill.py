"""Laws of days as shards: the rows of a live run, whoever runs them and whatever dies, committed once."""

import shutil
from functools import partial
from pathlib import Path

import pytest

from app.backfill.plan import Plan
from app.backfill.runners import HereRunner
from app.backfill.shard import SHARDS, run_shard
from app.day.run import replay_day
from app.errors import RunError
from app.reading.aligned import write_output
from app.reading.row_files import read_rows
from replay.store.days import HistoryStore
from tests.stage.backfills import (
    DATES,
    ONE_GRACE,
    OUTPUTS,
    PARTITIONS,
    SPAN,
    Market,
    files,
    last_parities,
    rows_of,
)
from tests.stage.days import keep_day
from tests.stage.days import rows_of as day_rows
from tests.stage.graph_days import files_of, parity_of, said_parities
from tests.stage.programs import App

pytestmark = pytest.mark.takes_s(90)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """Three small days, and their backfill `whole`: day after day, from end to end, in this process."""
    market = Market(tmp_path_factory.mktemp("backfill"))
    market.backfill("whole", groups=1)
    return market


def test_the_rows_are_those_of_a_live_run_over_the_same_days(market: Market) -> None:
    live = market.live()
    done = market.backfill("whole", groups=1)
    assert done.run == done.known == 0
    for output in OUTPUTS:
        folder = live.folder / output
        write_output(live.pipeline, output, folder)
        assert last_parities(done.record, output) == said_parities(live, output)
        for number, file in enumerate(files_of(folder)):
            assert parity_of(file) == said_parities(live, output)[number]
        rows = read_rows(folder)
        mine = [rows_of(market.folder / "whole", output, number) for number in range(PARTITIONS)]
        assert sum(part.num_rows for part in mine) == rows.num_rows > 0
        start = 0
        for part in mine:  # with the places of their left rows
            assert part.equals(rows.slice(start, part.num_rows)), output
            start += part.num_rows


def test_groups_of_partitions_side_by_side_leave_the_same_bytes(market: Market) -> None:
    one = market.backfill("whole", groups=1).record
    assert market.backfill("apart").record == one
    assert files(market.folder / "apart") == files(market.folder / "whole")
    assert one["rows_in"] == {"trade": sum(400 + 50 * n for n in range(3)), "quote": 4_800}


def test_a_driver_that_dies_is_taken_up_and_a_second_run_does_nothing(market: Market) -> None:
    left = [4]

    def dies(stage: str, name: str) -> str:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return run_shard(stage, name)

    with pytest.raises(KeyboardInterrupt):
        market.backfill("taken", partial(HereRunner, run=dies))
    assert not (market.folder / "taken").exists()
    done = market.backfill("taken", groups=1)  # what is begun keeps its groups
    assert (done.known, done.run) == (4, 3 * len(DATES) - 4)
    assert files(market.folder / "taken") == files(market.folder / "whole")
    again = market.backfill("taken", partial(HereRunner, run=dies))
    assert (again.known, again.run) == (0, 0)
    assert list(again.lines())[-1] == "committed before: nothing was run"
    assert not list(market.folder.glob(".taken.b*"))


def test_a_shard_whose_file_was_damaged_is_run_again(market: Market) -> None:
    def dies(stage: str, name: str) -> str:
        if name.startswith(DATES[2]):
            raise KeyboardInterrupt
        return run_shard(stage, name)

    with pytest.raises(KeyboardInterrupt):
        market.backfill("damaged", partial(HereRunner, run=dies))
    (market.folder / f".damaged.backfill/tick/day={DATES[0]}/partition-00000.parquet").write_bytes(b"PAR1")
    done = market.backfill("damaged")
    assert done.known == 1
    assert files(market.folder / "damaged") == files(market.folder / "whole")


@pytest.mark.slow
def test_days_that_stand_alone_have_the_rows_of_a_backtest_of_each(tmp_path: Path) -> None:
    market = Market(tmp_path, settings="")
    record = market.backfill("alone", overnight=False, groups=2 * len(DATES)).record
    for date in DATES[:2]:
        summary = replay_day(market.request(f"day-{date}", date), lambda _: None)
        (parity,) = [day["parity"] for day in record["outputs"]["aligned"]["days"] if day["date"] == date]
        assert list(parity.values()) == summary.parity
        for output in OUTPUTS:
            (day,) = [day for day in record["outputs"][output]["days"] if day["date"] == date]
            theirs = read_rows(market.folder / f"day-{date}" / output)
            assert read_rows(market.folder / "alone" / output / f"day={date}").equals(theirs), output
            assert day["rows"] == theirs.num_rows
    assert record["plan"] != market.backfill("chained", groups=1).record["plan"]


def test_where_a_day_cannot_be_handed_over_a_shard_has_all_days(tmp_path: Path, market: Market) -> None:
    bounded = Market(tmp_path, settings=f"{ONE_GRACE}max_ahead_ns = 864000000000000\n")
    stages: list[Plan] = []

    def look(stage: str, name: str) -> str:
        stages.append(Plan.read(Path(stage)))
        return run_shard(stage, name)

    record = bounded.backfill("out", partial(HereRunner, run=look)).record
    assert [shard.dates for shard in stages[0].shards] == [DATES] * PARTITIONS
    for output in OUTPUTS:
        assert last_parities(record, output) == last_parities(
            market.backfill("whole", groups=1).record, output
        )


def test_a_shard_that_is_lost_again_and_again_is_told(market: Market) -> None:
    class Lossy(HereRunner):
        def wait(self) -> dict[str, bool]:
            names, self._next = self._next, []
            return dict.fromkeys(names, False)

    with pytest.raises(RunError, match=f"{DATES[0]}-000 was lost 3 times"):
        market.backfill("lost", Lossy)


def test_what_cannot_be_run_together_is_refused_before_anything_runs(
    tmp_path: Path, market: Market, run_app: App
) -> None:
    words = ("backtest", "--store", market.store, "-c", market.config, "--processes", 2)
    assert "share several days: say --date FIRST..LAST" in run_app(*words, "--date", DATES[0]).error
    assert "leave out --set" in run_app(*words, "--date", SPAN, "--set", "graph.tick.features.x=price").error
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    taken = run_app(*words, "--date", SPAN, "--out", tmp_path / "mine").error
    assert "holds something else than a backfill" in taken
    other = tmp_path / "other"
    shutil.copytree(market.store, other)
    rows = day_rows(HistoryStore(other).day("quote", DATES[1])).drop_columns(["ask_size"])
    columns = dict(zip(rows.schema.names, rows.columns, strict=True))
    keep_day(HistoryStore(other), "quote", columns, date=DATES[1], zone="America/New_York")
    mixed = run_app(
        "backtest", "--store", other, "--date", SPAN, "--processes", 2, "--out", tmp_path / "o"
    ).error
    assert "backfill days with the same columns together" in mixed
    assert not (tmp_path / "o").exists()


def test_the_command_prints_what_was_run_and_where_it_lies(market: Market, run_app: App) -> None:
    words = (
        "backtest",
        "--date",
        SPAN,
        "--store",
        market.store,
        "-c",
        market.config,
        "--partitions",
        PARTITIONS,
    )
    answer = run_app(*words, "--overnight", "--out", market.folder / "whole")
    assert answer.code == 0, answer.err
    assert "committed before: nothing was run" in answer.out
    answer = run_app(*words, "--overnight", "--out", market.folder / "typed")
    assert answer.code == 0, answer.err
    assert "3 shards run by this process, 0 known from before" in answer.out
    assert files(market.folder / "typed") == files(market.folder / "whole")
    assert not (market.folder / "typed" / SHARDS).exists()
