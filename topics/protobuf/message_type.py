"""Message types: what a descriptor file or a schema registry says of the messages, as the library knows them.

The library resolves names and checks descriptors; rows are never made into its messages.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from google.protobuf import (
    any_pb2,
    api_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    source_context_pb2,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
from google.protobuf.message import DecodeError

from topics.wire import CodecError

_WELL_KNOWN: Final[Mapping[str, bytes]] = {
    module.DESCRIPTOR.name: module.DESCRIPTOR.serialized_pb
    for module in (
        any_pb2,
        api_pb2,
        descriptor_pb2,
        duration_pb2,
        empty_pb2,
        field_mask_pb2,
        source_context_pb2,
        struct_pb2,
        timestamp_pb2,
        type_pb2,
        wrappers_pb2,
    )
}
_NAMES_MAX: Final = 20  # message types that an error names
_UNNAMED: Final = "schema.proto"  # a registry's main file may have no name


class NoSuchMessageError(CodecError):
    """A schema has no message type at these indexes: it is the message that is wrong, not the schema."""


@dataclass(frozen=True, slots=True)
class MessageType:
    """A message type; `descriptor` is the library's, which keeps the types it refers to."""

    descriptor: Any

    @property
    def name(self) -> str:
        """The full name, with its package."""
        return str(self.descriptor.full_name)


def read_message_type(path: Path, name: str | None = None) -> MessageType:
    """Return a message type of a descriptor file, as `protoc --include_imports --descriptor_set_out` writes.

    `name` is the full name; without it the file must have one top-level message beside what it imports.
    Raises CodecError for a file that cannot be read or is no such file, for an import that is not in it, and
    for a message that it does not have.
    """
    try:
        data = path.read_bytes()
    except OSError as failed:
        raise CodecError(f"descriptor file {path} cannot be read: {failed.strerror or failed}") from None
    return message_type_of_set(data, name, f"descriptor file {path}")


def message_type_of_set(data: bytes, name: str | None = None, where: str = "descriptor set") -> MessageType:
    """Return a message type of a serialized FileDescriptorSet; raises CodecError as `read_message_type`."""
    descriptors = descriptor_pb2.FileDescriptorSet()
    try:
        descriptors.ParseFromString(data)
    except DecodeError:
        raise CodecError(f"{where} is no FileDescriptorSet: {_HOW}") from None
    files = {file.name: file for file in descriptors.file}
    if not files:
        raise CodecError(f"{where} holds no file: {_HOW}")
    pool = _pool_of(files, where)
    imported = {other for file in files.values() for other in file.dependency}
    outer = [file for file in files.values() if file.name not in imported]
    if name is None:
        candidates = [_full_name(file, [message.name]) for file in outer for message in file.message_type]
        if len(candidates) != 1:
            raise CodecError(f"{where} holds {_listed(candidates)}: say which message the stream has")
        name = candidates[0]
    try:
        return MessageType(pool.FindMessageTypeByName(name))
    except KeyError:
        names = sorted(full for file in files.values() for full in _message_names(file))
        raise CodecError(
            f"{where} has no message {name}{near_names(name, names)}: {_listed(names)}"
        ) from None


def message_type_of_files(files: Sequence[bytes], indexes: Sequence[int] | None) -> MessageType:
    """Return the message type at `indexes` of the first of these serialized FileDescriptorProtos.

    `indexes` are those of Confluent's wire format: the place of a top-level message, then of a message within
    it, and so on; None stands for the only one there is.  The other files are what the first one refers to;
    those of google/protobuf may be left out.  Raises CodecError for files that do not go together,
    NoSuchMessageError for indexes out of range, and for None where there are several top-level messages.
    """
    assert files, "a schema has at least its own file"
    protos = [_file_of(data) for data in files]
    main = protos[0]
    main.name = main.name or _UNNAMED
    messages, names = main.message_type, []
    if indexes is None:
        if len(messages) != 1:
            raise NoSuchMessageError(
                f"the schema has {len(messages)} message types, and the message does not say which it is of"
            )
        indexes = (0,)
    for index in indexes:
        if not 0 <= index < len(messages):
            raise NoSuchMessageError(f"the schema has no message type at the indexes {list(indexes)}")
        names.append(messages[index].name)
        messages = messages[index].nested_type
    if not names:
        raise NoSuchMessageError("the message names no message type of the schema")
    # Of two files of one name the earlier one is meant: the main file is never replaced.
    pool = _pool_of({file.name: file for file in reversed(protos)}, "the schema")
    return MessageType(pool.FindMessageTypeByName(_full_name(main, names)))


def near_names(name: str, names: Iterable[str]) -> str:
    """Return words that suggest the names nearest to one that is not among them, or nothing."""
    near = difflib.get_close_matches(name, list(names), n=3)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


_HOW: Final = "make it with protoc --include_imports --descriptor_set_out"


def _file_of(data: bytes) -> Any:
    file = descriptor_pb2.FileDescriptorProto()
    try:
        file.ParseFromString(data)
    except DecodeError:
        raise CodecError("the schema is no serialized FileDescriptorProto") from None
    return file


def _pool_of(files: Mapping[str, Any], where: str) -> Any:
    """Put files into a pool, each after what it imports; raises CodecError where they do not go together."""
    files = {**files, **_needed(files, where)}
    pool = descriptor_pool.DescriptorPool()
    added: set[str] = set()
    while len(added) < len(files):
        ready = [file for name, file in files.items() if name not in added and added >= set(file.dependency)]
        if not ready:
            raise CodecError(f"{where}: the imports of {min(files.keys() - added)} go in a circle")
        for file in ready:
            try:
                pool.AddSerializedFile(file.SerializeToString())
            except TypeError as refused:
                raise CodecError(f"{where}: the library refuses {file.name}: {refused}") from None
            added.add(file.name)
    return pool


def _needed(files: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the well-known files that these import and do not hold."""
    needed: dict[str, Any] = {}
    pending = list(files.values())
    while pending:
        file = pending.pop()
        for name in file.dependency:
            if name in files or name in needed:
                continue
            if name not in _WELL_KNOWN:
                raise CodecError(
                    f"{where}: {file.name} imports {name}, which is not there; a descriptor file is whole "
                    "with protoc --include_imports, a registry's schema with its references"
                )
            needed[name] = _file_of(_WELL_KNOWN[name])
            pending.append(needed[name])
    return needed


def _full_name(file: Any, names: Sequence[str]) -> str:
    return ".".join([file.package, *names] if file.package else names)


def _message_names(file: Any) -> list[str]:
    """Return the full names of all messages of a file, those of map entries aside."""
    names = []
    pending = [([message.name], message) for message in file.message_type]
    while pending:
        path, message = pending.pop()
        if not message.options.map_entry:
            names.append(_full_name(file, path))
        pending += [([*path, nested.name], nested) for nested in message.nested_type]
    return names


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "it has no messages"
    more = f" and {len(names) - _NAMES_MAX} more" if len(names) > _NAMES_MAX else ""
    return f"it has {', '.join(names[:_NAMES_MAX])}{more}"
