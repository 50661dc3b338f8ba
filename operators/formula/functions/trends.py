"""Trend scanning backward, L6: the span of the last rows through which a line goes best."""

from collections.abc import Sequence
from typing import Final

from operators.formula.functions.declare import Example, Function, Operand, Output, Setting, Settings
from operators.formula.functions.history import RESET, whole
from operators.formula.functions.quotes import TRADES
from operators.formula.history import ROWS_MAX, Window
from operators.formula.steps import Steps
from operators.formula.tree import Tree

SPAN_MIN: Final = 3  # of fewer rows no line has an error
SPAN_MAX: Final = 512  # each is gone through anew for each row
PARTS: Final = {"ret": "span_return", "rows": "span"}


def _trend(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    window = Window(whole(settings, "max"), 0, int(settings["reset"] == "session"), ROWS_MAX)
    trend = steps.stateful("window_trend", operands, *window, whole(settings, "min"), whole(settings, "step"))
    output = str(settings["output"])
    if output in PARTS:
        return steps.part(PARTS[output], trend)
    if output == "t_value":
        return trend
    least = settings["t_min"]
    assert isinstance(least, int | float), "t_min is a number"
    small = steps.call("less", [steps.call("abs", [trend]), steps.constant(float(least))])
    return steps.call("sign", [steps.call("where", [small, steps.constant(0.0), trend])])


def _spans(_: Sequence[Tree], settings: Settings) -> str:
    shortest, longest = whole(settings, "min"), whole(settings, "max")
    if shortest > longest:
        return f"min is at most max, and {shortest:,} is more than {longest:,}"
    return ""


TRENDS: Final = (
    Function(
        id="L6",
        name="trend_scan",
        definition="the t-value of the slope of a line through the last rows, of the span of `min` to `max`"
        " rows where it is farthest from 0, the shortest of equal ones; a span with a null, or with all rows"
        " on its line, is passed over",
        operands=(Operand("value", "float"),),
        settings=(
            Setting("min", "count", "the rows of the shortest span", default=5, bounds=(SPAN_MIN, SPAN_MAX)),
            Setting(
                "max",
                "count",
                "the rows of the longest span, without which there is no value",
                default=20,
                bounds=(SPAN_MIN, SPAN_MAX),
            ),
            Setting("step", "count", "rows from a span to the next", default=1, bounds=(1, SPAN_MAX)),
            RESET,
            Setting(
                "t_min", "number", "a t-value nearer to 0 has the sign 0", default=0.0, bounds=(0, 1e300)
            ),
            Setting(
                "output",
                "word",
                "the t-value, its sign, the return over the span, or how many rows the span has",
                default="t_value",
                words=("t_value", "sign", "ret", "rows"),
            ),
        ),
        outputs=(
            Output("t_value", "float64"),
            Output("sign", "int8"),
            Output("ret", "float64"),
            Output("rows", "float64"),
        ),
        example=Example(
            "trend_scan(price_cents, min=3, max=7)", TRADES, (None,) * 6 + (2.1213203, 3.4641016)
        ),
        memory="window",
        build=_trend,
        check=_spans,
    ),
)
