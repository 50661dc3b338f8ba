"""Crashes change nothing: with the state, an older one, or none, every row is sealed once and the same.

A life may look up other columns than the one before, which leaves it the kept rows but not their values.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.inputs.progress import InputProgress, TaskProgress
from operators.inputs.resuming import ResumePlan, needs_kept, plan_resume
from operators.join.settings import AsofSettings
from operators.rows import columns, pending
from operators.sealed import ALIGNED, Sealed
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
    complete_ns: int = BEGINNING_NS
    progress: TaskProgress | None = None
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # those of the last life
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
        plan = self._plan(state if asked.columns == durable.columns else None)
        durable.columns = asked.columns
        self._next = dict(plan.read_from)
        self.join.operator.resume(plan)

    def _plan(self, state: int | None) -> ResumePlan:
        """Restore the newest state but `state`, if any, and decide from where on to read."""
        durable, operator = self._durable, self.join.operator
        durable.entries, next_offsets = {}, None
        durable.states = [] if state is None else durable.states
        if state is not None and durable.states:
            durable.states = durable.states[: len(durable.states) - state % len(durable.states)]
            entries, next_offsets = durable.states[-1]
            durable.entries = dict(entries)
            operator.restore(entries.items())
        nothing = InputProgress(0, 0, BEGINNING_NS)
        committed = durable.progress or TaskProgress(inputs=dict.fromkeys(self._logs, nothing))
        recalled: Mapping[str, int] = {}
        if operator.keeps is not None and needs_kept(committed, next_offsets):
            recalled = operator.keeps.recall(durable.known.items(), committed.frontier_ns)
        plan = plan_resume(committed, next_offsets, recalled)
        for stream in plan.unnamed:
            plan = plan.with_set_aside(stream, [(late, 0) for name, late in durable.late if name == stream])
        return plan

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
        sealed = self.join.operator.seal()
        assert (ALIGNED in sealed) == self.join.inputs.caught_up
        if ALIGNED in sealed:
            self._send(sealed[ALIGNED])

    def commit(self, *, keep_state: bool, last_known: bool = False) -> None:
        durable = self._durable
        keeps = self.join.operator.keeps
        if last_known and keeps is not None and self.join.inputs.caught_up:
            durable.known.update(keeps.kept())
        if keep_state:
            self.seal()
        durable.rows += self._sealed
        durable.late += self._late
        self._sealed, self._late = [], []
        durable.complete_ns = self._complete_ns
        durable.progress = self.join.operator.progress()
        if keep_state and self.join.inputs.caught_up:
            snapshot = self.join.snapshot()
            for key in snapshot.deletes:
                del durable.entries[key]
            durable.entries.update(snapshot.puts)
            upto = {name: progress.next_offset for name, progress in durable.progress.inputs.items()}
            durable.states.append((dict(durable.entries), upto))

    def end(self) -> None:
        for stream in self._streams:
            self.read(stream, len(self._logs[stream]))
            self.join.inputs.read_to(stream, len(self._logs[stream]))
        self.seal()
        self._send(self.join.operator.finish()[ALIGNED])
        self.commit(keep_state=False)

    def _send(self, sealed: Sealed) -> None:
        rows = cases.dicts(sealed.rows)
        assert all(row["event_ns"] >= self._complete_ns for row in rows), "they were said to be out"
        assert sealed.complete_ns >= self._complete_ns, "what is out stays out"
        self._complete_ns = sealed.complete_ns
        self._sealed += rows

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


def asked_of_a_life(rules: Rules, data: st.DataObject) -> AsofSettings:
    """The settings of one life: where whole rows are carried, some lives look up fewer columns."""
    asked = cases.make_settings(rules)
    if rules.carry == "column" or data.draw(st.integers(0, 3), "columns"):
        return asked
    return replace(asked, columns=dict.fromkeys(rules.rights, ("bid", "tags")))


def in_columns_of(rows: list[dict[str, Any]], whole: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Whole rows, of each the columns that the row in its place has."""
    assert len(rows) == len(whole)
    return [{name: one[name] for name in row} for row, one in zip(rows, whole, strict=True)]


def lived(rules: Rules, made: Logs, data: st.DataObject) -> Durable:
    """What is durable after some lives that end without a word and one that comes to its end."""
    durable = Durable()
    for _ in range(data.draw(st.integers(0, 4), "lives")):
        state = data.draw(st.none() | st.integers(0, 2), "state")
        life = Life(asked_of_a_life(rules, data), made, durable, state)
        for _ in range(data.draw(st.integers(1, 6), "turns")):
            for stream in made:
                life.read(stream, data.draw(st.integers(0, 5), stream))
            if data.draw(st.integers(0, 4), "seal"):
                life.seal()
            if data.draw(st.booleans(), "commit"):
                known = data.draw(st.booleans(), "last known")
                life.commit(keep_state=data.draw(st.booleans(), "keep"), last_known=known)
    Life(asked_of_a_life(rules, data), made, durable, data.draw(st.none() | st.just(0), "state")).end()
    return durable


@settings(max_examples=200, deadline=None)
@given(logs(may_be_late=False), st.data())
def test_crashes_lose_double_and_change_nothing(case: tuple[Rules, Logs], data: st.DataObject) -> None:
    rules, made = case
    durable = lived(rules, made, data)
    assert not durable.late
    rows = {stream: rows_of(log) for stream, log in made.items()}
    whole = join_slowly(rows["trade"], rows, cases.looked_up(rules), rules)
    assert durable.rows == in_columns_of(durable.rows, whole)


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
    whole = join_slowly(accepted["trade"], accepted, cases.looked_up(rules), rules)
    assert durable.rows == in_columns_of(durable.rows, whole)
