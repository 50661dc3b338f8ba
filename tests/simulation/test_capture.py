"""Captures that die at any step, two at a time, with compactions beside them: each row is there once.

A run is drawn from its seed: `python -m pytest tests/simulation/test_capture.py -k 17` repeats one.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from replay.capture.capture import Capture, CaptureLimits
from replay.capture.dead import dead_stream
from replay.errors import FencedCommitError, UnknownCommitError
from replay.store.compact import Group, compact, plan_compaction
from replay.store.content_hash import combined, content_hash
from replay.store.coverage import covered_ranges
from replay.store.objects import Folder
from replay.store.places import PLACES
from replay.store.scan import stored_rows
from replay.store.stored_types import to_stored
from replay.store.table import Change, HistoryTable
from tests.stage.captured import QuoteTopic
from tests.stage.history_tables import SYMBOLS, draw_rows, placed
from topics.block import TopicPartition
from topics.partitioner import partition_of

PARTITIONS = 2
STEPS = 40
QUICK, ALL = range(6), range(6, 60)


class KilledError(Exception):
    """The process is gone."""


@dataclass
class Fate:
    """What befalls commits, drawn as they come, and how often each did."""

    draw: np.random.Generator
    calm: bool = False
    counts: Counter[str] = field(default_factory=Counter)

    def next(self) -> str:
        """What befalls the next commit."""
        kinds = ("made", "killed before", "killed after", "answer lost", "never arrived")
        kind = "made" if self.calm else str(self.draw.choice(kinds, p=(0.5, 0.15, 0.15, 0.1, 0.1)))
        self.counts[kind] += 1
        return kind


class MortalTable(HistoryTable):
    """A table whose commits meet their fate, and between whose commit and next look another may commit."""

    def __init__(self, store: Folder, stream: str, fate: Fate, between: Callable[[], None]) -> None:
        super().__init__(store, stream)
        self._fate, self._between = fate, between

    def refresh(self) -> None:
        """Look at the newest version, of another at times."""
        if not self._fate.calm and self._fate.draw.random() < 0.3:
            self._fate.counts["another between"] += 1
            self._between()
        super().refresh()

    def commit(self, change: Change) -> int:
        """Commit, or not, and die, or lose the answer."""
        kind = self._fate.next()
        if kind == "killed before":
            raise KilledError
        if kind == "never arrived":
            raise UnknownCommitError("no answer came")
        version = super().commit(change)
        if kind == "killed after":
            raise KilledError
        if kind == "answer lost":
            raise UnknownCommitError("no answer came")
        return version


class World:
    """A log that grows, a store, and those who work between them."""

    def __init__(self, store: Path, seed: int) -> None:
        self.draw = np.random.default_rng(seed)
        self.store, self.fate = store, Fate(self.draw)
        self.topic = QuoteTopic(store, partitions=PARTITIONS)
        self.topic.make_tables()
        self.sent: list[pa.RecordBatch] = []
        self.dead = 0
        self.turns = 0

    def publish(self) -> None:
        """Some rows in a transaction, which may be aborted and leaves its marker in the log all the same."""
        rows = draw_rows(int(self.draw.integers(1, 12)), int(self.draw.integers(2**31)))
        kept = self.draw.random() < 0.8
        garbage = b"\x00no Avro" if self.draw.random() < 0.3 else None
        self.topic.publish(rows, kept=kept, garbage=garbage)
        if kept:
            self.sent.append(rows)
            self.dead += garbage is not None

    def capture(self) -> Capture:
        """A worker that captures the topic, and dies as fate wills."""

        def open_table(store: Folder, stream: str) -> HistoryTable:
            return MortalTable(store, stream, self.fate, self.intrude)

        limits = CaptureLimits(held_size_max=2**20, held_ns_max=3)
        return self.topic.capture(open_table=open_table, limits=limits, now_ns=self.turns)

    def intrude(self) -> None:
        """Another captures all there is, at once."""
        other = self.topic.capture(now_ns=self.turns)
        self.publish()
        while other.turn(self.turns, wait_ms=0):
            continue
        other.commit(self.turns)
        other.close()

    def compact(self, counts: Counter[str]) -> None:
        """Two that compact parts of one bucket, the second from what it saw before the first was done."""
        tables = [HistoryTable(self.store, "quote") for _ in range(2)]
        for group in plan_compaction(tables[0].snapshot())[:1]:
            fewer = Group(group.date, group.bucket, group.parts[1:])  # equal parts would be one file
            self._compact(tables[0], group, counts)
            self._compact(tables[1], fewer, counts)

    def _compact(self, table: HistoryTable, group: Group, counts: Counter[str]) -> None:
        try:
            compact(table, group, by="a compaction")
            counts["compacted"] += 1
        except FencedCommitError:
            counts["double compaction refused"] += 1


def run(store: Path, seed: int) -> Counter[str]:
    """Let a drawn story happen, bring it to an end, and hold the store against the log."""
    world = World(store, seed)
    workers: list[Capture | None] = [None, None]
    counts: Counter[str] = Counter()
    for _ in range(STEPS):
        world.turns += 1
        if world.draw.random() < 0.5:
            world.publish()
        if world.draw.random() < 0.15:
            world.compact(counts)
        number = int(world.draw.integers(2))
        try:
            worker = workers[number]
            workers[number] = worker = world.capture() if worker is None else worker
            fenced = worker.counts.fenced
            worker.turn(world.turns, wait_ms=0)
            counts["fenced"] += worker.counts.fenced - fenced
        except KilledError:
            workers[number] = None
            counts["killed"] += 1
        if world.draw.random() < 0.1:
            counts["killed"] += workers[number] is not None
            workers[number] = None
    world.fate.calm = True
    last = world.capture()
    while last.turn(world.turns, wait_ms=0):
        world.turns += 1
    last.commit(world.turns)
    judge(world)
    return counts + world.fate.counts


def judge(world: World) -> None:
    """Each row is in the table once, with its place; what could not be read is beside it once."""
    table = HistoryTable(world.store, "quote")
    snapshot = table.snapshot()
    rows = pa.Table.from_batches(list(stored_rows(snapshot, snapshot.parts)), table.stored)
    places = list(zip(*(rows.column(name).to_pylist() for name in PLACES), strict=True))
    assert len(set(places)) == len(places), "a row is there twice"
    sent = [to_stored(placed(batch), table.stored).drop_columns(list(PLACES)) for batch in world.sent]
    assert rows.num_rows == sum(batch.num_rows for batch in sent)
    held = [content_hash(batch) for batch in rows.drop_columns(list(PLACES)).to_batches()]
    assert combined(*held) == combined(*(content_hash(batch) for batch in sent))
    homes = {symbol: partition_of(symbol.encode(), PARTITIONS) for symbol in SYMBOLS}
    symbols = rows.column("symbol").to_pylist()
    assert [place[0] for place in places] == [homes[symbol] for symbol in symbols]
    for part in snapshot.parts:
        assert {homes[key.decode()] for key in snapshot.footer(part).keys} == {part.bucket % PARTITIONS}
    for (topic, number), ranges in covered_ranges(snapshot).items():
        assert len(ranges) == 1
        low, high = world.topic.bus.consumer(group="judge").offsets(TopicPartition(topic, number))
        assert ranges[0].lower == low
        assert ranges[0].upper <= high
    dead = HistoryTable(world.store, dead_stream("quote")).snapshot()
    assert dead.rows == world.dead


@pytest.mark.parametrize("seed", QUICK)
def test_each_row_is_captured_once_whatever_dies(tmp_path: Path, seed: int) -> None:
    run(tmp_path, seed)


@pytest.mark.slow
@pytest.mark.long
def test_each_row_is_captured_once_in_many_more_stories(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    for seed in ALL:
        counts += run(tmp_path / str(seed), seed)
    for kind in ("killed", "fenced", "compacted", "double compaction refused", "answer lost"):
        assert counts[kind] > 10, f"the stories have no {kind}: {counts}"
