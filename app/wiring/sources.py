"""Sources: what says which fields the messages of an input have, one for each format."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from schemas.stream import StreamError
from topics.arrow.decode import PLACE_COLUMNS
from topics.avro.schema import field_column, left_out, record_columns
from topics.protobuf.columns import Leaf, message_columns, require_leaf
from topics.protobuf.message_type import MessageType, near_names
from topics.values import FieldPath
from topics.wire import CodecError


class Source(Protocol):
    """Gives the columns of one input."""

    @property
    def bare(self) -> str | None:
        """The Avro schema of messages that name none."""
        ...

    @property
    def message_type(self) -> MessageType | None:
        """The type of Protobuf messages that name none."""
        ...

    def columns(self, stream: str, needed: Collection[str], columns: Sequence[str] | None) -> list[FieldPath]:
        """Return the columns named, with those needed that are there; of None all fields that can be columns.

        Raises CodecError naming one that is not there or cannot be a column.
        """
        ...

    def at(self, path: str, column: str, *, kind: str | None = None, token: bool = False) -> FieldPath:
        """Return the field at a path with dots as a column; raises CodecError where there is none.

        `kind` is its type, where messages do not say it.  With `token` it is for a time: text as written.
        """
        ...

    def left_out(self) -> Mapping[str, str]:
        """The fields that cannot be columns, each with the reason."""
        ...


@dataclass(frozen=True, slots=True)
class AvroSource:
    """An Avro record; `is_bare` says that messages do not name its schema."""

    schema: str
    is_bare: bool = False
    message_type: MessageType | None = None

    @property
    def bare(self) -> str | None:
        """The schema, where messages name none."""
        return self.schema if self.is_bare else None

    def columns(self, stream: str, needed: Collection[str], columns: Sequence[str] | None) -> list[FieldPath]:
        """As `Source.columns`."""
        found = record_columns(self.schema, stream=stream, needed=needed, columns=columns)
        return [FieldPath(column, (str(column.name),)) for column in found]

    def at(self, path: str, column: str, *, kind: str | None = None, token: bool = False) -> FieldPath:
        """As `Source.at`."""
        return FieldPath(field_column(self.schema, path, column), tuple(path.split(".")))

    def left_out(self) -> Mapping[str, str]:
        """As `Source.left_out`."""
        return left_out(self.schema)


@dataclass(frozen=True, slots=True)
class JsonSource:
    """JSON says nothing: the settings do, field by field."""

    bare: str | None = None
    message_type: MessageType | None = None

    def columns(self, stream: str, needed: Collection[str], columns: Sequence[str] | None) -> list[FieldPath]:
        """Never asked: the settings of a JSON stream have its fields."""
        raise AssertionError(f"stream {stream}: JSON messages do not say their fields")

    def at(self, path: str, column: str, *, kind: str | None = None, token: bool = False) -> FieldPath:
        """As `Source.at`."""
        field = pa.field(column, pa.string() if token else named_type(column, kind or ""))
        return FieldPath(field, tuple(path.split(".")), token)

    def left_out(self) -> Mapping[str, str]:
        """Nothing: only what is asked for is looked at."""
        return {}


@dataclass(frozen=True, slots=True)
class ProtobufSource:
    """A Protobuf message type; `is_bare` says that messages do not name it."""

    type: MessageType
    is_bare: bool = False
    bare: str | None = None

    @property
    def message_type(self) -> MessageType | None:
        """The type, where messages name none."""
        return self.type if self.is_bare else None

    def columns(self, stream: str, needed: Collection[str], columns: Sequence[str] | None) -> list[FieldPath]:
        """As `Source.columns`: of None all, inner fields under their path's names joined by "_"."""
        leaves = message_columns(self.type).leaves
        if columns is None:
            return [_leaf_path(leaf, "_".join(leaf.path)) for leaf in leaves]
        there = {"_".join(leaf.path) for leaf in leaves}
        wanted = dict.fromkeys([*columns, *(name for name in needed if name in there)])
        return [self.at(path, path.replace(".", "_")) for path in wanted]

    def at(self, path: str, column: str, *, kind: str | None = None, token: bool = False) -> FieldPath:
        """As `Source.at`."""
        return _leaf_path(require_leaf(self.type, tuple(path.split("."))), column)

    def left_out(self) -> Mapping[str, str]:
        """As `Source.left_out`."""
        return {".".join(path): reason for path, reason in message_columns(self.type).refused.items()}


@dataclass(frozen=True, slots=True)
class FrameSource:
    """The columns of another pipeline's frames."""

    schema: pa.Schema
    bare: str | None = None
    message_type: MessageType | None = None

    def columns(self, stream: str, needed: Collection[str], columns: Sequence[str] | None) -> list[FieldPath]:
        """As `Source.columns`: of None all but the rows' places in the input of that pipeline."""
        names = self.schema.names
        if columns is None:
            wanted = [name for name in names if name not in PLACE_COLUMNS]
        else:
            wanted = [*dict.fromkeys([*columns, *(name for name in needed if name in names)])]
        return [self.at(name, name) for name in wanted]

    def at(self, path: str, column: str, *, kind: str | None = None, token: bool = False) -> FieldPath:
        """As `Source.at`; frames are flat, so that a path is a column's name."""
        place = self.schema.get_field_index(path)
        if place < 0:
            near = near_names(path, self.schema.names)
            raise CodecError(f"frames have no column {path}{near}; they have {', '.join(self.schema.names)}")
        if column != path:
            raise CodecError(f"columns of frames keep their names: read {path} as it is")
        return FieldPath(self.schema.field(place), (path,))

    def left_out(self) -> Mapping[str, str]:
        """Nothing: what a frame holds is columns."""
        return {}


def named_type(column: str, name: str) -> pa.DataType:
    """Return the Arrow type of a name such as int64, double or decimal128(18, 4); raises StreamError."""
    try:
        kind, _, arguments = name.strip().removesuffix(")").partition("(")
        if kind in ("decimal", "decimal128") and arguments:
            precision, scale = (int(number) for number in arguments.split(","))
            return pa.decimal128(precision, scale)
        return pa.type_for_alias(name.strip())
    except ValueError:
        raise StreamError(
            f"fields.{column}: {name!r} is no type: write bool, int8 to int64, uint8 to uint64, float, "
            "double, string or decimal128(PRECISION, SCALE)"
        ) from None


def _leaf_path(leaf: Leaf, column: str) -> FieldPath:
    return FieldPath(pa.field(column, leaf.type, nullable=leaf.nullable), leaf.path)
