"""The audit of joins of nodes and of what is behind them: each planted fault is named for what it is."""

from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pytest

from app.audit.findings import Findings
from app.audit.node_rules import NodeRules
from operators.graph.declare import GraphSettings, JoinSettings, NodeSettings, Output
from tests.stage.planted_joins import (
    COLUMNS,
    JOINS,
    KEYS,
    LosesARow,
    NextRow,
    OneRowLate,
    SlowJoin,
    drawn_day,
    findings_of,
    graph_of,
    in_place_of,
    reading,
    root_rows_of,
    trial_of_joins,
)

NOTHING_GONE = {"aligned": 0, "quote": 0}


def kinds_of(findings: Findings) -> set[str]:
    return {violation.kind for violation in findings.violations()}


def faults_by_node(at: str, node: Any) -> dict[str, set[str]]:
    """What is found where the node `at` is this one, by node in the order of the plan."""
    day = drawn_day()
    made = trial_of_joins(day, make=in_place_of(at, node)).run()
    read = reading(day, NOTHING_GONE, 97)
    found = {name: kinds_of(findings_of(JOINS, name, read, [rows])) for name, rows in made.items()}
    return {name: kinds for name, kinds in found.items() if kinds}


def test_a_join_row_by_row_and_what_hangs_on_it_is_right() -> None:
    assert faults_by_node("joined", SlowJoin) == {}


def test_a_join_that_uses_rows_one_row_too_late_has_wrong_matches() -> None:
    found = faults_by_node("joined", OneRowLate)
    assert next(iter(found)) == "joined"
    assert found["joined"] == {"wrong match", "changed right value"}  # this, where both are of one time
    assert "wrong feature" in found["later"]


def test_a_join_that_looks_ahead_is_named_for_it() -> None:
    found = faults_by_node("joined", NextRow)
    assert next(iter(found)) == "joined"
    assert found["joined"] == {"look-ahead", "wrong match"}


def test_a_node_on_a_stream_that_loses_a_row_misses_it() -> None:
    found = faults_by_node("flow", LosesARow)
    assert found["flow"] == {"missing node row"}
    assert "tick" not in found


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("flow_bid", "changed right value"),
        ("flow_sum", "changed right value"),
        ("flow_age_ns", "wrong age"),
        ("price", "changed carried column"),
        ("mean", "changed carried column"),  # of the node in front
    ],
)
def test_a_value_that_was_changed_is_named_for_what_it_is(column: str, kind: str) -> None:
    day = drawn_day()
    rows = trial_of_joins(day).run()["joined"]
    at = rows.schema.get_field_index(column)
    values = rows.column(column).to_pylist()
    place = next(n for n, value in enumerate(values) if value is not None)
    values[place] += 1
    rows = rows.set_column(at, rows.schema.field(at), pa.array(values, rows.schema.field(at).type))
    (fault,) = findings_of(JOINS, "joined", reading(day, NOTHING_GONE, 50), [rows]).violations()
    assert (fault.kind, fault.rows) == (kind, 1)
    assert f"joined row {rows['left_offset'][place]}/0: {column} is {values[place]!r}" in fault.examples[0]


def test_a_fault_is_found_beside_rows_that_hang_on_what_is_gone() -> None:
    day = {
        "aligned": root_rows_of("aligned", [(n, "A", float(n)) for n in range(20)]),
        "quote": root_rows_of("quote", [(2 * n, "A", float(n)) for n in range(10)]),
    }
    graph = graph_of(JoinSettings(rights=("flow",)), JoinSettings(rights=("later",)))
    rows = trial_of_joins(day, graph).run()["joined"]
    read = reading(day, {"aligned": 0, "quote": 5}, 3)
    clean = findings_of(graph, "joined", read, [rows])
    assert kinds_of(clean) == set()
    # Quotes before 10 are gone, which trades before 10 match; of the two after these 4 ns reach back to them.
    assert clean.without_past["joined"] == 14
    at = rows.schema.get_field_index("flow_bid")
    values = [value if n < 16 else -1.0 for n, value in enumerate(rows.column("flow_bid").to_pylist())]
    wrong = rows.set_column(at, rows.schema.field(at), pa.array(values))
    (fault,) = findings_of(graph, "joined", read, [wrong]).violations()
    assert (fault.kind, fault.rows) == ("changed right value", 4)


def test_what_no_judge_can_compute_is_named_wherever_a_join_brings_it() -> None:
    flow = NodeSettings(name="flow", upstream="quote", features={"x": "nobody_knows(bid)", "y": "bid + 1"})
    join = NodeSettings(
        name="joined", upstream="aligned", features={}, join=JoinSettings(rights=("flow",)), output=Output()
    )
    then = NodeSettings(name="then", upstream="joined", features={"z": "flow_x + 1", "ok": "flow_y + 1"})
    graph = GraphSettings(name="g", nodes=(flow, join, then))
    rules = NodeRules.of(graph, "then", KEYS, "event_ns", COLUMNS)
    assert rules.unjudged == {"flow_x": "nobody_knows", "z": "nobody_knows"}
    assert rules.roots == {"aligned", "quote"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OfAnotherKind(NodeSettings):
    """A node with a setting that the audit does not know."""

    turns: str = ""


def test_nodes_behind_one_of_a_kind_without_a_judge_are_named_and_not_judged() -> None:
    bars = OfAnotherKind(name="bars", upstream="quote", features={"x": "sum(bid)"}, turns="30s")
    join = NodeSettings(name="joined", upstream="aligned", features={}, join=JoinSettings(rights=("bars",)))
    then = NodeSettings(name="then", upstream="joined", features={"z": "bars_x + 1"})
    graph = GraphSettings(name="g", nodes=(bars, join, then))
    assert NodeRules.of(graph, "then", KEYS, "event_ns", COLUMNS).strange == "turns of bars"
    plain = GraphSettings(name="g", nodes=(replace(bars, turns=""), join, then))
    assert NodeRules.of(plain, "then", KEYS, "event_ns", COLUMNS).strange == ""
