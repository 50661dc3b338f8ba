"""How much of the past nodes need where their state is gone."""

from collections.abc import Mapping

import pyarrow as pa
import pytest

from operators.graph.declare import GraphSettings, NodeSettings
from operators.graph.past import Past, pasts_of
from operators.graph.plan import plan_graph
from schemas.clocks import BEGINNING_NS

ALIGNED = pa.schema(
    [
        pa.field("event_ns", pa.int64(), nullable=False),
        pa.field("x", pa.float64()),
        pa.field("left_offset", pa.int64(), nullable=False),
        pa.field("left_index", pa.int32(), nullable=False),
    ]
)
DAY = 10


def past_of(*formulas: Mapping[str, str]) -> dict[str, Past]:
    """Of a chain of nodes n0, n1, ..."""
    nodes = [
        NodeSettings(name=f"n{place}", upstream=f"n{place - 1}" if place else "aligned", features=features)
        for place, features in enumerate(formulas)
    ]
    return pasts_of(plan_graph(GraphSettings(name="g", nodes=tuple(nodes)), ALIGNED, key=()))


@pytest.mark.parametrize(
    ("formula", "past"),
    [
        ("rolling_sum(x, '5ns')", Past(ns=5)),
        ("rolling_sum(x, rows=5)", Past(ever=True)),
        ("rolling_sum(x, rows=5, reset='session')", Past(sessions=1)),
        ("lag(x, rows=1)", Past(ever=True)),
        ("lag(x, '5ns')", Past(ever=True)),
        ("ewma(x, alpha=0.5)", Past(sessions=1)),
        ("ewma(x, alpha=0.5, memory='genesis')", Past(ever=True)),
        ("rolling_sum(rolling_sum(x, '5ns'), '7ns')", Past(ns=12)),
        ("rolling_sum(ewma(x, alpha=0.5), '7ns')", Past(sessions=1, ns=7)),
    ],
)
def test_a_node_needs_what_its_formulas_look_back_at(formula: str, past: Past) -> None:
    assert past_of({"a": formula}) == {"n0": past}


def test_a_node_needs_what_the_features_it_reads_look_back_at_too() -> None:
    pasts = past_of({"a": "rolling_sum(x, '5ns')"}, {"b": "a * 2"}, {"c": "rolling_sum(b, '2ns')"})
    assert pasts == {"n0": Past(ns=5), "n2": Past(ns=7)}


def test_what_hangs_on_the_row_alone_needs_nothing() -> None:
    assert past_of({"a": "x * 2"}) == {}


@pytest.mark.parametrize(
    ("past", "begins_ns"),
    [(Past(ns=3), 22), (Past(sessions=1), 20), (Past(sessions=1, ns=7), 3), (Past(ever=True), None)],
)
def test_a_session_is_looked_for_behind_the_windows_and_its_first_rows_have_theirs(
    past: Past, begins_ns: int | None
) -> None:
    assert past.begins_ns(25, lambda time_ns: time_ns // DAY * DAY) == begins_ns


def test_before_any_row_is_sealed_no_session_is_looked_for() -> None:
    def session_start(moment_ns: int) -> int:
        raise AssertionError(f"asked at {moment_ns}")

    assert Past(sessions=2, ns=5).begins_ns(BEGINNING_NS, session_start) is None
