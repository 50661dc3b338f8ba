"""Random formulas with what they mean, and random columns for them."""

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import pyarrow as pa
from hypothesis import strategies as st

from operators.formula.features import Features, read_features, root_source
from tests.oracles import formula as oracle
from tests.oracles.formula import Null, Row, Value

INTS = st.one_of(
    st.integers(-5, 5),
    st.sampled_from([2**63 - 1, -(2**63), 2**53 + 1, 2**62, -(2**53) - 1, 2**32, 3037000500]),
    st.integers(-(2**63), 2**63 - 1),
)
FLOATS = st.one_of(
    st.sampled_from(
        [0.0, -0.0, 1.0, -1.0, 0.1, 100.01, 2.0**53, 2.0**63, -(2.0**63), 9.2e18, 5e-324, 1.7e308]
    ),
    st.integers(-100, 100).map(lambda ticks: ticks / 100),
    st.floats(allow_nan=False, allow_infinity=False),
)
ODD_FLOATS = st.one_of(FLOATS, st.sampled_from([float("nan"), float("inf"), float("-inf")]))
NARROW_FLOATS = st.floats(width=32)

COLUMNS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "price": (pa.float64(), ODD_FLOATS),
    "quote_bid": (pa.float64(), ODD_FLOATS),
    "narrow": (pa.float32(), NARROW_FLOATS),
    "size": (pa.int64(), INTS),
    "lots": (pa.int64(), INTS),
    "place": (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "small": (pa.uint16(), st.integers(0, 2**16 - 1)),
    "side": (pa.int8(), st.integers(-128, 127)),
    "open": (pa.bool_(), st.booleans()),
    "buy": (pa.bool_(), st.booleans()),
}
KINDS = {
    "price": "float",
    "quote_bid": "float",
    "narrow": "float",
    "size": "int",
    "lots": "int",
    "place": "int",
    "small": "int",
    "side": "int8",
    "open": "bool",
    "buy": "bool",
}
SCHEMA = pa.schema(
    [pa.field("symbol", pa.string()), *(pa.field(n, kind) for n, (kind, _) in COLUMNS.items())]
)
ARROW = {"float": pa.float64(), "int": pa.int64(), "int8": pa.int8(), "bool": pa.bool_()}


class Term(NamedTuple):
    """A formula, the kind of its value, and its value by definition."""

    text: str
    kind: str
    value: Callable[[Row], Value]


@st.composite
def batches(draw: st.DrawFn, rows_max: int = 6) -> pa.RecordBatch:
    """Rows with nulls and every odd value, that may begin inside the bytes of their bitmaps."""
    rows = draw(st.integers(0, rows_max))
    lower = draw(st.integers(0, 9))
    arrays = [pa.array(["A"] * (lower + rows))]
    for kind, values in COLUMNS.values():
        column = draw(st.lists(values | st.none(), min_size=rows, max_size=rows))
        arrays.append(pa.array([None] * lower + column, kind))
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA).slice(lower)


@st.composite
def features_and_terms(draw: st.DrawFn) -> dict[str, Term]:
    """Features in order, each of which may use those above it."""
    terms: dict[str, Term] = {}
    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["float", "int", "bool"]))
        terms[f"x{number}"] = draw(term(kind, draw(st.integers(0, 4)), dict(terms)))
    return terms


def column_term(name: str) -> Term:
    return Term(name, KINDS[name], lambda row: oracle.enters(row[name]))


def constant_term(value: bool | float, kind: str) -> Term:
    return Term(repr(value), kind, lambda _: value)


def is_of(kind: str, wanted: str) -> bool:
    return kind == wanted or (kind == "int8" and wanted == "int")


@st.composite
def term(draw: st.DrawFn, kind: str, depth: int, above: dict[str, Term]) -> Term:
    """A formula whose value is a `float`, `bool` or `int` (then perhaps an int8)."""
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        return draw(leaf(kind, above))
    if draw(st.integers(0, 3)) == 0:
        return draw(choice(kind, depth, above))
    below = depth - 1
    if kind == "bool":
        return draw(logic(below, above))
    if kind == "int" and draw(st.integers(0, 3)) == 0:
        x = draw(term(draw(st.sampled_from(["int", "float"])), below, above))
        return Term(f"sign({x.text})", "int8", lambda row: oracle.sign(x.value(row)))
    x = draw(term(kind, below, above))
    if draw(st.integers(0, 3)) == 0:
        name = draw(st.sampled_from(["abs", "-"] + (["log"] if kind == "float" else [])))
        return unary(name, x, kind)
    if kind == "int":
        symbol = draw(st.sampled_from("+-*"))
        return binary(symbol, x, draw(term("int", below, above)), "int")
    symbol = draw(st.sampled_from("+-*/"))
    y = draw(term(draw(st.sampled_from(["float", "int"])), below, above))
    return draw(st.sampled_from([binary(symbol, x, y, "float"), binary(symbol, y, x, "float")]))


@st.composite
def leaf(draw: st.DrawFn, kind: str, above: dict[str, Term]) -> Term:
    named = [Term(name, t.kind, t.value) for name, t in above.items() if is_of(t.kind, kind)]
    columns = [column_term(name) for name, other in KINDS.items() if is_of(other, kind)]
    if draw(st.integers(0, 3)) == 0:
        values: st.SearchStrategy[Any] = {"float": FLOATS, "int": INTS, "bool": st.booleans()}[kind]
        return constant_term(draw(values), kind)
    return draw(st.sampled_from(named + columns))


def unary(name: str, x: Term, kind: str) -> Term:
    function = {"abs": oracle.absolute, "-": oracle.negate, "log": oracle.log}[name]
    text = f"-({x.text})" if name == "-" else f"{name}({x.text})"
    return Term(text, kind, lambda row: function(x.value(row)))


def binary(symbol: str, x: Term, y: Term, kind: str) -> Term:
    function = {"+": oracle.add, "-": oracle.subtract, "*": oracle.multiply, "/": oracle.divide}[symbol]
    widen = oracle.to_float if kind == "float" else (lambda value: value)
    text = f"({x.text}) {symbol} ({y.text})"
    return Term(text, kind, lambda row: function(widen(x.value(row)), widen(y.value(row))))


@st.composite
def choice(draw: st.DrawFn, kind: str, depth: int, above: dict[str, Term]) -> Term:
    """A `where`; its value is a float if one of its values is, and an int8 if both are."""
    c = draw(term("bool", depth - 1, above))
    x = draw(term(kind, depth - 1, above))
    y = draw(term(draw(st.sampled_from(["float", "int"])) if kind == "float" else kind, depth - 1, above))
    kinds = {x.kind, y.kind}
    result = "float" if "float" in kinds else x.kind if len(kinds) == 1 else "int"
    widen = oracle.to_float if result == "float" else (lambda value: value)
    text = f"where({c.text}, {x.text}, {y.text})"
    return Term(
        text, result, lambda row: oracle.where(c.value(row), widen(x.value(row)), widen(y.value(row)))
    )


@st.composite
def logic(draw: st.DrawFn, depth: int, above: dict[str, Term]) -> Term:
    """A comparison of two numbers or booleans, or what `and`, `or` and `not` make of booleans."""
    shape = draw(st.sampled_from(["numbers", "numbers", "booleans", "and", "or", "not"]))
    if shape == "numbers":
        kinds = st.sampled_from(["float", "int"])
        x, y = (draw(term(draw(kinds), depth, above)) for _ in range(2))
        return comparison(draw(st.sampled_from(list(oracle.COMPARISONS))), x, y)
    x = draw(term("bool", depth, above))
    if shape == "not":
        return Term(f"not ({x.text})", "bool", lambda row: oracle.opposite(x.value(row)))
    y = draw(term("bool", depth, above))
    if shape == "booleans":
        return comparison(draw(st.sampled_from(["==", "!="])), x, y)
    joined = oracle.both if shape == "and" else oracle.either
    return Term(f"({x.text}) {shape} ({y.text})", "bool", lambda row: joined(x.value(row), y.value(row)))


def comparison(symbol: str, x: Term, y: Term) -> Term:
    function = oracle.COMPARISONS[symbol]
    return Term(f"({x.text}) {symbol} ({y.text})", "bool", lambda row: function(x.value(row), y.value(row)))


def read(terms: dict[str, Term]) -> Features:
    """The features of the formulas, which have no error."""
    source = root_source("aligned", SCHEMA)
    features, errors = read_features("tick", source, {name: t.text for name, t in terms.items()})
    assert features is not None, [(name, e.message) for name, wrong in errors.items() for e in wrong]
    return features


def bits(value: object) -> object:
    """A value as it can be compared bit for bit: zeros of unlike sign differ."""
    return struct.pack("<d", value) if isinstance(value, float) else value


def values_of(column: pa.Array) -> list[object]:
    """The values of a column bit by bit; nulls as None."""
    return [bits(value) for value in column.to_pylist()]


def rows_of(batch: pa.RecordBatch) -> list[Row]:
    """The rows as Python has them; the value of a float32 is a float, too."""
    rows: list[Row] = batch.to_pylist()
    return rows


def expected(t: Term, rows: list[Row]) -> list[Value]:
    """The values by definition."""
    return [t.value(row) for row in rows]


def without_reasons(values: list[Value]) -> list[object]:
    """The values bit by bit; nulls as None."""
    return [None if isinstance(value, Null) else bits(value) for value in values]
