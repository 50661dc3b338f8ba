"""What kinds of values a formula has, which function takes which, and what it gives."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

import pyarrow as pa
from pyarrow import types

Kind: TypeAlias = Literal["int8", "int64", "float64", "bool"]

ARROW_TYPES: Final[Mapping[Kind, pa.DataType]] = {
    "int8": pa.int8(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
}

SYMBOLS: Final[Mapping[str, str]] = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "negate": "-",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
    "equal": "==",
    "unequal": "!=",
}

ARITHMETIC: Final = frozenset({"add", "subtract", "multiply", "divide"})
ORDERING: Final = frozenset({"less", "less_equal", "greater", "greater_equal"})
EQUALITY: Final = frozenset({"equal", "unequal"})
LOGIC: Final = frozenset({"and", "or", "not"})


def kind_of(column: pa.DataType) -> Kind | None:
    """The kind a column's values enter a formula with; None where no formula can use them.

    Integers widen to int64 (uint64 does not fit) and floats to float64, both exactly.
    """
    if types.is_boolean(column):
        return "bool"
    if types.is_int8(column):
        return "int8"
    if types.is_integer(column) and not types.is_uint64(column):
        return "int64"
    return "float64" if types.is_floating(column) else None


def mismatches(function: str, kinds: Sequence[Kind | None]) -> list[tuple[int, str]]:
    """Which operands the function cannot take, by place, and why; None is a kind that is not known."""
    word = SYMBOLS.get(function, function)
    if function in LOGIC:
        why = f"{word} takes booleans, and this is a number; a comparison makes one: x != 0"
        return [(place, why) for place, kind in enumerate(kinds) if kind not in (None, "bool")]
    if function == "where":
        wrong = []
        if kinds[0] not in (None, "bool"):
            wrong.append((0, "the condition of where is a boolean, and this is a number; write x != 0"))
        if _are_mixed(kinds[1:]):
            wrong.append((2, "both values of where are numbers, or both are booleans"))
        return wrong
    if function in EQUALITY:
        return [(1, f"{word} compares two numbers or two booleans")] if _are_mixed(kinds) else []
    takes = "compares" if function in ORDERING else "takes"
    why = f"{word} {takes} numbers, and this is a boolean; where(x, 1, 0) makes a number of it"
    return [(place, why) for place, kind in enumerate(kinds) if kind == "bool"]


def result_kind(function: str, kinds: Sequence[Kind]) -> Kind:
    """What a function gives for operands that it takes."""
    if function in ORDERING | EQUALITY | LOGIC:
        return "bool"
    if function == "sign":
        return "int8"
    if function in ("log", "divide"):
        return "float64"
    if function == "where":
        first, other = kinds[1:]
        return first if first == other else _wider(kinds[1:])
    return _wider(kinds)


def _wider(kinds: Sequence[Kind]) -> Kind:
    return "float64" if "float64" in kinds else "int64"


def _are_mixed(kinds: Sequence[Kind | None]) -> bool:
    """Whether one is a boolean and another one a number."""
    return "bool" in kinds and any(kind not in (None, "bool") for kind in kinds)
