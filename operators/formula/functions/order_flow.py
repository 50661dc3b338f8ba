"""The flow of orders that changes of quotes show: M20 and M21."""

import math
from collections.abc import Sequence
from typing import Final

from operators.formula.functions.averages import enough, over
from operators.formula.functions.declare import Cells, Example, Function, Operand, Output, Setting, Settings
from operators.formula.functions.history import (
    OF_SESSIONS,
    RESET_BY_SESSION,
    has_window,
    window_or_session,
)
from operators.formula.functions.quotes import ASK, BID
from operators.formula.functions.windows import MIN_COUNT
from operators.formula.steps import Steps
from operators.formula.tree import Tree

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
LEVELS_MAX: Final = 20
SIDES: Final = 4  # of a level: bid, ask, and their sizes

# F3 of the handbook: seven quotes, prices in cents.
QUOTES: Final[dict[str, Cells]] = {
    "bid": (9999, 10000, 10000, 10000, 10002, 10002, 10004),
    "ask": (10001, 10002, 10002, 10003, 10004, 10004, 10006),
    "bid_size": (5, 4, 6, 3, 2, 3, 4),
    "ask_size": (3, 2, 2, 4, 5, 1, 2),
}


def change_of_quote(steps: Steps, quote: Sequence[int], settings: Settings) -> int:
    """M20's e of (bid, ask, bid size, ask size), from the row before to this one.

    A term that does not count is a size times 0, and not left out: what has no size has no e.
    """
    bid, ask, bid_size, ask_size = quote
    reset = int(settings["reset"] == "session")
    bids = _terms(steps, bid, bid_size, "greater_equal", "less_equal", reset)
    asks = _terms(steps, ask, ask_size, "less_equal", "greater_equal", reset)
    of_bids = steps.call("subtract", bids)
    if steps.kind(of_bids) == "int64" and steps.kind(asks[0]) == "int64":
        # The same number, by differences that fit where it does: sizes are not negative.
        return steps.call("subtract", [of_bids, steps.call("subtract", asks)])
    less = steps.call("subtract", [of_bids, asks[0]])
    # No zero has a sign, whatever it is a product of.
    return steps.call("add", [steps.call("add", [less, asks[1]]), steps.constant(0)])


def _terms(steps: Steps, price: int, size: int, now: str, then: str, reset: int) -> list[int]:
    """Of one side: the size of now and that of the row before, or 0 where its price does not count."""
    price, size = _with_missing(steps, price, size, lowest=now == "greater_equal")
    before = [steps.stateful("lag_rows", [value], 1, reset) for value in (price, size)]
    return [
        _if(steps, steps.call(now, [price, before[0]]), size),
        _if(steps, steps.call(then, [price, before[0]]), before[1]),
    ]


def _if(steps: Steps, condition: int, size: int) -> int:
    one = steps.call("where", [condition, steps.constant(1), steps.constant(0)])
    return steps.call("multiply", [size, one])


def _with_missing(steps: Steps, price: int, size: int, *, lowest: bool) -> tuple[int, int]:
    """The price and the size, of a missing side the farthest price there is, and 0."""
    is_float = steps.kind(price) == "float64"
    if lowest:
        farthest = steps.constant(-math.inf if is_float else INT_MIN)
    else:
        farthest = steps.constant(math.inf if is_float else INT_MAX)
    filled = steps.call("max_known" if lowest else "min_known", [price, farthest])
    return filled, steps.call("where", [is_known(steps, price), size, steps.constant(0)])


def is_known(steps: Steps, value: int) -> int:
    """Whether it is not null."""
    less = steps.constant(-2)  # than any sign
    return steps.call("greater", [steps.call("max_known", [steps.call("sign", [value]), less]), less])


def _ofi(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    e = change_of_quote(steps, operands, settings)
    if not has_window(settings):
        return e
    e = steps.convert("float64", e)
    flow = over(steps, "sum", [e], settings)
    if settings["normalise"]:
        bid, ask, bid_size, ask_size = operands
        sizes = [
            _with_missing(steps, bid, bid_size, lowest=True)[1],
            _with_missing(steps, ask, ask_size, lowest=False)[1],
        ]
        depth = steps.call("divide", [steps.call("add", sizes), steps.constant(2)])
        flow = steps.call("divide", [flow, steps.part("mean", over(steps, "sum", [depth], settings))])
    return enough(steps, flow, over(steps, "count", [e], settings), settings)


def _of_a_window(operands: Sequence[Tree], settings: Settings) -> str:
    """What is wrong with the settings of `ofi`."""
    if not has_window(settings) and (settings["normalise"] or "min_count" in settings):
        name = "normalise" if settings["normalise"] else "min_count"
        return f"{name} is of a window, and there is none: a length of time such as '5m', or rows=100"
    return window_or_session(operands, settings)


def _ofi_levels(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    count = len(operands) // SIDES
    levels = range(count) if settings["output"] == "integrated" else [_level(settings) - 1]
    changes = [change_of_quote(steps, operands[level::count], settings) for level in levels]
    if settings["output"] != "integrated":
        return changes[0]
    if "w" not in settings:
        return steps.call("divide", [_sum(steps, changes), steps.constant(count)])
    weights = _weights(settings)
    changes = [steps.convert("float64", change) for change in changes]
    weighted = [
        steps.call("multiply", [steps.constant(weight), change])
        for weight, change in zip(weights, changes, strict=True)
    ]
    total = weighted[0]
    for product in weighted[1:]:
        total = steps.call("add", [total, product])
    total = steps.call("add", [total, steps.constant(0.0)])  # no zero has a sign
    return steps.call("divide", [total, steps.constant(math.fsum(weights))])


def _weights(settings: Settings) -> list[float]:
    table = settings["w"]
    assert isinstance(table, tuple), "w is a table"
    return [row[0] for row in table]


def _level(settings: Settings) -> int:
    return int(str(settings["output"]).removeprefix("e"))


def _sum(steps: Steps, values: Sequence[int]) -> int:
    """The sum: of floats with what each addition loses (Knuth's two-sum), summed apart and added at last."""
    total, *others = values
    lost = steps.constant(0)
    for value in others:
        more = steps.call("add", [total, value])
        if steps.kind(more) == "float64":
            back = steps.call("subtract", [more, total])
            of_total = steps.call("subtract", [total, steps.call("subtract", [more, back])])
            of_value = steps.call("subtract", [value, back])
            lost = steps.call("add", [lost, steps.call("add", [of_total, of_value])])
        total = more
    return steps.call("add", [total, lost])


def _whole_levels(operands: Sequence[Tree], settings: Settings) -> str:
    """What is wrong with the number of values of `ofi_levels`."""
    count, rest = divmod(len(operands), SIDES)
    if rest or count > LEVELS_MAX:
        return (
            f"ofi_levels takes the bids, the asks, the bid sizes and the ask sizes of 1 to {LEVELS_MAX}"
            f" levels, as many of each: {len(operands)} values are not"
        )
    if settings["output"] != "integrated" and _level(settings) > count:
        return f"output={settings['output']!r} is of level {_level(settings)}, and there are {count}"
    if "w" in settings and len(_weights(settings)) != count:
        return f"w has {len(_weights(settings))} weights, and there are {count} levels"
    if "w" in settings and (min(_weights(settings)) < 0 or max(_weights(settings)) == 0):
        return "w are weights: none is below 0, and one is above"
    return ""


SIZE_OF_BID: Final = Operand("bid size", alike=True)
SIZE_OF_ASK: Final = Operand("ask size", alike=True)
LEVELS: Final = tuple(f"e{level}" for level in range(1, LEVELS_MAX + 1))

ORDER_FLOW: Final = (
    Function(
        id="M20",
        name="ofi",
        definition="the change of the bid size less that of the ask size since the row before, as far as it"
        " is at the better price: the whole size of a price that is new, less that of one that is gone; over"
        " a window their exact sum, as float64",
        operands=(
            BID._replace(alike=False),
            ASK._replace(alike=False),
            SIZE_OF_BID,
            SIZE_OF_ASK,
        ),
        settings=(
            *OF_SESSIONS,
            MIN_COUNT,
            Setting(
                "normalise",
                "boolean",
                "whether the sum is by the mean of half the sizes in the window",
                default=False,
            ),
        ),
        outputs=(Output("value", "wide"),),
        example=Example("ofi(bid, ask, bid_size, ask_size)", QUOTES, (None, 7, 2, -1, 6, 5, 5)),
        memory="window",
        build=_ofi,
        check=_of_a_window,
    ),
    Function(
        id="M21",
        name="ofi_levels",
        definition="the order flow imbalance of one level of a book, or the mean of all levels: their sum by"
        " their number, or the sum of w * e in the order of the levels by that of w; the values are all bids,"
        " best first, all asks, all bid sizes and all ask sizes",
        operands=(BID, ASK, SIZE_OF_BID, SIZE_OF_ASK),
        settings=(
            RESET_BY_SESSION,
            Setting(
                "output",
                "word",
                "which level it is, or their mean",
                default="e1",
                words=(*LEVELS, "integrated"),
            ),
            Setting(
                "w",
                "table",
                "the weights of the levels in their mean, best first; without them all weigh alike",
                bounds=(LEVELS_MAX, 1),
            ),
        ),
        outputs=(*(Output(level, "wide") for level in LEVELS), Output("integrated", "float64")),
        example=Example(
            "ofi_levels(bid, bid2, ask, ask2, bid_size, bid_size2, ask_size, ask_size2, output='e2')",
            {
                "bid": (10000, 9999),
                "bid2": (9999, 9998),
                "ask": (10002, 10001),
                "ask2": (10003, 10002),
                "bid_size": (5, 7),
                "bid_size2": (7, 2),
                "ask_size": (3, 1),
                "ask_size2": (4, 3),
            },
            (None, -10),
        ),
        memory="window",
        repeats=True,
        build=_ofi_levels,
        check=_whole_levels,
    ),
)
