"""Arrow columns as an Avro record and back: every type returns as it was, or is refused by name.

Avro knows fewer types than Arrow.  Where Avro's own type would come back as another Arrow type, the field
carries the Arrow type beside it in the property `arrowType`, which other readers ignore.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa

from schemas.stream import Stream
from topics.avro.arrow_types import arrow_type, avro_type
from topics.avro.types import NO_DEFAULT, AvroField, parse_record
from topics.wire import CodecError

NAMESPACE: Final = "tidemark"
PROGRESS_NAME: Final = "Progress"
# Where a column keeps the Avro default (JSON) that stands in for messages written before the column existed.
DEFAULT_METADATA: Final = b"avro.default"

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
    return pa.schema([_arrow_field(declared) for declared in parse_record(schema).fields])


def stream_schema(
    schema: str, *, name: str, key: tuple[str, ...] = ("symbol",), sequence: str | None = None
) -> Stream:
    """Return the stream whose rows are the flat Avro record `schema`, ours or anybody's.

    Raises CodecError for what is no flat record, StreamError for columns that cannot be a stream.
    """
    return Stream(name=name, schema=arrow_schema(schema), key=key, sequence=sequence)


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


def _arrow_field(declared: AvroField) -> pa.Field:
    metadata = None
    if declared.default is not NO_DEFAULT and declared.default is not None:
        metadata = {DEFAULT_METADATA: json.dumps(declared.default).encode()}
    return pa.field(declared.name, arrow_type(declared), nullable=declared.nullable, metadata=metadata)
