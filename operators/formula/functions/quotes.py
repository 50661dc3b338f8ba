"""Functions of a trade and the quote that it met, of one row: Q1 to Q20, as far as they need no other row.

They are their formulas in steps of the language, so that null and overflow are those of the formula as it is
written, what two of them share is computed once, and few kernels are needed.  A step of its own gives the bid
of a valid quote, and so makes null whatever reads it; others read a direction and put 0 for a missing quote.
"""

from collections.abc import Sequence
from typing import Final

from operators.formula.functions.declare import Cells, Example, Function, Operand, Output, Setting, Settings
from operators.formula.steps import Steps
from operators.formula.tree import Tree

BPS: Final = 1e4  # of a fraction
BUCKETS_MAX: Final = 64  # of a fitted table, each of which is a step
SPREADS_MAX: Final = 16

PRICE: Final = Operand("price")
SIZE: Final = Operand("size", alike=True)
BID: Final = Operand("bid", alike=True)
ASK: Final = Operand("ask", alike=True)
BID_SIZE: Final = Operand("bid size")
ASK_SIZE: Final = Operand("ask size")
DIRECTION: Final = Operand("direction")

# F2 of the handbook: eight trades, the quote that each met, and their directions by Lee and Ready's rule.
# Prices stand there in cents, too: float64 has no 100.02, and what is 0 in cents may be a little off.
TRADES: Final[dict[str, Cells]] = {
    "price": (100.00, 100.02, 100.02, 100.01, 100.01, 100.04, 100.03, 100.06),
    "price_cents": (10000, 10002, 10002, 10001, 10001, 10004, 10003, 10006),
    "bid_cents": (9999, 10000, 10000, 10000, 10000, 10002, 10002, 10004),
    "ask_cents": (10001, 10002, 10002, 10002, 10003, 10004, 10004, 10006),
    "size": (2, 1, 3, 4, 2, 5, 1, 2),
    "bid": (99.99, 100.00, 100.00, 100.00, 100.00, 100.02, 100.02, 100.04),
    "ask": (100.01, 100.02, 100.02, 100.02, 100.03, 100.04, 100.04, 100.06),
    "bid_size": (5, 4, 4, 6, 3, 2, 3, 4),
    "ask_size": (3, 2, 2, 2, 4, 5, 1, 2),
    "d": (0, 1, 1, -1, -1, 1, -1, 1),
    "age_ns": tuple(1_000_000 * ms for ms in (100, 100, 100, 200, 100, 100, 100, 500)),
}


def _mid(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    bid, ask = operands
    valid = "valid_bid" if settings["crossed"] == "use" else "uncrossed_bid"
    return _half_sum(steps, steps.call(valid, [bid, ask]), ask)


def _half_sum(steps: Steps, bid: int, ask: int) -> int:
    return steps.call("divide", [steps.call("add", [bid, ask]), steps.constant(2)])


def _spread(steps: Steps, operands: Sequence[int], _: Settings) -> int:
    bid, ask = operands
    return steps.call("subtract", [ask, steps.call("uncrossed_bid", [bid, ask])])


def _relative_spread(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    bid, ask = operands
    bid = steps.call("uncrossed_bid", [bid, ask])
    if settings["log"]:
        fraction = steps.call("log", [steps.call("divide", [ask, bid])])
    else:
        twice = steps.call("multiply", [steps.constant(2), steps.call("subtract", [ask, bid])])
        fraction = steps.call("divide", [twice, steps.call("add", [ask, bid])])
    return _in_unit(steps, fraction, settings)


def _in_unit(steps: Steps, fraction: int, settings: Settings) -> int:
    if settings["unit"] == "bps":
        return steps.call("multiply", [fraction, steps.constant(BPS)])
    return fraction


def _weighted_mid(steps: Steps, operands: Sequence[int], _: Settings) -> int:
    bid, ask, bid_size, ask_size = operands
    bid = steps.call("valid_bid", [bid, ask])
    weighted = [steps.call("multiply", [bid, ask_size]), steps.call("multiply", [ask, bid_size])]
    return steps.call("divide", [steps.call("add", weighted), steps.call("add", [ask_size, bid_size])])


def _micro_price(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    """The mid, and of the fitted table the row of the bid's share and in it the number of the spread."""
    bid, ask, bid_size, ask_size = operands
    table, tick = settings["G"], settings["tick"]
    assert isinstance(table, tuple)
    assert isinstance(tick, float)
    valid = steps.call("uncrossed_bid", [bid, ask])
    count = steps.call("multiply", [steps.constant(len(table)), bid_size])
    share = steps.call("divide", [count, steps.call("add", [ask_size, bid_size])])
    wide = steps.call("divide", [steps.call("subtract", [ask, valid]), steps.constant(tick)])
    rows = [_of_spread(steps, row, wide) for row in table]
    chosen = rows[-1]
    for number in range(len(rows) - 1, 0, -1):
        below = steps.call("less", [share, steps.constant(float(number))])
        chosen = steps.call("where", [below, rows[number - 1], chosen])
    no_share = steps.call("sqrt", [steps.constant(-1.0)])  # of sizes below 0
    negative = steps.call("less", [share, steps.constant(0.0)])
    chosen = steps.call("where", [negative, no_share, chosen])
    return steps.call("add", [_half_sum(steps, valid, ask), chosen])


def _of_spread(steps: Steps, row: Sequence[float], wide: int) -> int:
    """The number of a spread in ticks, rounded half to even: the first up to 1, the last from there."""
    chosen = steps.constant(row[-1])
    for ticks in range(len(row) - 1, 0, -1):
        half = steps.constant(ticks + 0.5)
        rounds_up = "greater_equal" if ticks % 2 else "greater"
        chosen = steps.call(
            "where", [steps.call(rounds_up, [wide, half]), chosen, steps.constant(row[ticks - 1])]
        )
    return chosen


def _fitted(_: Sequence[Tree], settings: Settings) -> str:
    """What is wrong with the settings of `micro_price`."""
    if "G" not in settings:
        return "micro_price needs its fitted table: G=(-0.002, 0, 0.002), by the bid's share of the sizes"
    if settings["tick"] == 0:
        return "tick is how far apart prices are, and not 0"
    return ""


def _queue_imbalance(steps: Steps, operands: Sequence[int], _: Settings) -> int:
    return steps.call("divide", [steps.call("subtract", operands), steps.call("add", operands)])


def quote_rule(steps: Steps, operands: Sequence[int], _: Settings) -> int:
    price, bid, ask = operands
    bid = steps.call("uncrossed_bid", [bid, ask])
    twice = steps.call("multiply", [steps.constant(2), price])
    side = steps.call("sign", [steps.call("subtract", [twice, steps.call("add", [ask, bid])])])
    return steps.call("zero_without", [side, bid, price])


def _p_buy(steps: Steps, operands: Sequence[int], _: Settings) -> int:
    return _half_sum(steps, steps.constant(1), steps.call("direction", operands))  # 0, 0.5 or 1, exactly


def _signed_volume(steps: Steps, operands: Sequence[int], _: Settings) -> int:
    size, direction = operands
    return _without_minus(steps, steps.call("multiply", [steps.call("direction", [direction]), size]))


def _effective_spread(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    price, bid, ask, direction = operands
    mid = _half_sum(steps, steps.call("uncrossed_bid", [bid, ask]), ask)
    side = steps.call("direction", [direction])
    if not settings["half"]:
        side = steps.call("multiply", [steps.constant(2), side])
    cost = steps.call("multiply", [side, steps.call("subtract", [price, mid])])
    if settings["unit"] != "price":
        cost = _in_unit(steps, steps.call("divide", [cost, mid]), settings)
    return _without_minus(steps, cost)


def _without_minus(steps: Steps, place: int) -> int:
    """A zero has no sign, whatever it is a product of."""
    return steps.call("add", [place, steps.constant(0)])


def _quote_age(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    (age,) = operands
    if settings["output"] == "age":
        return age
    max_age_ns = settings["max_age_ns"]
    assert isinstance(max_age_ns, int)
    return steps.call("greater", [age, steps.constant(max_age_ns)])


def _stale_after(_: Sequence[Tree], settings: Settings) -> str:
    """What is wrong with the settings of `quote_age`."""
    if settings["output"] == "stale" and "max_age_ns" not in settings:
        return "output='stale' needs max_age_ns='500ms', or another age"
    if settings["output"] == "age" and "max_age_ns" in settings:
        return "max_age_ns is of output='stale', which is not chosen"
    return ""


CROSSED: Final = Setting("crossed", "word", "what bid > ask gives", default="null", words=("null", "use"))
FRACTION: Final = Setting("unit", "word", "of the result", default="fraction", words=("fraction", "bps"))
FLOAT: Final = (Output("value", "float64"),)

OF_QUOTES: Final = (
    Function(
        id="Q1",
        name="mid",
        definition="(bid + ask) / 2; null unless both are above 0, and where bid > ask",
        operands=(BID, ASK),
        settings=(CROSSED,),
        outputs=FLOAT,
        example=Example(
            "mid(bid, ask)", TRADES, (100, 100.01, 100.01, 100.01, 100.015, 100.03, 100.03, 100.05)
        ),
        build=_mid,
    ),
    Function(
        id="Q2",
        name="spread",
        definition="ask - bid; null unless both are above 0, and where bid > ask",
        operands=(BID, ASK),
        outputs=(Output("value", "wide"),),
        example=Example("spread(bid, ask)", TRADES, (0.02, 0.02, 0.02, 0.02, 0.03, 0.02, 0.02, 0.02)),
        build=_spread,
    ),
    Function(
        id="Q3",
        name="relative_spread",
        definition="2 * (ask - bid) / (ask + bid), or log(ask / bid); null as the spread",
        operands=(BID, ASK),
        settings=(Setting("log", "boolean", "whether it is log(ask / bid)", default=False), FRACTION),
        outputs=FLOAT,
        example=Example(
            "relative_spread(bid, ask, unit='bps')",
            TRADES,
            (2, 1.9998, 1.9998, 1.9998, 2.99955, 1.9994, 1.9994, 1.999),
        ),
        build=_relative_spread,
    ),
    Function(
        id="Q4",
        name="weighted_mid",
        definition="(bid * ask size + ask * bid size) / (ask size + bid size); null unless bid and ask are"
        " above 0, and where the sizes sum to 0",
        operands=(BID, ASK, BID_SIZE, ASK_SIZE),
        outputs=FLOAT,
        example=Example(
            "weighted_mid(bid, ask, bid_size, ask_size)",
            TRADES,
            (100.0025, 100.013333, 100.013333, 100.015, 100.012857, 100.025714, 100.035, 100.053333),
        ),
        build=_weighted_mid,
    ),
    Function(
        id="Q5",
        name="micro_price",
        definition="mid + G[bucket, spread in ticks], where the bucket is floor(n * bid size / (bid size +"
        " ask size)), the last one closed, and a spread beyond the table has its last number; null as the"
        " mid, and where the sizes sum to 0 or the share is below 0",
        operands=(BID, ASK, BID_SIZE, ASK_SIZE),
        settings=(
            Setting(
                "G",
                "table",
                "a number for each bucket, or one for each spread of 1, 2, .. ticks",
                bounds=(BUCKETS_MAX, SPREADS_MAX),
            ),
            Setting("tick", "number", "how far apart prices are", default=1.0, bounds=(0.0, 1e300)),
        ),
        outputs=FLOAT,
        example=Example(
            "micro_price(bid_cents, ask_cents, bid_size, ask_size, G=(-0.2, 0, 0.2))",
            TRADES,
            (10000, 10001.2, 10001.2, 10001.2, 10001.5, 10002.8, 10003.2, 10005.2),
        ),
        build=_micro_price,
        check=_fitted,
    ),
    Function(
        id="Q6",
        name="queue_imbalance",
        definition="(bid size - ask size) / (bid size + ask size); null where the sizes sum to 0",
        operands=(BID_SIZE, ASK_SIZE),
        outputs=FLOAT,
        example=Example(
            "queue_imbalance(bid_size, ask_size)",
            TRADES,
            (0.25, 0.3333333, 0.3333333, 0.5, -0.1428571, -0.4285714, 0.5, 0.3333333),
        ),
        build=_queue_imbalance,
    ),
    Function(
        id="Q8",
        name="quote_rule",
        definition="sign(2 * price - (ask + bid)), exact for prices in integer ticks; 0 where the quote is"
        " null, not valid or crossed",
        operands=(PRICE, BID, ASK),
        outputs=(Output("value", "int8"),),
        example=Example("quote_rule(price_cents, bid_cents, ask_cents)", TRADES, (0, 1, 1, 0, -1, 1, 0, 1)),
        build=quote_rule,
    ),
    Function(
        id="Q13",
        name="p_buy",
        definition="1, 0 or 0.5 for a direction of 1, -1 or 0; null for any other",
        operands=(DIRECTION,),
        outputs=FLOAT,
        example=Example("p_buy(d)", TRADES, (0.5, 1, 1, 0, 0, 1, 0, 1)),
        build=_p_buy,
    ),
    Function(
        id="Q15",
        name="signed_volume",
        definition="direction * size; null for a direction that is not -1, 0 or 1",
        operands=(SIZE, DIRECTION),
        outputs=(Output("value", "wide"),),
        example=Example("signed_volume(size, d)", TRADES, (0, 1, 3, -4, -2, 5, -1, 2)),
        build=_signed_volume,
    ),
    Function(
        id="Q16",
        name="effective_spread",
        definition="2 * direction * (price - mid), by mid for a fraction; null where the mid is, and for a"
        " direction that is not -1, 0 or 1",
        operands=(PRICE, BID, ASK, DIRECTION),
        settings=(
            Setting("half", "boolean", "whether the 2 is left out", default=False),
            FRACTION._replace(default="price", words=("price", "fraction", "bps")),
        ),
        outputs=FLOAT,
        example=Example(
            "effective_spread(price, bid, ask, d)", TRADES, (0, 0.02, 0.02, 0, 0.01, 0.02, 0, 0.02)
        ),
        build=_effective_spread,
    ),
    Function(
        id="Q20",
        name="quote_age",
        definition="the age of the match in ns, or whether it is more than max_age_ns",
        operands=(Operand("age", "integer", alike=True),),
        settings=(
            Setting("output", "word", "which one is given", default="age", words=("age", "stale")),
            Setting("max_age_ns", "duration", "the age beyond which it is stale", bounds=(0, 2**63 - 1)),
        ),
        outputs=(Output("age", "common"), Output("stale", "bool")),
        example=Example("quote_age(age_ns)", TRADES, TRADES["age_ns"]),
        build=_quote_age,
        check=_stale_after,
    ),
)
