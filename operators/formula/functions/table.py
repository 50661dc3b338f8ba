"""The table of functions by name, and why a name that is not in it cannot be called."""

from collections.abc import Mapping
from typing import Final

from operators.formula.functions.averages import AVERAGES
from operators.formula.functions.bar_costs import COSTS_OF_BARS
from operators.formula.functions.bars import VOLATILITY_OF_BARS
from operators.formula.functions.declare import Function
from operators.formula.functions.events import EVENTS
from operators.formula.functions.exponential import EXPONENTIAL
from operators.formula.functions.flow import FLOW
from operators.formula.functions.hawkes import HAWKES
from operators.formula.functions.impact import IMPACT
from operators.formula.functions.lags import LAGS
from operators.formula.functions.models import MODELS
from operators.formula.functions.moments import MOMENTS
from operators.formula.functions.numbers import OF_NUMBERS
from operators.formula.functions.order import IN_ORDER
from operators.formula.functions.order_flow import ORDER_FLOW
from operators.formula.functions.quotes import OF_QUOTES
from operators.formula.functions.to_come import LOOKING_AHEAD, OF_BARS, OF_STEPS, TO_COME
from operators.formula.functions.trades import OF_TRADES
from operators.formula.functions.trends import TRENDS
from operators.formula.functions.volatility import VOLATILITY
from operators.formula.functions.windows import WINDOWS

FUNCTIONS: Final[Mapping[str, Function]] = {
    function.name: function
    for function in (
        *(*OF_NUMBERS, *LAGS, *EVENTS, *WINDOWS, *MOMENTS, *IN_ORDER, *EXPONENTIAL),
        *(*OF_QUOTES, *OF_TRADES, *AVERAGES, *VOLATILITY, *ORDER_FLOW, *FLOW, *IMPACT),
        *(*VOLATILITY_OF_BARS, *COSTS_OF_BARS, *HAWKES, *MODELS, *TRENDS),
    )
}

KNOWN: Final = (*FUNCTIONS, *sorted(TO_COME | LOOKING_AHEAD | OF_BARS | OF_STEPS))


def absence(name: str) -> str:
    """Return why a formula of rows cannot call `name`, which is none of `FUNCTIONS`, but of `KNOWN`."""
    if name in LOOKING_AHEAD:
        return f"{name} looks ahead; only a label node may, and labels are never served"
    if name in OF_BARS:
        return f'{name} belongs to a node of bars: kind = "bars"'
    if name in OF_STEPS:
        return f"{name} changes the rows, so it is a node: 'A grid of moments' in docs/graph.md"
    return f"{name} is not there yet in this version; the functions are {', '.join(FUNCTIONS)}"
