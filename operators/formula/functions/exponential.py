"""Means, sums and deviations with weights that decay: R50 to R54."""

import math
from collections.abc import Sequence
from typing import Final

from operators.formula.functions.declare import Example, Function, Operand, Output, Setting, Settings
from operators.formula.functions.history import ROWS_F1, whole
from operators.formula.functions.starts import (
    LEAST,
    LN2,
    MIN_COUNT,
    OF_MEMORY,
    OF_TIME_DECAY,
    SHOWN,
    decay_per_ns,
    never_fades,
    number,
    one_time_decay,
    recursion,
    shift_of_rows,
    shift_of_time,
    shown_at,
)
from operators.formula.steps import Steps
from operators.formula.tree import Tree

DECAYS: Final = ("alpha", "span", "com", "half_life")

OF_DECAY: Final = (
    Setting("alpha", "number", "the weight of the newest row, above 0 and up to 1", bounds=(LEAST, 1)),
    Setting("span", "number", "instead of it: 2 / (span + 1)", bounds=(1, math.inf)),
    Setting("com", "number", "instead of it: 1 / (1 + com)", bounds=(0, math.inf)),
    Setting(
        "half_life",
        "number",
        "instead of it: 1 - exp(-log 2 / half_life), in rows",
        bounds=(LEAST, math.inf),
    ),
)
VALUE: Final = (Operand("value", "float"),)
FLOAT: Final = (Output("value", "float64"),)


def alpha_of(settings: Settings) -> float:
    """The weight of the newest row."""
    name = next(name for name in DECAYS if name in settings)
    value = number(settings, name)
    if name == "span":
        return 2.0 / (value + 1.0)
    if name == "com":
        return 1.0 / (1.0 + value)
    return value if name == "alpha" else 1.0 - math.exp(-LN2 / value)


def one_decay(_: Sequence[Tree], settings: Settings) -> str:
    """What is wrong with the settings of a decay."""
    if sum(name in settings for name in DECAYS) != 1:
        return "exactly one of alpha=, span=, com= and half_life= says how fast it decays"
    return never_fades(1.0 - alpha_of(settings), settings)


def _ewma(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    alpha = alpha_of(settings)
    k, least = 1.0 - alpha, whole(settings, "min_count")
    shift = shift_of_rows(k, settings)
    if settings["adjust"]:
        return recursion(steps, "ewma", operands, (k, least), shift, settings)
    return recursion(steps, "average", operands, (k, alpha, least), shift, settings)


def _ewma_time(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    constants = (decay_per_ns(settings), whole(settings, "min_count"))
    return recursion(steps, "ewma_time", operands, constants, shift_of_time(settings), settings)


def _decay_accum(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    constants = (decay_per_ns(settings), shown_at(settings), whole(settings, "min_count"))
    return recursion(steps, "decay_accum", operands, constants, shift_of_time(settings), settings)


def _ewm_std(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    k = 1.0 - alpha_of(settings)
    constants = (k, int(bool(settings["bias"])), whole(settings, "min_count"))
    return recursion(steps, "ewm_std", operands, constants, shift_of_rows(k, settings), settings)


EXPONENTIAL: Final = (
    Function(
        id="R50",
        name="ewma",
        definition="the mean of all values so far, weighted by (1 - alpha) to the power of their age in rows;"
        " with adjust=False R51: the first value, then (1 - alpha) * itself + alpha * value",
        operands=VALUE,
        settings=(
            *OF_DECAY,
            Setting(
                "adjust", "boolean", "whether it is a weighted mean from the first value on", default=True
            ),
            MIN_COUNT,
            *OF_MEMORY,
        ),
        outputs=FLOAT,
        example=Example(
            "ewma(x, alpha=0.5)",
            ROWS_F1,
            (1.0, 1.666666667, 1.666666667, 3.363636364, 6.111111111, 4.423728814, 3.682926829, 4.354581673),
        ),
        memory="since",
        build=_ewma,
        check=one_decay,
    ),
    Function(
        id="R52",
        name="ewma_time",
        definition="the mean of all values so far, with weights that halve with each half-life of age",
        operands=VALUE,
        settings=(*OF_TIME_DECAY, MIN_COUNT, *OF_MEMORY),
        outputs=FLOAT,
        example=Example(
            "ewma_time(x, '2s')",
            ROWS_F1,
            (1.0, 1.585786438, 1.585786438, 2.679622759, 5.208856039, 4.497137643, 4.028483022, 4.56862401),
        ),
        memory="since",
        build=_ewma_time,
        check=one_time_decay,
    ),
    Function(
        id="R53",
        name="decay_accum",
        definition="the sum of all values so far, each of which halves with each half-life of its age",
        operands=VALUE,
        settings=(
            *OF_TIME_DECAY,
            Setting(
                "at",
                "word",
                "whether the row's own value is in it; 'query': it is, and a row without a value has what is"
                " left by its time",
                default="after",
                words=SHOWN,
            ),
            MIN_COUNT,
            *OF_MEMORY,
        ),
        outputs=FLOAT,
        example=Example(
            "decay_accum(x, '2s')",
            ROWS_F1,
            (1.0, 2.707106781, 2.707106781, 5.914213562, 10.95710678, 13.95710678, 12.86916485, 8.217291213),
        ),
        memory="since",
        build=_decay_accum,
        check=one_time_decay,
    ),
    Function(
        id="R54",
        name="ewm_std",
        definition="the standard deviation of all values so far, weighted as those of ewma; of two at least",
        operands=VALUE,
        settings=(
            *OF_DECAY,
            Setting("bias", "boolean", "whether the correction for few values is left out", default=False),
            MIN_COUNT,
            *OF_MEMORY,
        ),
        outputs=FLOAT,
        example=Example(
            "ewm_std(x, alpha=0.5)",
            ROWS_F1,
            (
                None,
                0.7071067812,
                0.7071067812,
                1.629062968,
                3.194208869,
                2.854343979,
                2.128318533,
                1.684491297,
            ),
        ),
        memory="since",
        build=_ewm_std,
        check=one_decay,
    ),
)
