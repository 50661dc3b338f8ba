"""Typed steps: what the features of a node compute, each value once, in an order that can be run.

A step names its operands by their place in the list, so that a value two formulas have in common is one step.
Conversions are steps of their own, and a comparison of an integer with a float stays exact.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

from operators.formula.history import PARTS, STATEFUL, Window
from operators.formula.types import (
    ARITHMETIC,
    EQUALITY,
    OF_FLOATS,
    OF_ONE_KIND,
    ORDERING,
    SWAPPED,
    Kind,
    result_kind,
)


class Texts(NamedTuple):
    """A comparison of texts, by their bytes in UTF-8: of a column with another one, or with a constant.

    `operator`  as steps name it: `equal`, `less_equal`.
    `other`     the other column, or the text itself where it is a `constant`.
    """

    operator: str
    column: str
    other: str
    constant: bool


class Step(NamedTuple):
    """One value per row.

    `function`   an operator, a function of the language, `column`, `texts`, `constant`, `absent`, `to_float`,
                 or what functions are made of: `valid_bid` and `uncrossed_bid` (the bid of a quote, null
                 where the quote is not valid, or also where it is crossed), `direction` (-1, 0 or 1, else
                 null), `zero_without` (x, and 0 where y is null and z is not), `min_known`, `max_known`,
                 `erfc`, `student` (how much of a t distribution lies below z), `enough` (x where a count is
                 at least so large), `units` and `whole_units` (a float, and the digits of a decimal, in
                 units of 1/scale), a step with state (`STATEFUL`), or a part of what one gives.
    `kind`       of the value.
    `operands`   places of earlier steps.
    `column`     the name, of a `column`.
    `bits`       of a `constant`: the integer, 0 or 1 for a boolean, the 64 bits of a float.
    `texts`      what `texts` compares.
    """

    function: str
    kind: Kind
    operands: tuple[int, ...] = ()
    column: str = ""
    bits: int = 0
    texts: Texts | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns of the input that it reads itself."""
        if self.texts is not None:
            return (self.texts.column,) if self.texts.constant else (self.texts.column, self.texts.other)
        return (self.column,) if self.function == "column" else ()


class Steps:
    """The steps so far; one that is there already is not added again."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._places: dict[Step, int] = {}

    def kind(self, place: int) -> Kind:
        """The kind of a step."""
        return self.steps[place].kind

    def column(self, name: str, kind: Kind) -> int:
        """The values of a column of the input."""
        return self._add(Step("column", kind, column=name))

    def texts(self, texts: Texts) -> int:
        """Whether a comparison of texts holds."""
        return self._add(Step("texts", "bool", texts=texts))

    def units(self, column: int, *numbers: float) -> int:
        """The values of a column in units of 1/scale: of a float by the scale, of digits by a fraction."""
        function = "units" if self.kind(column) == "float64" else "whole_units"
        return self._add(Step(function, "int64", (column, *(self.constant(number) for number in numbers))))

    def constant(self, value: bool | float) -> int:
        """The same value in each row."""
        if isinstance(value, bool):
            return self._add(Step("constant", "bool", bits=int(value)))
        if isinstance(value, int):
            return self._add(Step("constant", "int64", bits=value))
        return self._add(Step("constant", "float64", bits=float_bits(value)))

    def absent(self, kind: Kind) -> int:
        """A null in each row, for what a call leaves out."""
        return self._add(Step("absent", kind))

    def call(self, function: str, operands: Sequence[int]) -> int:
        """Add an operator, or a step that functions are made of; its operands have kinds that it takes."""
        if function in ORDERING | EQUALITY:
            return self._comparison(function, operands[0], operands[1])
        kind = result_kind(function, [self.kind(place) for place in operands])
        if function in ARITHMETIC | OF_FLOATS | OF_ONE_KIND or function in ("negate", "abs"):
            operands = [self.convert(kind, place) for place in operands]
        elif function == "where":
            operands = [operands[0], *(self.convert(kind, place) for place in operands[1:])]
        return self._add(Step(function, kind, tuple(operands)))

    def stateful(self, function: str, values: Sequence[int], *constants: bool | float) -> int:
        """Add a step with state: its values, then its constants."""
        what = STATEFUL[function]
        assert len(values) == what.values, function
        kind = self.kind(values[0]) if what.result == "same" else what.result
        operands = (*values, *(self.constant(value) for value in constants))
        return self._add(Step(function, kind, operands))

    def window(self, function: str, values: Sequence[int], window: Window) -> int:
        """Add a step over a window."""
        return self.stateful(function, values, *window)

    def part(self, name: str, place: int) -> int:
        """Add what else a step gives: `low` or `mean` of a sum."""
        assert name in PARTS, name
        return self._add(Step(name, "float64", (place,)))

    def convert(self, kind: Kind, place: int) -> int:
        """The value as a float where one is wanted; integers are held alike, whatever their width."""
        if kind != "float64" or self.kind(place) == "float64":
            return place
        step = self.steps[place]
        if step.function == "constant":
            return self.constant(float(step.bits))
        if step.function == "absent":
            return self.absent(kind)
        return self._add(Step("to_float", "float64", (place,)))

    def _add(self, step: Step) -> int:
        place = self._places.setdefault(step, len(self.steps))
        if place == len(self.steps):
            self.steps.append(step)
        return place

    def _comparison(self, function: str, left: int, right: int) -> int:
        """`less` and `less_equal` alone where both are held alike; else the integer comes first."""
        left, right = self._alike(left, right), self._alike(right, left)
        floats = (self.kind(left) == "float64", self.kind(right) == "float64")
        swap = floats == (True, False) if floats[0] != floats[1] else function.startswith("greater")
        if swap:
            left, right, function = right, left, SWAPPED.get(function, function)
        return self._add(Step(function, "bool", (left, right)))

    def _alike(self, place: int, other: int) -> int:
        """A constant as a number of the other's kind, where it is exactly one."""
        step = self.steps[place]
        if step.function != "constant" or step.kind == "bool":
            return place
        value: int | float = bits_float(step.bits) if step.kind == "float64" else step.bits
        if self.kind(other) == "float64" and float(value) == value:
            return self.constant(float(value))
        if self.kind(other) in ("int8", "int64") and value == int(value) and -(2**63) <= value < 2**63:
            return self.constant(int(value))
        return place


def float_bits(value: float) -> int:
    """The 64 bits of a float as an unsigned number."""
    return int.from_bytes(struct.pack(">d", value), "big")


def bits_float(bits: int) -> float:
    """The float with these 64 bits."""
    value: float = struct.unpack(">d", bits.to_bytes(8, "big"))[0]
    return value
