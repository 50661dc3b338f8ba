"""Functions of trades that hang on the trades before: who began a trade, and returns; Q7, Q9 to Q12, Q19.

The rules of trade and quote are that of the quote alone, and where it says 0 the tick rule: as the sign of
twice the one and once the other, so that a row without either has no direction.
"""

from collections.abc import Sequence
from typing import Final

from operators.formula.functions.declare import Build, Example, Function, Operand, Output, Setting, Settings
from operators.formula.functions.history import RESET_BY_SESSION, one_lag
from operators.formula.functions.lags import OF_LAGS, log_return
from operators.formula.functions.quotes import ASK, BID, BPS, FRACTION, PRICE, TRADES, quote_rule
from operators.formula.steps import Steps

UNKNOWN: Final = -2  # less than each direction

DIRECTIONS: Final = (0, 1, 1, -1, -1, 1, -1, 1)


def last_change(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    """The tick rule of the first value, the price."""
    return steps.stateful("last_change", operands[:1], int(settings["reset"] == "session"))


def _or_tick_rule(rule: Build) -> Build:
    """The rule, and where it says 0 the tick rule."""

    def build(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
        twice = steps.call("multiply", [steps.constant(2), rule(steps, operands, settings)])
        return steps.call("sign", [steps.call("add", [twice, last_change(steps, operands, settings)])])

    return build


def _one_if(steps: Steps, condition: int) -> int:
    return steps.call("where", [condition, steps.constant(1), steps.constant(0)])


def _at_a_side(steps: Steps, operands: Sequence[int], _: Settings) -> int:
    """1 at the ask, -1 at the bid, 0 anywhere else, at both, and without a quote."""
    price, bid, ask = operands
    bid = steps.call("uncrossed_bid", [bid, ask])
    sides = [_one_if(steps, steps.call("equal", [price, side])) for side in (ask, bid)]
    return steps.call("zero_without", [steps.call("subtract", sides), bid, price])


def _near_a_side(steps: Steps, operands: Sequence[int], _: Settings) -> int:
    """1 in the upper three tenths of the quote, -1 in the lower, 0 elsewhere, in both, and without one."""
    price, bid, ask = operands
    bid = steps.call("valid_bid", [bid, ask])
    inside = steps.call(
        "and", [steps.call("less_equal", [bid, price]), steps.call("less_equal", [price, ask])]
    )
    ten = steps.call("multiply", [steps.constant(10), price])
    sides = [
        _one_if(steps, steps.call("greater_equal", [ten, _tenths(steps, ask, bid)])),
        _one_if(steps, steps.call("less_equal", [ten, _tenths(steps, bid, ask)])),
    ]
    near = steps.call("where", [inside, steps.call("subtract", sides), steps.constant(0)])
    return steps.call("zero_without", [near, bid, price])


def _tenths(steps: Steps, near: int, far: int) -> int:
    """Seven of the near side and three of the far one."""
    seven = steps.call("multiply", [steps.constant(7), near])
    return steps.call("add", [seven, steps.call("multiply", [steps.constant(3), far])])


RULES: Final[dict[str, Build]] = {
    "lee_ready": _or_tick_rule(quote_rule),
    "quote_rule": quote_rule,
    "tick_rule": last_change,
    "emo": _or_tick_rule(_at_a_side),
    "clnv": _or_tick_rule(_near_a_side),
}


def _direction(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    """The venue's flag where there is one, else the rule."""
    *trade, is_maker = operands
    by_rule = RULES[str(settings["rule"])](steps, trade, settings)
    if steps.steps[is_maker].function == "absent":
        return by_rule
    flag = steps.call("sign", [steps.call("where", [is_maker, steps.constant(-1), steps.constant(1)])])
    unknown = steps.constant(UNKNOWN)
    known = steps.call("greater", [steps.call("max_known", [flag, unknown]), unknown])
    return steps.call("where", [known, flag, by_rule])


def _trade_return(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    fraction = log_return(steps, operands, settings)
    if settings["unit"] == "fraction":
        return fraction
    return steps.call("multiply", [fraction, steps.constant(BPS)])


SIDE: Final = (Output("value", "int8"),)


def _rule(item: str, name: str, definition: str) -> Function:
    """The function of a rule of trade and quote."""
    return Function(
        id=item,
        name=name,
        definition=definition,
        operands=(PRICE, BID, ASK),
        settings=(RESET_BY_SESSION,),
        outputs=SIDE,
        example=Example(f"{name}(price_cents, bid_cents, ask_cents)", TRADES, DIRECTIONS),
        memory="since",
        build=RULES[name],
    )


OF_TRADES: Final = (
    Function(
        id="Q7",
        name="tick_rule",
        definition="the sign of the last change of the price, up to and with this trade; 0 before the first"
        " change of the session",
        operands=(PRICE,),
        settings=(RESET_BY_SESSION,),
        outputs=SIDE,
        example=Example("tick_rule(price)", TRADES, DIRECTIONS),
        memory="since",
        build=last_change,
    ),
    _rule(
        "Q9",
        "lee_ready",
        "the quote rule, and where it says 0 the tick rule",
    ),
    _rule(
        "Q10",
        "emo",
        "1 at the ask and -1 at the bid of a quote that is valid and neither locked nor crossed, else the"
        " tick rule",
    ),
    _rule(
        "Q11",
        "clnv",
        "1 in the upper three tenths of a valid quote and -1 in the lower ones, else the tick rule",
    ),
    Function(
        id="Q12",
        name="direction",
        definition="1 where the buyer began the trade, -1 where the seller did, 0 where it is not known: by"
        " the venue's flag where there is one, else by the rule",
        operands=(PRICE, BID, ASK, Operand("buyer_is_maker", "boolean", optional=True)),
        settings=(
            Setting("rule", "word", "without a flag", default="lee_ready", words=tuple(RULES)),
            RESET_BY_SESSION,
        ),
        outputs=SIDE,
        example=Example("direction(price_cents, bid_cents, ask_cents)", TRADES, DIRECTIONS),
        memory="since",
        build=_direction,
    ),
    Function(
        id="Q19",
        name="trade_return",
        definition="the natural logarithm of the price by that of an earlier trade, 10,000 times unless as a"
        " fraction",
        operands=(Operand("price", "float"),),
        settings=(
            *(
                setting._replace(default="session") if setting.name == "reset" else setting
                for setting in OF_LAGS
            ),
            FRACTION._replace(default="bps"),
        ),
        outputs=(Output("value", "float64"),),
        example=Example(
            "trade_return(price)",
            TRADES,
            (None, 1.9998, 0.0, -0.99985, 0.0, 2.99925, -0.9996501, 2.998651),
        ),
        memory="window",
        build=_trade_return,
        check=one_lag,
    ),
)
