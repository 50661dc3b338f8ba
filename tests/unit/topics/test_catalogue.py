"""Laws of the catalogue: what a pipeline's topics are called, and what is free to differ."""

import pytest

from topics.bus import BusError, TopicSpec
from topics.catalogue import CoPartitionError, compacted_topic, pipeline_topics, plan, require_copartitioned
from topics.memory.bus import MemoryBus


def test_a_pipeline_has_a_topic_per_stream_and_three_of_its_own() -> None:
    specs = pipeline_topics(prefix="tidemark", streams=["trade", "quote"], partitions=8, replication=3)
    assert [spec.name for spec in specs] == [
        "tidemark.trade",
        "tidemark.quote",
        "tidemark.aligned",
        "tidemark.late",
        "tidemark.dead",
    ]
    assert {(spec.partitions, spec.replication) for spec in specs} == {(8, 3)}
    assert {spec.configs["min.insync.replicas"] for spec in specs} == {"2"}


def test_a_stream_named_like_an_output_is_refused() -> None:
    with pytest.raises(BusError, match=r"tidemark\.late"):
        pipeline_topics(prefix="tidemark", streams=["trade", "late"], partitions=1)


def test_a_config_that_is_not_wanted_may_be_anything() -> None:
    bus = MemoryBus()
    bus.admin().create([TopicSpec(name="t", partitions=1, configs={"retention.ms": "5", "segment.ms": "9"})])
    assert plan(bus.admin(), [TopicSpec(name="t", partitions=1, configs={"retention.ms": "5"})]).fine


def test_a_config_that_differs_is_told_with_both_values() -> None:
    bus = MemoryBus()
    bus.admin().create([TopicSpec(name="t", partitions=1, configs={"retention.ms": "5"})])
    found = plan(bus.admin(), [TopicSpec(name="t", partitions=1, configs={"retention.ms": "-1"})])
    assert [str(mismatch) for mismatch in found.mismatches] == ["t has retention.ms 5, wanted -1"]


def test_topics_read_together_must_have_one_count() -> None:
    assert require_copartitioned({"trade": 3, "quote": 3}) == 3
    with pytest.raises(CoPartitionError, match="trade has 3, quote has 4"):
        require_copartitioned({"trade": 3, "quote": 4})


def test_last_rows_are_compacted_and_never_expire() -> None:
    spec = compacted_topic(name="tidemark.last-known", partitions=8, replication=3)
    assert spec.configs["cleanup.policy"] == "compact"
    assert "retention.ms" not in spec.configs
    assert (spec.partitions, spec.configs["min.insync.replicas"]) == (8, "2")
