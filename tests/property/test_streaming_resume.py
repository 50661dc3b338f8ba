"""Crashes change nothing: with the state, an older one, or none, every row is sealed once and the same."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.inputs.progress import InputProgress
from operators.join.settings import AsofSettings
from operators.rows import columns, pending
from operators.streaming import StreamingAsof
from schemas.clocks import BEGINNING_NS
from tests.oracles.streaming_asof import Row, Rules, join_slowly
from tests.property import streaming_cases as cases

pytestmark = pytest.mark.takes_s(40)

Logs = dict[str, list[Row | int]]  # an int is the upper bound of a progress record


@pytest.fixture(autouse=True, scope="module")
def forget_rows_at_once() -> Iterator[None]:
    """So few rows would never be worth forgetting otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pending, "COMPACT_ROWS_MIN", 0)
        patch.setattr(columns, "CAPACITY_MIN", 2)
        yield


@dataclass
class Durable:
    """What outlives a crash: committed rows, late rows and progress, and states that were written down."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    late: list[tuple[str, int]] = field(default_factory=list)  # (stream, offset)
    frontier_ns: int = BEGINNING_NS
    complete_ns: int = BEGINNING_NS
    inputs: dict[str, InputProgress] = field(default_factory=dict)
    entries: dict[bytes, bytes] = field(default_factory=dict)
    known: dict[bytes, bytes] = field(default_factory=dict)
    states: list[tuple[dict[bytes, bytes], dict[str, int]]] = field(default_factory=list)


class Life:
    """One process: reads the logs, seals, commits; ends without a word."""

    def __init__(self, asked: AsofSettings, logs: Logs, durable: Durable, state: int | None) -> None:
        self.join = StreamingAsof(asked)
        self._streams = {stream.name: stream for stream in asked.streams}
        self._logs, self._durable = logs, durable
        self._sealed: list[dict[str, Any]] = []
        self._late: list[tuple[str, int]] = []
        self._complete_ns = durable.complete_ns
        durable.inputs = durable.inputs or dict.fromkeys(logs, InputProgress(0, 0, BEGINNING_NS))
        self._next = {name: progress.needed_offset for name, progress in durable.inputs.items()}
        durable.entries = {}
        if state is not None and durable.states:
            durable.states = durable.states[: len(durable.states) - state % len(durable.states)]
            entries, self._next = durable.states[-1][0], dict(durable.states[-1][1])
            durable.entries = dict(entries)
            self.join.restore(entries.items())
        else:
            durable.states = []
        needed = {name: progress.needed_offset for name, progress in durable.inputs.items()}
        if not durable.states or any(self._next[name] < needed[name] for name in self.join.streams):
            self.join.recall(durable.known.items(), durable.frontier_ns)
        self.join.resume(durable.frontier_ns, durable.inputs, self._next)

    def read(self, stream: str, count: int) -> None:
        part: list[Row] = []
        log = self._logs[stream]
        for offset in range(self._next[stream], min(self._next[stream] + count, len(log))):
            entry = log[offset]
            if isinstance(entry, Row):
                part.append(entry)
            else:
                self._push(stream, part)
                part = []
                self.join.advance(stream, entry, offset=offset)
            self._next[stream] = offset + 1
        self._push(stream, part)

    def seal(self) -> None:
        rows = cases.dicts(self.join.seal())
        assert all(row["event_ns"] >= self._complete_ns for row in rows), "they were said to be out"
        if self.join.caught_up:
            assert self.join.complete_ns >= self._complete_ns, "what is out stays out"
            self._complete_ns = self.join.complete_ns
        self._sealed += rows

    def commit(self, *, keep_state: bool, last_known: bool = False) -> None:
        durable = self._durable
        if last_known and self.join.keeps_last_known and self.join.caught_up:
            durable.known.update(self.join.last_known())
        if keep_state:
            self.seal()
        durable.rows += self._sealed
        durable.late += self._late
        self._sealed, self._late = [], []
        durable.frontier_ns = self.join.frontier_ns
        durable.complete_ns = self._complete_ns
        durable.inputs = {name: self.join.progress(name) for name in self._streams}
        if keep_state and self.join.caught_up:
            snapshot = self.join.snapshot()
            for key in snapshot.deletes:
                del durable.entries[key]
            durable.entries.update(snapshot.puts)
            upto = {name: progress.next_offset for name, progress in durable.inputs.items()}
            durable.states.append((dict(durable.entries), upto))

    def end(self) -> None:
        for stream in self._streams:
            self.read(stream, len(self._logs[stream]))
            self.join.reached(stream, len(self._logs[stream]))
        self.seal()
        rows = cases.dicts(self.join.finish())
        assert all(row["event_ns"] >= self._complete_ns for row in rows), "they were said to be out"
        self._sealed += rows
        self.commit(keep_state=False)

    def _push(self, stream: str, part: list[Row]) -> None:
        self.join.push(stream, cases.batch(self._streams[stream], part))
        self._late += [(stream, offset) for offset in self.join.late(stream)["offset"].to_pylist()]


@st.composite
def logs(draw: st.DrawFn, *, may_be_late: bool) -> tuple[Rules, Logs]:
    """Rows with progress records between them: all true and within grace, or too early for some rows."""
    rules, drawn = draw(cases.streams())
    made: Logs = {}
    for stream, rows in drawn.items():
        log: list[Row | int] = []
        for i, row in enumerate(rows):
            if draw(st.integers(0, 3)) == 0:
                true_ns = min(later.time_ns for later in rows[i:])
                log.append(draw(st.integers(0, 9)) if may_be_late else true_ns)
            log.append(replace(row, offset=len(log)))
        made[stream] = log
    if may_be_late:
        return rules, made
    grace_ns = {stream: cases.grace_of(rows_of(log)) for stream, log in made.items()}
    return replace(rules, grace_ns=grace_ns), made


def rows_of(log: list[Row | int]) -> list[Row]:
    return [entry for entry in log if isinstance(entry, Row)]


def lived(rules: Rules, made: Logs, data: st.DataObject) -> Durable:
    """What is durable after some lives that end without a word and one that comes to its end."""
    durable = Durable()
    for _ in range(data.draw(st.integers(0, 4), "lives")):
        life = Life(
            cases.make_settings(rules), made, durable, data.draw(st.none() | st.integers(0, 2), "state")
        )
        for _ in range(data.draw(st.integers(1, 6), "turns")):
            for stream in made:
                life.read(stream, data.draw(st.integers(0, 5), stream))
            if data.draw(st.integers(0, 4), "seal"):
                life.seal()
            if data.draw(st.booleans(), "commit"):
                known = data.draw(st.booleans(), "last known")
                life.commit(keep_state=data.draw(st.booleans(), "keep"), last_known=known)
    Life(cases.make_settings(rules), made, durable, data.draw(st.none() | st.just(0), "state")).end()
    return durable


@settings(max_examples=200, deadline=None)
@given(logs(may_be_late=False), st.data())
def test_crashes_lose_double_and_change_nothing(case: tuple[Rules, Logs], data: st.DataObject) -> None:
    rules, made = case
    durable = lived(rules, made, data)
    assert not durable.late
    rows = {stream: rows_of(log) for stream, log in made.items()}
    assert durable.rows == join_slowly(rows["trade"], rows, cases.looked_up(rules), rules)


@settings(max_examples=200, deadline=None)
@given(logs(may_be_late=True), st.data())
def test_a_row_that_was_late_once_changes_nothing_whatever_dies_after(
    case: tuple[Rules, Logs], data: st.DataObject
) -> None:
    rules, made = case
    durable = lived(rules, made, data)
    assert len(set(durable.late)) == len(durable.late)
    accepted = {
        stream: [row for row in rows_of(log) if (stream, row.offset) not in durable.late]
        for stream, log in made.items()
    }
    assert durable.rows == join_slowly(accepted["trade"], accepted, cases.looked_up(rules), rules)
