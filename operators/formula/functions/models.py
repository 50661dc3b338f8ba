"""Models of a state that rows tell about, since a start: M42 and M52 to M54."""

import math
from collections.abc import Sequence
from typing import Final

from operators.formula.functions.declare import Example, Function, Operand, Output, Setting, Settings
from operators.formula.functions.events import MEMORY as SESSION_OR_GENESIS
from operators.formula.functions.flow import price_change
from operators.formula.functions.history import RESET, whole
from operators.formula.functions.lags import log_return_of_last
from operators.formula.functions.quotes import TRADES
from operators.formula.functions.starts import (
    LEAST,
    MEMORY,
    NO_ANCHORS,
    column,
    number,
    numbers,
    recursion,
    shift_of,
)
from operators.formula.history import ROWS_MAX
from operators.formula.steps import Steps
from operators.formula.tree import Constant, Tree

LARGEST: Final = 1e300

HORIZON: Final = Setting(
    "horizon_rows",
    "count",
    "of memory='anchored': how many rows back it starts at least",
    default=2_000,
    bounds=(1, 1_000_000_000),
)
OF_MODELS: Final = (MEMORY, HORIZON)


def _shift(settings: Settings) -> int:
    return shift_of(whole(settings, "horizon_rows"))


def _hedge_ratio(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    delta = number(settings, "delta")
    constants = delta / (1.0 - delta), number(settings, "r")
    ratio = recursion(steps, "hedge", operands, constants, _shift(settings), settings)
    match settings["output"]:
        case "b1":
            return ratio
        case "b0":
            return steps.part("b0", ratio)
        case "err":
            return steps.part("error", ratio)
    z = _in_deviations(steps, steps.part("error", ratio), steps.part("error_variance", ratio))
    warm = steps.constant(float(whole(settings, "warm")))
    known = steps.call("greater", [steps.part("pairs", ratio), warm])
    return steps.call("where", [known, z, steps.absent("float64")])


def _in_deviations(steps: Steps, value: int, variance: int) -> int:
    return steps.call("divide", [value, steps.call("sqrt", [variance])])


def _local_level(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    by_time = "q_per_s" in settings
    q = number(settings, "q_per_s" if by_time else "q")
    constants = q, number(settings, "r"), int(by_time)
    level = recursion(steps, "local_level", operands, constants, _shift(settings), settings)
    if settings["output"] == "a":
        return level
    above, variance = (steps.part(name, level) for name in ("innovation", "innovation_variance"))
    if settings["output"] == "z":
        return _in_deviations(steps, above, variance)
    return above if settings["output"] == "v" else variance


def _one_level(_: Sequence[Tree], settings: Settings) -> str:
    """What is wrong with the settings of `local_level`."""
    if "r" not in settings:
        return "r= is missing: the variance of a value around the level"
    if ("q" in settings) == ("q_per_s" in settings):
        return "exactly one of q= and q_per_s= says how far the level goes, as a variance by row or by second"
    return ""


STATES_MAX: Final = 3
SUM_ERROR_MAX: Final = 1e-9  # of probabilities


def _hmm(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    """How likely the value is in each state, by the most likely one, and the filter over these."""
    (x,) = operands
    mean, sd, pi = (column(settings, name) for name in ("mean", "sd", "pi"))
    k = len(pi)
    logs = []
    for center, width in zip(mean, sd, strict=True):
        z = steps.call("subtract", [x, steps.constant(center)])
        z = steps.call("divide", [z, steps.constant(width)])
        half = steps.call("multiply", [steps.constant(0.5), steps.call("multiply", [z, z])])
        logs.append(steps.call("subtract", [steps.constant(-math.log(width)), half]))
    most = logs[0]
    for each in logs[1:]:
        most = steps.call("max", [most, each])
    likely = [steps.call("exp", [steps.call("subtract", [each, most])]) for each in logs]
    likely += [steps.constant(0.0)] * (STATES_MAX - k)
    begin = [*pi, 0.0][:STATES_MAX]
    moves = [number for row in _square(numbers(settings, "A")) for number in row]
    shift = _shift(settings)
    first = recursion(steps, "hidden_states", likely, (*begin, *moves), shift, settings)
    chances = [first, steps.part("second", first), steps.part("third", first)][:k]
    if settings["output"] != "state":
        return chances[int(str(settings["output"]).removeprefix("f")) - 1]
    return _largest(steps, chances)


def _square(rows: Sequence[Sequence[float]]) -> list[list[float]]:
    """The table with zeros for states that are not there."""
    padded = [[*row, *[0.0] * (STATES_MAX - len(row))] for row in rows]
    return padded + [[0.0] * STATES_MAX] * (STATES_MAX - len(rows))


def _largest(steps: Steps, values: Sequence[int]) -> int:
    """The number of the largest value from 1 on, of equal ones the first."""
    best, place = values[0], steps.constant(1)
    for number_, value in enumerate(values[1:], 2):
        better = steps.call("greater", [value, best])
        place = steps.call("where", [better, steps.constant(number_), place])
        best = steps.call("where", [better, value, best])
    known = steps.call("equal", [values[0], values[0]])
    return steps.call("where", [known, place, place])


def _of_states(_: Sequence[Tree], settings: Settings) -> str:
    """What is wrong with the settings of `hmm`."""
    missing = next((name for name in ("pi", "A", "mean", "sd") if name not in settings), "")
    if missing:
        return f"{missing}= is missing: of 2 or 3 states pi=, A=, mean= and sd="
    k = len(numbers(settings, "pi"))
    a = numbers(settings, "A")
    lengths = {len(column(settings, name)) for name in ("mean", "sd")} | {len(a), *map(len, a)}
    if k < 2 or lengths != {k}:
        return "pi, mean and sd are 2 or 3 numbers, and A as many rows of as many: from a state to each"
    chances = [column(settings, "pi"), *a]
    if any(min(row) < 0 or abs(math.fsum(row) - 1.0) > SUM_ERROR_MAX for row in chances):
        return "pi and each row of A are chances: not below 0, and 1 together"
    if min(column(settings, "sd")) <= 0:
        return "each number of sd is above 0"
    if settings["output"] == f"f{STATES_MAX}" and k < STATES_MAX:
        return f"output='f{STATES_MAX}' is of state {STATES_MAX}, and there are {k}"
    return ""


def _cusum(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    price, threshold = operands
    if settings["log"]:
        reset = int(settings["reset"] == "session")
        change = log_return_of_last(steps, steps.convert("float64", price), reset)
    else:
        change = steps.convert("float64", price_change(steps, price, settings))
    drift = number(settings, "drift")
    if drift != 0.0:
        change = steps.call("subtract", [change, steps.constant(drift)])
    session = int(settings["memory"] == "session")
    return steps.stateful("cusum", [change, threshold], session, NO_ANCHORS)


def _reachable(operands: Sequence[Tree], _: Settings) -> str:
    """What is wrong with a threshold that is a constant."""
    match operands[1:]:
        case [Constant(value=value)] if not isinstance(value, bool) and value <= 0:
            return f"h is above 0, and {value} is not"
    return ""


MODELS: Final = (
    Function(
        id="M42",
        name="hedge_ratio",
        definition="the ratio b1 of y = b1 * x + b0 by a Kalman filter whose two numbers walk at random; its"
        " other outputs are b0, the error of y before the row, and that in standard deviations",
        operands=(Operand("y", "float"), Operand("x", "float")),
        settings=(
            Setting("delta", "number", "how far they walk in a row", default=1e-4, bounds=(LEAST, 0.999999)),
            Setting(
                "r", "number", "the variance of y around the line", default=1e-3, bounds=(LEAST, LARGEST)
            ),
            Setting("warm", "count", "the first pairs, without a z", default=20, bounds=(0, ROWS_MAX)),
            *OF_MODELS,
            Setting("output", "word", "which one it is", default="b1", words=("b1", "b0", "err", "z")),
        ),
        outputs=tuple(Output(name, "float64") for name in ("b1", "b0", "err", "z")),
        example=Example(
            "hedge_ratio(y, x)",
            {
                "y": (20.1, 20.3, 20.45, 20.3, 20.7, 20.85),
                "x": (10.0, 10.1, 10.2, 10.1, 10.3, 10.4),
            },
            (1.810827, 1.975559, 1.984673, 1.989773, 1.990366, 1.986102),
        ),
        memory="since",
        build=_hedge_ratio,
    ),
    Function(
        id="M52",
        name="local_level",
        definition="the level a that values lie around, by a Kalman filter of a random walk; others are v,"
        " how far the value is above it, the variance F of that, and z = v / sqrt(F)",
        operands=(Operand("y", "float"),),
        settings=(
            Setting("q", "number", "how far the level goes in a row, a variance", bounds=(LEAST, LARGEST)),
            Setting("q_per_s", "number", "instead of it: in a second", bounds=(LEAST, LARGEST)),
            Setting("r", "number", "the variance of a value around the level", bounds=(LEAST, LARGEST)),
            *OF_MODELS,
            Setting("output", "word", "which one it is", default="a", words=("a", "v", "F", "z")),
        ),
        outputs=tuple(Output(name, "float64") for name in ("a", "v", "F", "z")),
        example=Example(
            "local_level(price_cents, q=1, r=4)",
            TRADES,
            (10000.0, 10001.1111, 10001.5077, 10001.2993, 10001.1803, 10002.2887, 10002.5671, 10003.9086),
        ),
        memory="since",
        build=_local_level,
        check=_one_level,
    ),
    Function(
        id="M53",
        name="hmm",
        definition="how likely each of 2 or 3 hidden states is, of which the value is normal around its mean,"
        " or the number of the likeliest; a row without a value goes by the chances of A alone",
        operands=(Operand("x", "float"),),
        settings=(
            Setting("pi", "table", "how likely each state is in the first row", bounds=(STATES_MAX, 1)),
            Setting("A", "table", "from each state how likely each is next", bounds=(STATES_MAX, STATES_MAX)),
            Setting("mean", "table", "of the values in each state", bounds=(STATES_MAX, 1)),
            Setting("sd", "table", "their standard deviations", bounds=(STATES_MAX, 1)),
            *OF_MODELS,
            Setting("output", "word", "which one it is", default="f1", words=("f1", "f2", "f3", "state")),
        ),
        outputs=(
            *(Output(f"f{state}", "float64") for state in range(1, STATES_MAX + 1)),
            Output("state", "int64"),
        ),
        example=Example(
            "hmm(trade_return(price), pi=(0.6666666666666666, 0.3333333333333333),"
            " A=((0.95, 0.05), (0.1, 0.9)), mean=(0, 0), sd=(1, 3))",
            TRADES,
            (
                0.6666666667,
                0.50358423,
                0.77046109,
                0.85559515,
                0.93492433,
                0.31867548,
                0.53146096,
                0.063561294,
            ),
        ),
        memory="since",
        build=_hmm,
        check=_of_states,
    ),
    Function(
        id="M54",
        name="cusum",
        definition="1 where the changes of the price since the last 1 have summed up to h, but for what fell"
        " below 0 on the way; -1 the same downwards; else 0",
        operands=(Operand("price"), Operand("h", "float")),
        settings=(
            Setting("log", "boolean", "whether changes are those of the logarithm", default=False),
            Setting("drift", "number", "taken from each change", default=0.0, bounds=(-LARGEST, LARGEST)),
            RESET._replace(default="session", about="whether changes end at a session's start"),
            SESSION_OR_GENESIS._replace(about="whether sums of earlier sessions go on"),
        ),
        outputs=(Output("value", "int8"),),
        example=Example("cusum(price_cents, 3)", TRADES, (0, 0, 0, 0, 0, 1, 0, 1)),
        memory="since",
        build=_cusum,
        check=_reachable,
    ),
)
