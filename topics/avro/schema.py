"""Arrow columns as an Avro record and back: every type returns as it was, or is refused by name.

Avro knows fewer types than Arrow.  Where Avro's own type would come back as another Arrow type, the field
carries the Arrow type beside it in the property `arrowType`, which other readers ignore.
"""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa

from schemas.stream import Stream
from topics.avro.arrow_types import avro_type
from topics.avro.reader import CLOCKS, DEFAULT_METADATA, column_at, column_of
from topics.avro.types import AvroType, parse_record
from topics.wire import CodecError

NAMESPACE: Final = "tidemark"
PROGRESS_NAME: Final = "Progress"

_AVRO_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SHIPPED: Final = Path(__file__).parents[2] / "schemas"


class Layout(Protocol):
    """Named columns: a `Stream`, or a `RowLayout` where there is no clock to promise."""

    @property
    def name(self) -> str: ...

    @property
    def schema(self) -> pa.Schema: ...


@dataclass(frozen=True, slots=True)
class RowLayout:
    """Columns under a name, with no rule about clocks: aligned rows, progress records."""

    name: str
    schema: pa.Schema


def shipped_schema(name: str) -> str:
    """Return the text of a schema that comes with Tidemark: trade, quote, bar or progress."""
    return (_SHIPPED / f"{name}.avsc").read_text(encoding="utf-8")


def avro_schema(layout: Layout) -> str:
    """Return the Avro record (JSON) of a stream's columns.

    A dictionary column is written as its values, and comes back as their type.  Raises CodecError naming a
    column whose type or name Avro cannot carry.
    """
    return json.dumps(_record(layout))


def block_schema(layout: Layout) -> str:
    """Return the Avro array (JSON) of `avro_schema`'s record: many rows in one message."""
    return json.dumps({"type": "array", "items": _record(layout)})


def arrow_schema(schema: str) -> pa.Schema:
    """Return the columns of a flat Avro record or of an array of it; raises CodecError naming the field."""
    return pa.schema([column_of(declared) for declared in parse_record(schema).fields])


def stream_schema(
    schema: str,
    *,
    name: str,
    key: tuple[str, ...] = ("symbol",),
    sequence: str | None = None,
    columns: Sequence[str] | None = None,
    also: Collection[str] = (),
) -> Stream:
    """Return the stream whose rows are the Avro record `schema`, ours or anybody's.

    Its columns are the fields that can be columns, or with `columns` those named there, with the key, the
    clocks, the sequence and what is in `also`.  A name with dots is the path of a leaf within records:
    `price.bid` is the column `price_bid`.  Raises CodecError for what is no record and for a wanted field
    that is no column, StreamError for columns that cannot be a stream.
    """
    needed = {*key, *CLOCKS, *also, *([sequence] if sequence else [])}
    chosen = record_columns(schema, stream=name, needed=needed, columns=columns)
    return Stream(name=name, schema=pa.schema(chosen), key=key, sequence=sequence)


def record_columns(
    schema: str, *, stream: str, needed: Collection[str], columns: Sequence[str] | None = None
) -> list[pa.Field]:
    """Return the columns of an Avro record that `stream` asks for; raises as `stream_schema` does.

    `columns` are as there; of `needed` those that the record has are taken besides.
    """
    record = parse_record(schema).type
    chosen = list(_plain_columns(record, needed, columns))
    paths = [wanted for wanted in columns or () if "." in wanted]
    try:
        return chosen + [column_at(record, path.split(".")) for path in paths]
    except CodecError as wrong:
        raise CodecError(f"stream {stream}: columns: {wrong}") from None


def field_column(schema: str, path: str, column: str) -> pa.Field:
    """Return the column of a record's field, or of a leaf within records, under another name.

    Raises CodecError naming the step of the path that leads nowhere.
    """
    return column_at(parse_record(schema).type, path.split(".")).with_name(column)


def left_out(schema: str) -> dict[str, str]:
    """Return the fields of a record that cannot be columns, each with the reason."""
    reasons = {}
    for declared in parse_record(schema).fields:
        try:
            column_of(declared)
        except CodecError as no_column:
            reasons[declared.name] = str(no_column)
    return reasons


def column_name(wanted: str) -> str:
    """Return the name of the column that `columns` asks for: a path's steps are joined by "_"."""
    return wanted.replace(".", "_")


def _plain_columns(
    record: AvroType, needed: Collection[str], columns: Sequence[str] | None
) -> Iterator[pa.Field]:
    """The columns that are fields of the record itself, in its order."""
    there = [declared.name for declared in record.fields]
    for wanted in columns or ():
        if "." not in wanted and wanted not in there:
            raise CodecError(
                f"columns: record {record.name} has no field {wanted}; it has {', '.join(there)}"
            )
    for declared in record.fields:
        named = declared.name in needed or (columns is not None and declared.name in columns)
        if columns is not None and not named:
            continue
        try:
            yield column_of(declared)
        except CodecError:
            if named:
                raise


def _record(layout: Layout) -> dict[str, Any]:
    if not _AVRO_NAME.match(layout.name) or layout.name == PROGRESS_NAME:
        raise CodecError(
            f"{layout.name!r} cannot name an Avro record: use letters, digits and _, "
            f"not {PROGRESS_NAME}, which names the progress records"
        )
    return {
        "type": "record",
        "name": layout.name,
        "namespace": NAMESPACE,
        "fields": [_avro_field(column) for column in layout.schema],
    }


def _avro_field(column: pa.Field) -> dict[str, Any]:
    if not _AVRO_NAME.match(column.name):
        raise CodecError(
            f"column {column.name!r} cannot be an Avro field: rename it to letters, digits and _, "
            "starting with a letter"
        )
    declared: dict[str, Any] = {"name": column.name}
    kind = avro_type(column)
    default = (column.metadata or {}).get(DEFAULT_METADATA)
    if default is not None:
        # Avro takes a default from the first branch only.
        declared["type"] = [kind, "null"] if column.nullable else kind
        declared["default"] = json.loads(default)
    elif column.nullable:
        declared["type"] = ["null", kind]
        declared["default"] = None
    else:
        declared["type"] = kind
    return declared
