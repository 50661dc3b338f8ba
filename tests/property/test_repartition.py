"""A copy of a topic is what its logs say, whatever dies: each message once, in order, and true bounds."""

import io
import itertools
import json
from pathlib import Path
from tempfile import mkdtemp

import fastavro
import numba
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.repartition import copy as copying
from app.repartition import merge
from schemas.clocks import NS_PER_MS
from tests.stage.copies import Log, Mark, Row, bus_of, copy_through, target_logs
from topics.avro.header import HEADER_SIZE
from topics.avro.progress import PROGRESS_SCHEMA, PROGRESS_SUBJECT
from topics.block import Original
from topics.memory.bus import CommitFault
from topics.partitioner import partition_of
from topics.registry.folder import FileRegistry

pytestmark = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT),  # type: ignore[attr-defined]
    reason="reads memory by address: needs numba",
)

KEYS = [None, b"", *(b"S%d" % number for number in range(8))]


@st.composite
def source_logs(draw: st.DrawFn) -> list[Log]:
    """Logs that keep their word: no row below the bound that was told before it in its partition."""
    logs: list[Log] = []
    for _ in range(draw(st.integers(1, 4))):
        lower = 0
        log: list[Row | Mark] = []
        for _ in range(draw(st.integers(0, 12))):
            if draw(st.integers(0, 3)) == 0:
                lower += draw(st.integers(0, 4))
                log.append(Mark(lower, final=draw(st.booleans())))
            else:
                log.append(Row(draw(st.sampled_from(KEYS)), lower + draw(st.integers(0, 6))))
        if draw(st.booleans()):
            log.append(Mark(lower + 8, final=True))
        logs.append(log)
    return logs


@pytest.fixture(scope="module")
def registry() -> FileRegistry:
    registry = FileRegistry(Path(mkdtemp()))
    registry.register(PROGRESS_SUBJECT, PROGRESS_SCHEMA)
    return registry


def record_of(message: Original) -> dict[str, object] | None:
    """What a progress record of the copy says; None for a row."""
    assert message.value is not None
    if message.headers:
        return None
    body = io.BytesIO(message.value[HEADER_SIZE:])
    record = fastavro.schemaless_reader(body, json.loads(PROGRESS_SCHEMA), None)
    assert isinstance(record, dict)
    return record


def as_log(messages: list[Original]) -> Log:
    """Messages of the copy as they would stand in a source log."""
    log: list[Row | Mark] = []
    for message in messages:
        record = record_of(message)
        if record is None:
            log.append(Row(message.key, message.timestamp_ms))
        else:
            log.append(Mark(message.timestamp_ms, final=bool(record["final"])))
    return log


def is_over(log: Log) -> bool:
    """Whether a final record stands behind the last row, which ends the period of that partition."""
    behind = itertools.takewhile(lambda one: isinstance(one, Mark), reversed(log))
    return any(isinstance(one, Mark) and one.final for one in behind)


@given(
    logs=source_logs(),
    partitions=st.integers(1, 4),
    step=st.integers(1, 7),
    ahead=st.sampled_from([1, 150, 1 << 20]),
    deaths=st.lists(st.integers(0, 40), max_size=6),
    faults=st.lists(st.sampled_from(list(CommitFault)), max_size=4),
)
def test_crashes_between_any_two_steps_change_nothing(
    registry: FileRegistry,
    logs: list[Log],
    partitions: int,
    step: int,
    ahead: int,
    deaths: list[int],
    faults: list[CommitFault],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        whole = bus_of(logs, registry, partitions)
        copy_through(whole, registry, partitions, iter(()))
        patch.setattr(copying, "STEP_MESSAGES_MAX", step)
        patch.setattr(merge, "READ_AHEAD_SIZE", ahead)
        patch.setattr(merge, "MESSAGES_MAX", 3)
        broken = bus_of(logs, registry, partitions)
        copy_through(broken, registry, partitions, iter(deaths), faults)
    assert target_logs(broken, partitions) == target_logs(whole, partitions)


@given(logs=source_logs(), partitions=st.integers(1, 4))
def test_every_message_is_copied_once_to_its_partition_in_the_order_of_its_source(
    registry: FileRegistry, logs: list[Log], partitions: int
) -> None:
    bus = bus_of(logs, registry, partitions)
    copy_through(bus, registry, partitions, iter(()))
    places: dict[int, list[int]] = {number: [] for number in range(len(logs))}
    for partition, log in enumerate(target_logs(bus, partitions)):
        last = dict.fromkeys(places, -1)
        for message in log:
            if record_of(message) is not None:
                continue
            assert message.value is not None
            source, place = map(int, message.value.split(b":"))
            row = logs[source][place]
            assert isinstance(row, Row)
            assert (message.key, message.timestamp_ms) == (row.key, row.time_ms)
            assert message.headers == [("place", b"%d" % place), ("place", None)]
            home = source % partitions if row.key is None else partition_of(row.key, partitions)
            assert partition == home
            assert place > last[source]
            last[source] = place
            places[source].append(place)
    for source, log_of_source in enumerate(logs):
        assert sorted(places[source]) == [n for n, one in enumerate(log_of_source) if isinstance(one, Row)]


@given(logs=source_logs(), partitions=st.integers(1, 4))
def test_a_bound_in_the_copy_holds_for_every_row_behind_it(
    registry: FileRegistry, logs: list[Log], partitions: int
) -> None:
    bus = bus_of(logs, registry, partitions)
    copy_through(bus, registry, partitions, iter(()))
    for log in target_logs(bus, partitions):
        upper_ns = -1
        for message in log:
            record = record_of(message)
            if record is None:
                assert message.timestamp_ms * NS_PER_MS >= upper_ns
            else:
                assert isinstance(record["upper_ns"], int)
                assert record["upper_ns"] >= upper_ns
                upper_ns = record["upper_ns"]
        last = [[one for one in source if isinstance(one, Mark)] for source in logs]
        if all(last):
            smallest = min(max(one.upper_ms for one in source) for source in last)
            assert upper_ns == smallest * NS_PER_MS
        else:
            assert upper_ns == -1


@given(logs=source_logs(), partitions=st.integers(1, 4))
def test_a_period_is_over_in_the_copy_just_where_it_is_in_every_source_partition(
    registry: FileRegistry, logs: list[Log], partitions: int
) -> None:
    bus = bus_of(logs, registry, partitions)
    copy_through(bus, registry, partitions, iter(()))
    copied = target_logs(bus, partitions)
    if all(map(is_over, logs)):
        assert all(map(is_over, map(as_log, copied)))
    for source, log in enumerate(logs):
        rows = [place for place, one in enumerate(log) if isinstance(one, Row)]
        if rows and not is_over(log):
            last = b"%d:%d" % (source, rows[-1])
            (home,) = [target for target in copied if any(message.value == last for message in target)]
            behind = [message.value for message in home].index(last)
            assert not any(one.final for one in as_log(home[behind:]) if isinstance(one, Mark))


@given(logs=source_logs(), partitions=st.integers(1, 4))
def test_record_times_of_the_copy_are_no_more_out_of_order_than_those_of_its_worst_source(
    registry: FileRegistry, logs: list[Log], partitions: int
) -> None:
    bus = bus_of(logs, registry, partitions)
    copy_through(bus, registry, partitions, iter(()))
    rows = [[one.time_ms for one in log if isinstance(one, Row)] for log in logs]
    copied = [[m.timestamp_ms for m in log if record_of(m) is None] for log in target_logs(bus, partitions)]
    assert max(map(disorder, copied)) <= max(map(disorder, rows))


def disorder(times_ms: list[int]) -> int:
    """How far a time lies at most below the newest before it."""
    newest, worst = -1, 0
    for time_ms in times_ms:
        worst = max(worst, newest - time_ms)
        newest = max(newest, time_ms)
    return worst
