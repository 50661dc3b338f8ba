"""Formulas of bars: one aggregate each, over values of a trade's row."""

import ast
from collections.abc import Mapping
from typing import Final, NamedTuple

import pyarrow as pa

from operators.bars import aggregate_kernel as aggregate
from operators.formula.names import wrong_name
from operators.formula.read import read_formula
from operators.formula.suggest import suggest
from operators.graph.errors import NodeError

# By name: the aggregate, and how many values it takes.
AGGREGATES: Final = {
    "sum": (aggregate.SUM, 1),
    "mean": (aggregate.MEAN, 1),
    "wmean": (aggregate.WMEAN, 2),
    "min": (aggregate.MIN, 1),
    "max": (aggregate.MAX, 1),
    "first": (aggregate.FIRST, 1),
    "last": (aggregate.LAST, 1),
    "count": (aggregate.COUNT, 1),
}


class Value(NamedTuple):
    """What an aggregate takes of a row: a formula, and where it begins in that of the column."""

    formula: str
    start: int


class Aggregate(NamedTuple):
    """A column that is summed up inside a bar."""

    opcode: int
    values: tuple[Value, ...]

    @property
    def type(self) -> pa.DataType:
        """The type of its column."""
        return pa.int64() if self.opcode == aggregate.COUNT else pa.float64()


def read_aggregates(node: str, features: Mapping[str, str]) -> tuple[dict[str, Aggregate], list[NodeError]]:
    """The aggregates by column, and all that is wrong with any.

    What they take is read by who knows the columns of the rows.
    """
    made: dict[str, Aggregate] = {}
    errors: list[NodeError] = []
    for column, text in features.items():
        one = _read(text)
        if why := wrong_name(column):
            errors.append(NodeError(node, column, why))
        if isinstance(one, Aggregate):
            made[column] = one
        else:
            errors.append(NodeError(node, column, one, 0, len(text)))
    return made, errors


def _read(text: str) -> Aggregate | str:
    """One aggregate; why it is none as text."""
    known = ", ".join(AGGREGATES)
    shift = len(text) - len(text.lstrip())
    code = text.strip()
    if not code.isascii() or "\n" in code or "#" in code:
        return f"a formula of bars is one line such as sum(size), of {known}"
    try:
        body = ast.parse(code, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        _, wrong = read_formula(text)
        return wrong[0].message if wrong else "the formula cannot be read"
    if not isinstance(body, ast.Call) or not isinstance(body.func, ast.Name):
        return f"a formula of bars is one aggregate of its trades, such as sum(size); there are {known}"
    name = body.func.id
    if name not in AGGREGATES:
        return f"there is no aggregate {name}{suggest(name, list(AGGREGATES), listed='there are')}"
    opcode, takes = AGGREGATES[name]
    if body.keywords or len(body.args) != takes or any(isinstance(part, ast.Starred) for part in body.args):
        of = "a value and its weight" if takes == 2 else "one value"
        return f"{name} takes {of}, each a formula over the columns of a trade's row"
    values = [Value(ast.get_source_segment(code, part) or "", shift + part.col_offset) for part in body.args]
    return Aggregate(opcode, tuple(values))
