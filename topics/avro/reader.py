"""What a reader wants: Arrow columns, each a field of the reader's Avro schema or a leaf within its records.

What Arrow has no place for (aliases, paths, symbols) rides in a column's metadata, as JSON.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from schemas.clocks import EVENT_NS, KNOWN_NS, NS_PER_MS, NS_PER_S, NS_PER_US
from topics.avro.arrow_types import arrow_type, item_field
from topics.avro.types import NO_DEFAULT, AvroField, AvroType, flat_value
from topics.wire import CodecError

# Where a column keeps the Avro default (JSON) that stands in for messages written before the column existed.
DEFAULT_METADATA: Final = b"avro.default"
# Where a column keeps what else the reader's schema says of it (JSON): a list of steps, and an enum's
# symbols.
READER_METADATA: Final = b"avro.reader"

CLOCKS: Final = (EVENT_NS, KNOWN_NS)
_NS_PER: Final = {"s": NS_PER_S, "ms": NS_PER_MS, "us": NS_PER_US, "ns": 1}
# Numbers that one column holds whole, whichever of them a union's value is.
_MERGED: Final = (
    (frozenset({"int", "long"}), "long"),
    (frozenset({"int", "float", "double"}), "double"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a column's path: into a record's field, by its name or else its aliases.

    `nullable` says whether the reader's field may be null: a column may be, where any step of its path is.
    `records` are the short names that the record of this step may have; empty for the outermost.  `default`
    is the column's value (JSON) where a writer's record lacks the field, or None where there is none.
    """

    names: tuple[str, ...]
    nullable: bool
    records: frozenset[str]
    default: bytes | None


@dataclass(frozen=True, slots=True)
class ReaderColumn:
    """A column of the reader.

    `symbols` are those of the reader's enum, or None; a symbol that is not among them is read as `fallback`,
    or as it is where that is None.
    """

    number: int
    column: pa.Field
    steps: tuple[Step, ...]
    symbols: frozenset[str] | None = None
    fallback: str | None = None

    @property
    def name(self) -> str:
        """The column's name."""
        return str(self.column.name)


def item_column(want: ReaderColumn) -> ReaderColumn:
    """Return what is wanted for the items of a list column, as the one column of a record of their own."""
    item = item_field(want.column.type)
    steps = (Step((str(item.name),), item.nullable, frozenset(), None),)
    return ReaderColumn(0, item, steps, want.symbols, want.fallback)


def reader_columns(schema: pa.Schema) -> tuple[ReaderColumn, ...]:
    """Return what is wanted for each column of a schema."""
    return tuple(_reader_column(number, column) for number, column in enumerate(schema))


def _reader_column(number: int, column: pa.Field) -> ReaderColumn:
    metadata = column.metadata or {}
    extra = json.loads(metadata.get(READER_METADATA, b"{}"))
    steps = tuple(
        Step(
            tuple(step["names"]),
            step["nullable"],
            frozenset(step["records"]),
            json.dumps(step["default"]).encode() if "default" in step else None,
        )
        for step in extra.get("steps", ())
    )
    symbols = frozenset(extra["symbols"]) if "symbols" in extra else None
    plain = (Step((column.name,), column.nullable, frozenset(), metadata.get(DEFAULT_METADATA)),)
    return ReaderColumn(number, column, steps or plain, symbols, extra.get("fallback"))


def column_of(field: AvroField) -> pa.Field:
    """Return the column of a record's field; raises CodecError for one that cannot be a column."""
    leaf, nullable = _leaf(field.name, field.type)
    metadata = {}
    default = _in_ns(field.name, field.name, leaf, field.default)
    if default is not NO_DEFAULT and default is not None:
        metadata[DEFAULT_METADATA] = json.dumps(default).encode()
    extra = _symbols(leaf)
    if field.aliases:
        extra["steps"] = [_step(field, frozenset(), default)]
    if extra:
        metadata[READER_METADATA] = json.dumps(extra).encode()
    return pa.field(
        field.name, _column_type(field.name, field.name, leaf), nullable=nullable, metadata=metadata or None
    )


def column_at(record: AvroType, path: Sequence[str]) -> pa.Field:
    """Return the column of a leaf within records: `["price", "bid"]` gives `price_bid`.

    It may be null where one of the records may be.  Raises CodecError naming the step that leads nowhere.
    """
    steps, nullable = [], False
    records: frozenset[str] = frozenset()
    for depth, (field, after) in enumerate(list(_walk(record, path))):
        steps.append(_step(field, records, _leaf_default(field, path[depth + 1 :])))
        if after is None:
            dotted, column = ".".join(path), "_".join(path)
            leaf, optional = _leaf(dotted, field.type)
            for step in steps:
                if "default" in step:
                    step["default"] = _in_ns(dotted, column, leaf, step["default"])
            extra = {"steps": steps, **_symbols(leaf)}
            kind = _column_type(dotted, column, leaf)
            metadata = {READER_METADATA: json.dumps(extra).encode()}
            return pa.field(column, kind, nullable=nullable or optional, metadata=metadata)
        records = after.short_names
        nullable = nullable or field.type is not after
    raise AssertionError("a path ends at a leaf")


def _walk(record: AvroType, path: Sequence[str]) -> Iterator[tuple[AvroField, AvroType | None]]:
    """Give the field of each step, and the record that the next step goes into."""
    for depth, name in enumerate(path):
        field = next((each for each in record.fields if each.name == name), None)
        if field is None:
            there = ", ".join(each.name for each in record.fields)
            raise CodecError(f"{'.'.join(path)}: record {record.name} has no field {name}; it has {there}")
        if depth == len(path) - 1:
            yield field, None
            return
        inner = _record_in(field.type)
        if inner is None:
            raise CodecError(
                f"{'.'.join(path)}: {name} is {field.type.shape}; a path leads through records and "
                "optional records only"
            )
        yield field, inner
        record = inner


def _record_in(declared: AvroType) -> AvroType | None:
    """The record that a type is, or is unless it is null."""
    if declared.kind == "union":
        others = [branch for branch in declared.branches if branch.kind != "null"]
        if len(others) != 1:
            return None
        declared = others[0]
    return declared if declared.kind == "record" else None


def _in_ns(name: str, column: str, leaf: AvroType, default: Any) -> Any:
    """A default (JSON) in the unit of its column, where that is a clock and the field a timestamp."""
    factor = clock_unit_ns(name, column, arrow_type(name, leaf))
    is_number = isinstance(default, int | float) and not isinstance(default, bool)
    return default if factor is None or not is_number else default * factor


def _step(field: AvroField, records: frozenset[str], default: Any) -> dict[str, Any]:
    kinds = {branch.kind for branch in field.type.branches}
    step: dict[str, Any] = {
        "names": [field.name, *field.aliases],
        "nullable": "null" in kinds,
        "records": sorted(records),
    }
    return step if default is NO_DEFAULT else {**step, "default": default}


def _leaf_default(field: AvroField, rest: Sequence[str]) -> Any:
    """The leaf's value where a writer's record lacks `field`, which `rest` leads on from; or NO_DEFAULT."""
    value = field.default
    for name in rest:
        inner = _record_in(field.type)
        assert inner is not None
        field = next(each for each in inner.fields if each.name == name)
        if value is not NO_DEFAULT and value is not None:
            value = value.get(name, field.default)
    return value


def _symbols(leaf: AvroType) -> dict[str, Any]:
    """What a column must know of an enum with a default, or of an array of one."""
    items = flat_value(leaf.items) if leaf.items is not None else None
    leaf = leaf if items is None else items[0]
    if leaf.kind != "enum" or leaf.fallback is None:
        return {}
    return {"symbols": list(leaf.symbols), "fallback": leaf.fallback}


def _leaf(name: str, declared: AvroType) -> tuple[AvroType, bool]:
    """The type of a column's values and whether they may be null; raises CodecError for what is no column."""
    branches = declared.branches if declared.kind == "union" else (declared,)
    values = [branch for branch in branches if branch.kind != "null"]
    nullable = len(values) < len(branches)
    kinds = {branch.kind for branch in values}
    if len(values) > 1 and not any(branch.properties.keys() - {"type"} for branch in values):
        for merged, kind in _MERGED:
            if kinds <= merged:
                return AvroType(kind), nullable
    if len(values) > 1:
        raise CodecError(
            f"field {name} is {declared.shape}: only a type, null and a type, or numbers that one column "
            "holds can be a column"
        )
    if not values or kinds & {"map", "record"}:
        shape = values[0].shape if values else "null"
        raise CodecError(
            f"field {name} is {shape}: a column is one value or a list of plain ones; ask for a record's "
            "field by its path, split it into one field per value, or leave it out"
        )
    return values[0], nullable


def clock_unit_ns(name: str, column: str, written: pa.DataType) -> int | None:
    """Return the nanoseconds of one unit of a clock that field `name` writes as a timestamp, else None.

    Raises CodecError for a timestamp of local time: nobody knows its zone, and so its place among others.
    """
    if column not in CLOCKS or not pa.types.is_timestamp(written):
        return None
    if written.tz is None:
        raise CodecError(
            f"field {name} is written as {written}, a local time without a zone (local-timestamp), which "
            f"cannot be the clock {column}: write it in UTC, as timestamp-millis, -micros or -nanos or as a "
            "long of nanoseconds since 1970"
        )
    return _NS_PER[written.unit]


def _column_type(name: str, column: str, leaf: AvroType) -> pa.DataType:
    """The Arrow type of a column; a clock is int64 nanoseconds, in whatever unit it is written."""
    plain = arrow_type(name, leaf)
    return plain if clock_unit_ns(name, column, plain) is None else pa.int64()
