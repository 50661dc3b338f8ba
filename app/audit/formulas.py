"""Row formulas computed by Polars from their text: a second judge, which shares no code with the nodes."""

import ast
import operator
import re
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from app.audit.formula_functions import INEXACT, called
from app.audit.formula_values import arithmetic, compared, constant, entering, negative

_VERSION: Final = re.compile(r"(?s)(.*)\s@\s*[1-9][0-9]*\s*")
_SYMBOLS: Final[Mapping[type, str]] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_BOUNDS: Final = frozenset({"lo", "hi"})  # passed by name, and yet computed from rows


def with_features(rows: pl.DataFrame, features: Mapping[str, str]) -> pl.DataFrame:
    """The rows with a column more for each formula; a formula sees the columns before it.

    What is undefined, overflows or is not finite is null, and so is what a null goes into, except for `and`,
    `or`, the branch that `where` does not take, and what a function says of nulls itself.
    """
    for name, formula in features.items():
        match = _VERSION.fullmatch(formula)
        # In brackets lines may break anywhere, and a comment ends with its line.
        tree = ast.parse(f"(\n{match[1] if match else formula}\n)", mode="eval").body
        rows = rows.with_columns(_value(tree, rows).alias(name))
    return rows


def inexact_features(features: Mapping[str, str]) -> set[str]:
    """The features that a logarithm or a power goes into: their last bits are the library's."""
    inexact: set[str] = set()
    for name, formula in features.items():
        words = set(re.findall(r"[A-Za-z_]\w*", formula))
        if words & (INEXACT | inexact):
            inexact.add(name)
    return inexact


def _value(node: ast.expr, rows: pl.DataFrame) -> pl.Series:
    if isinstance(node, ast.Constant):
        return constant(node.value, rows.height)
    if isinstance(node, ast.Name):
        return entering(rows[node.id])
    if isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            return constant(
                -ast.literal_eval(node.operand), rows.height
            )  # -2**63, whose opposite is no int64
        value = _value(node.operand, rows)
        return ~value if isinstance(node.op, ast.Not) else negative(value)
    if isinstance(node, ast.BinOp):
        return arithmetic(_SYMBOLS[type(node.op)], _value(node.left, rows), _value(node.right, rows))
    if isinstance(node, ast.Compare):
        assert len(node.ops) == 1, "a chain of comparisons is no formula"
        symbol = _SYMBOLS[type(node.ops[0])]
        return compared(symbol, _value(node.left, rows), _value(node.comparators[0], rows))
    if isinstance(node, ast.BoolOp):
        value = _value(node.values[0], rows)
        combine = operator.and_ if isinstance(node.op, ast.And) else operator.or_
        for other in node.values[1:]:
            value = combine(value, _value(other, rows))  # three-valued, as Polars' own
        return value
    assert isinstance(node, ast.Call), f"{ast.unparse(node)} is no formula"
    assert isinstance(node.func, ast.Name), f"{ast.unparse(node)} is no formula"
    return _call(node.func.id, node, rows)


def _call(name: str, node: ast.Call, rows: pl.DataFrame) -> pl.Series:
    values, settings = list(node.args), {keyword.arg or "**": keyword.value for keyword in node.keywords}
    if name == "power" and len(values) > 1:
        settings["k"] = values.pop()
    read: dict[str, Any] = {
        setting: _value(value, rows) if setting in _BOUNDS else ast.literal_eval(value)
        for setting, value in settings.items()
    }
    return called(name, [_value(value, rows) for value in values], read)
