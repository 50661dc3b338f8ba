"""Nodes that remember earlier rows go on after any death as if nothing had happened, disk or no disk."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.errors import RunError
from tests.stage.deaths import buried
from tests.stage.graph_lives import (
    LOSSES,
    each_death,
    live,
    lose_all,
    lose_disk,
    require_death_changes_nothing,
    require_moved_tasks_go_on,
    require_state_behind_is_brought_up,
    rows_of,
    run_on,
    uninterrupted,
)
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.block import TopicPartition

SESSION_NS = 24 * 3_600 * 1_000_000_000  # a day of UTC

# All that looks back: rows, time, a recursion of the session, one within another, and a chain of nodes.
MEMORY: Mapping[str, Any] = {
    "name": "memory",
    "tick": {
        "from": "aligned",
        "features": {
            "lag": "lag(quote_bid, rows=2)",
            "mean": "rolling_mean(quote_bid, rows=3)",
            "sum": "rolling_sum(quote_bid, '7ns')",
            "slow": "ewma(quote_bid, alpha=0.3)",
            "nested": "rolling_mean(ewma(quote_bid, alpha=0.5), '5ns')",
        },
        "out": {},
    },
    "plain": {"from": "tick", "features": {"twice": "slow * 2"}},
    "tock": {"from": "plain", "features": {"later": "rolling_sum(twice, '4ns')"}, "out": {}},
}
# What hangs on the rows of some length of time alone.
BOUNDED: Mapping[str, Any] = {
    "name": "bounded",
    "tick": {"from": "aligned", "features": {"sum": "rolling_sum(quote_bid, '7ns')"}, "out": {}},
}


@each_death(LOSSES)
def test_a_worker_that_dies_goes_on_with_every_bit(
    tmp_path: Path, point: str, guarantee: str, lose: Callable[[Market], None]
) -> None:
    require_death_changes_nothing(tmp_path, MEMORY, point, guarantee, lose)


def test_state_behind_the_commit_is_brought_up_to_it(tmp_path: Path) -> None:
    require_state_behind_is_brought_up(tmp_path, MEMORY)


def test_tasks_that_move_between_workers_take_what_they_remember_along(tmp_path: Path) -> None:
    require_moved_tasks_go_on(tmp_path, MEMORY)


def test_only_the_context_is_read_where_that_is_enough(tmp_path: Path) -> None:
    settings: Mapping[str, Any] = {"graph": BOUNDED, "worker": {"frame_rows_max": 2}}
    market = Market(tmp_path / "short", **settings)
    for lower in range(1, 81, 10):
        run_on(market, range(lower, lower + 10))
    lose_all(market)
    live(market, range(81, 91))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
        (task,) = worker.tasks.values()
        of_context = [row for row in rows_of(market)["aligned", 0] if 80 - 7 <= row["event_ns"] <= 80]
        assert task.operator.nodes.warmed_rows == len(of_context)
    assert rows_of(market) == uninterrupted(tmp_path / "one", stop=91, **settings)


def test_a_session_is_read_from_its_beginning_and_no_further(tmp_path: Path) -> None:
    graph = {"tick": {"from": "aligned", "features": {"slow": "ewma(quote_bid, alpha=0.3)"}, "out": {}}}
    market = Market(tmp_path / "days", graph=graph, worker={"frame_rows_max": 2})
    run_on(market, range(1, 11))
    run_on(market, range(SESSION_NS + 1, SESSION_NS + 11))
    lose_all(market)
    live(market, range(SESSION_NS + 11, SESSION_NS + 21))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
        (task,) = worker.tasks.values()
        times_ns = [row["event_ns"] for row in rows_of(market)["aligned", 0]]
        of_session = [ns for ns in times_ns if SESSION_NS <= ns <= SESSION_NS + 10]
        assert task.operator.nodes.warmed_rows == len(of_session)
    one = Market(tmp_path / "one", graph=graph)
    for lower in (1, SESSION_NS + 1, SESSION_NS + 11):
        live(one, range(lower, lower + 10))
    with closing(one.worker()) as worker:
        turn_until_quiet(worker)
    assert rows_of(market) == rows_of(one)


def test_a_node_that_is_new_or_changed_has_the_past_and_the_others_keep_their_state(tmp_path: Path) -> None:
    tick = {"from": "aligned", "features": {"slow": "ewma(quote_bid, alpha=0.3)"}, "out": {}}
    changed = {"from": "aligned", "features": {"x": "rolling_sum(quote_bid, '9ns')"}, "out": {}}
    before = {"tick": tick, "tock": changed, "gone": {"from": "tick", "features": {"y": "lag(slow)"}}}
    new = {"from": "tick", "features": {"z": "rolling_mean(slow, rows=3)"}, "out": {}}
    shorter = {**changed, "features": {"x": "rolling_sum(quote_bid, '8ns')"}}
    after = {"tick": tick, "tock": shorter, "new": new}
    market = Market(tmp_path / "grown", graph=before)
    run_on(market, range(1, 11))
    market.add_graph(after)
    live(market, range(11, 21))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
        (task,) = worker.tasks.values()
        assert task.operator.nodes.standing._asdict() == {
            "same": ("tick",), "new": ("new",), "changed": ("tock",), "lost": (), "gone": ("gone",)
        }  # fmt: skip
    one = uninterrupted(tmp_path / "one", stop=21, graph=after)
    grown = rows_of(market)
    assert grown["tick", 0] == one["tick", 0]
    assert grown["new", 0] == [row for row in one["new", 0] if row["event_ns"] > 10]
    assert [row for row in grown["tock", 0] if row["event_ns"] > 10] == [
        row for row in one["tock", 0] if row["event_ns"] > 10
    ]


def test_nothing_is_sealed_before_nodes_are_warm_and_other_tasks_go_on(tmp_path: Path) -> None:
    market = Market(tmp_path, graph=MEMORY, partitions=2, worker={"frame_rows_max": 1})
    run_on(market, range(1, 41))
    lose_all(market)
    live(market, range(41, 51))
    before = len(rows_of(market)["tick", 0])
    with closing(market.worker()) as worker:
        while worker.turn() or not worker.tasks:
            cold = worker.tasks and not worker.tasks[0].operator.caught_up
            if cold:
                worker.commit()
                assert len(rows_of(market)["tick", 0]) == before
                others = [row["event_ns"] for row in rows_of(market)["tick", 1]]
                if others[-1] > 40:
                    break
        else:
            pytest.fail("the other task went on only once all were warm")
        turn_until_quiet(worker)
    assert len(rows_of(market)["tick", 0]) > before


def test_without_a_disk_nodes_go_on_from_their_topic_and_only_later_rows_are_read(tmp_path: Path) -> None:
    settings: Mapping[str, Any] = {"graph": MEMORY}
    market = Market(tmp_path / "topic", **settings)
    run_on(market, range(1, 11))
    live(market, range(11, 21))
    doomed = market.worker()
    turn_until_quiet(doomed)
    market.pass_commit_interval()
    doomed.commit()
    buried(market, doomed)
    lose_disk(market)
    live(market, range(21, 31))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
        (task,) = worker.tasks.values()
        later = [row for row in rows_of(market)["aligned", 0] if 10 < row["event_ns"] <= 20]
        assert task.operator.nodes.warmed_rows == len(later)
    assert rows_of(market) == uninterrupted(tmp_path / "one", stop=31, **settings)


def test_rows_that_retention_removed_stop_the_worker_with_the_way_out(tmp_path: Path) -> None:
    market = Market(tmp_path, graph=MEMORY, worker={"frame_rows_max": 3})
    run_on(market, range(1, 11))
    lose_all(market)
    market.bus.delete_before(TopicPartition(market.settings.topic("aligned"), 0), 2)
    worker = market.worker()
    with pytest.raises(RunError, match=r"tidemark\.aligned\[0\]: nodes \(.*tick.*`python -m app reset`"):
        turn_until_quiet(worker)
    worker.close(failed=True)
