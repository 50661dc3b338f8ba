"""Averages and volatility of a price that hang on all rows since a start: M2 to M4, M7."""

from collections.abc import Sequence
from typing import Final

from operators.formula.functions.declare import Example, Function, Operand, Output, Setting, Settings
from operators.formula.functions.history import (
    NS,
    OF_SESSIONS,
    RESET,
    ROWS_AT_MOST,
    has_window,
    short_windows,
    whole,
    window_of,
    window_or_session,
)
from operators.formula.functions.lags import log_return_of_last
from operators.formula.functions.quotes import TRADES
from operators.formula.functions.starts import (
    LEAST,
    NO_ANCHORS,
    OF_MEMORY,
    OF_TIME_DECAY,
    decay_per_ns,
    never_fades,
    number,
    one_time_decay,
    recursion,
    shift_of_rows,
    shift_of_time,
)
from operators.formula.functions.windows import MIN_COUNT
from operators.formula.history import ROWS_MAX, Window
from operators.formula.steps import Steps

PRICE: Final = (Operand("price", "float"),)
FLOAT: Final = (Output("value", "float64"),)
OF_SESSION: Final = RESET._replace(default="session")
OF_SHORT_WINDOWS: Final = short_windows(OF_SESSIONS)


def _twap(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    """The price that stands is the last one there is: R51 that forgets all but it."""
    (price,) = operands
    reset = int(settings["reset"] == "session")
    standing = steps.stateful("average", [price], 0.0, 1.0, 1, reset, NO_ANCHORS)
    window = Window(0, whole(settings, "ns"), reset, whole(settings, "max_rows") + 1)
    return steps.window("twap", [price, standing], window)


def _square_of_return(steps: Steps, price: int, settings: Settings) -> int:
    change = log_return_of_last(steps, price, int(settings["reset"] == "session"))
    return steps.call("multiply", [change, change])


def _ewma_volatility(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    """R51 of the squares, whose k is the decay."""
    decay = number(settings, "decay")
    square = _square_of_return(steps, operands[0], settings)
    shift = shift_of_rows(decay, settings)
    return steps.call(
        "sqrt", [recursion(steps, "average", [square], (decay, 1.0 - decay, 1), shift, settings)]
    )


def _ewma_variance_rate(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    """R53 of the squares by R53 of the time that each return took."""
    square = _square_of_return(steps, operands[0], settings)
    now_ns = steps.stateful("row_time", operands)
    before_ns = steps.stateful("lag_rows", [now_ns], 1, int(settings["reset"] == "session"))
    took_ns = steps.convert("float64", steps.call("subtract", [now_ns, before_ns]))
    known = steps.call("equal", [square, square])  # null without a return, and so is its time
    took_ns = steps.call("where", [known, took_ns, took_ns])
    shift = shift_of_time(settings)
    constants = (decay_per_ns(settings), 0, 1)
    return steps.call(
        "divide",
        [recursion(steps, "decay_accum", [value], constants, shift, settings) for value in (square, took_ns)],
    )


def _two_scale_variance(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    """Over a window its prices are gone through anew for each row."""
    (price,) = operands
    logarithm = steps.call("log", [price])
    k, adjust = whole(settings, "K"), int(bool(settings["adjust"]))
    least = max(2 * k, whole(settings, "min_count"))
    if has_window(settings):
        window = window_of(settings)
        return steps.stateful("window_two_scales", [price, logarithm], *window, k, adjust, least)
    reset = int(settings["reset"] == "session")
    variance = steps.stateful("two_scales", [price, logarithm], k, adjust, reset)
    if least == 2 * k:
        return variance
    prices = steps.stateful("session_count", [logarithm], reset)
    return steps.call("enough", [variance, prices, steps.constant(least + 1)])


VOLATILITY: Final = (
    Function(
        id="M2",
        name="twap",
        definition="the mean of the price over the time before the row, weighted by how long each price"
        " stood: from its row until the next one of a later time; null where none did",
        operands=PRICE,
        settings=(NS._replace(optional=False), OF_SESSION, ROWS_AT_MOST),
        outputs=FLOAT,
        example=Example(
            "twap(price, '5900ms')",
            TRADES,
            (None, 100.0, 100.0, 100.0127273, 100.0115789, 100.011, 100.0176923, 100.0218644),
        ),
        memory="since",
        build=_twap,
    ),
    Function(
        id="M3",
        name="ewma_volatility",
        definition="the root of the variance s2 = decay * s2 + (1 - decay) * r * r, of which the first is"
        " r * r, with r the logarithm of the price by the one of the row before",
        operands=PRICE,
        settings=(
            Setting(
                "decay",
                "number",
                "the lambda of the formula, above 0 and below 1",
                default=0.94,
                bounds=(LEAST, 1.0 - 2.0**-53),
            ),
            OF_SESSION,
            *OF_MEMORY,
        ),
        outputs=FLOAT,
        example=Example(
            "ewma_volatility(price)",
            TRADES,
            (
                None,
                1.9998e-4,
                1.9388781e-4,
                1.8956991e-4,
                1.8379485e-4,
                1.9274599e-4,
                1.8847158e-4,
                1.9694006e-4,
            ),
        ),
        memory="since",
        build=_ewma_volatility,
        check=lambda _, settings: never_fades(number(settings, "decay"), settings),
    ),
    Function(
        id="M4",
        name="ewma_variance_rate",
        definition="the variance of returns per ns: the decayed sum of r * r by that of the time they took",
        operands=PRICE,
        settings=(*OF_TIME_DECAY, OF_SESSION, *OF_MEMORY),
        outputs=FLOAT,
        example=Example(
            "ewma_variance_rate(price, '2s')",
            TRADES,
            (
                None,
                9.998000367e-17,
                9.998000367e-17,
                4.080954457e-17,
                1.999289167e-17,
                5.129472757e-17,
                3.676432424e-17,
                4.181575008e-17,
            ),
        ),
        memory="since",
        build=_ewma_variance_rate,
        check=one_time_decay,
    ),
    Function(
        id="M7",
        name="two_scale_variance",
        definition="the realised variance of the session's or the window's log prices on K grids, less what"
        " noise adds to it; null before 2 * K returns",
        operands=PRICE,
        settings=(
            Setting("K", "count", "how many prices apart the far ones are", default=30, bounds=(2, ROWS_MAX)),
            Setting("adjust", "boolean", "whether it is corrected for few returns", default=True),
            *OF_SHORT_WINDOWS,
            MIN_COUNT._replace(about="the fewest returns for a result, where it is more than 2 * K"),
        ),
        outputs=FLOAT,
        example=Example(
            "two_scale_variance(price, K=2)",
            TRADES,
            (None, None, None, None, 1.799540098e-8, 3.165483731e-8, 5.569500521e-8, 2.125736429e-8),
        ),
        memory="since",
        build=_two_scale_variance,
        check=window_or_session,
    ),
)
