"""Shards in other processes, of a pool and of a Ray cluster: one is killed, and no byte is another."""

import sys
from functools import partial

import pytest

from app.backfill.run import Result
from app.backfill.runners import PoolRunner
from tests.stage.backfills import SPAN, Market, files, killer
from tests.stage.programs import App

pytestmark = [pytest.mark.slow, pytest.mark.takes_s(90)]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """Three small days, and their backfill `whole`: from end to end in this process."""
    market = Market(tmp_path_factory.mktemp("backfill"))
    market.backfill("whole", groups=1)
    return market


def require_same(market: Market, out: str, done: Result) -> None:
    """What the processes left is what one process leaves, and it is committed once."""
    assert done.run > 0
    assert done.record == market.backfill("whole", groups=1).record
    assert files(market.folder / out) == files(market.folder / "whole")
    assert list(market.backfill(out).lines())[-1] == "committed before: nothing was run"


def test_a_process_that_is_killed_in_a_shard_changes_no_byte(market: Market) -> None:
    with killer(market.folder, "pool") as killed:
        done = market.backfill("pool", partial(PoolRunner, processes=2), groups=2)
    assert killed
    assert done.lost >= 1
    require_same(market, "pool", done)


def test_a_worker_of_a_local_ray_cluster_that_is_killed_in_a_shard_changes_no_byte(market: Market) -> None:
    pytest.importorskip(
        "ray", reason="Ray is not installed: `make ray` sets it up, CI does it before its tests"
    )
    from app.backfill.ray_runner import RayRunner

    with killer(market.folder, "rays") as killed:
        done = market.backfill("rays", partial(RayRunner, address="local", processors=2), groups=2)
    assert killed
    require_same(market, "rays", done)


def test_without_ray_it_is_named_with_what_sets_it_up(
    market: Market, run_app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    words = ("--store", market.store, "-c", market.config, "--out", market.folder / "none")
    message = run_app("backtest", "--date", SPAN, *words, "--ray", "local").error
    assert "--ray needs Ray, which is not installed: `make ray` here" in message
    assert not (market.folder / "none").exists()
