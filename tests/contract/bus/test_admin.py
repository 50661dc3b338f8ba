"""Laws of topics: described as they are, created once, deleted with all they hold."""

from time import monotonic

import pytest

from tests.contract.bus.scenes import PATIENCE_S, Scene
from topics.block import TopicPartition
from topics.bus import BusError, Position, TopicSpec
from topics.catalogue import CoPartitionError, TopicMismatchError, apply, pipeline_topics, plan


def test_a_topic_is_described_as_it_was_created(scene: Scene) -> None:
    topic = scene.topic(partitions=3, configs={"retention.ms": "-1", "max.message.bytes": "8388608"})
    absent = scene.name("absent")
    found = scene.bus.admin().describe([topic, absent])
    spec = found[topic]
    assert spec is not None
    assert (spec.name, spec.partitions, spec.replication) == (topic, 3, 1)
    assert spec.configs["retention.ms"] == "-1"
    assert spec.configs["max.message.bytes"] == "8388608"
    assert found[absent] is None


def test_creating_a_topic_twice_is_refused_by_name(scene: Scene) -> None:
    topic = scene.topic()
    with pytest.raises(BusError, match=topic):
        scene.bus.admin().create([TopicSpec(name=topic, partitions=1, configs={})])


def test_a_deleted_topic_is_gone_and_deleting_it_again_is_fine(scene: Scene) -> None:
    topic = scene.topic()
    scene.write(topic, b"a")
    admin = scene.bus.admin()
    admin.delete([topic])
    admin.delete([topic])
    assert admin.describe([topic]) == {topic: None}


def test_a_topic_created_again_is_empty(scene: Scene) -> None:
    topic = scene.topic()
    scene.write(topic, b"a")
    admin = scene.bus.admin()
    admin.delete([topic])
    admin.create([TopicSpec(name=topic, partitions=1, configs={})])
    assert scene.reader((topic, 0, 0)).offsets(TopicPartition(topic, 0)) == (0, 0)


def test_topics_that_exist_are_named(scene: Scene) -> None:
    topic, absent = scene.topic(), scene.name("absent")
    names = scene.bus.admin().names()
    assert topic in names
    assert absent not in names


def test_a_topic_that_is_created_anew_has_another_id_on_the_same_cluster(scene: Scene) -> None:
    topic, other = scene.topic(), scene.topic()
    admin = scene.bus.admin()
    first = admin.log_ids([topic, other])
    assert admin.log_ids([topic, other]) == first
    admin.delete([topic])
    admin.create([TopicSpec(name=topic, partitions=1, configs={})])
    second = admin.log_ids([topic, other])
    assert second[other] == first[other]
    assert second[topic].cluster == first[topic].cluster != ""
    assert "" not in {first[topic].topic, second[topic].topic}
    assert first[topic].topic != second[topic].topic


def test_the_id_of_an_absent_topic_is_refused_by_name(scene: Scene) -> None:
    absent = scene.name("absent")
    with pytest.raises(BusError, match=absent):
        scene.bus.admin().log_ids([absent])


def test_a_deleted_topic_takes_the_offsets_that_were_committed_of_it_along(scene: Scene) -> None:
    topic, other, group = scene.topic(), scene.topic(), scene.name("group")
    gone, stays = TopicPartition(topic, 0), TopicPartition(other, 0)
    consumer = scene.reader((topic, 0, 0), group=group)
    consumer.commit({gone: Position(0), stays: Position(0)})
    consumer.close()
    admin = scene.bus.admin()
    assert set(admin.group(group).committed) == {gone, stays}
    admin.delete([topic])
    until_s = monotonic() + PATIENCE_S
    while set(admin.group(group).committed) != {stays}:
        assert monotonic() < until_s, admin.group(group).committed


def test_a_plan_is_applied_once_and_fine_from_then_on(scene: Scene) -> None:
    admin = scene.bus.admin()
    specs = pipeline_topics(prefix=scene.name("tidemark"), streams=["trade", "quote"], partitions=2)
    scene.topics += [spec.name for spec in specs]
    first = plan(admin, specs)
    assert first.create == tuple(specs)
    apply(admin, first)
    second = plan(admin, specs)
    assert (second.create, second.fine, second.mismatches) == ((), tuple(specs), ())
    apply(admin, second)


def test_a_topic_that_differs_is_reported_with_both_figures_and_nothing_is_created(scene: Scene) -> None:
    admin = scene.bus.admin()
    prefix = scene.name("tidemark")
    specs = pipeline_topics(prefix=prefix, streams=["trade"], partitions=2)
    admin.create([TopicSpec(name=f"{prefix}.trade", partitions=3, configs=specs[0].configs)])
    scene.topics.append(f"{prefix}.trade")
    found = plan(admin, specs)
    assert [str(mismatch) for mismatch in found.mismatches] == [f"{prefix}.trade has partitions 3, wanted 2"]
    with pytest.raises(TopicMismatchError, match="partitions 3, wanted 2"):
        apply(admin, found)
    assert set(admin.describe([f"{prefix}.aligned"]).values()) == {None}


def test_unequal_partition_counts_are_refused_with_the_figures(scene: Scene) -> None:
    specs = [
        TopicSpec(name="trade", partitions=4, configs={}),
        TopicSpec(name="quote", partitions=3, configs={}),
    ]
    with pytest.raises(CoPartitionError, match="trade has 4, quote has 3"):
        plan(scene.bus.admin(), specs)
