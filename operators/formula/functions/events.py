"""Sums since the session's start, and how long ago something was: R16 to R19."""

from collections.abc import Sequence
from typing import Final

from operators.formula.functions.declare import Example, Function, Operand, Output, Setting, Settings
from operators.formula.functions.history import RESET, ROWS_F1, WINDOW_NS_MAX, whole
from operators.formula.history import ROWS_MAX
from operators.formula.steps import Steps

MEMORY: Final = Setting(
    "memory",
    "word",
    "whether events of earlier sessions count",
    default="session",
    words=("session", "genesis"),
)
NO_LIMIT: Final = -1


def _cumsum(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    (x,) = operands
    function = "cumsum_floats" if steps.kind(x) == "float64" else "cumsum_ints"
    return steps.stateful(function, operands, int(settings["reset"] == "session"))


def _time_since(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    return steps.stateful("time_since", operands, int(settings["memory"] == "session"))


def _count_since(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    return steps.stateful("count_since", operands, int(settings["memory"] == "session"))


def _fill_forward(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    limits = [whole(settings, name, NO_LIMIT) for name in ("limit_rows", "limit_ns")]
    return steps.stateful("fill_forward", operands, *limits, int(settings["reset"] == "session"))


EVENTS: Final = (
    Function(
        id="R16",
        name="cumsum",
        definition="the exact sum of the values so far, rounded once; null where the value is, and where 64"
        " bits do not hold the sum of integers",
        operands=(Operand("value", alike=True),),
        settings=(RESET._replace(about="whether it starts anew with each session", default="session"),),
        outputs=(Output("value", "wide"),),
        example=Example("cumsum(x)", ROWS_F1, (1, 3, None, 7, 15, 18, 21, 26)),
        memory="since",
        build=_cumsum,
    ),
    Function(
        id="R17",
        name="time_since",
        definition="ns since the last row where the event is true; null before the first one",
        operands=(Operand("event", "boolean"),),
        settings=(MEMORY,),
        outputs=(Output("ns", "int64"),),
        example=Example(
            "time_since(e)", ROWS_F1, (None, 0, 0, 1_000_000_000, 0, 0, 1_000_000_000, 5_000_000_000)
        ),
        memory="since",
        build=_time_since,
    ),
    Function(
        id="R18",
        name="count_since",
        definition="rows since the last row where the event is true; null before the first one",
        operands=(Operand("event", "boolean"),),
        settings=(MEMORY,),
        outputs=(Output("rows", "int64"),),
        example=Example("count_since(e)", ROWS_F1, (None, 0, 1, 2, 0, 1, 2, 3)),
        memory="since",
        build=_count_since,
    ),
    Function(
        id="R19",
        name="fill_forward",
        definition="the last value that is there; null where it is older than a limit",
        operands=(Operand("value", "value", alike=True),),
        settings=(
            Setting("limit_rows", "count", "the most rows that it may be old", bounds=(0, ROWS_MAX)),
            Setting("limit_ns", "duration", "how old it may be", bounds=(0, WINDOW_NS_MAX)),
            RESET._replace(about="whether values of earlier sessions are forgotten"),
        ),
        outputs=(Output("value", "common"),),
        example=Example("fill_forward(x)", ROWS_F1, (1, 2, 2, 4, 8, 3, 3, 5)),
        memory="since",
        build=_fill_forward,
    ),
)
