"""The audit's own bars and labels are those of the nodes, on any trades, however they are read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.graph.judge import second_judge
from operators.graph.declare import GraphSettings
from tests.oracles.bars import Trade
from tests.property.bar_cases import END_NS, trades_of
from tests.stage.judged_nodes import (
    YEAR_END_NS,
    findings_in,
    graph_of_bars,
    graph_of_calendar,
    graph_of_labels,
    trial_over,
)

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.takes_s(120)]

ends = st.sampled_from([0, END_NS])
sizes = st.integers(1, 41)


def require_nothing_to_say(
    graph: GraphSettings, rows: list[Trade], end_ns: int, size: int, numbers: type = int
) -> None:
    trial = trial_over(graph, rows, end_ns, numbers)
    outputs = trial.run()
    outcome = second_judge(trial, outputs, graph)
    assert outcome.difference is None
    assert "not judged" not in outcome.result
    for name, made in outputs.items():
        assert list(findings_in(trial, graph, name, made, size).violations()) == [], name
        assert list(findings_in(trial, graph, name, made, size, gone=1).violations()) == [], name


@pytest.mark.parametrize("numbers", [int, float])
@pytest.mark.parametrize("in_sessions", [True, False])
@given(st.data(), ends, sizes)
@settings(deadline=None, max_examples=10)
def test_the_judge_makes_the_bars_of_the_nodes(
    numbers: type, in_sessions: bool, data: st.DataObject, end_ns: int, size: int
) -> None:
    graph = graph_of_bars(whole=numbers is int, in_sessions=in_sessions)
    require_nothing_to_say(graph, data.draw(trades_of(numbers)), end_ns, size, numbers)


@given(trades_of(int), st.sampled_from([0, YEAR_END_NS]), sizes)
@settings(deadline=None, max_examples=10)
def test_the_judge_makes_the_bars_of_the_calendar(rows: list[Trade], end_ns: int, size: int) -> None:
    require_nothing_to_say(graph_of_calendar(), rows, end_ns, size)


@pytest.mark.parametrize("across", [True, False])
@given(trades_of(int), ends, sizes)
@settings(deadline=None, max_examples=10)
def test_the_judge_finds_the_labels_of_the_nodes(
    across: bool, rows: list[Trade], end_ns: int, size: int
) -> None:
    require_nothing_to_say(graph_of_labels(across=across), rows, end_ns, size)
