"""JSON messages drawn at random: mostly fit to be read, in every way that a sender may write them."""

import json
import math
import struct

import pyarrow as pa
from hypothesis import strategies as st

from topics.values import FieldPath

FIELDS = [
    FieldPath(pa.field("n", pa.int64()), ("n",)),
    FieldPath(pa.field("n_written", pa.string()), ("n",), token=True),
    FieldPath(pa.field("small", pa.int8()), ("small",)),
    FieldPath(pa.field("u", pa.uint64()), ("u",)),
    FieldPath(pa.field("price", pa.float64()), ("price",)),
    FieldPath(pa.field("single", pa.float32()), ("single",)),
    FieldPath(pa.field("money", pa.decimal128(10, 2)), ("money",)),
    FieldPath(pa.field("wei", pa.decimal128(38, 10)), ("wei",)),
    FieldPath(pa.field("a_symbol_with_a_long_name", pa.string()), ("a_symbol_with_a_long_name",)),
    FieldPath(pa.field("written", pa.large_string()), ("schrift\u00e9\u20ac",), token=True),
    FieldPath(pa.field("flag", pa.bool_()), ('say "flag"',)),
    FieldPath(pa.field("inner", pa.int32()), ("data", "n")),
    FieldPath(pa.field("deep", pa.string()), ("data", "more", "s")),
    FieldPath(pa.field("empty", pa.uint16()), ("",)),
]

_space = st.sampled_from(["", "", "", " ", "\n", "\t\r\n  "])
_texts = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["", "AAPL", '"', "\\", "\U0001f600", "a/b\n", "x" * 30]
)


@st.composite
def _written_texts(draw: st.DrawFn, texts: st.SearchStrategy[str] = _texts) -> str:
    """A text as JSON: plain, all ASCII, or with any of its letters escaped."""
    text, way = draw(texts), draw(st.integers(0, 3))
    if way < 2:
        return json.dumps(text, ensure_ascii=bool(way))
    if way == 2:
        units = struct.unpack(f">{len(raw) // 2}H", raw) if (raw := text.encode("utf-16-be")) else ()
        return '"' + "".join(f"\\u{unit:04{draw(st.sampled_from('xX'))}}" for unit in units) + '"'
    return json.dumps(text, ensure_ascii=False).replace("/", "\\/").replace("a", "\\u0061")


_finite = st.floats(allow_nan=False, allow_infinity=False)
_digits = st.text("0123456789", min_size=1, max_size=45)
_any_bits = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0])


@st.composite
def _long_numbers(draw: st.DrawFn) -> str:
    """A number of any number of digits, with or without fraction and exponent."""
    whole = draw(_digits).lstrip("0") or "0"
    fraction = draw(st.just("") | _digits.map(lambda digits: f".{digits}"))
    power = draw(st.just("") | st.integers(-400, 400).map(lambda n: f"{draw(st.sampled_from('eE'))}{n}"))
    return draw(st.sampled_from(["", "-"])) + whole + fraction + power


@st.composite
def _near_ties(draw: st.DrawFn) -> str:
    """A number halfway between two floats, or a little beside that."""
    low = abs(draw(_finite))
    high = math.nextafter(low, math.inf)
    if math.isinf(high):
        return "1.7976931348623158079e308"
    up, down = high.as_integer_ratio(), low.as_integer_ratio()
    numerator, denominator = up[0] * down[1] + down[0] * up[1], 2 * up[1] * down[1]
    size = draw(st.integers(15, 60))
    power = size - len(str(numerator)) + len(str(denominator))
    digits = (numerator * 10 ** max(power, 0)) // (denominator * 10 ** max(-power, 0))
    return f"{digits + draw(st.integers(-1, 1))}e{-power}".replace("e--", "e")


numbers = st.one_of(
    st.integers(-(2**65), 2**65).map(str),
    st.integers(-200, 200).map(str),
    _finite.map(repr),
    _any_bits.map(json.dumps),
    _long_numbers(),
    _near_ties(),
    st.sampled_from(
        ["-0", "-0.0", "1e3", "1.0", "1E+2", "NaN", "Infinity", "-Infinity", "1e999", "0e9999", "1e-400"]
    ),
    st.sampled_from(
        [str(limit + n) for limit in (2**63, -(2**63), 2**64, 127, -128, 10**10) for n in (-1, 0, 1)]
    ),
    st.decimals(-(10**9), 10**9, places=2).map(str),
    st.sampled_from(["4.9e-324", "2.4703282292062327e-324", "2.2250738585072011e-308", "9007199254740993"]),
)
_quoted = numbers.map(lambda text: f'"{text}"')
_words = st.sampled_from(["true", "false", "null"])
_scalars = numbers | _written_texts() | _words


def _bracketed(draw: st.DrawFn, items: list[str], brackets: str) -> str:
    inside = ",".join(f"{draw(_space)}{item}{draw(_space)}" for item in items)
    return brackets[0] + (inside or draw(_space)) + brackets[1]


@st.composite
def _objects(draw: st.DrawFn, pairs: list[tuple[str, str]]) -> str:
    """An object of these keys and written values."""
    written = [
        draw(_written_texts(st.just(key)) if draw(st.integers(0, 30)) == 0 else st.just(json.dumps(key)))
        for key, _ in pairs
    ]
    items = [
        f"{key}{draw(_space)}:{draw(_space)}{value}" for key, (_, value) in zip(written, pairs, strict=True)
    ]
    return _bracketed(draw, items, "{}")


@st.composite
def _arrays(draw: st.DrawFn, items: list[str]) -> str:
    return _bracketed(draw, items, "[]")


def _nest(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(_texts, inner), max_size=3)
    return pairs.flatmap(_objects) | st.lists(inner, max_size=3).flatmap(_arrays)


anything = st.recursive(_scalars, _nest, max_leaves=8)


def _fitting(field: FieldPath) -> st.SearchStrategy[str]:
    """Written values most of which fit a column."""
    kind = field.column.type
    if pa.types.is_boolean(kind):
        return st.sampled_from(["true", "false", "null"])
    if field.token:
        return numbers | _written_texts()
    if kind in (pa.string(), pa.large_string()):
        return _written_texts()
    if pa.types.is_floating(kind):
        return numbers | _quoted
    upper = {"int8": 127, "uint16": 2**16 - 1, "uint64": 2**64 - 1}.get(str(kind), 2**31 - 1)
    whole = st.integers(0, upper).map(str)
    return st.one_of(whole, whole, whole.map(lambda text: f'"{text}"'), numbers | _quoted)


@st.composite
def rows(draw: st.DrawFn) -> str:
    """An object with some of FIELDS and other keys, shuffled; seldom with a key twice or a misfit."""
    strange = draw(st.integers(0, 7)) == 0
    return draw(_level((), strange))


@st.composite
def _level(draw: st.DrawFn, path: tuple[str, ...], strange: bool) -> str:
    depth = len(path)
    fitting: dict[str, st.SearchStrategy[str]] = {}
    for field in FIELDS:
        if field.path[:depth] == path:
            key = field.path[depth]
            leaf = len(field.path) == depth + 1
            if key not in fitting:
                fitting[key] = _fitting(field) if leaf else _level((*path, key), strange)
    keys = draw(st.lists(st.sampled_from(sorted(fitting)), max_size=6, unique=not strange))
    pairs = [(key, draw(anything if strange and draw(st.booleans()) else fitting[key])) for key in keys]
    others = draw(st.lists(st.tuples(_texts.filter(lambda key: key not in fitting), anything), max_size=2))
    return draw(st.permutations(pairs + others).flatmap(_objects))


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A message: an object, an array of them, or now and then any JSON."""
    way = draw(st.integers(0, 9))
    text = draw(rows() if way < 6 else st.lists(rows(), max_size=4).flatmap(_arrays) if way < 9 else anything)
    mark = "\ufeff" if draw(st.integers(0, 15)) == 0 else ""
    return f"{mark}{draw(_space)}{text}{draw(_space)}".encode("utf-8", "surrogatepass")
