"""What the order of a window's values tells: extremes, quantiles and ranks, R35 to R38 and R45."""

from collections.abc import Sequence
from typing import Final

from operators.formula.functions.declare import Build, Example, Function, Operand, Output, Setting, Settings
from operators.formula.functions.history import (
    OF_WINDOWS,
    ROWS_F1,
    least_of,
    one_window,
    window_of,
)
from operators.formula.functions.windows import FLOAT, MIN_COUNT, enough
from operators.formula.history import SORTED_MAX
from operators.formula.steps import Steps

PPM: Final = 1_000_000
MEDIAN_PPM: Final = 500_000

# Windows whose values are kept in order have fewer rows.
OF_SORTED: Final = tuple(
    setting._replace(bounds=(1, SORTED_MAX), default=SORTED_MAX if setting.name == "max_rows" else None)
    if setting.name in ("rows", "max_rows")
    else setting
    for setting in (*OF_WINDOWS, MIN_COUNT._replace(bounds=(1, SORTED_MAX)))
)


def _over_window(function: str) -> Build:
    def build(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
        return enough(steps, steps.window(function, operands, window_of(settings)), operands, settings)

    return build


def _quantile(steps: Steps, operands: Sequence[int], settings: Settings, q_ppm: int) -> int:
    result = steps.stateful("window_quantile", operands, *window_of(settings), q_ppm)
    return enough(steps, result, operands, settings)


def _rolling_median(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    return _quantile(steps, operands, settings, MEDIAN_PPM)


def _rolling_quantile(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    q_ppm = settings["q_ppm"]
    assert isinstance(q_ppm, int)
    return _quantile(steps, operands, settings, q_ppm)


def _rolling_rank(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    window = window_of(settings)
    rank = steps.window("window_rank", operands, window)
    count = steps.window("window_count", operands, window)
    if settings["pct"]:
        rank = steps.call("divide", [rank, count])
    return steps.call("enough", [rank, count, steps.constant(least_of(settings, 1))])


def _q_ppm(operands: Sequence[object], settings: Settings) -> str:
    """What is wrong with the settings of a quantile."""
    if "q_ppm" not in settings:
        return "rolling_quantile needs q_ppm=, in millionths: q_ppm=250000 is the lower quartile"
    return one_window((), settings)


IN_ORDER: Final = (
    Function(
        id="R35",
        name="rolling_min",
        definition="the smallest value",
        operands=(Operand("value", alike=True),),
        settings=(*OF_WINDOWS, MIN_COUNT),
        outputs=(Output("value", "common"),),
        example=Example("rolling_min(x, rows=4, min_count=2)", ROWS_F1, (None, 1, 1, 1, 2, 3, 3, 3)),
        memory="window",
        build=_over_window("window_min"),
        check=one_window,
    ),
    Function(
        id="R35",
        name="rolling_max",
        definition="the largest value",
        operands=(Operand("value", alike=True),),
        settings=(*OF_WINDOWS, MIN_COUNT),
        outputs=(Output("value", "common"),),
        example=Example("rolling_max(x, rows=4, min_count=2)", ROWS_F1, (None, 2, 2, 4, 8, 8, 8, 8)),
        memory="window",
        build=_over_window("window_max"),
        check=one_window,
    ),
    Function(
        id="R36",
        name="rolling_median",
        definition="the value in the middle of the values in order, or the mean of the two next to it",
        operands=(Operand("value", "float"),),
        settings=OF_SORTED,
        outputs=FLOAT,
        example=Example(
            "rolling_median(x, rows=4, min_count=2)", ROWS_F1, (None, 1.5, 1.5, 2.0, 4.0, 4.0, 3.5, 4.0)
        ),
        memory="window",
        build=_rolling_median,
        check=one_window,
    ),
    Function(
        id="R37",
        name="rolling_quantile",
        definition="the value that q_ppm millionths of the way through the values in order is at, on a"
        " straight line between the two next to it (type 7)",
        operands=(Operand("value", "float"),),
        settings=(
            Setting("q_ppm", "count", "which quantile, in millionths", bounds=(0, PPM)),
            *OF_SORTED,
        ),
        outputs=FLOAT,
        example=Example(
            "rolling_quantile(x, q_ppm=250000, rows=4, min_count=2)",
            ROWS_F1,
            (None, 1.25, 1.25, 1.5, 3.0, 3.5, 3.0, 3.0),
        ),
        memory="window",
        build=_rolling_quantile,
        check=_q_ppm,
    ),
    Function(
        id="R38",
        name="rolling_rank",
        definition="the rank of the row's value, 1 for the smallest; equal values share the mean of theirs",
        operands=(Operand("value"),),
        settings=(
            *OF_SORTED,
            Setting("pct", "boolean", "whether it is divided by the number of values", default=False),
        ),
        outputs=FLOAT,
        example=Example(
            "rolling_rank(x, rows=4, min_count=1)", ROWS_F1, (1.0, 2.0, None, 3.0, 3.0, 1.0, 1.5, 3.0)
        ),
        memory="window",
        build=_rolling_rank,
        check=one_window,
    ),
    Function(
        id="R45",
        name="rolling_argmax",
        definition="how many rows back the largest value is, of equal ones the newest",
        operands=(Operand("value"),),
        settings=(*OF_WINDOWS, MIN_COUNT),
        outputs=(Output("rows", "int64"),),
        example=Example("rolling_argmax(x, rows=4, min_count=1)", ROWS_F1, (0, 0, 1, 0, 0, 1, 2, 3)),
        memory="window",
        build=_over_window("window_argmax"),
        check=one_window,
    ),
    Function(
        id="R45",
        name="rolling_argmin",
        definition="how many rows back the smallest value is, of equal ones the newest",
        operands=(Operand("value"),),
        settings=(*OF_WINDOWS, MIN_COUNT),
        outputs=(Output("rows", "int64"),),
        example=Example("rolling_argmin(x, rows=4, min_count=1)", ROWS_F1, (0, 1, 2, 3, 3, 0, 0, 1)),
        memory="window",
        build=_over_window("window_argmin"),
        check=one_window,
    ),
)
