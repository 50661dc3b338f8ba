"""What kinds of values a formula has, which operator takes which, and what a step gives."""

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

# Steps that compute with floats alone, and those that give one of -1, 0 and 1.
OF_FLOATS: Final = frozenset({"log", "exp", "sqrt", "power", "erfc", "student"})
SIGNS: Final = frozenset({"sign", "direction", "zero_without"})
# Steps whose operands have one kind, which is the result's.
OF_ONE_KIND: Final = frozenset({"min", "max", "min_known", "max_known", "clip", "valid_bid", "uncrossed_bid"})

# The comparison with both sides changed over; the others say the same.
SWAPPED: Final[Mapping[str, str]] = {
    "greater": "less",
    "greater_equal": "less_equal",
    "less": "greater",
    "less_equal": "greater_equal",
}

NOT_BOOLEAN: Final = "and this is a boolean; where(x, 1, 0) makes a number of it"


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


def is_text(column: pa.DataType) -> bool:
    """Whether a column's values are texts, which formulas compare."""
    if types.is_dictionary(column):
        return is_text(column.value_type)
    return bool(types.is_string(column) or types.is_large_string(column) or types.is_string_view(column))


def mismatches(operator: str, kinds: Sequence[Kind | None]) -> list[tuple[int, str]]:
    """Which operands the operator cannot take, by place, and why; None is a kind that is not known."""
    word = SYMBOLS.get(operator, operator)
    if operator in LOGIC:
        why = f"{word} takes booleans, and this is a number; a comparison makes one: x != 0"
        return [(place, why) for place, kind in enumerate(kinds) if kind not in (None, "bool")]
    if operator in EQUALITY:
        return [(1, f"{word} compares two numbers or two booleans")] if are_mixed(kinds) else []
    takes = "compares" if operator in ORDERING else "takes"
    why = f"{word} {takes} numbers, {NOT_BOOLEAN}"
    return [(place, why) for place, kind in enumerate(kinds) if kind == "bool"]


def result_kind(function: str, kinds: Sequence[Kind]) -> Kind:
    """What a step gives for operands that it takes."""
    if function in ORDERING | EQUALITY | LOGIC:
        return "bool"
    if function in SIGNS:
        return "int8"
    if function in OF_FLOATS or function == "divide":
        return "float64"
    if function == "where":
        return common_kind(kinds[1:])
    if function == "enough":
        return kinds[0]
    return common_kind(kinds) if function in OF_ONE_KIND else wide_kind(kinds)


def common_kind(kinds: Sequence[Kind]) -> Kind:
    """The kind in which values of these kinds stand side by side."""
    return kinds[0] if len(set(kinds)) == 1 else wide_kind(kinds)


def wide_kind(kinds: Sequence[Kind]) -> Kind:
    """The kind of what is computed from numbers of these kinds: float64 where one of them is, else int64."""
    return "float64" if "float64" in kinds else "int64"


def are_mixed(kinds: Sequence[Kind | None]) -> bool:
    """Whether one is a boolean and another one a number."""
    return "bool" in kinds and any(kind not in (None, "bool") for kind in kinds)
