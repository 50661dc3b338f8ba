"""Averages of traded prices, and what their returns vary, over the session or a window: M1, M5, M6."""

import math
from collections.abc import Sequence
from typing import Final

from operators.formula.functions.declare import Example, Function, Operand, Output, Setting, Settings
from operators.formula.functions.history import (
    OF_SESSIONS,
    has_window,
    least_of,
    whole,
    window_of,
    window_or_session,
)
from operators.formula.functions.lags import log_return
from operators.formula.functions.quotes import TRADES
from operators.formula.functions.windows import MIN_COUNT
from operators.formula.steps import Steps

HALF_PI: Final = math.pi / 2


def over(steps: Steps, what: str, values: Sequence[int], settings: Settings) -> int:
    """A `sum`, `count` or sum of `products` over the window that a call has, or over the session."""
    if has_window(settings):
        return steps.window(f"window_{what}", values, window_of(settings))
    return steps.stateful(f"session_{what}", values, int(settings["reset"] == "session"))


def enough(steps: Steps, result: int, count: int, settings: Settings, least: int = 1) -> int:
    """The result where so many values are counted."""
    return steps.call("enough", [result, count, steps.constant(least_of(settings, least))])


def _vwap(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    """The sizes that count are those above 0 of trades with a price."""
    price, size = operands
    counts = steps.call(
        "and",
        [steps.call("greater", [size, steps.constant(0.0)]), steps.call("equal", [price, price])],
    )
    size = steps.call("where", [counts, size, steps.absent("float64")])
    mean = steps.part("mean", over(steps, "products", [price, size], settings))
    scale = whole(settings, "price_scale")
    if scale != 1:
        mean = steps.call("divide", [mean, steps.constant(float(scale))])
    return enough(steps, mean, over(steps, "count", [size], settings), settings)


def _returns(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    return log_return(steps, operands, {"reset": settings["reset"]})


def _realised_variance(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    r = _returns(steps, operands, settings)
    variance = over(steps, "sum", [steps.call("multiply", [r, r])], settings)
    if settings["output"] == "vol":
        variance = steps.call("sqrt", [variance])
    return enough(steps, variance, over(steps, "count", [r], settings), settings)


def _bipower_variation(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    r = _returns(steps, operands, settings)
    before = steps.stateful("lag_rows", [r], 1, int(settings["reset"] == "session"))
    terms = steps.call("multiply", [steps.call("abs", [r]), steps.call("abs", [before])])
    total = steps.call("multiply", [steps.constant(HALF_PI), over(steps, "sum", [terms], settings)])
    count = over(steps, "count", [r], settings)
    if settings["finite_sample"]:
        fewer = steps.call("subtract", [count, steps.constant(1)])
        total = steps.call("multiply", [total, steps.call("divide", [count, fewer])])
    return enough(steps, total, count, settings, least=2)


PRICE: Final = Operand("price", "float")
FLOAT: Final = (Output("value", "float64"),)
PRICE_SCALE: Final = Setting(
    "price_scale", "count", "units of the price in one of the result", default=1, bounds=(1, 1_000_000_000)
)
FEWEST: Final = MIN_COUNT._replace(
    about="the fewest values for a result; by default all of a row window, else as few as it can be"
)

AVERAGES: Final = (
    Function(
        id="M1",
        name="vwap",
        definition="the mean of the prices weighted by the sizes that are above 0, of exact sums",
        operands=(PRICE, Operand("size", "float")),
        settings=(*OF_SESSIONS, FEWEST, PRICE_SCALE),
        outputs=FLOAT,
        example=Example(
            "vwap(price_cents, size, price_scale=100)",
            TRADES,
            (100.0, 100.006667, 100.013333, 100.012, 100.011667, 100.02, 100.020556, 100.0245),
        ),
        memory="since",
        build=_vwap,
        check=window_or_session,
    ),
    Function(
        id="M5",
        name="realised_variance",
        definition="the exact sum of the squares of the logarithmic returns from trade to trade, or its root",
        operands=(PRICE,),
        settings=(
            *OF_SESSIONS,
            FEWEST,
            Setting("output", "word", "which one it is", default="variance", words=("variance", "vol")),
        ),
        outputs=(Output("variance", "float64"), Output("vol", "float64")),
        example=Example(
            "realised_variance(price, '3s')",
            TRADES,
            (
                None,
                3.999200147e-8,
                3.999200147e-8,
                4.998900216e-8,
                4.998900216e-8,
                1.399440204e-7,
                1.099450226e-7,
                18.98670779e-8,
            ),
        ),
        memory="since",
        build=_realised_variance,
        check=window_or_session,
    ),
    Function(
        id="M6",
        name="bipower_variation",
        definition="pi / 2 times the exact sum of the products of neighbouring returns without their signs;"
        " null for fewer than 2 returns",
        operands=(PRICE,),
        settings=(
            *OF_SESSIONS,
            FEWEST,
            Setting("finite_sample", "boolean", "whether it is n / (n - 1) times that", default=False),
        ),
        outputs=FLOAT,
        example=Example(
            "bipower_variation(price)",
            TRADES,
            (None, None, 0.0, 0.0, 0.0, 0.0, 4.70956287e-8, 9.418184251e-8),
        ),
        memory="since",
        build=_bipower_variation,
        check=window_or_session,
    ),
)
