"""A publication cut anywhere: every row once, in order, within the grace, under true progress."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numba
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.publish.messages import Shape
from replay.publish.publication import Publication
from replay.store.day import Day
from replay.store.days import HistoryStore
from schemas.clocks import Clock
from tests.oracles.replay import disorder_slowly
from tests.stage.days import NOON_NS, keep_day
from tests.stage.topic_reader import read_topic, rows_in
from topics.bus import TopicSpec
from topics.memory.bus import CommitFault, MemoryBus
from topics.registry.folder import FileRegistry

pytestmark = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT),  # type: ignore[attr-defined]
    reason="the codec reads memory by address: needs numba",
)

PARTITIONS = 2
STREAMS = ("trade", "quote")

# Per row: how long after the one before it was known, its latency (none: no exchange time), and its symbol.
row = st.tuples(st.integers(0, 3), st.none() | st.integers(-5, 5), st.sampled_from("ABC"))
rows = st.lists(row, min_size=1, max_size=25)


def _keep(store: HistoryStore, stream: str, drawn: list[tuple[int, int | None, str]]) -> Day:
    known_ns = NOON_NS
    columns: dict[str, list[Any]] = {"event_ns": [], "known_ns": [], "symbol": [], "number": []}
    for number, (gap_ns, latency_ns, symbol) in enumerate(drawn):
        known_ns += gap_ns
        values = (None if latency_ns is None else known_ns - latency_ns, known_ns, symbol, number)
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    return keep_day(store, stream, {**columns, "event_ns": pa.array(columns["event_ns"], pa.int64())})


@given(
    drawn=st.tuples(rows, rows),
    clock=st.sampled_from(["event", "known"]),
    shape=st.sampled_from(["record", "block"]),
    slack_ns=st.integers(0, 10),
    step_rows_max=st.integers(1, 20),
    stops=st.lists(st.sampled_from(["restart", CommitFault.REFUSED, CommitFault.LOST]), max_size=4),
)
@settings(max_examples=40, deadline=None)
def test_a_publication_cut_anywhere_keeps_its_promises(
    drawn: tuple[list[tuple[int, int | None, str]], ...],
    clock: Clock,
    shape: Shape,
    slack_ns: int,
    step_rows_max: int,
    stops: list[str | CommitFault],
) -> None:
    with TemporaryDirectory() as folder:
        store, bus, registry = HistoryStore(Path(folder) / "h"), MemoryBus(), FileRegistry(Path(folder) / "s")
        days = [_keep(store, stream, each) for stream, each in zip(STREAMS, drawn, strict=True)]
        bus.admin().create([TopicSpec(name=name, partitions=PARTITIONS, configs={}) for name in STREAMS])
        grace_ns = max(day.disorder_ns(clock) for day in days) + slack_ns

        def publication() -> Publication:
            return Publication(
                bus=bus,
                registry=registry,
                days=days,
                topics={stream: stream for stream in STREAMS},
                partitions=PARTITIONS,
                shape=shape,
                grace_ns=grace_ns,
                clock=clock,
                run="run",
                block_rows_max=3,
                step_rows_max=step_rows_max,
            )

        now = publication()
        for stop in stops:
            if isinstance(stop, CommitFault):
                bus.fail_commits([stop])
                now.step()
            else:
                now.step()
                now = publication()
        now.run()
        for stream, each in zip(STREAMS, drawn, strict=True):
            _check(bus, registry, stream, each, clock, grace_ns)


def _check(
    bus: MemoryBus,
    registry: FileRegistry,
    stream: str,
    drawn: list[tuple[int, int | None, str]],
    clock: Clock,
    grace_ns: int,
) -> None:
    messages = read_topic(bus, registry, stream, PARTITIONS)
    timed = [
        number
        for number, (_, latency_ns, _) in enumerate(drawn)
        if clock == "known" or latency_ns is not None
    ]
    assert sorted(row["number"] for row in rows_in(messages)) == timed
    for symbol in "ABC":
        numbers = [row["number"] for row in rows_in(messages) if row["symbol"] == symbol]
        assert numbers == sorted(numbers)
    for partition in range(PARTITIONS):
        here = [message for message in messages if message.partition == partition]
        times_ns = [row[f"{clock}_ns"] for row in rows_in(here)]
        assert disorder_slowly(times_ns) <= grace_ns
        upper_ns = 0
        for message in here:
            if message.progress:
                assert message.rows[0]["upper_ns"] >= upper_ns
                upper_ns = message.rows[0]["upper_ns"]
            assert message.progress or all(row[f"{clock}_ns"] >= upper_ns for row in message.rows)
        assert [m.rows[0]["final"] for m in here if m.progress].count(True) == 1
        assert here[-1].rows[0]["final"]
