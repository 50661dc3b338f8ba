"""Volatility from the prices of bars: M8 to M11, each over the last bars of the symbol.

A bar counts where all its prices are above 0 and its high is not below its low; others are left out of the
window's mean, as are bars that are said to be empty.
"""

import math
from collections.abc import Sequence
from typing import Final

from operators.formula.functions.declare import (
    Cells,
    Example,
    Function,
    Operand,
    Output,
    Setting,
    Settings,
)
from operators.formula.functions.history import (
    RESET,
    RESET_BY_SESSION,
    ROWS,
    fewest_of_rows,
    window_of,
)
from operators.formula.functions.windows import MIN_COUNT, enough
from operators.formula.steps import Steps

BARS: Final = 20  # of a window, where a call does not say

# F4 of the handbook: six bars.
ROWS_F4: Final[dict[str, Cells]] = {
    "open": (100.0, 100.6, 100.9, 99.9, 99.3, 99.8),
    "high": (101.0, 101.2, 101.0, 100.4, 100.0, 100.9),
    "low": (99.5, 100.1, 99.8, 99.0, 99.1, 99.7),
    "close": (100.5, 100.9, 100.0, 99.2, 99.8, 100.7),
    "volume": (1000, 1200, 1500, 2000, 900, 1100),
}

OF_SQUARE: Final = 4.0 * math.log(2.0)  # the mean square of a range, of the variance 1
OF_CHANGE: Final = 2.0 * math.log(2.0) - 1.0

OPEN: Final = Operand("open", "float")
HIGH: Final = Operand("high", "float")
LOW: Final = Operand("low", "float")
CLOSE: Final = Operand("close", "float")
EMPTY: Final = Operand("empty", "boolean", optional=True)
LAST_BARS: Final = ROWS._replace(about="how many bars the window has", default=BARS)
FEWEST: Final = MIN_COUNT._replace(about="the fewest bars that count for a result; by default all of them")
OF_BARS: Final[tuple[Setting, ...]] = (LAST_BARS, FEWEST, RESET_BY_SESSION)
FLOAT: Final = (Output("value", "float64"),)


def log_ratio(steps: Steps, value: int, of: int) -> int:
    """The logarithm of a ratio."""
    return steps.call("log", [steps.call("divide", [value, of])])


def only_where(steps: Steps, condition: int, value: int) -> int:
    """The value, null where the condition is not true."""
    return steps.call("where", [condition, value, steps.absent("float64")])


def all_known(steps: Steps, *values: int) -> int:
    """True where all of them are there, else null."""
    known = [steps.call("equal", [value, value]) for value in values]
    result = known[0]
    for each in known[1:]:
        result = steps.call("and", [result, each])
    return result


def has_prices(steps: Steps, high: int, low: int, *others: int) -> int:
    """Whether a bar counts by its prices."""
    zero = steps.constant(0.0)
    fits = steps.call("greater_equal", [high, low])
    for price in (low, *others):
        fits = steps.call("and", [fits, steps.call("greater", [price, zero])])
    return fits


def has_trades(steps: Steps, fits: int, empty: int) -> int:
    """Whether a bar counts whose prices do: where a call says which ones are empty, it is none of these."""
    if steps.steps[empty].function == "absent":
        return fits
    return steps.call("and", [fits, steps.call("not", [empty])])


def mean_of(steps: Steps, value: int, settings: Settings) -> int:
    """The exact mean over the window, rounded once."""
    return steps.part("mean", steps.window("window_sum", [value], window_of(settings)))


def _square(steps: Steps, value: int) -> int:
    return steps.call("multiply", [value, value])


def _root_of_mean(
    steps: Steps, counts: int, term: int, settings: Settings, *, divisor: float = 1.0, negative: bool = True
) -> int:
    """The root of the mean of a term over the bars that count; without `negative` at least 0."""
    term = only_where(steps, counts, term)
    mean = mean_of(steps, term, settings)
    if not negative:
        mean = steps.call("max", [mean, steps.constant(0.0)])
    if divisor != 1.0:
        mean = steps.call("divide", [mean, steps.constant(divisor)])
    return enough(steps, steps.call("sqrt", [mean]), [term], settings)


def _parkinson(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    high, low, empty = operands
    counts = has_trades(steps, has_prices(steps, high, low), empty)
    square = _square(steps, log_ratio(steps, high, low))
    return _root_of_mean(steps, counts, square, settings, divisor=OF_SQUARE)


def _garman_klass(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    first, high, low, last, empty = operands
    counts = has_trades(steps, has_prices(steps, high, low, first, last), empty)
    of_range = steps.call("multiply", [steps.constant(0.5), _square(steps, log_ratio(steps, high, low))])
    change = _square(steps, log_ratio(steps, last, first))
    of_change = steps.call("multiply", [steps.constant(OF_CHANGE), change])
    term = steps.call("subtract", [of_range, of_change])
    return _root_of_mean(steps, counts, term, settings)


def _without_drift(steps: Steps, first: int, high: int, low: int, last: int) -> int:
    """The term of Rogers and Satchell."""
    products = [
        steps.call("multiply", [log_ratio(steps, end, last), log_ratio(steps, end, first)])
        for end in (high, low)
    ]
    return steps.call("add", products)


def _rogers_satchell(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    first, high, low, last, empty = operands
    counts = has_trades(steps, has_prices(steps, high, low, first, last), empty)
    term = _without_drift(steps, first, high, low, last)
    return _root_of_mean(steps, counts, term, settings, negative=False)


def _yang_zhang(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    """Of bars of which all three terms are there; that of the open is from the close of the bar before."""
    first, high, low, last, empty = operands
    fits = has_prices(steps, high, low, first, last)
    reset = int(settings["reset"] == "session")
    before = steps.stateful("lag_rows", [only_where(steps, fits, last)], 1, reset)
    terms = [
        log_ratio(steps, first, before),
        log_ratio(steps, last, first),
        _without_drift(steps, first, high, low, last),
    ]
    counts = steps.call("and", [has_trades(steps, fits, empty), all_known(steps, *terms)])
    overnight, change, no_drift = (only_where(steps, counts, term) for term in terms)
    window = window_of(settings)
    variances = [steps.stateful("window_squares", [term], *window, 0, 1) for term in (overnight, change)]
    n = steps.window("window_count", [no_drift], window)
    share = _share_of_change(steps, n)
    rest = steps.call("subtract", [steps.constant(1.0), share])
    of_change = steps.call("multiply", [share, variances[1]])
    of_range = steps.call("multiply", [rest, mean_of(steps, no_drift, settings)])
    variance = steps.call("add", [steps.call("add", [variances[0], of_change]), of_range])
    return enough(steps, steps.call("sqrt", [variance]), [no_drift], settings, least=2)


def _share_of_change(steps: Steps, n: int) -> int:
    """The k of Yang and Zhang, of n bars: .34 / (1.34 + (n + 1) / (n - 1))."""
    one = steps.constant(1)
    ratio = steps.call("divide", [steps.call("add", [n, one]), steps.call("subtract", [n, one])])
    return steps.call("divide", [steps.constant(0.34), steps.call("add", [steps.constant(1.34), ratio])])


VOLATILITY_OF_BARS: Final = (
    Function(
        id="M8",
        name="parkinson",
        definition="the volatility of a bar by its range: the root of the mean of log(high / low) squared by"
        " 4 * log(2)",
        operands=(HIGH, LOW, EMPTY),
        settings=OF_BARS,
        outputs=FLOAT,
        example=Example("parkinson(high, low, rows=6)", ROWS_F4, (None,) * 5 + (7.389004329e-3,)),
        memory="window",
        build=_parkinson,
        check=fewest_of_rows,
    ),
    Function(
        id="M9",
        name="garman_klass",
        definition="the volatility of a bar by its range and its change: the root of the mean of"
        " log(high / low) squared by 2, less (2 * log(2) - 1) times log(close / open) squared; null where"
        " that is below 0",
        operands=(OPEN, HIGH, LOW, CLOSE, EMPTY),
        settings=OF_BARS,
        outputs=FLOAT,
        example=Example(
            "garman_klass(open, high, low, close, rows=6)", ROWS_F4, (None,) * 5 + (7.638760449e-3,)
        ),
        memory="window",
        build=_garman_klass,
        check=fewest_of_rows,
    ),
    Function(
        id="M10",
        name="rogers_satchell",
        definition="the volatility of a bar whatever its drift: the root of the mean of"
        " log(high / close) * log(high / open) + log(low / close) * log(low / open); 0 where that is below 0",
        operands=(OPEN, HIGH, LOW, CLOSE, EMPTY),
        settings=OF_BARS,
        outputs=FLOAT,
        example=Example(
            "rogers_satchell(open, high, low, close, rows=6)", ROWS_F4, (None,) * 5 + (7.381621594e-3,)
        ),
        memory="window",
        build=_rogers_satchell,
        check=fewest_of_rows,
    ),
    Function(
        id="M11",
        name="yang_zhang",
        definition="the volatility from close to close, with the steps between bars: the root of"
        " the variance of log(open / close before), k times that of log(close / open) and 1 - k times the"
        " mean of rogers_satchell, with k = .34 / (1.34 + (n + 1) / (n - 1)) of n bars; of two at least",
        operands=(OPEN, HIGH, LOW, CLOSE, EMPTY),
        settings=(
            LAST_BARS,
            FEWEST,
            RESET._replace(about="whether a step from one session to the next is left out"),
        ),
        outputs=FLOAT,
        example=Example(
            "yang_zhang(open, high, low, close, rows=5)", ROWS_F4, (None,) * 5 + (6.931789578e-3,)
        ),
        memory="window",
        build=_yang_zhang,
        check=fewest_of_rows,
    ),
)
