"""Values of earlier rows, and differences from them: R11, R13 to R15, and R22 by time."""

from collections.abc import Sequence
from typing import Final

from operators.formula.functions.declare import Example, Function, Operand, Output, Settings
from operators.formula.functions.history import (
    LAG_ROWS,
    NS,
    RESET,
    ROWS,
    ROWS_AT_MOST,
    ROWS_F1,
    one_lag,
    whole,
)
from operators.formula.steps import Steps

OF_LAGS: Final = (
    NS._replace(about="at least how long before; then of equal times the last row"),
    ROWS._replace(about="how many rows before; 1 where nothing is said"),
    RESET._replace(about="whether rows of earlier sessions are out of reach"),
    ROWS_AT_MOST._replace(about="of a lag by time: null where more rows come after it"),
)


def _lag(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    reset = int(settings["reset"] == "session")
    if "ns" in settings:
        most = whole(settings, "max_rows")
        return steps.stateful("lag_time", operands, whole(settings, "ns"), reset, most)
    return steps.stateful("lag_rows", operands, whole(settings, "rows", LAG_ROWS), reset)


def _diff(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    return steps.call("subtract", [*operands, _lag(steps, operands, settings)])


def _ratio(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    return steps.call("divide", [*operands, _lag(steps, operands, settings)])


def _pct_change(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    return steps.call("subtract", [_ratio(steps, operands, settings), steps.constant(1.0)])


def log_return(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    """The logarithm of the ratio, where both values are above 0."""
    (x,) = operands
    positive = steps.call("greater", [x, steps.constant(0)])
    ratio = _ratio(
        steps, [steps.call("where", [positive, x, steps.call("log", [steps.constant(0.0)])])], settings
    )
    return steps.call("log", [ratio])


def log_return_of_last(steps: Steps, price: int, reset: int) -> int:
    """The logarithm of the price by that of the row before, with `reset` of the same session."""
    return log_return(steps, [price], {"rows": LAG_ROWS, "reset": "session" if reset else "none"})


FLOAT: Final = (Output("value", "float64"),)

LAGS: Final = (
    Function(
        id="R11",
        name="lag",
        definition="the value of an earlier row of the symbol; null where there is none, or it is",
        operands=(Operand("value", "value", alike=True),),
        settings=OF_LAGS,
        outputs=(Output("value", "common"),),
        example=Example("lag(x)", ROWS_F1, (None, 1, 2, None, 4, 8, 3, 3)),
        memory="window",
        build=_lag,
        check=one_lag,
    ),
    Function(
        id="R13",
        name="diff",
        definition="the value less that of an earlier row",
        operands=(Operand("value", alike=True),),
        settings=OF_LAGS,
        outputs=(Output("value", "wide"),),
        example=Example("diff(x)", ROWS_F1, (None, 1, None, None, 4, -5, 0, 2)),
        memory="window",
        build=_diff,
        check=one_lag,
    ),
    Function(
        id="R14",
        name="pct_change",
        definition="the value by that of an earlier row, less 1; null where the latter is 0",
        operands=(Operand("value", "float"),),
        settings=OF_LAGS,
        outputs=FLOAT,
        example=Example("pct_change(x)", ROWS_F1, (None, 1.0, None, None, 1.0, -0.625, 0.0, 0.6666666667)),
        memory="window",
        build=_pct_change,
        check=one_lag,
    ),
    Function(
        id="R15",
        name="log_return",
        definition="the natural logarithm of the value by that of an earlier row; null unless both are > 0",
        operands=(Operand("value", "float"),),
        settings=OF_LAGS,
        outputs=FLOAT,
        example=Example(
            "log_return(x, '2s')",
            ROWS_F1,
            (None, None, None, 1.386294361, 0.6931471806, -0.2876820725, -0.2876820725, 0.5108256238),
        ),
        memory="window",
        build=log_return,
        check=one_lag,
    ),
)
