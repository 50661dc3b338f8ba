"""Laws of co-partitioning: keys lie where the partitioner puts them and partitions stay, or nothing joins."""

from pathlib import Path

import pytest

from app.audit.topics import audit
from app.errors import RunError
from app.worker.worker import Worker
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.block import TopicPartition
from topics.partitioner import partition_of

PARTITIONS = 2
HERE = next(name for name in "ABCDEFGH" if partition_of(name.encode(), PARTITIONS) == 0)
ELSEWHERE = next(name for name in "ABCDEFGH" if partition_of(name.encode(), PARTITIONS) == 1)


def committed(market: Market) -> bool:
    return bool(market.bus.admin().group("tidemark").committed)


def stopped(worker: Worker) -> str:
    with pytest.raises(RunError) as refused:
        turn_until_quiet(worker)
    worker.close(failed=True)
    return str(refused.value)


@pytest.mark.parametrize("stream", ["trade", "quote"])
def test_a_key_in_a_wrong_partition_stops_the_worker_before_a_row_is_joined(
    tmp_path: Path, stream: str
) -> None:
    market = Market(tmp_path, partitions=PARTITIONS)
    market.quote(1, symbol=HERE)
    market.trade(2, symbol=HERE)
    market.produce(stream, 0, ELSEWHERE.encode(), market.block(stream, [1], ELSEWHERE))
    market.progress(9)
    words = stopped(market.worker())
    assert words.startswith(
        f"stream {stream}: key '{ELSEWHERE}' is in partition 0 of tidemark.{stream}, and the partitioner "
        "(murmur2, as the Java client's) wants it in 1 of 2; 1 of the 2 keys just read from this partition"
    )
    assert f"topics repartition --from tidemark.{stream} --to tidemark.{stream}-repartitioned" in words
    assert market.aligned() == []
    assert not committed(market)


def test_a_restart_meets_the_wrong_key_again(tmp_path: Path) -> None:
    market = Market(tmp_path, partitions=PARTITIONS)
    market.produce("quote", 1, HERE.encode(), market.block("quote", [1], HERE))
    assert stopped(market.worker()) == stopped(market.worker())


def test_the_key_of_what_cannot_be_read_is_no_rows_key(tmp_path: Path) -> None:
    market = Market(tmp_path, partitions=PARTITIONS)
    market.produce("quote", 0, ELSEWHERE.encode(), b"garbage")
    market.quote(1, symbol=HERE)
    market.trade(2, symbol=HERE)
    market.progress(9)
    worker = market.worker()
    turn_until_quiet(worker)
    worker.close()
    assert market.aligned() == [(2, 1)]
    assert len(market.messages("dead")) == 1


def test_a_message_without_key_belongs_to_any_partition_of_an_unkeyed_stream(tmp_path: Path) -> None:
    unkeyed: dict[str, object] = {"trade": {"key": []}, "quote": {"key": []}}
    market = Market(tmp_path, partitions=PARTITIONS, streams=unkeyed)
    for partition in range(PARTITIONS):
        for key in (None, b""):
            market.produce("quote", partition, key, market.block("quote", [1]))
            market.produce("trade", partition, key, market.block("trade", [2]))
    market.progress(9)
    worker = market.worker()
    turn_until_quiet(worker)
    worker.close()
    assert market.aligned() == [(2, 1)] * 4
    assert audit(market.pipeline).violations == []


def test_the_audit_names_input_rows_in_a_wrong_partition(tmp_path: Path) -> None:
    market = Market(tmp_path, partitions=PARTITIONS)
    market.produce("quote", 0, ELSEWHERE.encode(), market.block("quote", [1], ELSEWHERE))
    ((partition, violation),) = audit(market.pipeline).violations
    assert (partition, violation.kind, violation.rows) == (0, "input row in a wrong partition", 1)


def test_rows_whose_columns_make_another_key_than_an_ambiguous_message_key_are_named(tmp_path: Path) -> None:
    pairs: dict[str, object] = {
        "trade": {"key": ["condition", "symbol"]},
        "quote": {"key": ["venue", "symbol"]},
    }
    market = Market(tmp_path, partitions=4, streams=pairs)
    columns = {"venue": ["OTC:US"], "symbol": ["ABC"]}
    for key in (b"OTC:US:ABC", b"OTC\\:US:ABC"):
        value = market.block("quote", [1], columns=columns)
        market.produce("quote", partition_of(key, 4), key, value)
    assert partition_of(b"OTC:US:ABC", 4) != partition_of(b"OTC\\:US:ABC", 4)
    ((partition, violation),) = audit(market.pipeline).violations
    at = partition_of(b"OTC:US:ABC", 4)
    assert (partition, violation.kind, violation.rows) == (at, "input row in a wrong partition", 1)
    assert "The columns venue, symbol make that key" in stopped(market.worker())


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
@pytest.mark.parametrize("until_final", [True, False])
def test_partitions_added_under_a_worker_stop_it_before_it_commits_a_row(
    tmp_path: Path, guarantee: str, *, until_final: bool
) -> None:
    market = Market(tmp_path, partitions=PARTITIONS, worker={"guarantee": guarantee})
    market.quote(1, symbol=HERE)
    worker = market.worker(until_final=until_final)
    turn_until_quiet(worker)
    worker.commit()
    before = market.bus.admin().group("tidemark").committed
    market.trade(2, symbol=HERE)
    market.progress(9, final=until_final)
    market.bus.add_partitions("tidemark.quote", 3)
    words = stopped(worker)
    assert "bus.partitions = 2, but tidemark.trade has 2, tidemark.quote has 3 partitions" in words
    assert "--from tidemark.quote --to tidemark.quote-repartitioned --partitions 2" in words
    assert market.bus.admin().group("tidemark").committed == before


def test_partitions_added_to_all_inputs_alike_stop_a_worker_too(tmp_path: Path) -> None:
    market = Market(tmp_path, partitions=PARTITIONS)
    worker = market.worker()
    turn_until_quiet(worker)
    for stream in ("trade", "quote"):
        market.bus.add_partitions(f"tidemark.{stream}", 4)
    assert "tidemark.trade has 4, tidemark.quote has 4 partitions" in stopped(worker)


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
def test_a_commit_asks_for_the_partitions_after_the_rows_were_read(tmp_path: Path, guarantee: str) -> None:
    market = Market(tmp_path, partitions=PARTITIONS, worker={"guarantee": guarantee})
    worker = market.worker()
    market.quote(1, symbol=HERE)
    market.trade(2, symbol=HERE)
    market.progress(9)
    turn_until_quiet(worker)
    market.bus.add_partitions("tidemark.quote", 3)
    with pytest.raises(RunError, match=r"tidemark\.quote has 3 partitions"):
        worker.commit()
    worker.close(failed=True)
    assert not committed(market)
    assert market.aligned() == ([] if guarantee == "exactly_once" else [(2, 1)])


def test_unequal_inputs_are_refused_at_the_assignment_with_the_figures(tmp_path: Path) -> None:
    market = Market(tmp_path, partitions=PARTITIONS)
    market.bus.add_partitions("tidemark.trade", 5)
    assert "tidemark.trade has 5, tidemark.quote has 2 partitions" in stopped(market.worker())


def test_partitions_added_to_an_output_stop_nobody(tmp_path: Path) -> None:
    market = Market(tmp_path, partitions=PARTITIONS)
    worker = market.worker()
    market.quote(1, symbol=HERE)
    market.trade(2, symbol=HERE)
    market.progress(9)
    turn_until_quiet(worker)
    market.bus.add_partitions("tidemark.aligned", 3)
    market.pass_commit_interval()
    turn_until_quiet(worker)
    worker.close()
    assert TopicPartition("tidemark.trade", 0) in market.bus.admin().group("tidemark").committed
