"""An Avro schema, read: types as objects that refer to each other, however deep and whatever recursive."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import fastavro

from topics.wire import CodecError

# How a field's value is preceded by a branch number.
NO_UNION: Final = 0
NULL_FIRST: Final = 1  # ["null", T]
NULL_SECOND: Final = 2  # [T, "null"]
ALONE: Final = 3  # [T]

FLAT_KINDS: Final = frozenset(
    {"boolean", "int", "long", "float", "double", "bytes", "string", "fixed", "enum"},
)
NO_DEFAULT: Final = object()
SCHEMA_LENGTH_MAX: Final = 1 << 20  # characters; a registry holds what anybody may have put there
FIELDS_MAX: Final = 4_096  # of one record
NESTING_MAX: Final = 128  # types within types; few schemas have ten
SIZE_UNBOUNDED: Final = 1 << 31  # of a type that no value can have, such as a record that holds itself
_SIZES_MIN: Final = {"null": 0, "float": 4, "double": 8}


@dataclass(slots=True, eq=False)
class AvroType:
    """One type.  `kind` is Avro's word for it, `union` for a list of branches.

    `name` (in full) and `aliases` are those of a record, enum or fixed; `size` the bytes of a fixed;
    `symbols` and `fallback` (the default, or None) those of an enum; `items` the type in an array or map;
    `branches` those of a union; `fields` those of a record.  `properties` holds what the type says besides:
    `logicalType`, `precision`, `scale`, `arrowType`.
    """

    kind: str
    name: str = ""
    aliases: tuple[str, ...] = ()
    size: int = 0
    symbols: tuple[str, ...] = ()
    fallback: str | None = None
    items: "AvroType | None" = None
    branches: tuple["AvroType", ...] = ()
    fields: tuple["AvroField", ...] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> str:
        """What to call the type in a message."""
        if self.kind != "union":
            return self.kind
        return f"a union of {', '.join(branch.shape for branch in self.branches)}"

    @property
    def short_names(self) -> frozenset[str]:
        """The name and the aliases without their namespaces."""
        return frozenset(name.rpartition(".")[2] for name in (self.name, *self.aliases))


@dataclass(frozen=True, slots=True, eq=False)
class AvroField:
    """One field of a record; `default` is NO_DEFAULT or its JSON value."""

    name: str
    type: AvroType
    aliases: tuple[str, ...] = ()
    default: Any = NO_DEFAULT


@dataclass(frozen=True, slots=True)
class AvroRecord:
    """A record or, with `blocks`, an array of it: many rows in one message."""

    type: AvroType
    blocks: bool

    @property
    def name(self) -> str:
        """The record's full name."""
        return self.type.name

    @property
    def fields(self) -> tuple[AvroField, ...]:
        """The record's fields, in wire order."""
        return self.type.fields


def parse_record(schema: str) -> AvroRecord:
    """Read an Avro schema; raises CodecError where it is none, or neither a record nor an array of one.

    Types nested more than NESTING_MAX deep, records of more than FIELDS_MAX fields and texts of more than
    SCHEMA_LENGTH_MAX characters are refused as well.
    """
    if len(schema) > SCHEMA_LENGTH_MAX:
        raise CodecError(
            f"the schema has {len(schema):,} characters, and {SCHEMA_LENGTH_MAX:,} are read: split "
            "it into several"
        )
    try:
        whole = _parse(fastavro.parse_schema(json.loads(schema)), {}, 0)
    except CodecError:
        raise
    except RecursionError:
        raise _too_deep() from None
    except Exception as broken:  # fastavro raises many kinds for a schema that is none
        raise CodecError(f"not an Avro schema: {type(broken).__name__}: {broken}") from None
    blocks = whole.kind == "array"
    record = whole.items if blocks and whole.items else whole
    if record.kind != "record":
        raise CodecError(f"expected an Avro record or an array of one, found {record.shape}")
    return AvroRecord(record, blocks)


def flat_value(declared: AvroType) -> tuple[AvroType, int] | None:
    """Return a type of one value, null aside, and how its union precedes it; None for any other type."""
    branches, union = declared.branches, NO_UNION
    if declared.kind == "union":
        nulls = [branch.kind == "null" for branch in branches]
        if len(branches) == 1:
            declared, union = branches[0], ALONE
        elif nulls in ([True, False], [False, True]):
            declared, union = (branches[1], NULL_FIRST) if nulls[0] else (branches[0], NULL_SECOND)
    return (declared, union) if declared.kind in FLAT_KINDS else None


def smallest_sizes(top: AvroType) -> dict[int, int]:
    """Return the bytes of the smallest value of each type within `top`, by its `id`.

    Only a type whose every value is empty has 0; one that has no value at all has SIZE_UNBOUNDED.
    """
    sizes: dict[int, int] = {}
    everything = list(_within(top))
    while True:
        before = dict(sizes)
        for declared in everything:
            sizes[id(declared)] = _smallest(declared, sizes)
        if sizes == before:
            return sizes


def _smallest(declared: AvroType, sizes: Mapping[int, int]) -> int:
    if declared.kind == "fixed":
        return declared.size
    if declared.kind == "union":
        least = min(
            (sizes.get(id(branch), SIZE_UNBOUNDED) for branch in declared.branches), default=SIZE_UNBOUNDED
        )
        return min(1 + least, SIZE_UNBOUNDED)
    if declared.kind == "record":
        total = sum(sizes.get(id(each.type), SIZE_UNBOUNDED) for each in declared.fields)
        return min(total, SIZE_UNBOUNDED)
    return _SIZES_MIN.get(declared.kind, 1)


def _within(top: AvroType) -> Iterator[AvroType]:
    """Every type in `top` once, the inner ones first where they do not hold themselves."""
    seen: set[int] = set()
    stack = [(top, False)]
    while stack:
        declared, entered = stack.pop()
        if entered:
            yield declared
        elif id(declared) not in seen:
            seen.add(id(declared))
            stack.append((declared, True))
            inner = [each.type for each in declared.fields] + list(declared.branches)
            stack += [(each, False) for each in (*inner, *([declared.items] if declared.items else []))]


def _too_deep() -> CodecError:
    return CodecError(
        f"types are nested more than {NESTING_MAX} deep: make the schema flatter, or split it into several"
    )


def _parse(declared: Any, named: dict[str, AvroType], depth: int) -> AvroType:
    """Make objects of what fastavro parsed: names are in full, and each is defined where it first stands.

    What walks the types later is as deep as they are, and is bounded by the bound here.
    """
    if depth > NESTING_MAX:
        raise _too_deep()
    if isinstance(declared, str):
        return named.get(declared) or AvroType(declared)
    if isinstance(declared, list):
        return AvroType("union", branches=tuple(_parse(branch, named, depth + 1) for branch in declared))
    kind = declared["type"]
    if kind in named:
        return named[kind]
    made = AvroType(kind, properties=declared)
    if kind in ("record", "error", "enum", "fixed"):
        made.name, made.aliases = declared["name"], tuple(declared.get("aliases", ()))
        named[made.name] = made
    if kind in ("record", "error"):
        made.kind = "record"
        if len(declared["fields"]) > FIELDS_MAX:
            raise CodecError(
                f"record {made.name} has {len(declared['fields']):,} fields, and {FIELDS_MAX:,} are read: "
                "split it into several records"
            )
        made.fields = tuple(_parse_field(each, named, depth + 1) for each in declared["fields"])
        _require_distinct(made)
    elif kind == "enum":
        made.symbols, made.fallback = tuple(declared["symbols"]), declared.get("default")
    elif kind == "fixed":
        made.size = int(declared["size"])
        if made.size < 0:
            raise CodecError(f"fixed {made.name} has {made.size} bytes")
    elif kind in ("array", "map"):
        made.items = _parse(declared["items" if kind == "array" else "values"], named, depth + 1)
    return made


def _parse_field(declared: Mapping[str, Any], named: dict[str, AvroType], depth: int) -> AvroField:
    return AvroField(
        name=declared["name"],
        type=_parse(declared["type"], named, depth),
        aliases=tuple(declared.get("aliases", ())),
        default=declared.get("default", NO_DEFAULT),
    )


def _require_distinct(record: AvroType) -> None:
    names = Counter(each.name for each in record.fields)
    for name, count in names.items():
        if count > 1:
            raise CodecError(f"record {record.name} has the field {name} twice")
