"""`available_ns` follows from the logs alone: whatever the cuts, the restarts, and what survives them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.graph.declare import GraphSettings, JoinSettings, NodeSettings, Output
from operators.graph.plan import plan_graph
from operators.graph.task_graph import TaskGraph
from operators.inputs.progress import InputProgress, TaskProgress
from operators.inputs.resuming import needs_kept, plan_resume
from operators.join.settings import AsofSettings
from operators.sealed import Sealed
from schemas.arrived import Arrived, ProgressRecord
from schemas.batch import Batch
from schemas.clocks import AVAILABLE_NS, BEGINNING_NS
from schemas.stream import Stream
from tests.oracles.available import Log, LogRecord, LogRow, available_slowly

pytestmark = pytest.mark.takes_s(60)

NAMES = ("trade", "quote", "mark")
NODES = {"tick": "aligned", "seen": "quote"}  # by node: what it reads
# Joins of these, by the node whose rows they are: what else they look up.
JOINS = {"met": ("tick", "seen"), "back": ("seen", "met")}
Logs = dict[str, list[LogRow | LogRecord]]


def stream_of(name: str) -> Stream:
    """All have a clock and a symbol; marks have no `known_ns`."""
    clocks = ["event_ns"] if name == "mark" else ["event_ns", "known_ns"]
    return Stream(name=name, schema=pa.schema([*((c, pa.int64()) for c in clocks), ("symbol", pa.string())]))


@dataclass(frozen=True)
class Asked:
    """What is run, and over which logs."""

    logs: Logs
    grace_ns: Mapping[str, int]
    exact: bool
    tolerance_ns: int | None
    lag_ns: int = 0
    joins: bool = True

    @property
    def join(self) -> AsofSettings:
        return AsofSettings(
            left=stream_of("trade"),
            rights=(stream_of("quote"), stream_of("mark")),
            allow_exact=self.exact,
            tolerance_ns=self.tolerance_ns,
            grace_ns=self.grace_ns,
        )

    def task(self) -> TaskGraph:
        nodes = tuple(
            NodeSettings(
                name=name, upstream=upstream, features={"one": "1"}, output=Output((), available=True)
            )
            for name, upstream in NODES.items()
        )
        nodes += tuple(
            NodeSettings(
                name=name,
                upstream=left,
                features={},
                join=JoinSettings(rights=(right,), allow_exact=self.exact, lag_ns=self.lag_ns),
                output=Output((), available=True),
            )
            for name, (left, right) in (JOINS.items() if self.joins else ())
        )
        join = self.join
        plan = plan_graph(GraphSettings(name="g", nodes=nodes), join.aligned_schema(), streams=join.streams)
        return TaskGraph(join, plan)


@st.composite
def asked(draw: st.DrawFn) -> Asked:
    """Small logs: rows may be late, records may come too early for some rows, clocks may go back."""
    logs: Logs = {}
    for name in NAMES:
        rows = st.builds(LogRow, st.integers(0, 20), st.just(None) if name == "mark" else KNOWN)
        records = st.builds(LogRecord, st.integers(0, 22))
        logs[name] = draw(st.lists(st.one_of(rows, rows, rows, records), max_size=16))
    grace_ns = {name: draw(st.integers(0, 4)) for name in NAMES}
    return Asked(
        logs, grace_ns, draw(st.booleans()), draw(st.sampled_from([None, 3])), draw(st.sampled_from([0, 2]))
    )


KNOWN = st.none() | st.integers(0, 100)


@dataclass
class Durable:
    """What outlives a crash."""

    rows: list[tuple[str, int, int | None]] = field(default_factory=list)  # node, offset, available_ns
    late: list[tuple[str, int]] = field(default_factory=list)
    progress: TaskProgress | None = None
    kept: dict[bytes, bytes] = field(default_factory=dict)
    entries: dict[bytes, bytes] = field(default_factory=dict)
    states: list[tuple[dict[bytes, bytes], dict[str, int]]] = field(default_factory=list)


class Life:
    """One process: reads the logs, seals, commits; ends without a word."""

    def __init__(self, run: Asked, durable: Durable, state: int | None) -> None:
        self._run, self._durable, self.task = run, durable, run.task()
        self._rows: list[tuple[str, int, int | None]] = []
        self._late: list[tuple[str, int]] = []
        next_offsets = None
        durable.entries = {}
        durable.states = [] if state is None else durable.states
        if state is not None and durable.states:
            durable.states = durable.states[: len(durable.states) - state % len(durable.states)]
            entries, next_offsets = durable.states[-1]
            durable.entries = dict(entries)
            self.task.restore(entries.items())
        nothing = InputProgress(0, 0, BEGINNING_NS)
        committed = durable.progress or TaskProgress(inputs=dict.fromkeys(NAMES, nothing))
        recalled: Mapping[str, int] = {}
        if self.task.keeps is not None and needs_kept(committed, next_offsets):
            recalled = self.task.keeps.recall(durable.kept.items(), committed.frontier_ns)
        plan = plan_resume(committed, next_offsets, recalled)
        for stream in plan.unnamed:
            plan = plan.with_set_aside(stream, [(late, 0) for name, late in durable.late if name == stream])
        self._next = dict(plan.read_from)
        self.task.resume(plan)

    def read(self, name: str, count: int) -> None:
        """Push some of a log at once, rows and the records among them."""
        log = self._run.logs[name]
        offsets = range(self._next[name], min(self._next[name] + count, len(log)))
        rows = {at: entry for at in offsets if isinstance(entry := log[at], LogRow)}
        records = [
            ProgressRecord(entry.upper_ns, offset=at)
            for at in offsets
            if isinstance(entry := log[at], LogRecord)
        ]
        self.task.push(name, Arrived(batch(stream_of(name), rows) if rows else None, records))
        self._late += [(name, offset) for offset in self.task.inputs.late(name)["offset"].to_pylist()]
        self._next[name] = offsets.stop
        self.task.inputs.read_to(name, offsets.stop)

    def seal(self) -> None:
        self._take(self.task.seal())

    def commit(self, *, keep_state: bool, last_known: bool) -> None:
        durable, keeps = self._durable, self.task.keeps
        if last_known and keeps is not None and self.task.caught_up:
            durable.kept.update(keeps.kept())
        if keep_state:
            self.seal()
        durable.rows += self._rows
        durable.late += self._late
        self._rows, self._late = [], []
        durable.progress = self.task.progress()
        if keep_state and self.task.caught_up:
            snapshot = self.task.snapshot()
            for key in snapshot.deletes:
                del durable.entries[key]
            durable.entries.update(snapshot.puts)
            upto = {name: progress.next_offset for name, progress in durable.progress.inputs.items()}
            durable.states.append((dict(durable.entries), upto))

    def end(self) -> None:
        for name in NAMES:
            self.read(name, len(self._run.logs[name]))
        self.seal()
        self._take(self.task.finish())
        self.commit(keep_state=False, last_known=False)

    def _take(self, sealed: Mapping[str, Sealed]) -> None:
        for node in (*NODES, *JOINS):
            rows = sealed[node].rows if node in sealed else None
            if rows is not None:
                values = rows.column(AVAILABLE_NS).to_pylist()
                offsets = rows.column("left_offset").to_pylist()
                self._rows += [(node, *pair) for pair in zip(offsets, values, strict=True)]


def batch(stream: Stream, rows: Mapping[int, LogRow]) -> Batch:
    """Rows by their offsets, all of one symbol."""
    values: list[dict[str, Any]] = [
        {"event_ns": row.time_ns, "known_ns": row.known_ns, "symbol": "A"} for row in rows.values()
    ]
    count = len(rows)
    return Batch(
        columns=pa.RecordBatch.from_pylist(
            [{name: value[name] for name in stream.schema.names} for value in values], schema=stream.schema
        ),
        time_ns=np.array([row.time_ns for row in rows.values()], np.int64),
        sequence=np.zeros(count, np.int64),
        offset=np.array(list(rows), np.int64),
        index=np.zeros(count, np.int32),
        key_code=np.zeros(count, np.int32),
        keys=pa.array([b"A"], pa.binary()),
    )


def wanted(run: Asked, durable: Durable) -> list[tuple[str, int, int | None]]:
    """The same rows with what the whole logs say of each."""
    logs: Mapping[str, Log] = run.logs
    rows = []
    for node, offset, _ in durable.rows:
        row = run.logs["trade" if node in ("tick", "met") else "quote"][offset]
        assert isinstance(row, LogRow)
        reaches = node in ("tick", "met") and not run.exact
        rows.append((node, offset, available_slowly(logs, run.grace_ns, row.time_ns, reaches=reaches)))
    return rows


@given(asked(), st.data())
def test_it_is_what_the_logs_say_whatever_the_cuts(run: Asked, data: st.DataObject) -> None:
    durable = Durable()
    life = Life(run, durable, None)
    for _ in range(data.draw(st.integers(0, 8), "turns")):
        for name in NAMES:
            life.read(name, data.draw(st.integers(0, 5), name))
        if data.draw(st.booleans(), "seal"):
            life.seal()
    life.end()
    assert durable.rows == wanted(run, durable)


@given(asked(), st.data())
def test_it_is_the_same_after_any_restart_with_a_state_an_older_one_or_none(
    run: Asked, data: st.DataObject
) -> None:
    run = replace(run, joins=False)  # what joins of nodes hold comes back from a topic that is not here
    durable = Durable()
    for _ in range(data.draw(st.integers(1, 4), "lives")):
        life = Life(run, durable, data.draw(st.none() | st.integers(0, 2), "state"))
        for _ in range(data.draw(st.integers(1, 5), "turns")):
            for name in NAMES:
                life.read(name, data.draw(st.integers(0, 5), name))
            if data.draw(st.integers(0, 3), "seal"):
                life.seal()
            if data.draw(st.booleans(), "commit"):
                known = data.draw(st.booleans(), "last known")
                life.commit(keep_state=data.draw(st.booleans(), "keep"), last_known=known)
    Life(run, durable, data.draw(st.none() | st.just(0), "state")).end()
    assert durable.rows == wanted(run, durable)
