"""Formulas computed from their text, by column: a second judge, which shares no code with the nodes."""

import ast
import operator
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import polars as pl

from app.audit.formula_functions import INEXACT, ROW_FUNCTIONS, called, length_ns
from app.audit.formula_values import arithmetic, compared, constant, entering, negative
from app.audit.looking_back import LOOKING_BACK, looked_back
from app.audit.past import Past, without_rows_outside
from app.audit.reach import Need

_VERSION: Final = re.compile(r"(?s)(.*)\s@\s*[1-9][0-9]*\s*")
_COLUMN: Final = re.compile(r"(\w)@(?=\d)")  # the name of a column such as vol@2
_AT: Final = "\u1369"  # what Python takes in the midst of a name for the @ there
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
# Passed by name, and yet computed from rows.
_VALUES: Final = frozenset({"lo", "hi", "buyer_is_maker", "empty", "signed_volume"})
EXACT: Final[Mapping[str, float]] = MappingProxyType({})
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
LOG_ERROR_MAX: Final = 1e-12  # relative, of what a logarithm or a power goes into


def with_features(
    rows: pl.DataFrame,
    features: Mapping[str, str],
    past: Past | None = None,
    of_regular_hours: frozenset[str] = frozenset(),
) -> pl.DataFrame:
    """The rows with a column more for each formula; a formula sees the columns before it.

    What is undefined, overflows or is not finite is null, and so is what a null goes into, except for `and`,
    `or`, the branch that `where` does not take, and what a function says of nulls itself.  `past` says of
    all rows which see each other; formulas that do not look back need none.  Features `of_regular_hours` see
    no row outside every session.  There is no column for what nobody here can judge (`unjudged_features`).
    """
    unjudged = unjudged_features(features)
    inside = without_rows_outside(past) if past is not None and of_regular_hours else past
    for name, formula in features.items():
        if name not in unjudged:
            seen = inside if name in of_regular_hours else past
            rows = rows.with_columns(_value(_tree(formula), rows, seen).alias(name))
    return rows


def tolerances(features: Mapping[str, str], of_columns: Mapping[str, float] = EXACT) -> dict[str, float]:
    """How far a value of each feature may be off, relative: the most of all that goes into it.

    `of_columns` are those of columns which are not exact themselves; they are in the answer, too.
    """
    found = dict(of_columns)
    for name, formula in features.items():
        own = [0.0]
        for word in _words(formula):
            own.append(found.get(word, 0.0))
            own.append(LOG_ERROR_MAX if word in INEXACT else 0.0)
            own.append(LOOKING_BACK[word].tolerance if word in LOOKING_BACK else 0.0)
        found[name] = max(own)
    return found


def inexact_features(features: Mapping[str, str]) -> set[str]:
    """The features whose last bits are not the same everywhere."""
    return {name for name, tolerance in tolerances(features).items() if tolerance}


def unjudged_features(features: Mapping[str, str], of_columns: Mapping[str, str] = NOTHING) -> dict[str, str]:
    """The features that call what has no judge here, or are made of such, and what that is.

    `of_columns` are the columns that have no judge themselves; they are in the answer, too.
    """
    found = dict(of_columns)
    for name, formula in features.items():
        tree = _tree(formula)
        called_names = {
            node.func.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        strange = sorted(called_names - LOOKING_BACK.keys() - ROW_FUNCTIONS)
        strange += [found[word] for word in _words(formula) if word in found]
        if strange:
            found[name] = strange[0]
    return found


def needs_of(features: Mapping[str, str]) -> dict[str, Need]:
    """Of each feature the rows that it hangs on."""
    found: dict[str, Need] = {}
    for name, formula in features.items():
        found[name] = _need(_tree(formula), found)
    return found


def columns_of(features: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Of each feature the columns that go into it, those of earlier features among them."""
    found: dict[str, frozenset[str]] = {}
    for name, formula in features.items():
        found[name] = frozenset[str]().union(*(found.get(word, {word}) for word in _names(formula)))
    return found


def _tree(formula: str) -> ast.expr:
    match = _VERSION.fullmatch(formula)
    text = _COLUMN.sub(rf"\1{_AT}", match[1] if match else formula)
    # In brackets lines may break anywhere, and a comment ends with its line.
    tree = ast.parse(f"(\n{text}\n)", mode="eval").body
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = node.id.replace(_AT, "@")
    return tree


def _names(formula: str) -> list[str]:
    """The columns that a formula reads, earlier features among them."""
    tree = _tree(formula)
    functions = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in functions]
    return [node.id for node in names]


def _words(formula: str) -> list[str]:
    return [node.id for node in ast.walk(_tree(formula)) if isinstance(node, ast.Name)]


def _need(node: ast.expr, features: Mapping[str, Need]) -> Need:
    if isinstance(node, ast.Name):
        return features.get(node.id, Need())
    need = Need()
    for part in ast.iter_child_nodes(node):
        part = part.value if isinstance(part, ast.keyword) else part
        need = need.beside(_need(part, features)) if isinstance(part, ast.expr) else need
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in LOOKING_BACK:
        need = LOOKING_BACK[node.func.id].needs(_arguments(node)[1]).behind(need)
    return need


def _value(node: ast.expr, rows: pl.DataFrame, past: Past | None) -> pl.Series:
    if isinstance(node, ast.Constant):
        return constant(node.value, rows.height)
    if isinstance(node, ast.Name):
        return entering(rows[node.id])
    if isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            return constant(
                -ast.literal_eval(node.operand), rows.height
            )  # -2**63, whose opposite is no int64
        value = _value(node.operand, rows, past)
        return ~value if isinstance(node.op, ast.Not) else negative(value)
    if isinstance(node, ast.BinOp):
        return arithmetic(
            _SYMBOLS[type(node.op)], _value(node.left, rows, past), _value(node.right, rows, past)
        )
    if isinstance(node, ast.Compare):
        assert len(node.ops) == 1, "a chain of comparisons is no formula"
        symbol = _SYMBOLS[type(node.ops[0])]
        return compared(symbol, _value(node.left, rows, past), _value(node.comparators[0], rows, past))
    if isinstance(node, ast.BoolOp):
        value = _value(node.values[0], rows, past)
        combine = operator.and_ if isinstance(node.op, ast.And) else operator.or_
        for other in node.values[1:]:
            value = combine(value, _value(other, rows, past))  # three-valued, as Polars' own
        return value
    assert isinstance(node, ast.Call), f"{ast.unparse(node)} is no formula"
    assert isinstance(node.func, ast.Name), f"{ast.unparse(node)} is no formula"
    return _call(node.func.id, node, rows, past)


def _arguments(node: ast.Call) -> tuple[list[ast.expr], dict[str, Any]]:
    """The values of a call, those by name last, and its settings."""
    assert isinstance(node.func, ast.Name), f"{ast.unparse(node)} is no formula"
    values, name = list(node.args), node.func.id
    settings: dict[str, Any] = {}
    for keyword in node.keywords:
        assert keyword.arg, f"{ast.unparse(node)} is no formula"
        if keyword.arg not in _VALUES:
            settings[keyword.arg] = ast.literal_eval(keyword.value)
    if name == "power" and len(values) > 1:
        settings["k"] = ast.literal_eval(values.pop())
    looks_back = LOOKING_BACK.get(name)
    if looks_back is not None:
        texts = [
            value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)
        ]
        values = [value for value in values if value not in texts]
        settings.update((looks_back.length, ast.literal_eval(text)) for text in texts)
        settings |= {key: length_ns(value) for key, value in settings.items() if key.endswith("ns")}
    return values, settings


def _call(name: str, node: ast.Call, rows: pl.DataFrame, past: Past | None) -> pl.Series:
    places, settings = _arguments(node)
    values = [_value(value, rows, past) for value in places]
    named = {
        keyword.arg: _value(keyword.value, rows, past) for keyword in node.keywords if keyword.arg in _VALUES
    }
    if name not in LOOKING_BACK:
        return called(name, values, {**settings, **named})
    assert past is not None, f"{name} looks back: it has to be told which rows see each other"
    return looked_back(name, past, values, {**settings, **named})
