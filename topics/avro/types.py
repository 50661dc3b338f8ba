"""A flat Avro record: its JSON read into the properties of each field that the codec needs."""

import json
from collections.abc import Mapping
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


@dataclass(frozen=True, slots=True)
class AvroField:
    """One field of a flat record.

    `kind` is one of FLAT_KINDS, `union` one of the four forms above, `size` the bytes of a fixed.
    `properties` holds what the type says besides: `logicalType`, `precision`, `scale`, `arrowType`.
    """

    name: str
    kind: str
    union: int = NO_UNION
    size: int = 0
    symbols: tuple[str, ...] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)
    default: Any = NO_DEFAULT

    @property
    def nullable(self) -> bool:
        """Whether the value may be null."""
        return self.union in (NULL_FIRST, NULL_SECOND)


@dataclass(frozen=True, slots=True)
class AvroRecord:
    """A flat record or, with `blocks`, an array of it: many rows in one message."""

    name: str
    fields: tuple[AvroField, ...]
    blocks: bool


def parse_record(schema: str) -> AvroRecord:
    """Read an Avro schema; raises CodecError naming what keeps it from being a flat record."""
    try:
        parsed: Any = fastavro.parse_schema(json.loads(schema))
    except Exception as broken:  # fastavro raises many kinds for a schema that is none
        raise CodecError(f"not an Avro schema: {type(broken).__name__}: {broken}") from None
    blocks = isinstance(parsed, dict) and parsed.get("type") == "array"
    record = parsed["items"] if blocks else parsed
    if not isinstance(record, dict) or record.get("type") != "record":
        raise CodecError(f"expected an Avro record or an array of one, found {_shape(record)}")
    named: dict[str, dict[str, Any]] = {}
    fields = tuple(_parse_field(each, named) for each in record["fields"])
    names = [each.name for each in fields]
    for name in names:
        if names.count(name) > 1:
            raise CodecError(f"record {record['name']} has the field {name} twice")
    return AvroRecord(name=record["name"], fields=fields, blocks=blocks)


def _parse_field(declared: Mapping[str, Any], named: dict[str, dict[str, Any]]) -> AvroField:
    name = declared["name"]
    kind, union = declared["type"], NO_UNION
    if isinstance(kind, list):
        kind, union = _parse_union(name, kind)
    if isinstance(kind, str) and kind in named:
        kind = named[kind]
    properties: Mapping[str, Any] = kind if isinstance(kind, dict) else {}
    plain = kind["type"] if isinstance(kind, dict) else kind
    if plain not in FLAT_KINDS:
        raise CodecError(
            f"field {name} is {_shape(plain)}: a stream's record is flat; "
            "split it into one field per value, or leave it out"
        )
    if plain in ("fixed", "enum") and isinstance(kind, dict):
        named[kind["name"]] = kind
    return AvroField(
        name=name,
        kind=plain,
        union=union,
        size=int(kind["size"]) if plain == "fixed" and isinstance(kind, dict) else 0,
        symbols=tuple(kind["symbols"]) if plain == "enum" and isinstance(kind, dict) else (),
        properties=properties,
        default=declared.get("default", NO_DEFAULT),
    )


def _parse_union(name: str, branches: list[Any]) -> tuple[Any, int]:
    if len(branches) == 1:
        return branches[0], ALONE
    if len(branches) == 2 and branches[0] == "null":
        return branches[1], NULL_FIRST
    if len(branches) == 2 and branches[1] == "null":
        return branches[0], NULL_SECOND
    raise CodecError(
        f"field {name} is a union of {', '.join(_shape(branch) for branch in branches)}: "
        "only a type, or null and a type, can be a column"
    )


def _shape(declared: Any) -> str:
    """What to call a type in a message."""
    if isinstance(declared, dict):
        return str(declared.get("type"))
    return "a union" if isinstance(declared, list) else str(declared)
