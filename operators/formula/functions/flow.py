"""Flow, impact and spread over windows of trades: M22, M24 and M27."""

from collections.abc import Sequence
from typing import Final

from operators.formula.functions.declare import Example, Function, Operand, Output, Setting, Settings
from operators.formula.functions.history import (
    NS,
    RESET_BY_SESSION,
    ROWS,
    ROWS_AT_MOST,
    one_lag,
    one_window,
    window_of,
)
from operators.formula.functions.moments import of_pairs, paired
from operators.formula.functions.quotes import DIRECTION, PRICE, SIZE, TRADES
from operators.formula.functions.starts import number
from operators.formula.functions.windows import FLOAT, MIN_COUNT, enough
from operators.formula.steps import Steps

ROLL_ROWS: Final = 20

IN_SESSIONS: Final = (NS, ROWS, RESET_BY_SESSION, ROWS_AT_MOST)
TICK: Final = Setting("tick", "number", "the price's unit, where it is not 1", bounds=(5e-324, 1e300))


def traded(steps: Steps, size: int) -> int:
    """The size of a trade, as a float: one that is not above 0 is none."""
    size = steps.convert("float64", size)
    above = steps.call("greater", [size, steps.constant(0.0)])
    return steps.call("where", [above, size, steps.absent("float64")])


def weighted_mean(steps: Steps, value: int, size: int, settings: Settings) -> int:
    """The mean over the window's trades, weighted by their sizes, from exact sums."""
    operands = [steps.convert("float64", value), traded(steps, size)]
    products = steps.window("window_products", operands, window_of(settings))
    return enough(steps, steps.part("mean", products), paired(steps, operands), settings)


def _trade_imbalance(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    size, direction = operands
    return weighted_mean(steps, steps.call("direction", [direction]), size, settings)


def _kyle_window(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    price, size, direction = operands
    change = steps.convert("float64", price_change(steps, price, settings))
    if "tick" in settings:
        change = steps.call("divide", [change, steps.constant(number(settings, "tick"))])
    flow = steps.convert("float64", steps.call("multiply", [steps.call("direction", [direction]), size]))
    part = "t_value" if settings["output"] == "t" else "slope"
    return of_pairs(steps, part, [flow, change], settings, least=3)


def price_change(steps: Steps, price: int, settings: Settings) -> int:
    """R13 by one row, across a session's start only without reset."""
    return steps.call("subtract", [price, _before(steps, price, settings)])


def _before(steps: Steps, value: int, settings: Settings) -> int:
    return steps.stateful("lag_rows", [value], 1, int(settings["reset"] == "session"))


def _roll_spread(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    """2 * sqrt(-c) for a covariance c below 0."""
    if "ns" not in settings:
        settings = {"rows": ROLL_ROWS, **settings}
    change = steps.convert("float64", price_change(steps, operands[0], settings))
    c = of_pairs(steps, "", [change, _before(steps, change, settings)], settings)
    if settings["output"] == "c":
        return c
    root = steps.call("sqrt", [steps.call("abs", [c])])
    spread = steps.call("multiply", [steps.constant(2.0), root])
    if settings["positive"] == "abs":
        return spread
    zero = steps.constant(0.0)
    otherwise = zero
    if settings["positive"] == "null":
        otherwise = steps.call("where", [steps.call("greater", [c, zero]), steps.absent("float64"), zero])
    return steps.call("where", [steps.call("less", [c, zero]), spread, otherwise])


FLOW: Final = (
    Function(
        id="M22",
        name="trade_imbalance",
        definition="the signed size of the window's trades by their size, from -1 to 1",
        operands=(SIZE, DIRECTION),
        settings=(*IN_SESSIONS, MIN_COUNT),
        outputs=FLOAT,
        example=Example("trade_imbalance(size, d, rows=8, min_count=8)", TRADES, (None,) * 7 + (0.2,)),
        memory="window",
        build=_trade_imbalance,
        check=one_window,
    ),
    Function(
        id="M24",
        name="kyle_window",
        definition="the slope of the price's change on the signed size of the trade, or its t-value",
        operands=(PRICE, Operand("size"), DIRECTION),
        settings=(
            *IN_SESSIONS,
            MIN_COUNT,
            TICK,
            Setting("output", "word", "the slope, or its t-value", default="lambda", words=("lambda", "t")),
        ),
        outputs=(Output("lambda", "float64"), Output("t", "float64")),
        example=Example(
            "kyle_window(price_cents, size, d, rows=8, min_count=7)",
            TRADES,
            (None,) * 7 + (0.4257425743,),
        ),
        memory="window",
        build=_kyle_window,
        check=one_window,
    ),
    Function(
        id="M27",
        name="roll_spread",
        definition="the spread that makes the covariance of neighbouring price changes what it is",
        operands=(PRICE,),
        settings=(
            *IN_SESSIONS,
            MIN_COUNT,
            Setting(
                "positive",
                "word",
                "the spread where the covariance is above 0",
                default="zero",
                words=("zero", "null", "abs"),
            ),
            Setting(
                "output", "word", "the spread, or the covariance", default="spread", words=("spread", "c")
            ),
        ),
        outputs=(Output("spread", "float64"), Output("c", "float64")),
        example=Example(
            "roll_spread(price_cents, rows=8, min_count=6)", TRADES, (None,) * 7 + (2.529822128,)
        ),
        memory="window",
        build=_roll_spread,
        check=one_lag,
    ),
)
