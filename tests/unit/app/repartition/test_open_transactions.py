"""What an open transaction holds back in one source partition is not overtaken by the others."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from app.repartition.copy import Copy
from tests.stage.copies import SOURCE, TARGET, Log, Mark, Row, bus_of, copy_through, target_logs
from topics.block import TopicPartition
from topics.bus import LogRange, Producer
from topics.memory.admin import MemoryAdmin
from topics.memory.bus import MemoryBus
from topics.registry.folder import FileRegistry

HELD = TopicPartition(SOURCE, 1)


@pytest.fixture
def registry(tmp_path: Path) -> FileRegistry:
    return FileRegistry(tmp_path)


def open_transaction(bus: MemoryBus, *times_ms: int) -> Producer:
    """A producer that has written rows of these times to partition 1 and has not committed them."""
    producer = bus.producer(transactional_id="theirs")
    producer.begin()
    for time_ms in times_ms:
        producer.produce(SOURCE, partition=1, key=b"B", value=b"held", timestamp_ms=time_ms)
    return producer


def write(bus: MemoryBus, *times_ms: int) -> None:
    for time_ms in times_ms:
        bus.producer().produce(SOURCE, partition=0, key=b"A", value=b"later", timestamp_ms=time_ms)


def copied(bus: MemoryBus) -> list[int]:
    """The record times of the target's only partition."""
    (log,) = target_logs(bus, 1)
    return [message.timestamp_ms for message in log]


def copy_once(bus: MemoryBus, registry: FileRegistry) -> Copy:
    copy = Copy(bus, registry, SOURCE, TARGET, 1)
    copy.run()
    copy.close()
    return copy


def test_the_others_wait_where_a_partition_has_an_open_transaction(registry: FileRegistry) -> None:
    bus = bus_of([[Row(b"A", 1), Row(b"A", 9)], [Row(b"B", 2)]], registry, 1)
    theirs = open_transaction(bus, 3, 4)
    write(bus, 10)
    assert copy_once(bus, registry).cut_by == (HELD, 1)
    assert copied(bus) == [1, 2]
    theirs.commit()
    assert copy_once(bus, registry).cut_by is None
    assert copied(bus) == [1, 2, 3, 4, 9, 10]


def test_nothing_is_copied_while_a_partition_has_nothing_before_its_open_transaction(
    registry: FileRegistry,
) -> None:
    bus = bus_of([[Row(b"A", 1)], []], registry, 1)
    theirs = open_transaction(bus, 0)
    assert copy_once(bus, registry).cut_by == (HELD, 0)
    assert copied(bus) == []
    theirs.abort()
    assert copy_once(bus, registry).cut_by is None
    assert copied(bus) == [1]


def test_a_progress_record_of_another_partition_waits_too(registry: FileRegistry) -> None:
    logs: list[Log] = [[Row(b"A", 1), Mark(5)], [Mark(2)]]
    bus = bus_of(logs, registry, 1)
    theirs = open_transaction(bus, 3)
    copy_once(bus, registry)
    assert copied(bus) == []
    theirs.commit()
    copy_once(bus, registry)
    whole = bus_of([logs[0], [Mark(2), Row(b"B", 3)]], registry, 1)
    copy_through(whole, registry, 1, iter(()))
    assert copied(bus) == copied(whole)


def test_a_copy_that_met_open_transactions_is_the_one_it_would_be_without(registry: FileRegistry) -> None:
    logs: list[Log] = [[Row(b"A", 1), Row(b"C", 4), Row(b"A", 4)], [Row(b"B", 4), Row(b"B", 3)]]
    bus = bus_of(logs, registry, 1)
    theirs = open_transaction(bus, 4, 5)
    copy_once(bus, registry)
    theirs.commit()
    copy_once(bus, registry)
    whole = bus_of([logs[0], [*logs[1], Row(b"B", 4), Row(b"B", 5)]], registry, 1)
    copy_through(whole, registry, 1, iter(()))
    keys = [
        [(message.key, message.timestamp_ms) for message in target_logs(one, 1)[0]] for one in (bus, whole)
    ]
    assert keys[0] == keys[1]


def test_a_source_that_is_written_to_meanwhile_is_not_cut(
    registry: FileRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = bus_of([[Row(b"A", 1)], [Row(b"B", 2)]], registry, 1)
    theirs = open_transaction(bus, 3)
    ranges = MemoryAdmin.ranges

    def ranges_before_it_ends(
        admin: MemoryAdmin, places: Sequence[TopicPartition]
    ) -> dict[TopicPartition, LogRange]:
        answer = ranges(admin, places)
        if len(places) > 1:
            theirs.commit()
        return answer

    monkeypatch.setattr(MemoryAdmin, "ranges", ranges_before_it_ends)
    assert copy_once(bus, registry).cut_by is None
    assert copied(bus) == [1, 2, 3]
