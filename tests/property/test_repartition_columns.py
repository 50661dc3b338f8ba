"""A copy by the columns of messages has each message once, where its rows belong, whatever dies."""

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

import numba
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config import Settings
from app.repartition import copy as copying
from app.repartition import merge
from app.repartition.homes import Reading
from app.repartition.source import source_of
from tests.stage.copies import SOURCE, TARGET, copy_through, target_logs
from topics.avro.progress import PROGRESS_SCHEMA, PROGRESS_SUBJECT
from topics.bus import TopicSpec
from topics.memory.bus import CommitFault, MemoryBus
from topics.partitioner import partition_of
from topics.registry.folder import FileRegistry

pytestmark = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT),  # type: ignore[attr-defined]
    reason="reads memory by address: needs numba",
)

SYMBOLS = ["A", "B", "C", "D:E", "Ä", ""]
SETTINGS = Settings.model_validate(
    {
        "streams": {
            "quote": {
                "topic": SOURCE,
                "format": "json",
                "key_from": "columns",
                "fields": {"symbol": "string"},
                "event_time": {"record": True},
            }
        }
    }
)
Messages = Sequence[tuple[bytes | None, bytes | None, int, str | None]]  # key, value, time, symbol


@st.composite
def messages(draw: st.DrawFn) -> Messages:
    """Messages of one partition, each with rows of one symbol, or with none (None)."""
    drawn = []
    for _ in range(draw(st.integers(0, 10))):
        key = draw(st.sampled_from([None, b"", b"k", b"\0\0\0\0\1"]))
        symbol = draw(st.sampled_from([*SYMBOLS, None]))
        row = {"symbol": symbol, "n": draw(st.integers(0, 9))}
        value: bytes | None = json.dumps([row] * draw(st.integers(1, 3))).encode()
        if symbol is None:
            value = draw(st.sampled_from([value, b"{", None, b"[]", b"", b"\0\0\0\0\7x"]))
        drawn.append((key, value, draw(st.integers(0, 20)), symbol))
    return drawn


def bus_of(logs: Sequence[Messages], partitions: int) -> MemoryBus:
    """A bus with these messages by source partition, each with a header of its place."""
    bus = MemoryBus()
    specs = ((SOURCE, len(logs)), (TARGET, partitions))
    bus.admin().create([TopicSpec(name=name, partitions=count, configs={}) for name, count in specs])
    producer = bus.producer()
    for number, log in enumerate(logs):
        for place, (key, value, time_ms, _) in enumerate(log):
            headers: list[tuple[str, bytes | None]] = [("place", b"%d:%d" % (number, place))]
            producer.produce(
                SOURCE, partition=number, key=key, value=value, headers=headers, timestamp_ms=time_ms
            )
    return bus


@pytest.fixture(scope="module")
def registry() -> FileRegistry:
    registry = FileRegistry(Path(mkdtemp()))
    registry.register(PROGRESS_SUBJECT, PROGRESS_SCHEMA)
    return registry


def reading_of(bus: MemoryBus, registry: FileRegistry, partitions: int) -> Reading:
    source = source_of(SETTINGS, SOURCE)
    return Reading(source.foreign, source.homes(SETTINGS, registry, bus, partitions))


@given(
    logs=st.lists(messages(), min_size=1, max_size=3),
    partitions=st.integers(1, 4),
    step=st.integers(1, 7),
    deaths=st.lists(st.integers(0, 40), max_size=5),
    faults=st.lists(st.sampled_from(list(CommitFault)), max_size=3),
)
def test_each_message_is_copied_once_to_where_its_rows_belong(
    registry: FileRegistry,
    logs: list[Messages],
    partitions: int,
    step: int,
    deaths: list[int],
    faults: list[CommitFault],
) -> None:
    bus = bus_of(logs, partitions)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copying, "STEP_MESSAGES_MAX", step)
        patch.setattr(merge, "MESSAGES_MAX", 3)
        reading = reading_of(bus, registry, partitions)
        copy_through(bus, registry, partitions, iter(deaths), faults, reading)
    places = []
    for partition, log in enumerate(target_logs(bus, partitions)):
        last: dict[int, int] = {}
        for message in log:
            source, place = map(int, (message.headers[0][1] or b"").split(b":"))
            key, value, time_ms, symbol = logs[source][place]
            assert (message.key, message.value, message.timestamp_ms) == (key, value, time_ms)
            home = source % partitions if symbol is None else partition_of(symbol.encode(), partitions)
            assert partition == home
            assert place > last.get(source, -1)
            last[source] = place
            places.append((source, place))
    assert sorted(places) == [(source, place) for source, log in enumerate(logs) for place in range(len(log))]
