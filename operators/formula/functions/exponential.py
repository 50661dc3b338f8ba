"""Means and sums with weights that decay: R50."""

import math
from collections.abc import Sequence
from typing import Final

from operators.formula.functions.declare import Example, Function, Operand, Output, Setting, Settings
from operators.formula.functions.history import ROWS_F1
from operators.formula.steps import Steps
from operators.formula.tree import Tree

DECAYS: Final = ("alpha", "span", "com", "half_life")

OF_DECAY: Final = (
    Setting("alpha", "number", "the weight of the newest row, above 0 and up to 1", bounds=(5e-324, 1)),
    Setting("span", "number", "instead of it: 2 / (span + 1)", bounds=(1, math.inf)),
    Setting("com", "number", "instead of it: 1 / (1 + com)", bounds=(0, math.inf)),
    Setting(
        "half_life",
        "number",
        "instead of it: 1 - exp(-log 2 / half_life), in rows",
        bounds=(5e-324, math.inf),
    ),
)
MEMORY: Final = Setting(
    "memory",
    "word",
    "where it starts: with the session, or with the symbol",
    default="session",
    words=("session", "genesis"),
)


def alpha_of(settings: Settings) -> float:
    """The weight of the newest row."""
    name, value = next((name, settings[name]) for name in DECAYS if name in settings)
    assert isinstance(value, float)
    if name == "span":
        return 2.0 / (value + 1.0)
    if name == "com":
        return 1.0 / (1.0 + value)
    return value if name == "alpha" else 1.0 - math.exp(-math.log(2.0) / value)


def one_decay(_: Sequence[Tree], settings: Settings) -> str:
    """What is wrong with the settings of a decay."""
    given = [name for name in DECAYS if name in settings]
    return (
        "" if len(given) == 1 else "exactly one of alpha=, span=, com= and half_life= says how fast it decays"
    )


def _ewma(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    return steps.stateful("ewma", operands, 1.0 - alpha_of(settings), int(settings["memory"] == "session"))


EXPONENTIAL: Final = (
    Function(
        id="R50",
        name="ewma",
        definition="the mean of all values so far, weighted by (1 - alpha) to the power of their age in rows",
        operands=(Operand("value", "float"),),
        settings=(*OF_DECAY, MEMORY),
        outputs=(Output("value", "float64"),),
        example=Example(
            "ewma(x, alpha=0.5)",
            ROWS_F1,
            (1.0, 1.666666667, 1.666666667, 3.363636364, 6.111111111, 4.423728814, 3.682926829, 4.354581673),
        ),
        memory="since",
        build=_ewma,
        check=one_decay,
    ),
)
