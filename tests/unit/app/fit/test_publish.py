"""Records sent to a pipeline that runs: never for a moment that a task has passed."""

from pathlib import Path

import pytest

from app.errors import RunError, UsageError
from app.fit import publish as publishing
from app.fit.publish import newest_frontier_ns, own_records, publish, take_back
from app.reading.models import topic_records
from app.wiring.model_store import ModelRecord, ModelStore
from tests.stage.graph_lives import run_on
from tests.stage.market import Market
from tests.stage.model_graphs import FIRST, SECOND, graph, records


def market_of(folder: Path, *moments: int) -> tuple[Market, list[ModelRecord]]:
    """A market whose rows are sealed up to 21, and models that are valid from these moments."""
    of = graph(folder)
    made = records(folder, of, dict.fromkeys(moments, SECOND))
    market = Market(folder / "m", graph=of)
    run_on(market, range(1, 21))
    return market, made


def test_a_record_of_a_later_moment_is_sent_once(tmp_path: Path) -> None:
    market, made = market_of(tmp_path, 30)
    assert newest_frontier_ns(market.pipeline) == 21
    assert publish(market.pipeline, made, lead_ns=5) == made
    assert publish(market.pipeline, made, lead_ns=5) == []
    assert topic_records(market.bus, market.settings) == made
    assert take_back(market.pipeline, "score", 30) == made[0]
    assert topic_records(market.bus, market.settings) == []
    with pytest.raises(UsageError, match="no record of score from 30"):
        take_back(market.pipeline, "score", 30)


def test_before_any_commit_every_moment_will_do(tmp_path: Path) -> None:
    of = graph(tmp_path)
    made = records(tmp_path, of, {1: FIRST})
    market = Market(tmp_path / "m", graph=of)
    assert newest_frontier_ns(market.pipeline) is None
    assert publish(market.pipeline, made) == made


def test_what_a_task_has_passed_or_is_near_to_is_refused_and_nothing_is_sent(tmp_path: Path) -> None:
    market, made = market_of(tmp_path, 26, 99)
    with pytest.raises(UsageError, match=r"the frontier of a task is at 21 .* choose a later moment"):
        publish(market.pipeline, made, lead_ns=5)
    assert topic_records(market.bus, market.settings) == []
    assert publish(market.pipeline, made, lead_ns=None) == made  # as after the topic was lost


def test_a_record_that_a_task_passes_while_it_is_sent_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market, made = market_of(tmp_path, 30)
    frontiers = iter([21, 31])
    monkeypatch.setattr(publishing, "newest_frontier_ns", lambda _: next(frontiers))
    with pytest.raises(RunError, match="it was taken back"):
        publish(market.pipeline, made, lead_ns=5)
    assert topic_records(market.bus, market.settings) == []


def test_other_meanings_artefacts_and_files_are_refused(tmp_path: Path) -> None:
    market, made = market_of(tmp_path, 40)
    (record,) = made
    publish(market.pipeline, made, lead_ns=5)
    with pytest.raises(UsageError, match="has artefact"):
        publish(market.pipeline, [record._replace(sha256="ab" * 32)], lead_ns=5)
    with pytest.raises(UsageError, match="it was fitted as ffff"):
        publish(market.pipeline, [record._replace(meaning="f" * 16)], lead_ns=5)
    with pytest.raises(UsageError, match="there is no file"):
        publish(market.pipeline, [record._replace(sha256="ab" * 32, valid_from_ns=50)], lead_ns=5)


def test_records_of_the_folder_are_those_of_this_meaning(tmp_path: Path) -> None:
    market, made = market_of(tmp_path, 40)
    store = ModelStore.of(market.settings)
    store.add([*made, made[0]._replace(meaning="f" * 16)])
    assert own_records(market.pipeline) == made
    assert own_records(market.pipeline, "other") == []
