"""Who bought, what a trade costs and what it does to the price, from bars: Q14, M25, M26, M28."""

import math
from collections.abc import Sequence
from typing import Final

from operators.formula.functions.bars import (
    CLOSE,
    EMPTY,
    FEWEST,
    FLOAT,
    HIGH,
    LAST_BARS,
    LOW,
    OF_BARS,
    ROWS_F4,
    all_known,
    has_prices,
    has_trades,
    log_ratio,
    mean_of,
    only_where,
)
from operators.formula.functions.declare import Example, Function, Operand, Setting, Settings
from operators.formula.functions.flow import price_change
from operators.formula.functions.history import RESET, fewest_of_rows, window_of
from operators.formula.functions.lags import log_return
from operators.formula.functions.moments import deviation
from operators.formula.functions.order_flow import is_known
from operators.formula.functions.starts import LEAST, number
from operators.formula.functions.windows import enough
from operators.formula.steps import Steps

HALF: Final = 0.5
ROOT_2: Final = math.sqrt(2.0)
BOTH_RANGES: Final = 3.0 - 2.0 * math.sqrt(2.0)

DF_MIN: Final = 1e-3
DF_MAX: Final = 1e3  # beyond it the continued fraction needs more terms than it has

VOLUME: Final = Operand("volume", "float")


def _bvc(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    """Where nothing is known of the change, half of the volume; without a close nothing."""
    (close,) = operands
    change = price_change(steps, close, settings)
    sigma = deviation(steps, [change], {**settings, "ddof": 1})
    share = _below(steps, steps.call("divide", [change, sigma]), settings)
    moves = steps.call("greater", [sigma, steps.constant(0.0)])
    known = steps.call("and", [is_known(steps, change), is_known(steps, sigma)])
    moves = steps.call("where", [known, moves, steps.constant(False)])
    bars = steps.window("window_count", [change], window_of(settings))  # null where no row sees others
    of_none = only_where(steps, all_known(steps, close, bars), steps.constant(HALF))
    return steps.call("where", [moves, share, of_none])


def _below(steps: Steps, z: int, settings: Settings) -> int:
    """How much of the distribution lies below z."""
    if settings["dist"] == "t":
        df = number(settings, "df")
        a, b = df / 2.0, 0.5
        front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b))
        return steps.call("student", [z, steps.constant(df), steps.constant(front)])
    upper = steps.call("erfc", [steps.call("divide", [steps.call("negate", [z]), steps.constant(ROOT_2)])])
    return steps.call("multiply", [steps.constant(HALF), upper])


def _amihud(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    close, volume = operands
    change = steps.call("abs", [log_return(steps, [close], {"reset": settings["reset"]})])
    traded = steps.call("greater", [volume, steps.constant(0.0)])
    worth = steps.call("multiply", [close, volume])
    term = only_where(steps, traded, steps.call("divide", [change, worth]))
    mean = mean_of(steps, term, settings)
    scale = number(settings, "scale")
    if scale != 1.0:
        mean = steps.call("multiply", [mean, steps.constant(scale)])
    return enough(steps, mean, [term], settings)


def _hasbrouck(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    """Over bars of which both products are there."""
    close, volume, signed = operands
    change = log_return(steps, [close], {"reset": settings["reset"]})
    side = steps.call("sign", [change])
    if steps.steps[signed].function != "absent":
        own = steps.call("sign", [signed])
        side = steps.call("where", [is_known(steps, signed), own, side])
    flow = steps.call("multiply", [side, steps.call("sqrt", [steps.call("multiply", [close, volume])])])
    products = [steps.call("multiply", [each, flow]) for each in (change, flow)]
    counts = all_known(steps, *products)
    products = [only_where(steps, counts, each) for each in products]
    sums = [steps.window("window_sum", [each], window_of(settings)) for each in products]
    return enough(steps, steps.call("divide", sums), products[:1], settings)


def _corwin_schultz(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    high, low, close, empty = operands
    counts = has_trades(steps, has_prices(steps, high, low, close), empty)
    now = [only_where(steps, counts, price) for price in (high, low)]
    reset = int(settings["reset"] == "session")
    before = [
        steps.stateful("lag_rows", [only_where(steps, counts, price)], 1, reset)
        for price in (high, low, close)
    ]
    if not reset:
        now = _moved_to(steps, before[2], now)
    term = _spread_of_pair(steps, before[:2], now)
    return enough(steps, mean_of(steps, term, settings), [term], settings)


def _moved_to(steps: Steps, close: int, prices: Sequence[int]) -> list[int]:
    """High and low without the step from the close of another session, as far as it leads out of them."""
    high, low = prices
    time_ns = steps.stateful("row_time", [high])
    same = is_known(steps, steps.stateful("lag_rows", [time_ns], 1, 1))
    zero = steps.constant(0.0)
    down = steps.call("where", [steps.call("less", [close, low]), steps.call("subtract", [low, close]), zero])
    up = steps.call(
        "where", [steps.call("greater", [close, high]), steps.call("subtract", [close, high]), zero]
    )
    step = steps.call("where", [same, zero, steps.call("subtract", [up, down])])
    return [steps.call("add", [price, step]) for price in prices]


def _spread_of_pair(steps: Steps, before: Sequence[int], now: Sequence[int]) -> int:
    """The spread of two neighbouring bars by their highs and lows, at least 0."""
    squares = []
    both = [steps.call("max", [before[0], now[0]]), steps.call("min", [before[1], now[1]])]
    for high, low in (before, now, both):
        ratio = log_ratio(steps, high, low)
        squares.append(steps.call("multiply", [ratio, ratio]))
    beta, gamma = steps.call("add", squares[:2]), squares[2]
    divisor, one = steps.constant(BOTH_RANGES), steps.constant(1.0)
    roots = [
        steps.call("sqrt", [each]) for each in (steps.call("multiply", [steps.constant(2.0), beta]), beta)
    ]
    of_beta = steps.call("divide", [steps.call("subtract", roots), divisor])
    of_gamma = steps.call("sqrt", [steps.call("divide", [gamma, divisor])])
    power = steps.call("exp", [steps.call("subtract", [of_beta, of_gamma])])
    twice = steps.call("multiply", [steps.constant(2.0), steps.call("subtract", [power, one])])
    spread = steps.call("divide", [twice, steps.call("add", [one, power])])
    return steps.call("max", [spread, steps.constant(0.0)])


COSTS_OF_BARS: Final = (
    Function(
        id="Q14",
        name="bvc",
        definition="the share of a bar's volume that was bought, by the normal distribution of its change by"
        " the standard deviation of the last changes, or by Student's t; 0.5 where either is not there or the"
        " deviation is 0",
        operands=(CLOSE,),
        settings=(
            *OF_BARS,
            Setting("dist", "word", "the distribution", default="normal", words=("normal", "t")),
            Setting("df", "number", "the degrees of freedom of t", default=0.25, bounds=(DF_MIN, DF_MAX)),
        ),
        outputs=FLOAT,
        example=Example("bvc(close, rows=5)", ROWS_F4, (0.5,) * 5 + (0.8601792330,)),
        memory="window",
        build=_bvc,
        check=fewest_of_rows,
    ),
    Function(
        id="M25",
        name="amihud",
        definition="how far the price moves for what is traded: the mean of the return without its sign by"
        " close * volume; bars without volume are left out",
        operands=(CLOSE, VOLUME),
        settings=(
            *OF_BARS,
            Setting("scale", "number", "times which it is, as 1e6", default=1.0, bounds=(LEAST, 1e300)),
        ),
        outputs=FLOAT,
        example=Example("amihud(close, volume, rows=5)", ROWS_F4, (None,) * 5 + (5.624125336e-8,)),
        memory="window",
        build=_amihud,
        check=fewest_of_rows,
    ),
    Function(
        id="M26",
        name="hasbrouck",
        definition="the slope, without an intercept, of the return on the signed root of close * volume; the"
        " sign is that of the bar's signed volume where there is one, else of the return",
        operands=(CLOSE, VOLUME, Operand("signed_volume", optional=True)),
        settings=OF_BARS,
        outputs=FLOAT,
        example=Example("hasbrouck(close, volume, rows=5)", ROWS_F4, (None,) * 5 + (1.973698734e-5,)),
        memory="window",
        build=_hasbrouck,
        check=fewest_of_rows,
    ),
    Function(
        id="M28",
        name="corwin_schultz",
        definition="the mean spread, as a fraction, of each bar and the one before by their highs and lows, a"
        " negative one as 0; between sessions a bar is moved to the close before where that is outside of it",
        operands=(HIGH, LOW, CLOSE, EMPTY),
        settings=(
            LAST_BARS._replace(about="how many pairs the window has"),
            FEWEST._replace(about="the fewest pairs that count for a result; by default all of them"),
            RESET._replace(about="whether pairs of two sessions are left out"),
        ),
        outputs=FLOAT,
        example=Example(
            "corwin_schultz(high, low, close, rows=1)",
            ROWS_F4,
            (None, 3.834035e-3, 5.468646e-3, 0.0, 6.41847e-3, 0.0),
        ),
        memory="window",
        build=_corwin_schultz,
        check=fewest_of_rows,
    ),
)
