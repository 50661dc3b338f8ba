"""A formula as a tree of our own: names, constants and calls, each with its place in the text."""

from typing import NamedTuple, TypeAlias


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


class Call(NamedTuple):
    """A function or an operator of the language, with one tree per value it takes."""

    function: str
    operands: "tuple[Tree, ...]"
    start: int
    end: int


class Broken(NamedTuple):
    """What an error has been reported for; its parts are still looked at, so that none hides another."""

    operands: "tuple[Tree, ...]"
    start: int
    end: int


Tree: TypeAlias = Name | Constant | Call | Broken
