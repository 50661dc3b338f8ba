"""A formula as a tree of our own: names, constants and calls, each with its place in the text."""

from typing import NamedTuple, TypeAlias

Table: TypeAlias = tuple[tuple[float, ...], ...]
Value: TypeAlias = bool | int | float | str | Table  # of a setting


class Name(NamedTuple):
    """A column of the input or an earlier feature of the node."""

    name: str
    start: int
    end: int


class Constant(NamedTuple):
    """A number or a boolean; an int fits in 64 bits, a float is finite."""

    value: bool | int | float
    start: int
    end: int


class Text(NamedTuple):
    """A text that a column of texts is compared with."""

    value: str
    start: int
    end: int


class Absent(NamedTuple):
    """A value that a call leaves out; the place is that of the call."""

    start: int
    end: int


class Call(NamedTuple):
    """A function or an operator of the language, with one tree per value it takes.

    `settings` are in the order of the function's, those at their default among them.
    """

    function: str
    operands: "tuple[Tree, ...]"
    start: int
    end: int
    settings: tuple[tuple[str, Value], ...] = ()


class Broken(NamedTuple):
    """What an error has been reported for; its parts are still looked at, so that none hides another."""

    operands: "tuple[Tree, ...]"
    start: int
    end: int


Tree: TypeAlias = Name | Constant | Text | Absent | Call | Broken
