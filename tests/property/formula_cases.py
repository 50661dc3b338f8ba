"""Random formulas with what they mean, and random columns for them."""

import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pyarrow as pa
from hypothesis import assume
from hypothesis import strategies as st

from operators.formula.features import Features, read_features, root_source
from operators.formula.functions.declare import Function, Operand
from operators.formula.functions.table import FUNCTIONS
from operators.formula.read import read_formula
from operators.formula.types import Kind
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
    "venue": (pa.string(), st.sampled_from(["", "N", "Q", "é", "zz", "z\U0001f600"])),
    "tape": (pa.dictionary(pa.int16(), pa.string()), st.sampled_from(["", "N", "é", "it's"])),
}
TEXTS = ["venue", "tape", "symbol"]
WORDS = ["", "A", "N", "é", "zz", "z\uffff", "it's"]
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
# The others see other rows: see history_cases.
OF_A_ROW = [function.name for function in FUNCTIONS.values() if function.memory == "row"]
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


def texts_term(name: str) -> Term:
    """A column of texts: they are no values, but what comparisons take."""

    def text(row: Mapping[str, Any]) -> Any:
        return Null.NULL_IN if row[name] is None else row[name]

    return Term(name, "text", text)


def text_term(text: str) -> Term:
    words: Any = text
    return Term(repr(text), "text", lambda _: words)


def constant_term(value: bool | float, kind: str) -> Term:
    return Term(repr(value), kind, lambda _: value)


def is_of(kind: str, wanted: str) -> bool:
    return kind == wanted or (kind == "int8" and wanted == "int")


@st.composite
def term(draw: st.DrawFn, kind: str, depth: int, above: dict[str, Term]) -> Term:
    """A formula whose value is a `float`, `bool` or `int` (then perhaps an int8)."""
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        return draw(leaf(kind, above))
    if draw(st.booleans()):
        functions = [FUNCTIONS[name] for name in OF_A_ROW if kind in kinds_of(FUNCTIONS[name])]
        return draw(call(draw(st.sampled_from(functions)), kind, depth, above))
    below = depth - 1
    if kind == "bool":
        return draw(logic(below, above))
    x = draw(term(kind, below, above))
    if draw(st.integers(0, 3)) == 0:
        return Term(f"-({x.text})", kind, lambda row: oracle.negate(x.value(row)))
    if kind == "int":
        symbol = draw(st.sampled_from("+-*"))
        return binary(symbol, x, draw(term("int", below, above)), "int")
    symbol = draw(st.sampled_from("+-*/"))
    y = draw(term(draw(st.sampled_from(["float", "int"])), below, above))
    return draw(st.sampled_from([binary(symbol, x, y, "float"), binary(symbol, y, x, "float")]))


NAMES: dict[Kind, str] = {"float64": "float", "int64": "int", "int8": "int8", "bool": "bool"}


def kinds_of(function: Function) -> set[str]:
    """The kinds, with int8 as an int, that a call can give."""
    kinds: set[str] = set()
    for output in function.outputs:
        if output.kind in ("common", "wide"):
            alike = {operand.takes for operand in function.operands if operand.alike}
            kinds |= {"int"} | ({"float"} if alike != {"integer"} else set())
            kinds |= {"bool"} if "value" in alike else set()
        else:
            kinds.add({"int8": "int", "int64": "int", "float64": "float", "bool": "bool"}[output.kind])
    return kinds


@st.composite
def call(draw: st.DrawFn, function: Function, kind: str, depth: int, above: dict[str, Term]) -> Term:
    """A call of a function of the table that gives this kind; the oracle is that of its name."""
    operands = list(function.operands_of(len(function.operands) + draw(st.integers(0, 2)) * function.repeats))
    numbers = {"float": ["float", "int"], "int": ["int"], "bool": ["bool"]}[kind]
    values: list[Term | None] = []
    floats = 1 if kind == "float" else 0  # still to be drawn, so that the result is one
    for operand in operands:
        if operand.optional and draw(st.integers(0, 3)) == 0:
            values.append(None)
        elif operand.alike and function.outputs[0].kind in ("common", "wide") and operand.takes != "integer":
            values.append(draw(term("float" if floats else draw(st.sampled_from(numbers)), depth - 1, above)))
            floats = 0
        else:
            values.append(draw(term(draw(st.sampled_from(TAKEN[operand.takes])), depth - 1, above)))
    if all(value is None for value, operand in zip(values, operands, strict=True) if operand.optional):
        values = [draw(term("int", depth - 1, above)) if value is None else value for value in values]
    settings = draw(settings_of(function, kind))
    text = call_text(function, operands, values, settings)
    assume(not read_formula(text)[1])  # bounds of `clip` that are constants in the wrong order
    return Term(text, *meant(function, operands, values, settings))


FEW = st.sampled_from([0, 0.25, -1.5, 1e300])  # numbers of a table
ROWS = st.lists(FEW, min_size=1, max_size=3).map(tuple)
TAKEN = {"number": ["float", "int"], "float": ["float", "int"], "integer": ["int"], "boolean": ["bool"]}


@st.composite
def settings_of(draw: st.DrawFn, function: Function, kind: str) -> dict[str, Any]:
    """Values of settings, that go together."""
    settings: dict[str, Any] = {}
    for setting in function.settings:
        values: dict[str, st.SearchStrategy[Any]] = {
            "boolean": st.booleans(),
            "word": st.sampled_from(setting.words or ("",)),
            "number": st.one_of(st.integers(-6, 6), st.sampled_from([0.5, -0.5, 1.5, 100.0, -1e300]), FLOATS),
            "duration": st.one_of(st.integers(0, 2**63 - 1), st.just(1)),
            "table": st.lists(FEW | ROWS, min_size=1, max_size=4).map(tuple),
        }
        settings[setting.name] = draw(values[setting.kind])
    if "output" in settings:
        settings["output"] = "stale" if kind == "bool" else "age"
        settings = settings if kind == "bool" else {"output": "age"}
    return settings


def call_text(
    function: Function, operands: list[Operand], values: list[Term | None], settings: dict[str, Any]
) -> str:
    pairs = zip(operands, values, strict=True)
    parts = [
        f"{operand.name}={value.text}" if operand.optional else value.text
        for operand, value in pairs
        if value is not None
    ]
    return f"{function.name}({', '.join(parts + [f'{name}={value!r}' for name, value in settings.items()])})"


def meant(
    function: Function, operands: list[Operand], values: list[Term | None], settings: dict[str, Any]
) -> tuple[str, Callable[[Row], Value]]:
    """The kind of a call and its value by definition: values that are alike become floats where one is."""
    alike = [v.kind for operand, v in zip(operands, values, strict=True) if operand.alike and v is not None]
    wide = "float" if "float" in alike else "int"
    common = alike[0] if len(set(alike)) == 1 else wide
    output = function.output(settings).kind
    kind = common if output == "common" else wide if output == "wide" else NAMES[output]
    floats = [operand.takes == "float" or (operand.alike and common == "float") for operand in operands]
    of = oracle.FUNCTIONS[function.name]

    def value(row: Row) -> Value:
        passed = [None if v is None else v.value(row) for v in values]
        widened = [
            oracle.to_float(v) if to_float and v is not None else v
            for v, to_float in zip(passed, floats, strict=True)
        ]
        return of(*widened, **settings)

    return kind, value


@st.composite
def leaf(draw: st.DrawFn, kind: str, above: dict[str, Term]) -> Term:
    named = [Term(name, t.kind, t.value) for name, t in above.items() if is_of(t.kind, kind)]
    columns = [column_term(name) for name, other in KINDS.items() if is_of(other, kind)]
    if draw(st.integers(0, 3)) == 0:
        values: st.SearchStrategy[Any] = {"float": FLOATS, "int": INTS, "bool": st.booleans()}[kind]
        return constant_term(draw(values), kind)
    return draw(st.sampled_from(named + columns))


def binary(symbol: str, x: Term, y: Term, kind: str) -> Term:
    function = {"+": oracle.add, "-": oracle.subtract, "*": oracle.multiply, "/": oracle.divide}[symbol]
    widen = oracle.to_float if kind == "float" else (lambda value: value)
    text = f"({x.text}) {symbol} ({y.text})"
    return Term(text, kind, lambda row: function(widen(x.value(row)), widen(y.value(row))))


@st.composite
def logic(draw: st.DrawFn, depth: int, above: dict[str, Term]) -> Term:
    """A comparison of two numbers, booleans or texts, or what `and`, `or` and `not` make of booleans."""
    shape = draw(st.sampled_from(["numbers", "numbers", "booleans", "texts", "and", "or", "not"]))
    if shape == "texts":
        column, constant = texts_term(draw(st.sampled_from(TEXTS))), text_term(draw(st.sampled_from(WORDS)))
        x, y = draw(st.permutations([column, draw(st.sampled_from([constant, texts_term("venue")]))]))
        return comparison(draw(st.sampled_from(list(oracle.COMPARISONS))), x, y)
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
