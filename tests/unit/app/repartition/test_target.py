"""A target is made as it must be, or refused with the figures before anything is copied."""

from pathlib import Path

import pytest

from app.errors import UsageError
from app.repartition.copy import Copy
from app.repartition.target import prepare
from tests.stage.copies import SOURCE, TARGET, Log, Mark, Row, bus_of, copy_through, target_logs
from topics.avro.header import message_header
from topics.bus import TopicSpec
from topics.memory.bus import MemoryBus
from topics.registry.folder import FileRegistry
from topics.wire import UnknownSchemaError

LOGS: list[Log] = [[Row(b"A", 1), Mark(2)], [Row(b"B", 1), Mark(2)]]


@pytest.fixture
def registry(tmp_path: Path) -> FileRegistry:
    registry = FileRegistry(tmp_path)
    registry.register(f"{SOURCE}-value", '{"type": "record", "name": "Quote", "fields": []}')
    return registry


@pytest.fixture
def bus(registry: FileRegistry) -> MemoryBus:
    return bus_of(LOGS, registry, 3)


def test_a_new_target_keeps_times_and_messages_and_has_the_schema(
    bus: MemoryBus, registry: FileRegistry
) -> None:
    prepared = prepare(bus, registry, SOURCE, "new", 4)
    assert (prepared.source_partitions, prepared.created, prepared.unshared) == (2, True, ())
    spec = bus.admin().describe(["new"])["new"]
    assert spec is not None
    assert (spec.partitions, spec.configs["retention.ms"], spec.configs["message.timestamp.type"]) == (
        4,
        "-1",
        "CreateTime",
    )
    assert registry.latest("new-value") == registry.latest(f"{SOURCE}-value")


def test_a_source_that_is_not_there_is_named(bus: MemoryBus, registry: FileRegistry) -> None:
    with pytest.raises(UsageError, match="--from absent: there is no such topic"):
        prepare(bus, registry, "absent", "new", 4)
    assert bus.admin().describe(["new"])["new"] is None


def test_a_topic_is_not_copied_to_itself(bus: MemoryBus, registry: FileRegistry) -> None:
    with pytest.raises(UsageError, match="copied to another one"):
        prepare(bus, registry, SOURCE, SOURCE, 2)


def test_another_partition_count_is_refused_with_both(bus: MemoryBus, registry: FileRegistry) -> None:
    with pytest.raises(UsageError, match="target has 3 partitions and 4 are wanted"):
        prepare(bus, registry, SOURCE, TARGET, 4)


def test_a_target_that_stamps_messages_is_refused(bus: MemoryBus, registry: FileRegistry) -> None:
    stamps = {"message.timestamp.type": "LogAppendTime"}
    bus.admin().create([TopicSpec(name="stamped", partitions=2, configs=stamps)])
    with pytest.raises(UsageError, match="times would be lost"):
        prepare(bus, registry, SOURCE, "stamped", 2)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("cleanup.policy", "compact"),
        ("cleanup.policy", "compact,delete"),
        ("retention.ms", "604800000"),
        ("retention.bytes", "1073741824"),
    ],
)
def test_a_target_that_deletes_rows_is_refused_with_the_setting(
    bus: MemoryBus, registry: FileRegistry, setting: str, value: str
) -> None:
    bus.admin().create([TopicSpec(name="short", partitions=2, configs={setting: value})])
    with pytest.raises(UsageError, match=rf"{setting} is {value}, not \S+\.  Delete the topic and let this"):
        prepare(bus, registry, SOURCE, "short", 2)


def test_a_target_that_keeps_everything_is_taken(bus: MemoryBus, registry: FileRegistry) -> None:
    keeps = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
    bus.admin().create([TopicSpec(name="kept", partitions=2, configs=keeps)])
    assert not prepare(bus, registry, SOURCE, "kept", 2).created


def test_a_target_that_was_deleted_is_not_begun_where_its_copy_ended(
    bus: MemoryBus, registry: FileRegistry
) -> None:
    copy_through(bus, registry, 3, iter(()))
    bus.admin().delete([TARGET])
    with pytest.raises(
        UsageError, match=r"group target-repartition has the positions .* delete the group too"
    ):
        prepare(bus, registry, SOURCE, TARGET, 3)
    assert bus.admin().describe([TARGET])[TARGET] is None


def test_a_target_with_other_messages_is_refused(bus: MemoryBus, registry: FileRegistry) -> None:
    bus.producer().produce(TARGET, partition=2, key=b"A", value=b"mine")
    words = r"no copy wrote, or whose copy the broker has forgotten: .*offsets\.retention\.minutes"
    with pytest.raises(UsageError, match=words):
        prepare(bus, registry, SOURCE, TARGET, 3)


def test_a_copy_of_another_topic_is_not_gone_on_with(bus: MemoryBus, registry: FileRegistry) -> None:
    copy_through(bus, registry, 3, iter(()))
    bus.admin().create([TopicSpec(name="other", partitions=2, configs={})])
    registry.register("other-value", "{}")
    with pytest.raises(UsageError, match=f"{TARGET} is a copy of {SOURCE} already"):
        prepare(bus, registry, "other", TARGET, 3)
    assert registry.latest(f"{TARGET}-value") is None
    with pytest.raises(UsageError, match=f"{TARGET} is a copy of {SOURCE} already"):
        Copy(bus, registry, "other", TARGET, 3)


def test_a_later_copy_goes_on_with_what_has_come_since(bus: MemoryBus, registry: FileRegistry) -> None:
    copy_through(bus, registry, 3, iter(()))
    bus.producer().produce(SOURCE, partition=1, key=b"A", value=b"since", timestamp_ms=4)
    prepare(bus, registry, SOURCE, TARGET, 3)
    copy = Copy(bus, registry, SOURCE, TARGET, 3)
    report = copy.run()
    copy.close()
    assert (report.messages, report.progress, report.keyless) == (1, 0, 0)
    values = [message.value for log in target_logs(bus, 3) for message in log]
    assert values.count(b"since") == values.count(b"0:0") == values.count(b"1:0") == 1


def test_a_copy_reads_no_further_than_where_the_source_ended_when_it_began(
    bus: MemoryBus, registry: FileRegistry
) -> None:
    copy = Copy(bus, registry, SOURCE, TARGET, 3)
    bus.producer().produce(SOURCE, partition=0, key=b"A", value=b"since", timestamp_ms=0)
    assert copy.run().messages == 2
    copy.close()


def test_a_registry_that_does_not_know_the_source_is_refused(bus: MemoryBus, tmp_path: Path) -> None:
    registry = FileRegistry(tmp_path / "another")
    with pytest.raises(
        UsageError, match=r"no schema under source-value or source-value-block.*schema_registry"
    ):
        prepare(bus, registry, SOURCE, "new", 2)
    assert bus.admin().describe(["new"])["new"] is None


def test_a_topic_of_blocks_alone_has_a_schema(bus: MemoryBus, tmp_path: Path) -> None:
    registry = FileRegistry(tmp_path / "another")
    registry.register(f"{SOURCE}-value-block", '{"type": "array", "items": "long"}')
    assert prepare(bus, registry, SOURCE, "new", 2).created


@pytest.mark.parametrize("key", [None, b"A"])
def test_a_schema_that_nobody_knows_stops_the_copy_where_it_may_be_a_progress_record(
    bus: MemoryBus, registry: FileRegistry, key: bytes | None
) -> None:
    bus.producer().produce(SOURCE, partition=1, key=key, value=message_header(77) + b"\0", timestamp_ms=3)
    copy = Copy(bus, registry, SOURCE, TARGET, 3)
    if key is not None:
        assert copy.run().messages == 3
        copy.close()
        return
    words = (
        r"source\[1\]: the message without key at offset 2 names schema id 77, and no schema in .* has this"
    )
    with pytest.raises(UnknownSchemaError, match=words):
        copy.run()
    copy.close()
    assert not any(
        message.value == message_header(77) + b"\0" for log in target_logs(bus, 3) for message in log
    )


def test_what_came_since_the_copy_began_does_not_stop_it(bus: MemoryBus, registry: FileRegistry) -> None:
    copy = Copy(bus, registry, SOURCE, TARGET, 3)
    bus.producer().produce(SOURCE, partition=1, key=None, value=message_header(77) + b"\0", timestamp_ms=3)
    assert copy.run().messages == 2
    copy.close()
