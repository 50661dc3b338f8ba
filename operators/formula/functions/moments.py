"""Moments of windows: R33, R34 and R39 to R44."""

from collections.abc import Sequence
from typing import Final

from operators.formula.functions.declare import Example, Function, Operand, Output, Setting, Settings
from operators.formula.functions.history import (
    OF_WINDOWS,
    ROWS_F1,
    least_of,
    one_window,
    short_windows,
    whole,
    window_of,
)
from operators.formula.functions.windows import FLOAT, MIN_COUNT, enough
from operators.formula.steps import Steps

DDOF: Final = Setting(
    "ddof", "count", "taken from the number of values for the divisor", default=1, bounds=(0, 65_535)
)
BIAS: Final = Setting("bias", "boolean", "without the corrections for few values", default=False)
OF_SHAPES: Final = short_windows(OF_WINDOWS)
VALUE: Final = (Operand("value", "float"),)
PAIR: Final = (Operand("value", "float"), Operand("other", "float"))


def paired(steps: Steps, operands: Sequence[int]) -> list[int]:
    """A value that is there where both are, for counting pairs."""
    return [steps.call("min", operands)]


def _squares(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    return steps.stateful("window_squares", operands, *window_of(settings), 0, whole(settings, "ddof"))


def _variance(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    least = whole(settings, "ddof") + 1
    return enough(steps, _squares(steps, operands, settings), operands, settings, least)


def deviation(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    return steps.call("sqrt", [_variance(steps, operands, settings)])


def _zscore(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    """Without the row at hand, a window of rows reaches one row farther back."""
    window, without = window_of(settings), int(bool(settings["exclude_current"]))
    if without and window.rows:
        window = window._replace(rows=window.rows + 1)
    ddof = whole(settings, "ddof")
    squares = steps.stateful("window_squares", operands, *window, without, ddof)
    # A result has the row at hand itself, so that the count is that of the others and 1.
    count = steps.window("window_count", operands, window)
    least = least_of(settings, max(2, ddof + 1)) + without
    return steps.call("enough", [steps.part("zscore", squares), count, steps.constant(least)])


def of_pairs(steps: Steps, part: str, operands: Sequence[int], settings: Settings, least: int = 2) -> int:
    """The covariance of pairs, or a part of what that step gives, where there are enough of them."""
    pairs = steps.window("window_pairs", operands, window_of(settings))
    result = steps.part(part, pairs) if part else pairs
    return enough(steps, result, paired(steps, operands), settings, least)


def _covariance(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    return of_pairs(steps, "", operands, settings)


def _correlation(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    return of_pairs(steps, "correlation", operands, settings)


def _beta(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    y, x = operands
    part = "intercept" if settings["output"] == "intercept" else "slope"
    return of_pairs(steps, part, [x, y], settings)


def _skew(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    return enough(steps, _shape(steps, operands, settings), operands, settings, 3)


def _kurtosis(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    shape = _shape(steps, operands, settings)
    return enough(steps, steps.part("kurtosis", shape), operands, settings, 4)


def _shape(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    return steps.stateful("window_shape", operands, *window_of(settings), int(bool(settings["bias"])))


MOMENTS: Final = (
    Function(
        id="R33",
        name="rolling_var",
        definition="the variance, from exact sums",
        operands=VALUE,
        settings=(*OF_WINDOWS, MIN_COUNT, DDOF),
        outputs=FLOAT,
        example=Example(
            "rolling_var(x, rows=4, min_count=2)",
            ROWS_F1,
            (None, 0.5, 0.5, 2.333333333, 9.333333333, 7.0, 5.666666667, 5.583333333),
        ),
        memory="window",
        build=_variance,
        check=one_window,
    ),
    Function(
        id="R34",
        name="rolling_std",
        definition="the square root of the variance",
        operands=VALUE,
        settings=(*OF_WINDOWS, MIN_COUNT, DDOF),
        outputs=FLOAT,
        example=Example(
            "rolling_std(x, rows=4, min_count=2)",
            ROWS_F1,
            (
                None,
                0.7071067812,
                0.7071067812,
                1.527525232,
                3.055050463,
                2.645751311,
                2.380476143,
                2.362907813,
            ),
        ),
        memory="window",
        build=deviation,
        check=one_window,
    ),
    Function(
        id="R39",
        name="rolling_skew",
        definition="the skewness of the values; null where they are equal",
        operands=VALUE,
        settings=(*OF_SHAPES, MIN_COUNT, BIAS),
        outputs=FLOAT,
        example=Example(
            "rolling_skew(x, rows=5, min_count=3)",
            ROWS_F1,
            (None, None, None, 0.9352195296, 1.137624367, 1.443058836, 1.779179401, 1.446728467),
        ),
        memory="window",
        build=_skew,
        check=one_window,
    ),
    Function(
        id="R40",
        name="rolling_kurt",
        definition="the excess kurtosis of the values; null where they are equal",
        operands=VALUE,
        settings=(*OF_SHAPES, MIN_COUNT, BIAS),
        outputs=FLOAT,
        example=Example(
            "rolling_kurt(x, rows=6, min_count=4)",
            ROWS_F1,
            (None, None, None, None, 0.7576559546, 2.021017076, 3.32231405, 1.930773391),
        ),
        memory="window",
        build=_kurtosis,
        check=one_window,
    ),
    Function(
        id="R41",
        name="rolling_cov",
        definition="the covariance of the pairs of which both values are there",
        operands=PAIR,
        settings=(*OF_WINDOWS, MIN_COUNT),
        outputs=FLOAT,
        example=Example(
            "rolling_cov(y, x, rows=4, min_count=3)",
            ROWS_F1,
            (None, None, None, 2.666666667, 8.666666667, 1.0, 0.8333333333, 0.3333333333),
        ),
        memory="window",
        build=_covariance,
        check=one_window,
    ),
    Function(
        id="R42",
        name="rolling_corr",
        definition="the correlation of the pairs; null where the values of either side are equal",
        operands=PAIR,
        settings=(*OF_WINDOWS, MIN_COUNT),
        outputs=FLOAT,
        example=Example(
            "rolling_corr(y, x, rows=4, min_count=3)",
            ROWS_F1,
            (
                None,
                None,
                None,
                0.8386278694,
                0.9285714286,
                0.3273268354,
                0.3656362121,
                0.09975093361,
            ),
        ),
        memory="window",
        build=_correlation,
        check=one_window,
    ),
    Function(
        id="R43",
        name="rolling_beta",
        definition="the slope of the first value on the other one; null where the latter's are equal",
        operands=PAIR,
        settings=(
            *OF_WINDOWS,
            MIN_COUNT,
            Setting(
                "output",
                "word",
                "the slope, or where the line is at 0",
                default="beta",
                words=("beta", "intercept"),
            ),
        ),
        outputs=(Output("beta", "float64"), Output("intercept", "float64")),
        example=Example(
            "rolling_beta(y, x, rows=4, min_count=3)",
            ROWS_F1,
            (None, None, None, 1.142857143, 0.9285714286, 0.1428571429, 0.1470588235, 0.05970149254),
        ),
        memory="window",
        build=_beta,
        check=one_window,
    ),
    Function(
        id="R44",
        name="rolling_zscore",
        definition="how many standard deviations the value is from the mean; null where the values are equal",
        operands=VALUE,
        settings=(
            *OF_WINDOWS,
            MIN_COUNT,
            DDOF,
            Setting(
                "exclude_current", "boolean", "whether only the rows before it make the window", default=False
            ),
        ),
        outputs=FLOAT,
        example=Example(
            "rolling_zscore(x, rows=4, min_count=2)",
            ROWS_F1,
            (
                None,
                0.7071067812,
                None,
                1.091089451,
                1.091089451,
                -0.755928946,
                -0.6301260378,
                0.1058018424,
            ),
        ),
        memory="window",
        build=_zscore,
        check=one_window,
    ),
)
