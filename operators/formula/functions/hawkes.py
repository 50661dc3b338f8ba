"""Events that bring more events, since a start: M50 and M51, made of sums that decay (R53)."""

import math
from collections.abc import Sequence
from typing import Final

from operators.formula.functions.declare import Example, Function, Operand, Output, Setting, Settings
from operators.formula.functions.quotes import DIRECTION, TRADES
from operators.formula.functions.starts import (
    LEAST,
    MEMORY,
    column,
    number,
    numbers,
    recursion,
    shift_of,
    shown_at,
)
from operators.formula.steps import Steps
from operators.formula.tree import Tree

LARGEST: Final = 1e300
FLOAT: Final = (Output("value", "float64"),)

BETA: Final = Setting(
    "beta", "number", "how fast an event's weight fades, per second, above 0", bounds=(LEAST, LARGEST)
)
AT: Final = Setting(
    "at",
    "word",
    "whether the row's own event is in it; 'query': it is, and what is left by a row's time is counted from"
    " the last event, so that rows without one change no later value",
    default="before",
    words=("before", "after", "query"),
)
EPS: Final = Setting(
    "eps",
    "number",
    "of memory='anchored': the weight that an event has left at the horizon",
    default=1e-9,
    bounds=(1e-300, 0.5),
)
OF_EVENTS: Final = (AT, MEMORY, EPS)


def _excitement(steps: Steps, event: int, settings: Settings) -> int:
    """The R of an event: R53 of 1 in rows with one, and of 0 in all others; of a query null in these."""
    beta = number(settings, "beta")
    one, zero = steps.constant(1.0), steps.constant(0.0)
    if settings["at"] == "query":
        value, least = steps.call("where", [event, one, steps.absent("float64")]), 0
    else:
        value, least = steps.call("max_known", [steps.call("where", [event, one, zero]), zero]), 1
    constants = beta * 1e-9, shown_at(settings), least
    shift = 0
    if settings["memory"] == "anchored":
        shift = shift_of(1e9 * math.log(1.0 / number(settings, "eps")) / beta)
    return recursion(steps, "decay_accum", [value], constants, shift, settings)


def _hawkes(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    (event,) = operands
    mu, alpha = (steps.constant(number(settings, name)) for name in ("mu", "alpha"))
    excited = steps.call("multiply", [alpha, _excitement(steps, event, settings)])
    return steps.call("add", [mu, excited])


def _fades(_: Sequence[Tree], settings: Settings) -> str:
    """What is wrong with the settings of `hawkes`."""
    missing = next((name for name in ("mu", "alpha", "beta") if name not in settings), "")
    if missing:
        return f"{missing}= is missing: hawkes needs mu=, alpha= and beta=, per second"
    if not number(settings, "alpha") < number(settings, "beta"):
        return "alpha is less than beta, or each event would bring more than one other"
    return ""


def _hawkes_two_sided(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    direction = steps.call("direction", operands)
    sides = [
        _excitement(steps, steps.call("equal", [direction, steps.constant(side)]), settings)
        for side in (1, -1)
    ]
    row = ("buy", "sell").index(str(settings["output"]))
    weights = numbers(settings, "a")[row]
    terms = [
        steps.call("multiply", [steps.constant(weight), excited])
        for weight, excited in zip(weights, sides, strict=True)
    ]
    base = steps.constant(column(settings, "mu")[row])
    return steps.call("add", [steps.call("add", [base, terms[0]]), terms[1]])


def _fades_together(_: Sequence[Tree], settings: Settings) -> str:
    """What is wrong with the settings of `hawkes_two_sided`."""
    missing = next((name for name in ("mu", "a", "beta") if name not in settings), "")
    if missing:
        return f"{missing}= is missing: mu=(0.25, 0.25), a=((0.6, 0.2), (0.2, 0.6)), beta=1, per second"
    mu, a = column(settings, "mu"), numbers(settings, "a")
    if len(mu) != 2 or [len(row) for row in a] != [2, 2]:
        return (
            "mu is two numbers, of buys and sells, and a two rows of two: what buys and sells bring of either"
        )
    if min(*mu, *a[0], *a[1]) < 0:
        return "no number of mu and a is below 0"
    (bb, bs), (sb, ss) = a
    largest = ((bb + ss) + math.hypot(bb - ss, 2.0 * math.sqrt(bs) * math.sqrt(sb))) / 2.0
    if not largest < number(settings, "beta"):
        return (
            f"the largest eigenvalue of a is {largest:g}: less than beta, or events bring ever more of them"
        )
    return ""


HAWKES: Final = (
    Function(
        id="M50",
        name="hawkes",
        definition="how many events a second are to be expected: mu, and alpha for each event so far, which"
        " fades by exp(-beta * age)",
        operands=(Operand("event", "boolean"),),
        settings=(
            Setting("mu", "number", "events a second without any before", bounds=(0, LARGEST)),
            Setting("alpha", "number", "what an event adds, less than beta", bounds=(0, LARGEST)),
            BETA,
            *OF_EVENTS,
        ),
        outputs=FLOAT,
        example=Example(
            "hawkes(size > 0, mu=0.5, alpha=0.8, beta=1)",
            TRADES,
            (0.5, 1.036256, 1.836256, 1.5608334, 1.3361263, 1.0446191, 1.0466813, 0.6822535),
        ),
        memory="since",
        build=_hawkes,
        check=_fades,
    ),
    Function(
        id="M51",
        name="hawkes_two_sided",
        definition="how many buys, or sells, a second are to be expected: mu, and what each buy and each sell"
        " so far adds to it, which fades by exp(-beta * age)",
        operands=(DIRECTION,),
        settings=(
            Setting("mu", "table", "buys and sells a second without any before", bounds=(2, 1)),
            Setting("a", "table", "what a buy and a sell add to buys, and to sells", bounds=(2, 2)),
            BETA,
            *OF_EVENTS,
            Setting("output", "word", "which side it is", default="buy", words=("buy", "sell")),
        ),
        outputs=(Output("buy", "float64"), Output("sell", "float64")),
        example=Example(
            "hawkes_two_sided(d, mu=(0.25, 0.25), a=((0.6, 0.2), (0.2, 0.6)), beta=1)",
            TRADES,
            (0.25, 0.25, 0.85, 0.84590236, 0.60762199, 0.43561623, 0.56940773, 0.32029419),
        ),
        memory="since",
        build=_hawkes_two_sided,
        check=_fades_together,
    ),
)
