"""A worker goes on only in the logs that its offsets count in: not in others of the same name."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from app.errors import RunError
from app.task.metadata import LogIds, from_position
from app.wiring.topics import require_topics
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.block import TopicPartition
from topics.bus import Position, TopicSpec
from topics.catalogue import HISTORY_CONFIGS, LAST_KNOWN
from topics.memory.bus import MemoryBus

INPUTS = {name: TopicPartition(f"tidemark.{name}", 0) for name in ("trade", "quote")}


def after_a_first_worker(folder: Path, **pipeline: object) -> Market:
    """A market whose worker has sealed the trade of 2, committed, and stopped."""
    market = Market(folder, pipeline=pipeline, worker={"checkpoint_interval_ms": 1})
    market.quote(1)
    market.trade(2)
    market.progress(3)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
        market.pass_commit_interval()
        worker.commit()
    assert market.aligned() == [(2, 1)]
    return market


def create_anew(market: Market, *names: str, **configs: str) -> None:
    """Delete input topics and create them again, empty."""
    admin = market.bus.admin()
    for name in names:
        topic = INPUTS[name].topic
        admin.delete([topic])
        admin.create([TopicSpec(name=topic, partitions=1, configs=configs or HISTORY_CONFIGS)])


def create_anew_under_offsets(market: Market, *names: str) -> None:
    """The same where the offsets stay: a broker that was away at the moment does not drop them."""
    before = positions(market)
    create_anew(market, *names)
    commit(market, before)


def positions(market: Market) -> dict[TopicPartition, Position]:
    return dict(market.bus.admin().group("tidemark").committed)


def commit(market: Market, changed: dict[TopicPartition, Position]) -> None:
    """Commit positions as somebody outside the group does who sets offsets by hand."""
    observer = market.bus.consumer(group="tidemark")
    observer.commit(changed)
    observer.close()


def without_ids(market: Market) -> dict[TopicPartition, Position]:
    """The committed positions as a worker wrote them that knew of no ids."""
    older = {}
    for source, position in positions(market).items():
        fields = json.loads(position.metadata)
        del fields["log"]
        older[source] = Position(position.offset, json.dumps(fields))
    return older


def refusal(market: Market, *, until_final: bool = False) -> str:
    """How a worker that starts now is refused; no row comes out of it."""
    before, turns = market.aligned(), iter(range(50))
    with closing(market.worker(until_final=until_final)) as worker, pytest.raises(RunError) as refused:
        worker.run(lambda: next(turns, None) is None)
    assert market.aligned() == before
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_a_topic_that_was_created_anew_is_refused_with_the_way_out_however_many_rows_it_holds(
    tmp_path: Path, rows: int
) -> None:
    market = after_a_first_worker(tmp_path)
    create_anew_under_offsets(market, "trade")
    for time_ns in range(10, 10 + rows):
        market.trade(time_ns)
    words = refusal(market)
    assert "tidemark.trade[0]: offset 2 was committed before the topic was deleted and created anew" in words
    assert "choose another pipeline.prefix" in words
    assert "stop all workers of tidemark, and run `python -m app reset`" in words


def test_offsets_of_another_cluster_are_refused_with_both_ids(tmp_path: Path) -> None:
    market = after_a_first_worker(tmp_path)
    copied = positions(market)
    elsewhere = MemoryBus("mirror")
    elsewhere.admin().create(
        [spec for spec in market.bus.admin().describe(market.bus.admin().names()).values() if spec]
    )
    market.bus = market.pipeline.bus = elsewhere
    commit(market, copied)
    assert "was committed on the cluster embedded, and this is mirror: correct bus.bootstrap" in refusal(
        market
    )


def test_an_input_without_offsets_beside_one_that_has_some_is_refused(tmp_path: Path) -> None:
    """A broker drops the offsets of a topic that is deleted."""
    market = after_a_first_worker(tmp_path)
    create_anew(market, "trade")
    market.trade(7)
    assert "tidemark.trade[0]: no offset is committed, but tidemark.quote[0] has one" in refusal(market)


def test_last_rows_whose_topic_was_created_anew_are_refused_for_they_are_nowhere_else(tmp_path: Path) -> None:
    market = after_a_first_worker(tmp_path)
    admin, topic = market.bus.admin(), "tidemark.last-known"
    spec = admin.describe([topic])[topic]
    assert spec is not None
    admin.delete([topic])
    admin.create([spec])
    words = refusal(market)
    assert "tidemark.last-known[0]: the topic was deleted and created anew since offset 2" in words
    assert "last rows of quiet groups were nowhere else" in words


def test_a_bounded_run_whose_topics_were_created_anew_is_not_taken_for_done(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.quote(1)
    market.trade(2)
    market.progress(3, final=True)
    with closing(market.worker(until_final=True)) as worker:
        turn_until_quiet(worker)
        worker.commit()
        assert worker.finished()
    create_anew_under_offsets(market, "trade", "quote")
    assert "deleted and created anew" in refusal(market, until_final=True)


def test_offsets_that_an_earlier_version_committed_are_taken_up_and_named_from_then_on(
    tmp_path: Path,
) -> None:
    market = after_a_first_worker(tmp_path)
    commit(market, without_ids(market))
    market.trade(4)
    market.progress(9)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    assert market.aligned() == [(2, 1), (4, 1)]
    logs = {source.topic: from_position(p, "").log for source, p in positions(market).items()}
    ids = market.pipeline.log_ids()
    last_known = ids[market.settings.topic(LAST_KNOWN)].topic
    assert logs == {one.topic: LogIds(*ids[one.topic], last_known) for one in INPUTS.values()}
    create_anew_under_offsets(market, "quote")
    assert "deleted and created anew" in refusal(market)


def test_local_state_of_a_topic_that_was_created_anew_is_not_used_where_the_offsets_fit(
    tmp_path: Path,
) -> None:
    market = after_a_first_worker(tmp_path, tolerance_ns=100)
    older = without_ids(market)
    create_anew(market, "quote")
    commit(market, older)
    market.quote(0)  # where the quote of 1 stood
    market.progress(3, "quote")
    market.trade(4)
    market.progress(9)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    assert market.aligned() == [(2, 1), (4, 0)]


def test_a_topic_with_a_brokers_defaults_is_read_as_it_is(tmp_path: Path) -> None:
    market = Market(tmp_path)
    defaults = {"retention.ms": "604800000", "message.timestamp.type": "LogAppendTime"}
    create_anew(market, "trade", "quote", **defaults)
    require_topics(market.bus, market.settings)
    market.quote(1)
    market.trade(2)
    market.progress(3)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    assert market.aligned() == [(2, 1)]
