"""Models switch at moments of event time: what they give comes out of workers as of one life."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.audit.topics import audit
from app.config import Settings
from app.errors import RunError
from app.reading.models import LOOK_NS, models_source, send_records, topic_records
from app.wiring.model_store import ModelStore
from tests.stage.graph_lives import (
    LOSSES,
    each_death,
    live,
    lose_disk,
    require_death_changes_nothing,
    require_lost_nodes_are_made_anew,
    require_moved_tasks_go_on,
    require_state_behind_is_brought_up,
    rows_of,
    run_on,
)
from tests.stage.market import Market
from tests.stage.model_graphs import FIRST, SECOND, TILE, graph, records, with_models
from tests.stage.turns import turn_and_commit, turn_until_quiet

pytestmark = pytest.mark.takes_s(60)


def wanted(row: Mapping[str, Any]) -> tuple[float | None, int]:
    """The score of a row and its status, by the models that are valid from 8 and from 20 on."""
    begin_ns = row["event_ns"] // TILE * TILE
    if begin_ns < 8:
        return None, 2
    if row["wave"] is None:
        return None, 1
    weight, level, _ = SECOND if begin_ns >= 20 else FIRST
    return row["wave"] * weight + level, 0


def test_each_tile_has_the_model_that_is_valid_where_it_begins(tmp_path: Path) -> None:
    market = Market(tmp_path / "m", graph=with_models(tmp_path, {8: FIRST, 20: SECOND}))
    run_on(market, range(1, 31))
    rows = rows_of(market)["score", 0]
    assert rows
    assert {row["event_ns"] // TILE for row in rows} == set(range(6))
    assert [(row["score"], row["score_status"]) for row in rows] == [wanted(row) for row in rows]


@each_death(LOSSES)
def test_a_worker_that_dies_goes_on_with_every_bit(
    tmp_path: Path, point: str, guarantee: str, lose: Callable[[Market], None]
) -> None:
    of = with_models(tmp_path, {8: FIRST, 20: SECOND})
    market = require_death_changes_nothing(tmp_path, of, point, guarantee, lose)
    assert audit(market.pipeline).violations == []


def test_state_behind_the_commit_is_brought_up_to_it(tmp_path: Path) -> None:
    require_state_behind_is_brought_up(tmp_path, with_models(tmp_path, {8: FIRST, 20: SECOND}))


def test_models_that_lost_all_are_made_anew(tmp_path: Path) -> None:
    require_lost_nodes_are_made_anew(tmp_path, with_models(tmp_path, {8: FIRST, 20: SECOND}))


def test_models_give_the_same_over_partitions_that_move(tmp_path: Path) -> None:
    require_moved_tasks_go_on(tmp_path, with_models(tmp_path, {8: FIRST, 20: SECOND}))


def test_a_model_that_is_published_while_a_worker_runs_is_used_from_its_moment_on(tmp_path: Path) -> None:
    market = Market(tmp_path / "m", graph=with_models(tmp_path, {8: FIRST}))
    live(market, range(1, 16))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
        (later,) = records(tmp_path, graph(tmp_path), {20: SECOND})
        send_records(market.bus, market.settings, {later.key: later})
        market.elapsed_ns += LOOK_NS
        live(market, range(16, 31))
        turn_until_quiet(worker)
    rows = rows_of(market)
    assert [(row["score"], row["score_status"]) for row in rows["score", 0]] == [
        wanted(row) for row in rows["score", 0]
    ]
    again = Market(tmp_path / "again", graph=with_models(tmp_path, {8: FIRST, 20: SECOND}))
    run_on(again, range(1, 16))
    run_on(again, range(16, 31))
    assert rows_of(again) == rows


@pytest.mark.parametrize("lose", [lose_disk, lambda _: None], ids=["disk", "nothing"])
def test_a_record_that_comes_too_late_stops_the_worker_until_it_is_taken_back(
    tmp_path: Path, lose: Callable[[Market], None]
) -> None:
    market = Market(tmp_path / "m", graph=with_models(tmp_path, {8: FIRST}))
    run_on(market, range(1, 21))
    (late,) = records(tmp_path, graph(tmp_path), {10: SECOND})
    send_records(market.bus, market.settings, {late.key: late})
    lose(market)
    live(market, range(21, 31))
    worker = market.worker()
    with pytest.raises(Exception, match=r"node score: its rows .* came too late") as stopped:
        turn_and_commit(worker)
    assert type(stopped.value).__name__ == "TileError"
    worker.close(failed=True)
    send_records(market.bus, market.settings, {late.key: None})
    assert [one.valid_from_ns for one in topic_records(market.bus, market.settings)] == [8]
    run_on(market, range(31, 41))
    whole = Market(tmp_path / "whole", graph=with_models(tmp_path, {8: FIRST}))
    for times_ns in (range(1, 21), range(21, 31), range(31, 41)):
        run_on(whole, times_ns)
    assert rows_of(market) == rows_of(whole)


def test_a_record_that_is_taken_back_after_its_use_stops_the_worker(tmp_path: Path) -> None:
    market = Market(tmp_path / "m", graph=with_models(tmp_path, {8: FIRST}))
    run_on(market, range(1, 21))
    (used,) = topic_records(market.bus, market.settings)
    send_records(market.bus, market.settings, {used.key: None})
    live(market, range(21, 31))
    worker = market.worker()
    with pytest.raises(Exception, match="there is none"):
        turn_and_commit(worker)


def test_a_record_of_another_meaning_is_none_of_its_models(tmp_path: Path) -> None:
    of = graph(tmp_path)
    (record,) = records(tmp_path, of, {1: FIRST})
    ModelStore(tmp_path / "models").add([record._replace(meaning="f" * 16)])
    market = Market(tmp_path / "m", graph=of)
    run_on(market, range(1, 21))
    assert {row["score_status"] for row in rows_of(market)["score", 0]} == {2}


def test_a_model_that_fails_is_off_until_the_next_one_is_valid(tmp_path: Path) -> None:
    failing = (1.0, 0.0, 54.0)  # above which it raises
    market = Market(tmp_path / "m", graph=with_models(tmp_path, {1: failing, 20: SECOND}))
    for lower in range(1, 31, 10):
        run_on(market, range(lower, lower + 10))
    status = {row["event_ns"]: row["score_status"] for row in rows_of(market)["score", 0] if row["wave"]}
    assert {ns // TILE: of for ns, of in status.items()} == {0: 2, 1: 4, 2: 5, 3: 5, 4: 0, 5: 0}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.unlink(), "FileNotFoundError"),
        (lambda path: path.write_bytes(b"0" * 24), "is another file than its name says"),
    ],
    ids=["gone", "another"],
)
def test_an_artefact_that_cannot_be_had_stops_the_worker_with_a_line(
    tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    market = Market(tmp_path / "m", graph=with_models(tmp_path, {8: FIRST}))
    (artefact,) = (tmp_path / "models").glob("*.model")
    spoil(artefact)
    live(market, range(1, 21))
    worker = market.worker()
    with pytest.raises(Exception, match=message) as stopped:
        turn_and_commit(worker)
    assert type(stopped.value).__name__ == "TileError"


def test_an_artefact_that_is_no_model_stops_the_worker_with_a_line(tmp_path: Path) -> None:
    market = Market(tmp_path / "m", graph=with_models(tmp_path, {8: (1.0, 2.0)}))
    live(market, range(1, 21))
    worker = market.worker()
    with pytest.raises(Exception, match=r"my_models.py:4: the artefact .* three numbers are wanted"):
        turn_and_commit(worker)


def test_a_message_that_is_no_record_is_refused_with_its_place(tmp_path: Path) -> None:
    market = Market(tmp_path / "m", graph=with_models(tmp_path, {8: FIRST}))
    source = models_source(market.settings)
    producer = market.bus.producer()
    producer.produce(source.topic, partition=source.partition, key=b"x", value=b"{}")
    producer.flush()
    with pytest.raises(RunError, match=r"models at offset 1 is no record of a model"):
        market.worker()


NODE = {
    "kind": "model",
    "from": "aligned",
    "function": "my_models.py:Line",
    "tile_ns": 5,
    "returns": {"y": "float64"},
    "x": ["a"],
    "y": "outcome.label",
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"function": None}, "needs function"),
        ({"tile_ns": None}, "needs tile"),
        ({"returns": {}}, "needs returns"),
        ({"x": []}, "needs x"),
        ({"x": ["a", "a"]}, "names a column twice"),
        ({"y": None}, "needs y"),
        ({"y": "label"}, "expected a node and its label"),
        ({"context": {"rows": 3}}, "has no context"),
        ({"reads": ["a"]}, "has no reads"),
        ({"features": {"z": "1"}}, "a model has no features"),
        ({"kind": "function"}, "is a key of a model"),
        ({"fit": {"every": "sometimes"}}, '"session" or a duration'),
        ({"fit": {"over": "0 sessions"}}, '"20 sessions" or a duration'),
        ({"fit": {"over": "0s"}}, "more than nothing"),
    ],
)
def test_settings_of_models_that_cannot_be_are_refused_with_their_key(
    change: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Settings.model_validate({"graph": {"f": {**NODE, **change}}})
