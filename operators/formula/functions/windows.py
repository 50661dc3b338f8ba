"""Functions over a window of rows or of time: R30 to R32."""

from collections.abc import Sequence
from typing import Final

from operators.formula.functions.declare import Example, Function, Operand, Output, Setting, Settings
from operators.formula.functions.history import OF_WINDOWS, ROWS_F1, least_of, one_window, window_of
from operators.formula.history import ROWS_MAX
from operators.formula.steps import Steps

MIN_COUNT: Final = Setting(
    "min_count",
    "count",
    "the fewest values for a result; by default all of a row window, 1 of a time window",
    bounds=(1, ROWS_MAX),
)
FLOAT: Final = (Output("value", "float64"),)


def enough(steps: Steps, result: int, values: Sequence[int], settings: Settings, least: int = 1) -> int:
    """The result where the window has enough values."""
    count = steps.window("window_count", values, window_of(settings))
    return steps.call("enough", [result, count, steps.constant(least_of(settings, least))])


def _rolling_count(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    return steps.window("window_count", operands, window_of(settings))


def _rolling_sum(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    step = "window_sum" if steps.kind(operands[0]) == "float64" else "window_total"
    return enough(steps, steps.window(step, operands, window_of(settings)), operands, settings)


def _rolling_mean(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    total = steps.window("window_sum", operands, window_of(settings))
    return enough(steps, steps.part("mean", total), operands, settings)


WINDOWS: Final = (
    Function(
        id="R30",
        name="rolling_count",
        definition="how many rows of the window have a value",
        operands=(Operand("value", "value"),),
        settings=OF_WINDOWS,
        outputs=(Output("value", "int64"),),
        example=Example("rolling_count(x, rows=4)", ROWS_F1, (1, 2, 2, 3, 3, 3, 4, 4)),
        memory="window",
        build=_rolling_count,
        check=one_window,
    ),
    Function(
        id="R31",
        name="rolling_sum",
        definition="the exact sum, of floats rounded once; null where it is too large",
        operands=(Operand("value", alike=True),),
        settings=(*OF_WINDOWS, MIN_COUNT),
        outputs=(Output("value", "wide"),),
        example=Example("rolling_sum(x, '3s')", ROWS_F1, (1, 3, 3, 7, 12, 15, 14, 5)),
        memory="window",
        build=_rolling_sum,
        check=one_window,
    ),
    Function(
        id="R32",
        name="rolling_mean",
        definition="the exact sum by the number of values, rounded once",
        operands=(Operand("value", "float"),),
        settings=(*OF_WINDOWS, MIN_COUNT),
        outputs=FLOAT,
        example=Example(
            "rolling_mean(x, rows=4, min_count=2)",
            ROWS_F1,
            (None, 1.5, 1.5, 2.333333333, 4.666666667, 5.0, 4.5, 4.75),
        ),
        memory="window",
        build=_rolling_mean,
        check=one_window,
    ),
)
