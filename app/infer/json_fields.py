"""The fields of JSON messages: which there are by path, and which type each can be read as."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

from app.infer.json_values import Fraction, Rows
from schemas.clocks import EVENT_NS, KNOWN_NS
from topics.arrow.decode import PLACE_COLUMNS

FIELDS_MAX: Final = 200  # more are keys that are values, such as symbols
DEPTH_MAX: Final = 16  # objects within each other that are walked into
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE][+-]?[0-9]+)?")
_EXACT_IN_DOUBLE: Final = 2**53
_INT64_MAX: Final = 2**63 - 1
_UINT64_MAX: Final = 2**64 - 1
_DIGITS_MAX: Final = 38  # of a decimal128
_DECIMAL_DIGITS: Final = 18  # of a decimal128 that leaves room; 38 where that is too few
_SHOWN_MAX: Final = 30  # letters of a value in a comment

# Words of names whose digits are no number, and of names whose numbers have fractions sooner or later.
_THINGS: Final = frozenset(
    {"symbol", "sym", "ticker", "instrument", "code", "isin", "cusip", "sedol", "id", "uuid"}
)
_PRICES: Final = frozenset(
    {"price", "px", "bid", "ask", "open", "high", "low", "close", "mid", "vwap", "rate", "strike"}
)
_COUNTS: Final = frozenset({"size", "sz", "qty", "quantity", "count", "volume", "shares", "id", "time"})

Path = tuple[str, ...]


@dataclass(slots=True)
class FieldValues:
    """What a path holds over the sample, by the kind of value.

    `kinds` counts null, bool, whole, huge (whole and beyond int64), fraction, text, array and object.
    `numeric` counts the texts that hold numbers; `digits` and `scale` are the most before and behind a
    decimal point, `largest` the largest whole number, without its sign, of which 39 digits count.
    `negative` says that a whole number is below 0.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    numeric: int = 0
    digits: int = 0
    scale: int = 0
    largest: int = 0
    negative: bool = False
    text: str = ""  # the first one that holds no number

    def see(self, value: object) -> None:
        """Take a value of one more row."""
        kind = _kind_of(value)
        self.kinds[kind] += 1
        if kind == "text":
            self._see_text(str(value))
        elif kind == "whole":
            assert isinstance(value, int)
            self.largest = max(self.largest, abs(value))
        elif kind == "huge":
            digits = str(value).lstrip("-")
            self.digits = max(self.digits, len(digits))
            self.largest = max(self.largest, int(digits[: _DIGITS_MAX + 1]))
        self.negative |= kind in ("whole", "huge") and str(value).startswith("-")

    def _see_text(self, text: str) -> None:
        number = _NUMBER.fullmatch(text)
        if number is None:
            self.text = self.text or text
            return
        self.numeric += 1
        whole, behind = number[1], number[2] or ""
        exact = text.lstrip("-") == whole
        self.digits, self.scale = (
            max(self.digits, len(whole)),
            max(self.scale, len(behind) if not exact else 0),
        )
        if exact and len(whole) <= 20:
            self.largest = max(self.largest, int(whole))


@dataclass(frozen=True, slots=True)
class JsonField:
    """A field that can be a column: the column's name and type, and what a user should know of it."""

    column: str
    path: Path
    type: str
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The path with dots between its names."""
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class JsonFields:
    """The fields that can be columns, and by name why others cannot; of so many rows."""

    columns: tuple[JsonField, ...]
    left_out: Mapping[str, str]
    rows: int


def json_fields(messages: Iterable[Rows], keys: frozenset[str]) -> JsonFields:
    """Return the union of the fields of these messages.

    `keys` are the texts of the message keys: a field that has one of them is no number, whatever it looks
    like.
    """
    fields: dict[Path, FieldValues] = {}
    strange: set[Path] = set()  # paths with a text that is no key
    rows = 0
    for message in messages:
        for row in message:
            rows += 1
            for path, value in _leaves(row, ()):
                if path not in fields and len(fields) >= FIELDS_MAX:
                    continue
                fields.setdefault(path, FieldValues()).see(value)
                if isinstance(value, str) and value not in keys:
                    strange.add(path)
    return _judged(fields, rows, fields.keys() - strange)


def _judged(fields: Mapping[Path, FieldValues], rows: int, keyed: AbstractSet[Path]) -> JsonFields:
    columns: list[JsonField] = []
    left_out: dict[str, str] = {}
    names = set(PLACE_COLUMNS)  # which an aligned row has besides
    clocks = {EVENT_NS, KNOWN_NS}  # of a field within another it is chance that the names make one
    for path, values in fields.items():
        if any(_has_values(fields, path[:depth]) for depth in range(1, len(path))):
            continue  # what it is within is left out
        kind, notes = _type_of(path, values, path in keyed)
        if reason := _unreachable(path) or ("" if kind else notes[0]):
            left_out[".".join(path)] = reason
        if reason or not kind:
            continue
        missing = rows - (values.kinds.total() - values.kinds["null"])
        if missing:
            notes = (*notes, f"null or not there in {missing:,} of {rows:,} rows")
        column = _column_name(path, names if len(path) == 1 else names | clocks)
        names.add(column)
        columns.append(JsonField(column, path, kind, notes))
    if len(fields) >= FIELDS_MAX:
        left_out["more fields"] = (
            f"there are more than {FIELDS_MAX}: are their names values, such as symbols?"
        )
    return JsonFields(tuple(columns), left_out, rows)


def _has_values(fields: Mapping[Path, FieldValues], path: Path) -> bool:
    """Whether an object is something else in some rows."""
    return path in fields and bool(set(fields[path].kinds) - {"object", "null"})


def _leaves(row: Mapping[str, Any], outer: Path) -> Iterator[tuple[Path, object]]:
    """Give every value with its path; an object that is walked into is given too, before what it holds."""
    for name, value in row.items():
        path = (*outer, name)
        yield path, value
        if isinstance(value, dict) and len(path) < DEPTH_MAX:
            yield from _leaves(value, path)


def _kind_of(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "whole"
    if isinstance(value, Fraction):
        return "huge" if value.lstrip("-").isdecimal() else "fraction"
    if isinstance(value, str):
        return "text"
    return "array" if isinstance(value, list) else "object"


def _type_of(path: Path, values: FieldValues, keyed: bool) -> tuple[str, tuple[str, ...]]:
    """The type and what to know of it; "" and the reason where there is none."""
    kinds = set(values.kinds) - {"null"}
    if not kinds:
        return "", ("always null",)
    if "array" in kinds:
        return "", ("an array, which is no column",)
    if kinds == {"object"}:
        return "", (f"nested deeper than {DEPTH_MAX}" if len(path) == DEPTH_MAX else "",)
    if "object" in kinds:
        return "", (f"an object in some rows, {_listed(kinds - {'object'})} in others",)
    if kinds == {"bool"}:
        return "bool", ()
    if kinds == {"whole"} and _names_a_price(path) and values.largest <= _EXACT_IN_DOUBLE:
        return "double", ("whole in every row, but by its name it may have a fraction",)
    if kinds == {"whole"}:
        return "int64", ()
    if kinds <= {"whole", "huge"}:
        return _beyond_int64(values)
    if kinds <= {"whole", "huge", "fraction"}:
        exact = values.largest <= _EXACT_IN_DOUBLE
        return "double", () if exact else ("whole numbers beyond 2^53 are rounded in a double",)
    kinds = {"fraction" if kind == "huge" else kind for kind in kinds}
    if kinds == {"text"} and (values.numeric < values.kinds["text"] or keyed or _names_a_thing(path)):
        return "string", ()
    if kinds <= {"text", "whole", "fraction"} and values.numeric == values.kinds["text"]:
        return _number_in_text(values, mixed=len(kinds) > 1)
    other = f", such as {_shown(values.text)}" if values.text else ""
    return "", (f"{_listed(kinds)} in turn{other}: no column takes both",)


def _beyond_int64(values: FieldValues) -> tuple[str, tuple[str, ...]]:
    """The type of whole numbers of which some are beyond int64."""
    if values.largest <= _UINT64_MAX and not values.negative:
        return "uint64", ("some are beyond int64",)
    if values.digits <= _DIGITS_MAX:
        return f"decimal128({_DIGITS_MAX}, 0)", ("whole, and beyond what 64 bits hold",)
    return "double", ("whole, and rounded: with more digits than decimal128 holds",)


def _number_in_text(values: FieldValues, *, mixed: bool) -> tuple[str, tuple[str, ...]]:
    of = "some numbers are text" if mixed else "numbers in text"
    whole = values.scale == 0 and not values.kinds["fraction"]
    if whole and _EXACT_IN_DOUBLE < values.largest <= _INT64_MAX:
        return "int64", (f"{of}, whole and too large for double to hold them exactly",)
    scale = max(values.scale, 1) if not whole else 0
    precision = _DECIMAL_DIGITS if values.digits + scale <= _DECIMAL_DIGITS else 38
    if values.digits + scale > precision:
        return "double", (f"{of}, with more digits than decimal128 holds",)
    return "double", (f"{of}: decimal128({precision}, {scale}) keeps them exactly as written",)


def _names_a_thing(path: Path) -> bool:
    """Whether the name says that digits are no number: of instruments and orders."""
    return bool(_words(path[-1]) & _THINGS)


def _names_a_price(path: Path) -> bool:
    words = _words(path[-1])
    return bool(words & _PRICES) and not words & _COUNTS


def _words(name: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()))


def _unreachable(path: Path) -> str:
    """Why settings cannot name a path; "" where they can."""
    if any("." in name for name in path):
        return "its name has a dot, which stands between names in a path"
    if not path[0] or path[-1] != path[-1].strip() or path[0] != path[0].strip():
        return "its name is empty, or begins or ends with a space"
    if not all(name.isprintable() for name in path):
        return "its name has signs that cannot be printed"
    return ""


def _column_name(path: Path, taken: set[str]) -> str:
    name = re.sub(r"\W", "_", "_".join(path))
    name = name if re.match(r"[^\W\d]", name) else f"_{name}"
    number, free = 2, name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def _listed(kinds: set[str]) -> str:
    words = {
        "whole": "a number",
        "huge": "a number",
        "fraction": "a number",
        "text": "text",
        "bool": "true or false",
    }
    return " and ".join(sorted({words.get(kind, kind) for kind in kinds}))


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…")
