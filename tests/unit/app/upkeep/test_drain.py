"""A slot is given up once its worker is gone, and the others have its tasks."""

from pathlib import Path

import pytest

from app.config import Settings
from app.errors import UsageError
from app.upkeep.drain import drain
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet


def market_of_two(folder: Path) -> Market:
    """Two partitions, a row in each input."""
    market = Market(folder, partitions=2)
    market.quote(1)
    market.trade(5)
    market.progress(10)
    return market


def with_slot(market: Market, name: str) -> Settings:
    return market.pipeline.with_slot(name).settings


def test_the_tasks_of_a_drained_slot_go_to_the_other_worker(tmp_path: Path) -> None:
    market = market_of_two(tmp_path)
    stays, goes = market.worker(slot="0"), market.worker(slot="1")
    for _ in range(6):
        stays.turn()
        goes.turn()
    assert (len(stays.tasks), len(goes.tasks)) == (1, 1)
    drained = drain(market.bus, with_slot(market, "1"), take_over=True, say=lambda _: None)
    assert drained is not None
    assert (drained.partitions, drained.workers) == (2, 1)
    turn_until_quiet(stays)
    assert sorted(stays.tasks) == [0, 1]
    stays.close()


def test_a_slot_that_nobody_has_is_nothing_to_give_up(tmp_path: Path) -> None:
    market = market_of_two(tmp_path)
    assert drain(market.bus, with_slot(market, "7"), take_over=False, say=lambda _: None) is None


def test_a_worker_that_runs_is_left_alone_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    market = market_of_two(tmp_path)
    worker = market.worker(slot="1")
    turn_until_quiet(worker)
    monkeypatch.setattr("app.wiring.slot.os.getpid", lambda: 1)
    with pytest.raises(UsageError, match=r"slot 1 is in use by .* --take-over"):
        drain(market.bus, with_slot(market, "1"), take_over=False, say=lambda _: None)
    assert len(market.bus.admin().group("tidemark").members) == 1


def test_members_that_give_up_their_tasks_as_they_stop_need_no_draining(tmp_path: Path) -> None:
    market = market_of_two(tmp_path)
    for table, key, value in (("worker", "static_member", False), ("bus", "group_protocol", "consumer")):
        settings = market.settings
        changed = getattr(settings, table).model_copy(update={key: value})
        with pytest.raises(UsageError, match="gives its tasks up as it stops"):
            drain(
                market.bus, settings.model_copy(update={table: changed}), take_over=False, say=lambda _: None
            )
