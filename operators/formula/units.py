"""Units of values: which scale a value is a multiple of, so that units of two scales are never compared.

A scaled column is a whole number of units of 1/scale (K1).  What is computed from it is in these units, too:
a difference of prices in those of the price, a product in their product.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

from operators.formula.steps import Step
from operators.formula.types import EQUALITY, OF_ONE_KIND, ORDERING

# By scale its power; of a value that no scale went into there is none.  `any` is a constant, in whatever unit
# is wanted, and None is a unit that nobody knows, which is never refused.
Unit: TypeAlias = tuple[tuple[int, int], ...] | Literal["any"] | None

PLAIN: Final[Unit] = ()

# Steps that give what their first value is in.
ALIKE_FIRST: Final = frozenset(
    {
        *("negate", "abs", "to_float", "enough", "lag_rows", "lag_time", "fill_forward"),
        *("window_sum", "window_total", "window_max", "window_min", "window_quantile", "session_sum"),
        *("cumsum_floats", "cumsum_ints", "twap", "decay_accum", "decay_accum_anchored"),
        *("ewma", "ewma_anchored", "average", "average_anchored", "ewma_time", "ewma_time_anchored"),
        *("ewm_std", "ewm_std_anchored", "mean", "low"),
        *("local_level", "local_level_anchored", "innovation"),
    }
)
# Steps whose values have to be in one unit, which is the result's but for comparisons.
ALIKE: Final = frozenset({"add", "subtract", *OF_ONE_KIND})
OF_COUNTS: Final = frozenset({"window_count", "session_count", "window_rank", "sign", "last_change", "cusum"})


def column_unit(scale: int) -> Unit:
    """The unit of a column with this scale."""
    return ((scale, 1),) if scale != 1 else PLAIN


def unit_of(steps: Sequence[Step], place: int, of_column: Mapping[str, Unit], units: Sequence[Unit]) -> Unit:
    """The unit of a step, from those of the steps before it; `of_column` has those of the columns."""
    step = steps[place]
    operands = [units[place] for place in step.operands]
    match step.function:
        case "column":
            return of_column.get(step.column)
        case "constant":
            return "any"
        case "units" | "whole_units":
            return of_column.get(steps[step.operands[0]].column)
        case "multiply" | "divide":
            return _product(operands[0], operands[1], 1 if step.function == "multiply" else -1)
        case "window_squares":
            return _product(operands[0], operands[0], 1)
        case "sqrt":
            return _root(operands[0])
        case "where":
            return _common(operands[1:])
        case name if name in ALIKE:
            return _common(operands)
        case name if name in ALIKE_FIRST:
            return operands[0]
        case name if name in OF_COUNTS or name in ORDERING | EQUALITY:
            return PLAIN
        case _:
            return None


def strangers(step: Step, units: Sequence[Unit]) -> tuple[Unit, Unit] | None:
    """Two units that a step would put side by side; None where it does not."""
    operands = step.operands[1:] if step.function == "where" else step.operands
    if step.function not in ALIKE | ORDERING | EQUALITY | {"where"}:
        return None
    known = [units[place] for place in operands if units[place] not in (None, "any")]
    other = next((unit for unit in known if unit != known[0]), None)
    return None if other is None else (known[0], other)


def unit_words(unit: Unit) -> str:
    """A unit for a person: `1/10,000`."""
    if not isinstance(unit, tuple) or not unit:
        return "no scale"
    parts = [f"1/{scale:,}" + (f" to the power {power}" if power != 1 else "") for scale, power in unit]
    return " times ".join(parts)


def _common(units: Sequence[Unit]) -> Unit:
    """The unit of values side by side; a unit that nobody knows makes it unknown."""
    known = [unit for unit in units if unit != "any"]
    return "any" if not known else known[0] if all(unit == known[0] for unit in known) else None


def _product(left: Unit, right: Unit, sign: int) -> Unit:
    if left is None or right is None:
        return None
    powers = dict(left) if isinstance(left, tuple) else {}
    for scale, power in right if isinstance(right, tuple) else ():
        powers[scale] = powers.get(scale, 0) + sign * power
    return tuple(sorted((scale, power) for scale, power in powers.items() if power))


def _root(unit: Unit) -> Unit:
    if not isinstance(unit, tuple) or any(power % 2 for _, power in unit):
        return None
    return tuple((scale, power // 2) for scale, power in unit)
