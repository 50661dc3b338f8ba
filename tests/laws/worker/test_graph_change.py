"""A graph that changes between two lives of a worker: what is told of it, what gone nodes leave behind."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from app.audit.topics import audit
from app.graph.change import TaskChange, task_changes
from app.worker.worker import Worker
from gpu_sink import AlignedStream
from gpu_sink.frames import Place, decode_frame
from tests.stage.graph_lives import live, lose_all, lose_disk, rows_of, run_on, uninterrupted
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.block import TopicPartition

TICK = {"from": "aligned", "features": {"slow": "ewma(quote_bid, alpha=0.3)"}, "out": {}}
OLD = {"from": "aligned", "features": {"x": "rolling_mean(quote_bid, rows=3)"}, "out": {}}
WITH: Mapping[str, Any] = {"name": "graph", "tick": TICK, "old": OLD}
WITHOUT: Mapping[str, Any] = {"name": "graph", "tick": TICK}


def standing(worker: Worker) -> dict[str, tuple[str, ...]]:
    (task,) = worker.tasks.values()
    return {what: names for what, names in task.operator.nodes.standing._asdict().items() if names}


def run_without(folder: Path, **worker: object) -> Market:
    """Two nodes up to 10, one of them gone up to 30, and there again for whoever starts next, up to 40."""
    market = Market(folder, graph=WITH, worker=worker)
    run_on(market, range(1, 11))
    market.add_graph(WITHOUT)
    run_on(market, range(11, 21))
    run_on(market, range(21, 31))  # a start behind the rows that the other one took
    market.add_graph(WITH)
    live(market, range(31, 41))
    return market


@pytest.mark.parametrize("disk", [True, False])
def test_a_node_that_comes_back_goes_on_from_where_it_was(tmp_path: Path, *, disk: bool) -> None:
    market = run_without(tmp_path / "back")
    if not disk:
        lose_disk(market)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
        (task,) = worker.tasks.values()
        assert standing(worker) == {"same": ("tick", "old")}
        missed = [row for row in rows_of(market)["aligned", 0] if 10 < row["event_ns"] <= 30]
        assert task.operator.nodes.warmed_rows == len(missed)
    one = uninterrupted(tmp_path / "one", stop=41, graph=WITH)
    back = rows_of(market)
    assert back["tick", 0] == one["tick", 0]
    assert back["old", 0] == [row for row in one["old", 0] if not 10 < row["event_ns"] <= 30]


def test_what_a_gone_node_remembered_is_forgotten_once_it_is_too_old(tmp_path: Path) -> None:
    market = run_without(tmp_path / "forgotten", keep_gone_ms=0)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
        assert standing(worker) == {"same": ("tick",), "new": ("old",)}
    one = uninterrupted(tmp_path / "one", stop=41, graph=WITH)
    assert [row for row in rows_of(market)["old", 0] if row["event_ns"] > 30] == [
        row for row in one["old", 0] if row["event_ns"] > 30
    ]


def test_the_plan_of_a_changed_graph_says_what_the_worker_then_does(tmp_path: Path) -> None:
    changed = {**OLD, "features": {"x": "rolling_mean(quote_bid, rows=4)", "y": "quote_bid + 1"}}
    new = {"from": "tick", "features": {"z": "lag(slow)"}, "out": {}}
    gone = {"from": "aligned", "features": {"w": "lag(price)"}, "out": {}}
    market = Market(tmp_path, graph={**WITH, "away": gone}, worker={"frame_rows_max": 1})
    assert [one.frontier_ns for one in task_changes(market.pipeline)] == [None]
    run_on(market, range(1, 11))
    assert plan(market) == TaskChange(0, 11, standing=plan(market).standing)
    market.add_graph({**WITHOUT, "old": changed, "new": new})
    told = plan(market)
    assert told.standing._asdict() == {
        "same": ("tick",), "new": ("new",), "changed": ("old",), "lost": (), "gone": ("away",)
    }  # fmt: skip
    assert [(one.output, one.added, one.begins) for one in told.columns] == [
        ("old", ("y",), False),
        ("new", (), True),
    ]
    assert told.ended == ("away",)
    assert told.formulas
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
        (task,) = worker.tasks.values()
        assert task.operator.nodes.standing == told.standing
        assert task.operator.nodes.warmed_rows == told.rows == len(rows_of(market)["aligned", 0])


def test_the_plan_says_that_a_start_would_be_refused(tmp_path: Path) -> None:
    market = Market(tmp_path, graph=WITHOUT, worker={"frame_rows_max": 3})
    run_on(market, range(1, 11))
    lose_all(market)
    market.add_graph(WITH)
    market.bus.delete_before(TopicPartition(market.settings.topic("aligned"), 0), 2)
    assert "retention has removed" in plan(market).refused


@pytest.mark.parametrize("disk", [True, False])
def test_a_field_that_a_producer_adds_costs_no_node_what_it_remembers(tmp_path: Path, *, disk: bool) -> None:
    market = Market(tmp_path / "grown", graph=WITH)
    run_on(market, range(1, 11))
    if not disk:
        lose_disk(market)
    market.add_column("quote", pa.field("depth", pa.float64()))
    live(market, range(11, 21))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
        assert standing(worker) == {"same": ("tick", "old")}
        (task,) = worker.tasks.values()
        assert not task.operator.nodes.warmed_rows
    one = uninterrupted(tmp_path / "one", stop=21, graph=WITH)
    for name, feature in (("tick", "slow"), ("old", "x")):
        features = [[row[feature] for row in rows[name, 0]] for rows in (rows_of(market), one)]
        assert features[0] == features[1]


@pytest.mark.parametrize("lose", [None, lose_disk, lose_all])
def test_a_version_added_beside_another_changes_no_bit_of_it_and_is_valid_from_its_first_row(
    tmp_path: Path, lose: Callable[[Market], None] | None
) -> None:
    first = {"from": "aligned", "features": {"slow": "ewma(quote_bid, alpha=0.3)"}, "out": {}}
    both = {**first, "features": {**first["features"], "slow@2": "rolling_sum(quote_bid, rows=3)"}}  # type: ignore[dict-item]
    market = Market(tmp_path / "versions", graph={"name": "graph", "tick": first})
    run_on(market, range(1, 11))
    if lose is not None:
        lose(market)
    market.add_graph({"name": "graph", "tick": both})
    run_on(market, range(11, 21))
    rows = rows_of(market)["tick", 0]
    one = uninterrupted(tmp_path / "one", stop=21, graph={"name": "graph", "tick": both})["tick", 0]
    assert [row["slow"] for row in rows] == [row["slow"] for row in one]
    assert [row.get("slow@2") for row in rows if row["event_ns"] > 10] == [
        row["slow@2"] for row in one if row["event_ns"] > 10
    ]
    assert "slow@2" not in next(row for row in rows if row["event_ns"] <= 10)
    assert audit(market.pipeline).violations == []
    frames = [
        decode_frame(one.value, one.headers, Place("tick", 0, at))
        for at, one in enumerate(market.messages("tick"))
    ]
    chosen = AlignedStream.from_frames(frames).batches(columns=["slow", "slow@2"], columns_missing="null")
    there = [valid for batch in chosen for valid in batch["slow@2_valid"].tolist()]
    assert there == [row.get("slow@2") is not None for row in rows]


def plan(market: Market) -> TaskChange:
    (change,) = task_changes(market.pipeline)
    return change
