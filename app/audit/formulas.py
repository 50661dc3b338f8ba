"""Row formulas computed by Polars from their text: a second judge, which shares no code with the nodes."""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import polars as pl

_VERSION: Final = re.compile(r"(?s)(.*)\s@\s*[1-9][0-9]*\s*")
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_EXACT_MAX: Final = 2**53  # integers up to it are exact as floats
_ARITHMETIC: Final[Mapping[type, Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}
_COMPARISONS: Final[Mapping[type, Callable[[Any, Any], Any]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def with_features(rows: pl.DataFrame, features: Mapping[str, str]) -> pl.DataFrame:
    """The rows with a column more for each formula; a formula sees the columns before it.

    What is undefined, overflows or is not finite is null, and so is what a null goes into, except for `and`,
    `or` and the branch that `where` does not take.
    """
    for name, formula in features.items():
        match = _VERSION.fullmatch(formula)
        tree = ast.parse((match[1] if match else formula).strip(), mode="eval").body
        rows = rows.with_columns(_value(tree, rows).alias(name))
    return rows


def uses_log(features: Mapping[str, str]) -> set[str]:
    """The features that a logarithm goes into: their last bits are the library's."""
    inexact: set[str] = set()
    for name, formula in features.items():
        words = set(re.findall(r"[A-Za-z_]\w*", formula))
        if words & {"log", *inexact}:
            inexact.add(name)
    return inexact


def _value(node: ast.expr, rows: pl.DataFrame) -> pl.Series:
    if isinstance(node, ast.Constant):
        return _constant(node.value, rows.height)
    if isinstance(node, ast.Name):
        return _entering(rows[node.id])
    if isinstance(node, ast.UnaryOp):
        value = _value(node.operand, rows)
        if isinstance(node.op, ast.Not):
            return ~value
        return _whole(_opposite(value)) if value.dtype.is_integer() else -value
    if isinstance(node, ast.BinOp):
        return _arithmetic(node.op, _value(node.left, rows), _value(node.right, rows))
    if isinstance(node, ast.Compare):
        assert len(node.ops) == 1, "a chain of comparisons is no formula"
        return _compared(node.ops[0], _value(node.left, rows), _value(node.comparators[0], rows))
    if isinstance(node, ast.BoolOp):
        value = _value(node.values[0], rows)
        combine = operator.and_ if isinstance(node.op, ast.And) else operator.or_
        for other in node.values[1:]:
            value = combine(value, _value(other, rows))  # three-valued, as Polars' own
        return value
    assert isinstance(node, ast.Call), f"{ast.unparse(node)} is no formula"
    assert isinstance(node.func, ast.Name), f"{ast.unparse(node)} is no formula"
    return _called(node.func.id, [_value(argument, rows) for argument in node.args])


def _called(name: str, values: list[pl.Series]) -> pl.Series:
    first = values[0]
    if name == "where":
        yes, no = _alike(values[1], values[2])
        frame = pl.DataFrame([first.alias("if"), yes.alias("yes"), no.alias("no")])
        chosen = pl.when(pl.col("if")).then(pl.col("yes")).when(~pl.col("if")).then(pl.col("no"))
        return frame.select(chosen.alias("chosen"))["chosen"]
    if name == "sign":
        return first.sign().cast(pl.Int8)
    if name == "abs":
        if first.dtype.is_integer():
            return _whole(
                first.cast(pl.Int128).zip_with((first >= 0).fill_null(value=True), _opposite(first))
            )
        return first.abs()
    assert name == "log", f"the audit knows no function {name}"
    return _finite(first.cast(pl.Float64).log())


def _arithmetic(op: ast.operator, left: pl.Series, right: pl.Series) -> pl.Series:
    if isinstance(op, ast.Div):
        return _finite(left.cast(pl.Float64) / right.cast(pl.Float64))
    compute = _ARITHMETIC[type(op)]
    if left.dtype.is_integer() and right.dtype.is_integer():
        return _whole(compute(left.cast(pl.Int128), right.cast(pl.Int128)))
    return _finite(compute(left.cast(pl.Float64), right.cast(pl.Float64)))


def _compared(op: ast.cmpop, left: pl.Series, right: pl.Series) -> pl.Series:
    compare = _COMPARISONS[type(op)]
    if left.dtype.is_integer() == right.dtype.is_integer():
        result: pl.Series = compare(left, right)
        return result
    whole = left if left.dtype.is_integer() else right
    result = compare(left.cast(pl.Float64), right.cast(pl.Float64))
    large = ~whole.is_between(-_EXACT_MAX, _EXACT_MAX).fill_null(value=True)
    if large.any():  # a float cannot hold them; Python compares exactly
        exact = [
            None if a is None or b is None else compare(a, b)
            for a, b in zip(left.filter(large).to_list(), right.filter(large).to_list(), strict=True)
        ]
        result = result.scatter(large.arg_true(), pl.Series(exact, dtype=pl.Boolean))
    return result


def _entering(column: pl.Series) -> pl.Series:
    """A column as formulas see it: int64, float64 without NaN and infinity, or bool."""
    if column.dtype.is_integer():
        return column.cast(pl.Int64)
    if column.dtype.is_float():
        return _finite(column.cast(pl.Float64) + 0.0)
    return column


def _constant(value: object, rows: int) -> pl.Series:
    kind = pl.Boolean() if isinstance(value, bool) else pl.Int64() if isinstance(value, int) else pl.Float64()
    return pl.Series([value], dtype=kind).new_from_index(0, rows)


def _alike(left: pl.Series, right: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Two branches in one type: float64 where one of them is."""
    if left.dtype.is_float() or right.dtype.is_float():
        return left.cast(pl.Float64), right.cast(pl.Float64)
    if left.dtype.is_integer():
        return left.cast(pl.Int64), right.cast(pl.Int64)
    return left, right


def _opposite(values: pl.Series) -> pl.Series:
    """Of an integer, as Int128, which holds that of every int64."""
    return values.cast(pl.Int128) * pl.Series([-1], dtype=pl.Int128())


def _finite(values: pl.Series) -> pl.Series:
    return values.set(~values.is_finite().fill_null(value=True), None)


def _whole(values: pl.Series) -> pl.Series:
    """Int128 as int64, null where it does not fit."""
    fits = values.is_between(_INT64_MIN, _INT64_MAX).fill_null(value=True)
    return values.set(~fits, None).cast(pl.Int64)
