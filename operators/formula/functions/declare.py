"""What the table says of a function: its values, settings and outputs, its definition and an example."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from operators.formula.durations import DURATION_NS_MAX, duration_ns
from operators.formula.steps import Steps
from operators.formula.suggest import suggest
from operators.formula.tree import Tree, Value
from operators.formula.types import NOT_BOOLEAN, Kind, are_mixed, common_kind, wide_kind

# What a value of a call may be.  A `float` is any number, computed with as a float64; a `value` is a number
# or a boolean.
Takes: TypeAlias = Literal["number", "float", "integer", "boolean", "value"]

# Which rows a result hangs on (the classes of nodes): the row; those of a window; those since an anchor; the
# row and later ones, which hold it back.
Memory: TypeAlias = Literal["row", "window", "tile", "since", "held"]

Settings: TypeAlias = Mapping[str, Value]
Build: TypeAlias = Callable[[Steps, Sequence[int], Settings], int]
Check: TypeAlias = Callable[[Sequence[Tree], Settings], str]
Cells: TypeAlias = tuple[bool | int | float | None, ...]

NUMBERS: Final = (-math.inf, math.inf)
NS_PER_DAY: Final = 24 * 3_600 * 1_000_000_000
MEMORIES: Final[tuple[Memory, ...]] = get_args(Memory)  # each hangs on more than the one before it


def widest(memories: Iterable[Memory]) -> Memory:
    """Which rows a value hangs on that is made of values of these classes; of none, the row."""
    return max(memories, key=MEMORIES.index, default="row")


class Operand(NamedTuple):
    """A value per row that a function takes.

    `name`      as messages and pages call it.  One that may be left out can be passed by it: `clip(x, hi=5)`.
    `takes`     which kinds.
    `alike`     whether it is brought to one kind with the others that are alike.
    `optional`  whether it may be left out.
    """

    name: str
    takes: Takes = "number"
    alike: bool = False
    optional: bool = False

    def misfit(self, function: str, kind: Kind | None) -> str:
        """Why a value of this kind cannot be passed; empty where it can, or its kind is not known."""
        if kind is None or self.takes == "value":
            return ""
        if self.takes == "boolean":
            wrong = f"the {self.name} of {function} is a boolean, and this is a number; write x != 0"
            return "" if kind == "bool" else wrong
        if kind == "bool":
            return f"{function} takes numbers, {NOT_BOOLEAN}"
        if self.takes == "integer" and kind == "float64":
            return f"the {self.name} of {function} is an integer, and this is a float"
        return ""


class Setting(NamedTuple):
    """A constant that a call passes by name: it is part of what the function means.

    `kind`        of a `number` the value is a float64, of a `count` an int, of a `table` rows of float64, one
                  of which may be written as a number where it has one alone; of a `duration` it is an int of
                  nanoseconds, which may be written as a text with its unit, and of a `window` it has to be.
    `about`       what it does, for pages.
    `default`     None where there is none.
    `words`       those that a `word` can be.
    `bounds`      of a number, a count, a duration or a window, both inclusive; of a table the most rows and
                  the most numbers of each.
    `positional`  whether it may also stand behind the values; then it is compulsory unless it is `optional`.
    """

    name: str
    kind: Literal["number", "count", "boolean", "word", "duration", "window", "table"]
    about: str
    default: Value | None = None
    words: tuple[str, ...] = ()
    bounds: tuple[float, float] = NUMBERS
    positional: bool = False
    optional: bool = False

    def read(self, value: object) -> Value:
        """Return the value of a constant as it is written; raises ValueError with what it should be."""
        wanted, read = self._read(value)
        if read is None:
            near = suggest(value, self.words) if isinstance(value, str) else ""
            raise ValueError(f"{self.name} is {wanted}, not {value!r}{near}")
        return read

    def _read(self, value: object) -> tuple[str, Value | None]:
        """What it should be, and what it is: None where it is something else."""
        lower, upper = self.bounds
        if self.kind == "boolean":
            return "True or False", value if isinstance(value, bool) else None
        if self.kind == "word":
            words = " or ".join(map(repr, self.words))
            return words, value if isinstance(value, str) and value in self.words else None
        if self.kind == "table":
            return _table(value, int(lower), int(upper))
        if self.kind == "count":
            fits = type(value) is int and lower <= value <= upper
            wanted = f"a whole number from {lower:,.0f} to {upper:,.0f}"
            return wanted, value if fits and isinstance(value, int) else None
        if self.kind in ("duration", "window"):
            wanted = "a length of time as '250ms'"
            wanted += " or in ns" if self.kind == "duration" else f", up to {upper / NS_PER_DAY:.0f} days"
            length_ns = duration_ns(value) if isinstance(value, str) else value
            if self.kind == "window" and not isinstance(value, str):
                return wanted, None
            fits = type(length_ns) is int and lower <= length_ns <= min(upper, DURATION_NS_MAX)
            return wanted, length_ns if fits and isinstance(length_ns, int) else None
        wanted = "a number" if self.bounds == NUMBERS else f"a number from {lower:g} to {upper:g}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return wanted, None
        number = float(value) if abs(value) < 2**1023 else math.nan
        return wanted, number if math.isfinite(number) and lower <= number <= upper else None


def _table(value: object, rows_max: int, numbers_max: int) -> tuple[str, Value | None]:
    """What a table should be, and the one that is written; None for anything else."""
    wanted = f"1 to {rows_max} numbers in brackets" + (
        f", or rows of 1 to {numbers_max} numbers" if numbers_max > 1 else ""
    )
    rows = [row if isinstance(row, tuple) else (row,) for row in (value if isinstance(value, tuple) else ())]
    numbers = [[_finite(number) for number in row] for row in rows]
    fits = 0 < len(rows) <= rows_max and all(0 < len(row) <= numbers_max for row in rows)
    known = tuple(tuple(number for number in row if number is not None) for row in numbers)
    return wanted, known if fits and list(map(len, known)) == list(map(len, rows)) else None


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) >= 2**1023:
        return None
    return float(value) if math.isfinite(value) else None


class Output(NamedTuple):
    """What a function gives: a kind, or that of the values that are alike.

    `common` is int8 or bool where all of them are, and `wide` never: its integers are int64.
    """

    name: str
    kind: Kind | Literal["common", "wide"]


class Example(NamedTuple):
    """A call over some rows, and what it gives, to the digits that are written."""

    formula: str
    rows: Mapping[str, Cells]
    values: Cells


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function of the language.

    `id`          of the item of the handbook that defines it.
    `definition`  in one line.
    `operands`    in order; with `repeats` the last one may come again and again.
    `settings`    by keyword.  One called `output` chooses among the outputs.
    `outputs`     the first one is given unless another is chosen.
    `memory`      which rows the result hangs on.
    `build`       adds its steps, for operands of kinds that it takes, and returns the place of the result.
    `check`       what is wrong with values and settings that are right one by one; empty for nothing.
    """

    id: str
    name: str
    definition: str
    operands: tuple[Operand, ...]
    outputs: tuple[Output, ...]
    example: Example
    build: Build
    settings: tuple[Setting, ...] = ()
    memory: Memory = "row"
    repeats: bool = False
    check: Check = lambda operands, settings: ""

    def output(self, settings: Settings) -> Output:
        """The output that is chosen."""
        chosen = settings.get("output", self.outputs[0].name)
        return next(output for output in self.outputs if output.name == chosen)

    def operands_of(self, count: int) -> tuple[Operand, ...]:
        """The operands of a call with so many values."""
        return self.operands + self.operands[-1:] * (count - len(self.operands))

    def misfits(self, kinds: Sequence[Kind | None]) -> list[tuple[int, str]]:
        """Which values cannot be passed, by place, and why; None is a kind that is not known."""
        operands = self.operands_of(len(kinds))
        wrong = [
            (place, why)
            for place, (operand, kind) in enumerate(zip(operands, kinds, strict=True))
            if (why := operand.misfit(self.name, kind))
        ]
        if are_mixed(self.alike(kinds)) and not wrong:
            why = f"both values of {self.name} are numbers, or both are booleans"
            wrong.append((len(kinds) - 1, why))
        return wrong

    def alike(self, kinds: Sequence[Kind | None]) -> list[Kind]:
        """The kinds of those values that are brought to one kind."""
        operands = self.operands_of(len(kinds))
        return [kind for operand, kind in zip(operands, kinds, strict=True) if operand.alike and kind]

    def result(self, kinds: Sequence[Kind | None], settings: Settings) -> Kind:
        """The kind of the result for values of these kinds; None is one that is left out."""
        kind = self.output(settings).kind
        if kind == "common":
            return common_kind(self.alike(kinds))
        return wide_kind(self.alike(kinds)) if kind == "wide" else kind

    def add(self, steps: Steps, places: Sequence[int | None], settings: Settings) -> int:
        """Add the steps of a call to `steps`; None is a value that is left out."""
        kinds = [None if place is None else steps.kind(place) for place in places]
        of_alike = self.alike(kinds)
        common = common_kind(of_alike) if of_alike else "float64"
        operands = self.operands_of(len(places))
        values = []
        for operand, place in zip(operands, places, strict=True):
            if place is None:
                values.append(steps.absent(common))
            elif operand.takes == "float" or operand.alike:
                values.append(steps.convert("float64" if operand.takes == "float" else common, place))
            else:
                values.append(place)
        return self.build(steps, values, settings)
