"""Pairs of Avro schemas, drawn from a seed: what is written, and what a reader of another day wants."""

import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

SCALARS: Final = ("boolean", "int", "long", "float", "double", "string", "bytes")
# What a reader may make of a written type, and some that it may not.
WIDER: Final = {
    "int": ("long", "float", "double"),
    "long": ("float", "double"),
    "float": ("double",),
    "string": ("bytes",),
    "bytes": ("string",),
}
DEFAULTS: Final = {
    "boolean": True,
    "int": -7,
    "long": 2**40,
    "float": 0.5,
    "double": -2.25,
    "string": "none",
    "bytes": "raw",
}
DEPTH_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class Pair:
    """A writer's and a reader's schema, the reader's with fields that nobody wants, and the wanted columns.

    `reader` is what fastavro resolves to: wanted fields only.  `stream` has more fields, which are no
    columns.  `columns` are paths; `rows` are values of the writer, with a union's value as (branch, value).
    """

    writer: dict[str, Any]
    reader: dict[str, Any]
    stream: dict[str, Any]
    columns: list[str]
    rows: list[dict[str, Any]]


def draw_pair(seed: int) -> Pair:
    """The pair of a seed."""
    drawing = _Drawing(random.Random(seed))
    writer = drawing.writer()
    reader = drawing.reader(writer)
    stream = copy.deepcopy(reader)
    for number in range(drawing.draw.randint(0, 2)):
        nested = {"type": "array", "items": drawing.draw.choice(SCALARS)}
        field = {"name": f"unwanted{number}", "type": nested, "default": []}
        stream["fields"].insert(drawing.draw.randint(0, len(stream["fields"])), field)
    rows = [drawing.value(writer, 0) for _ in range(drawing.draw.randint(1, 3))]
    return Pair(writer, reader, stream, list(_leaves(reader, ())), rows)


def _leaves(record: dict[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    for field in record["fields"]:
        here, inner = (*path, field["name"]), _record_of(field["type"])
        if inner is None:
            yield ".".join(here)
        else:
            yield from _leaves(inner, here)


def _record_of(kind: Any) -> dict[str, Any] | None:
    """The record that a reader's type is, null aside."""
    for branch in kind if isinstance(kind, list) else [kind]:
        if isinstance(branch, dict) and branch["type"] == "record":
            return branch
    return None


class _Drawing:
    """Draws types, what a reader makes of them, and values."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self._names = 0
        self._defined: dict[str, Any] = {}  # the writer's named types by name

    def writer(self) -> dict[str, Any]:
        """A record with a clock and a symbol among fields of any type."""
        fields = [self._field(1) for _ in range(self.draw.randint(0, 5))]
        fields.insert(self.draw.randint(0, len(fields)), {"name": "event_ns", "type": "long"})
        fields.insert(self.draw.randint(0, len(fields)), {"name": "symbol", "type": "string"})
        return {"type": "record", "name": "Row", "namespace": "com.acme", "fields": fields}

    def _name(self, stem: str) -> str:
        self._names += 1
        return f"{stem}{self._names}"

    def _field(self, depth: int) -> dict[str, Any]:
        name = self._name("f")
        return {"name": name, "type": self._type(depth)}

    def _type(self, depth: int) -> Any:
        kinds = ["scalar"] * 4 + ["optional"] * 3 + ["enum", "fixed", "null"]
        if depth < DEPTH_MAX:
            kinds += ["array", "map", "record", "record", "union", "optional record", "again", "list"]
        match self.draw.choice(kinds):
            case "scalar":
                kind = self.draw.choice(SCALARS)
                return kind if self.draw.random() < 0.8 else {"type": kind}
            case "null":
                return "null"
            case "optional":
                if self.draw.random() < 0.1:
                    return ["null"] if self.draw.random() < 0.5 else [self._unit()]
                branches = ["null", self._unit()]
                self.draw.shuffle(branches)
                return branches
            case "array":
                return self._array(depth + 1)
            case "map":
                return {"type": "map", "values": self._type(depth + 1)}
            case "record":
                return self._record(depth)
            case "optional record":
                branches = ["null", self._record(depth)]
                self.draw.shuffle(branches)
                return branches
            case "union":
                return self._union(depth)
            case "list":
                return self._linked(depth)
            case "again" if self._defined:
                return self.draw.choice(sorted(self._defined))
        return self._unit()

    def _unit(self) -> Any:
        """A type of one value that is not null."""
        kind = self.draw.choice([*SCALARS, *SCALARS, "enum", "fixed"])
        if kind == "enum":
            symbols = [f"S{number}" for number in range(self.draw.randint(1, 4))]
            return self._define({"type": "enum", "name": self._name("E"), "symbols": symbols})
        if kind == "fixed":
            return self._define({"type": "fixed", "name": self._name("F"), "size": self.draw.randint(0, 9)})
        return kind

    def _define(self, named: dict[str, Any]) -> dict[str, Any]:
        self._defined[named["name"]] = named
        return named

    def _record(self, depth: int) -> dict[str, Any]:
        name = self._name("R")
        fields = [self._field(depth + 1) for _ in range(self.draw.randint(0, 3))]
        return self._define({"type": "record", "name": name, "fields": fields})

    def _linked(self, depth: int) -> dict[str, Any]:
        """A record that may hold itself."""
        name = self._name("L")
        fields = [
            {"name": self._name("f"), "type": self._type(depth + 1)},
            {"name": "next", "type": ["null", name]},
        ]
        if self.draw.random() < 0.3:
            fields.append({"name": "all", "type": {"type": "array", "items": name}})
        return self._define({"type": "record", "name": name, "fields": fields})

    def _union(self, depth: int) -> list[Any]:
        """Branches in any order; a type is named again only behind the place that defines it."""
        drawn: list[Any] = self.draw.sample(["null", *SCALARS], self.draw.randint(1, 4))
        drawn += [make for make in (self._record, self._linked) if self.draw.random() < 0.4]
        drawn += [self._array] if self.draw.random() < 0.3 else []
        self.draw.shuffle(drawn)
        return [make(depth + 1) if callable(make) else make for make in drawn]

    def _array(self, depth: int) -> dict[str, Any]:
        return {"type": "array", "items": self._type(depth)}

    def reader(self, written: dict[str, Any]) -> dict[str, Any]:
        """What a reader wants of the writer's record: some of its fields, changed, and some of its own."""
        fields = [field for each in written["fields"] if (field := self._wanted(each, 1)) is not None]
        fields += [self._new_field() for _ in range(self.draw.choice([0, 0, 1, 2]))]
        self.draw.shuffle(fields)
        return {**written, "fields": fields}

    def _wanted(self, written: dict[str, Any], depth: int) -> dict[str, Any] | None:
        name = written["name"]
        if name in ("event_ns", "symbol"):
            return dict(written)
        kind = self._read_type(written["type"], depth)
        if kind is None or self.draw.random() < 0.15:
            return None
        field: dict[str, Any] = {"name": name, "type": kind}
        if self.draw.random() < 0.25:
            field = {"name": self._name("n"), "type": kind, "aliases": [self._name("n"), name]}
        return field

    def _read_type(self, written: Any, depth: int) -> Any:
        """A type that a column, or a record of columns, can have; None where there is none."""
        written = self._defined.get(written, written) if isinstance(written, str) else written
        if isinstance(written, list):
            values = [branch for branch in written if branch != "null"]
            kind = self._read_type(self.draw.choice(values), depth) if values else None
            if kind is None or isinstance(kind, list):
                return kind
            nullable = "null" in written or self.draw.random() < 0.5
            return self.draw.choice([["null", kind], [kind, "null"]]) if nullable else kind
        if isinstance(written, dict) and written["type"] == "record":
            return self._read_record(written, depth)
        if isinstance(written, dict) and written["type"] == "array":
            return self._read_list(written["items"], depth)
        if written == "null" or (isinstance(written, dict) and written["type"] == "map"):
            return None
        kind = self._read_unit(written)
        return self.draw.choice([kind, kind, kind, ["null", kind], [kind, "null"], [kind]])

    def _read_list(self, items: Any, depth: int) -> Any:
        """An array that a column can have: of plain values, each with null or without."""
        branches = [branch for branch in (items if isinstance(items, list) else [items]) if branch != "null"]
        if len(branches) != 1 or not self._is_plain(branches[0]):
            return None
        wanted = {"type": "array", "items": self._read_type(items, depth + 1)}
        return self.draw.choice([wanted, wanted, ["null", wanted]])

    def _is_plain(self, kind: Any) -> bool:
        kind = self._defined.get(kind, kind) if isinstance(kind, str) else kind
        name = kind["type"] if isinstance(kind, dict) else kind
        return name in (*SCALARS, "enum") or (name == "fixed" and kind["size"] > 0)

    def _read_record(self, written: dict[str, Any], depth: int) -> Any:
        if depth > DEPTH_MAX:
            return None
        fields = [f for each in written["fields"] if (f := self._wanted(each, depth + 1)) is not None]
        fields += [self._new_field() for _ in range(self.draw.choice([0, 0, 0, 1]))]
        if not fields:
            return None
        # A name of its own, since two columns may want different things of one record of the writer.
        record = {"type": "record", "name": self._name("V"), "aliases": [written["name"]], "fields": fields}
        return self.draw.choice([record, record, ["null", record]])

    def _read_unit(self, written: Any) -> Any:
        kind = written["type"] if isinstance(written, dict) else written
        if kind == "enum":
            kept = self.draw.sample(written["symbols"], self.draw.randint(1, len(written["symbols"])))
            symbols = {"symbols": [*kept, "OTHER"]} | (
                {"default": "OTHER"} if self.draw.random() < 0.7 else {}
            )
            return {"type": "enum", "name": self._name("D"), "aliases": [written["name"]], **symbols}
        if kind == "fixed":
            return {
                "type": "fixed",
                "name": self._name("G"),
                "aliases": [written["name"]],
                "size": written["size"],
            }
        if self.draw.random() < 0.05:
            return self.draw.choice(SCALARS)
        return self.draw.choice([kind, *WIDER.get(kind, ())])

    def _new_field(self) -> dict[str, Any]:
        kind = self.draw.choice(SCALARS)
        field = {"name": self._name("a"), "type": kind, "default": DEFAULTS[kind]}
        if self.draw.random() < 0.3:
            return {**field, "type": ["null", kind], "default": None}
        if self.draw.random() < 0.3:
            inner = {"name": self._name("a"), "type": kind}
            record = {"type": "record", "name": self._name("N"), "fields": [inner]}
            return {"name": field["name"], "type": record, "default": {inner["name"]: DEFAULTS[kind]}}
        return field

    def value(self, kind: Any, depth: int) -> Any:
        """A value of a writer's type; what may end soon does so once it is deep."""
        draw = self.draw
        if isinstance(kind, list):
            branch = kind.index("null") if depth > 6 and "null" in kind else draw.randrange(len(kind))
            return branch, self.value(kind[branch], depth + 1)
        if isinstance(kind, str) and kind in self._defined:
            kind = self._defined[kind]
        name = kind["type"] if isinstance(kind, dict) else kind
        match name:
            case "record":
                return {each["name"]: self.value(each["type"], depth + 1) for each in kind["fields"]}
            case "array":
                count = 0 if depth > 6 else draw.randint(0, 3)
                return [self.value(kind["items"], depth + 1) for _ in range(count)]
            case "map":
                count = 0 if depth > 6 else draw.randint(0, 3)
                return {f"k{number}": self.value(kind["values"], depth + 1) for number in range(count)}
            case "enum":
                return draw.choice(kind["symbols"])
            case "fixed":
                return draw.randbytes(kind["size"])
        return self._scalar(name)

    def _scalar(self, name: str) -> Any:
        draw = self.draw
        match name:
            case "null":
                return None
            case "boolean":
                return draw.random() < 0.5
            case "int":
                return draw.choice([draw.randint(-(2**31), 2**31 - 1), draw.randint(-3, 3)])
            case "long":
                return draw.choice([draw.randint(-(2**63), 2**63 - 1), draw.randint(-300, 300)])
            case "float":
                return draw.randint(-(2**20), 2**20) / 8
            case "double":
                return draw.uniform(-1e300, 1e300)
            case "string":
                return draw.choice(["", "a", "né", "x" * draw.randint(1, 90)])
        return draw.choice([b"", b"raw", b"text \xc3\xa9", bytes([draw.randint(128, 255)])])
