"""Laws of input topics that somebody else made: what each setting means, and that it is only a note."""

from collections.abc import Mapping

import pytest

from topics.bus import TopicSpec
from topics.catalogue import TopicMismatchError, apply, pipeline_topics, plan
from topics.inputs import InputNeeds, input_notes
from topics.memory.bus import MemoryBus

NEEDS = InputNeeds(restart_ms=60_000, message_size_max=1 << 20)
BROKER_DEFAULTS = {
    "cleanup.policy": "delete",
    "retention.ms": "604800000",
    "retention.bytes": "-1",
    "max.message.bytes": "1048588",
    "message.timestamp.type": "CreateTime",
    "min.insync.replicas": "1",
    "unclean.leader.election.enable": "false",
}


def noted(configs: Mapping[str, str], replication: int = 1) -> dict[str, str]:
    """By setting what is noted of a topic that differs from a broker's defaults in these."""
    topic = TopicSpec(
        name="t",
        partitions=1,
        replication=replication,
        configs={**BROKER_DEFAULTS, **configs},
    )
    notes = input_notes(topic, InputNeeds(restart_ms=60_000, message_size_max=2 << 20))
    return {note.what: note.consequence for note in notes}


def test_of_a_brokers_defaults_only_the_retention_is_to_be_known() -> None:
    notes = noted({})
    assert list(notes) == ["retention.ms"]
    assert "away for longer than 7 days is refused at its start" in notes["retention.ms"]
    assert "history published with its own, older times may be deleted at once" in notes["retention.ms"]


@pytest.mark.parametrize(
    ("configs", "what", "consequence"),
    [
        (
            {"retention.ms": "30000"},
            "retention.ms",
            "30 s is shorter than the 1 min that a restart reads again",
        ),
        ({"retention.bytes": "1000"}, "retention.bytes", "a restart that needs them is refused"),
        ({"cleanup.policy": "compact"}, "cleanup.policy", "older rows of a key vanish"),
        ({"cleanup.policy": "compact"}, "cleanup.policy", "refuses messages without key, such as progress"),
        ({"cleanup.policy": "compact,delete"}, "retention.ms", "away for longer than 7 days"),
        ({"message.timestamp.type": "LogAppendTime"}, "message.timestamp.type", "the join takes times from"),
        ({"max.message.bytes": "4000000"}, "max.message.bytes", "is a dead letter"),
        ({"unclean.leader.election.enable": "true"}, "unclean.leader.election.enable", "hold other rows"),
    ],
)
def test_each_setting_is_noted_with_what_follows(
    configs: Mapping[str, str], what: str, consequence: str
) -> None:
    assert consequence in noted(configs)[what]


def test_what_touches_nobody_here_is_not_noted() -> None:
    assert noted({"retention.ms": "-1"}) == {}
    assert "retention.ms" not in noted({"cleanup.policy": "compact"})
    assert "min.insync.replicas" not in noted({}, replication=1)
    assert "min.insync.replicas" in noted({}, replication=3)
    assert "published" not in noted({"message.timestamp.type": "LogAppendTime"})["retention.ms"]


def specs_of(partitions: int) -> list[TopicSpec]:
    return pipeline_topics(prefix="p", streams=["trade", "quote"], partitions=partitions)


def other_peoples(partitions: int, quotes: int | None = None) -> MemoryBus:
    bus = MemoryBus()
    counts = {"p.trade": partitions, "p.quote": partitions if quotes is None else quotes}
    bus.admin().create(
        [TopicSpec(name=name, partitions=n, configs=BROKER_DEFAULTS) for name, n in counts.items()]
    )
    return bus


def test_inputs_of_somebody_else_will_do_and_outputs_are_made_beside_them() -> None:
    bus = other_peoples(4)
    found = plan(bus.admin(), specs_of(4), {"p.trade": NEEDS, "p.quote": NEEDS})
    assert [spec.name for spec in found.fine] == ["p.trade", "p.quote"]
    assert {note.topic for note in found.notes} == {"p.trade", "p.quote"}
    apply(bus.admin(), found)
    assert bus.admin().describe(["p.aligned"])["p.aligned"] is not None


def test_an_input_made_here_has_no_note() -> None:
    bus = MemoryBus()
    apply(bus.admin(), plan(bus.admin(), specs_of(2)))
    found = plan(bus.admin(), specs_of(2), {"p.trade": NEEDS, "p.quote": NEEDS})
    assert (found.notes, found.mismatches) == ((), ())


def test_an_output_with_a_brokers_defaults_is_refused() -> None:
    bus = other_peoples(4)
    bus.admin().create([TopicSpec(name="p.late", partitions=4, configs=BROKER_DEFAULTS)])
    found = plan(bus.admin(), specs_of(4), {"p.trade": NEEDS, "p.quote": NEEDS})
    assert {mismatch.topic for mismatch in found.mismatches} == {"p.late"}
    with pytest.raises(TopicMismatchError, match=r"p\.late has retention.ms 604800000, wanted -1"):
        apply(bus.admin(), found)


@pytest.mark.parametrize(
    ("quotes", "advice"), [(12, "set bus.partitions = 12"), (6, "inputs need equal counts: copy one of them")]
)
def test_the_partition_count_is_refused_with_what_to_do_and_nobody_is_told_to_delete_an_input(
    quotes: int, advice: str
) -> None:
    bus = other_peoples(12, quotes)
    found = plan(bus.admin(), specs_of(4), {"p.trade": NEEDS, "p.quote": NEEDS})
    with pytest.raises(TopicMismatchError, match=advice) as refused:
        apply(bus.admin(), found)
    assert "p.trade has partitions 12, wanted 4" in str(refused.value)
    assert "delete" not in str(refused.value)
