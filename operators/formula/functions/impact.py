"""What trades do to the price, and how one-sided they are, since a start: M23, M29."""

import math
from collections.abc import Sequence
from typing import Final

from operators.formula.functions.declare import Example, Function, Operand, Output, Setting, Settings
from operators.formula.functions.history import RESET, whole
from operators.formula.functions.quotes import DIRECTION, TRADES
from operators.formula.functions.starts import (
    LEAST,
    MIN_COUNT,
    OF_MEMORY,
    never_fades,
    number,
    recursion,
    shift_of_rows,
)
from operators.formula.history import ROWS_MAX
from operators.formula.steps import Steps

FLOAT: Final = (Output("value", "float64"),)
SIZE: Final = Operand("size")


def _kyle_rls(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    price, size, d = operands
    before = steps.stateful("lag_rows", [price], 1, int(settings["reset"] == "session"))
    change = steps.convert("float64", steps.call("subtract", [price, before]))
    if "tick" in settings:
        change = steps.call("divide", [change, steps.constant(number(settings, "tick"))])
    side = steps.call("direction", [d])
    flow = steps.convert("float64", steps.call("multiply", [side, size]))
    traded = steps.call("unequal", [side, steps.constant(0)])
    flow = steps.call("where", [traded, flow, steps.absent("float64")])
    forget = number(settings, "lambda_f")
    constants = forget, number(settings, "P0"), whole(settings, "min_count")
    shift = shift_of_rows(forget, settings)
    return recursion(steps, "regression", [change, flow], constants, shift, settings)


def _vpin(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    size, d = operands
    constants = whole(settings, "n"), number(settings, "V"), int(settings["reset"] == "session")
    if settings["of"] == "share":
        values = [steps.convert("float64", size), steps.convert("float64", d)]
        return steps.stateful("share_buckets", values, *constants)
    values = [steps.convert("float64", size), steps.call("direction", [d])]
    return steps.stateful("buckets", values, *constants)


IMPACT: Final = (
    Function(
        id="M23",
        name="kyle_rls",
        definition="Kyle's lambda: the slope of the change of the price on direction * size, by recursive"
        " least squares that forget; rows of direction 0 are skipped",
        operands=(Operand("price", alike=True), SIZE, DIRECTION),
        settings=(
            Setting(
                "lambda_f",
                "number",
                "the weight of an update in the next one",
                default=0.99,
                bounds=(LEAST, 1),
            ),
            Setting(
                "P0", "number", "the variance of the first estimate", default=1000.0, bounds=(LEAST, 1e290)
            ),
            Setting(
                "tick",
                "number",
                "the price in these: without it changes are in the price's unit",
                bounds=(LEAST, math.inf),
            ),
            MIN_COUNT._replace(default=10, about="the fewest updates since the start for a result"),
            RESET._replace(default="session", about="whether changes end at a session's start"),
            *OF_MEMORY,
        ),
        outputs=FLOAT,
        example=Example(
            "kyle_rls(price_cents, size, d, min_count=1)",
            TRADES,
            (None, 0.9995052, -0.9965549, 0.2308333, 0.2238593, 0.3512489, 0.3817408, 0.4292006),
        ),
        memory="since",
        build=_kyle_rls,
        check=lambda _, settings: never_fades(number(settings, "lambda_f"), settings),
    ),
    Function(
        id="M29",
        name="vpin",
        definition="how one-sided the last n buckets of V traded lots are: the surplus of one side in each,"
        " summed up and divided by n * V; a direction of 0 is half of either. With of='share' the second"
        " value is the share of each trade, or bar, that was bought, from 0 to 1, as bvc gives it; it counts"
        " in units of 2**-21",
        operands=(SIZE, DIRECTION),
        settings=(
            Setting("V", "number", "the volume of a bucket, above 0", bounds=(LEAST, 1e300)),
            Setting("n", "count", "how many buckets", default=50, bounds=(1, ROWS_MAX)),
            RESET._replace(about="whether buckets begin anew with a session"),
            Setting(
                "of",
                "word",
                "what the second value is",
                default="direction",
                words=("direction", "share"),
            ),
        ),
        outputs=FLOAT,
        example=Example("vpin(size, d, V=5, n=4)", TRADES, (None,) * 7 + (0.5,)),
        memory="since",
        build=_vpin,
        check=lambda _, settings: "" if "V" in settings else "V= is missing: the volume of a bucket",
    ),
)
