"""The source of Protobuf inputs, in a module of its own: who reads none does not load the library."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from app.wiring.sources import ValueNeeds
from topics.protobuf.columns import Leaf, message_columns, require_leaf
from topics.protobuf.decode import ProtobufValues
from topics.protobuf.message_type import MessageType, message_type_of_files, read_message_type
from topics.protobuf.types import RegistryTypes
from topics.values import FieldPath, ValueDecoder
from topics.wire import ProtobufRegistry, SchemaRegistry


@dataclass(frozen=True, slots=True)
class ProtobufSource:
    """A Protobuf message type; messages name it in a header if `headed`, nowhere if `bare`.  A `Source`."""

    type: MessageType
    bare: bool = False
    reads_progress: bool = False
    headed: bool = False

    @classmethod
    def from_file(cls, path: Path, message: str | None) -> "ProtobufSource":
        """The message of a descriptor file; raises CodecError where it is not there."""
        return cls(read_message_type(path, message), bare=True)

    @classmethod
    def newest(
        cls, registry: SchemaRegistry, subject: str, *, headed: bool = False
    ) -> "ProtobufSource | None":
        """The first message type of a subject's newest schema, None where there is none yet."""
        source = _protobuf(registry)
        newest = source.latest_protobuf(subject)
        if newest is None:
            return None
        return cls(message_type_of_files(source.protobuf_files(newest), (0,)), headed=headed)

    def values(self, paths: Sequence[FieldPath], needs: ValueNeeds) -> ValueDecoder:
        """As `Source.values`."""
        return ProtobufValues(
            self.type if self.bare else RegistryTypes(_protobuf(needs.registry)),
            paths,
            needs.limits,
            stream=needs.stream,
            subjects=needs.subjects,
            headed=self.headed,
        )

    def columns(self, stream: str, needed: Collection[str], columns: Sequence[str] | None) -> list[FieldPath]:
        """As `Source.columns`: of None all, inner fields under their path's names joined by "_"."""
        leaves = message_columns(self.type).leaves
        if columns is None:
            return [_field_path(leaf, "_".join(leaf.path)) for leaf in leaves]
        there = {"_".join(leaf.path) for leaf in leaves}
        wanted = dict.fromkeys([*columns, *(name for name in needed if name in there)])
        return [self.at(path, path.replace(".", "_")) for path in wanted]

    def at(self, path: str, column: str, *, kind: str | None = None, token: bool = False) -> FieldPath:
        """As `Source.at`."""
        return _field_path(require_leaf(self.type, tuple(path.split("."))), column)

    def left_out(self) -> Mapping[str, str]:
        """As `Source.left_out`."""
        return {".".join(path): reason for path, reason in message_columns(self.type).refused.items()}

    def require_readable(self, paths: Sequence[FieldPath]) -> None:
        """As `Source.require_readable`: the message type has each of them."""


def _field_path(leaf: Leaf, column: str) -> FieldPath:
    field = pa.field(column, leaf.type, nullable=leaf.nullable)
    return FieldPath(field, leaf.path, zero_is_none=not leaf.nullable)


def _protobuf(registry: SchemaRegistry) -> ProtobufRegistry:
    assert isinstance(registry, ProtobufRegistry), "every registry answers, if only with no"
    return registry
