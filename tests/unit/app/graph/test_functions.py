"""`graph check` of functions: an honest one passes, and each planted fault is named with its place."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.graph import experiments as module
from app.graph.check import verdict
from app.graph.judge import second_judge
from app.graph.outcome import Outcome
from app.graph.trial import Trial
from operators.graph.plan import PlannedNode
from operators.rows.groups import Groups
from operators.tiles.node import TileNode
from tests.stage.planted_functions import (
    WINDOW,
    any_symbol,
    failing,
    graph_of,
    honest,
    in_pandas,
    next_row,
    noise,
    trial_of,
)
from tests.stage.planted_joins import in_place_of

pytestmark = [pytest.mark.slow, pytest.mark.takes_s(60)]


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer cuts and moments than of a day: each call of a function costs a millisecond."""
    for name, count in (("CUTS", 20), ("SINGLE_ROWS_MAX", 60), ("MOMENTS", 8), ("KILLS", 12)):
        monkeypatch.setattr(module, name, count)
    monkeypatch.setattr("app.graph.context.MOMENTS", 4)


def outcomes_of(trial: Trial) -> list[Outcome]:
    return list(module.experiments(trial, trial.run(), 1))


def result_of(outcomes: list[Outcome], name: str) -> str:
    return next(one.result for one in outcomes if one.name == name)


@pytest.mark.parametrize("function", [honest, in_pandas])
def test_an_honest_function_passes_every_experiment(function: Callable[[Any], Any]) -> None:
    outcomes = outcomes_of(trial_of(function))
    assert [one.name for one in outcomes if one.difference is not None] == []
    assert result_of(outcomes, "functions").startswith("smooth enough")


@pytest.mark.parametrize(
    ("function", "context", "experiment", "cause"),
    [
        (next_row, WINDOW, "look-ahead", "looks ahead"),
        (noise, WINDOW, "twice", "not the same twice"),
        (any_symbol, WINDOW, "symbols", "mixes symbols"),
        (honest, WINDOW - 2, "functions", "its context is too small"),
        (in_pandas, 0, "functions", "its context is too small"),
    ],
    ids=["shift(-1)", "random()", "symbols mixed", "short context", "pandas rolling without context"],
)
def test_a_planted_fault_in_a_function_is_named_with_its_place_and_cause(
    function: Callable[[Any], Any], context: int, experiment: str, cause: str
) -> None:
    trial = trial_of(function, rows=context)
    outcomes = outcomes_of(trial)
    assert experiment in {one.name for one in outcomes if one.difference is not None}
    first, second = verdict(trial, trial.run(), outcomes)
    assert first.startswith(f"my_nodes.py:4  smooth.y: {cause}")
    assert second.startswith("  first at ")


@pytest.mark.parametrize(("function", "rows"), [(honest, WINDOW - 1), (in_pandas, 9), (failing, 40)])
def test_the_second_judge_calls_the_function_again(function: Callable[[Any], Any], rows: int) -> None:
    trial = trial_of(function, rows=rows)
    outcome = second_judge(trial, trial.run(), graph_of(function, rows=rows))
    assert outcome.difference is None
    assert outcome.result == "equal; functions are judged by calling them again"


class TooLittleContext(TileNode):
    """Gives its function one row of context less than the settings say."""

    def __init__(self, planned: PlannedNode, groups: Groups) -> None:
        assert planned.tiles is not None
        settings = replace(planned.tiles.settings, rows=planned.tiles.settings.rows - 1)
        super().__init__(planned.name, planned.meaning, planned.tiles._replace(settings=settings), groups)


def test_the_second_judge_calls_the_function_again_and_finds_a_value_that_is_another() -> None:
    trial = trial_of(honest, make=in_place_of("smooth", TooLittleContext))
    outputs = trial.run()
    outcome = second_judge(trial, outputs, graph_of(honest))
    first, second = verdict(trial, outputs, [outcome])
    assert first == (
        "my_nodes.py:4  smooth.y: is another value where the audit calls the function with the tiles of the "
        "settings"
    )
    assert second.endswith("by the node and by the audit")


def test_a_context_that_is_more_than_enough_is_told() -> None:
    outcomes = outcomes_of(trial_of(honest, rows=4 * WINDOW))
    # What a library adds and takes away has last bits that hang on the rows before its window.
    told = r"smooth enough( but for rounding, \d\.\de-1\d at most)?, and so is half"
    assert re.fullmatch(told, result_of(outcomes, "functions"))


def test_tiles_that_fail_are_counted_with_the_first_reason() -> None:
    outcomes = outcomes_of(trial_of(failing, rows=40))
    assert "tiles of smooth fail: ArithmeticError: so many" in result_of(outcomes, "functions")
