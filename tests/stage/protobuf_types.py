"""Message types of Protobuf that tests write down, as the library's descriptors."""

from collections.abc import Sequence
from typing import Any, Final

from google.protobuf import descriptor_pb2, message_factory

from topics.protobuf.message_type import MessageType, message_type_of_files

KIND: Final[Any] = descriptor_pb2.FieldDescriptorProto
KINDS: Final = {
    "double": KIND.TYPE_DOUBLE, "float": KIND.TYPE_FLOAT, "int32": KIND.TYPE_INT32, "int64": KIND.TYPE_INT64,
    "uint32": KIND.TYPE_UINT32, "uint64": KIND.TYPE_UINT64, "sint32": KIND.TYPE_SINT32,
    "sint64": KIND.TYPE_SINT64, "fixed32": KIND.TYPE_FIXED32, "fixed64": KIND.TYPE_FIXED64,
    "sfixed32": KIND.TYPE_SFIXED32, "sfixed64": KIND.TYPE_SFIXED64, "bool": KIND.TYPE_BOOL,
    "string": KIND.TYPE_STRING, "bytes": KIND.TYPE_BYTES,
}  # fmt: skip
IMPORTS: Final = ("google/protobuf/timestamp.proto", "google/protobuf/wrappers.proto")


def proto_file(
    *messages: tuple[str, Sequence[tuple[str, int, str]]],
    name: str = "q.proto",
    package: str = "p",
    syntax: str = "proto3",
    imports: Sequence[str] = IMPORTS,
    enum: Sequence[tuple[str, int]] = (("NONE", 0), ("BUY", 1), ("SELL", 2)),
) -> Any:
    """A file of messages, each a name and its fields: a name, a number and a type.

    A type is a scalar, `Side` (the enum), or a full name with its dot before it; `?` before it means optional
    in proto3, `*` repeated, `|` a member of the oneof `which`, and `= x` behind it a default.
    """
    file = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax=syntax)
    file.dependency.extend(imports)
    if enum:
        side = file.enum_type.add(name="Side")
        for one, number in enum:
            side.value.add(name=one, number=number)
    for message_name, fields in messages:
        add_fields(file.message_type.add(name=message_name), fields, package)
    return file


def add_fields(message: Any, fields: Sequence[tuple[str, int, str]], package: str = "p") -> None:
    """Add fields to a message, as `proto_file` reads them."""
    if any(kind.startswith("|") for _, _, kind in fields):
        message.oneof_decl.add(name="which")
    for name, number, text in fields:
        kind, _, default = text.lstrip("?*|").partition(" = ")
        label = KIND.LABEL_REPEATED if text.startswith("*") else KIND.LABEL_OPTIONAL
        field = message.field.add(name=name, number=number, label=label)
        if kind in KINDS:
            field.type = KINDS[kind]
        elif kind == "Side":
            field.type, field.type_name = KIND.TYPE_ENUM, f".{package}.Side"
        else:
            field.type, field.type_name = KIND.TYPE_MESSAGE, kind
        if default:
            field.default_value = default
        if text.startswith("|"):
            field.oneof_index = 0
        if text.startswith("?"):
            field.proto3_optional, field.oneof_index = True, len(message.oneof_decl)
            message.oneof_decl.add(name=f"_{name}")


def type_of(file: Any, index: int = 0, others: Sequence[Any] = ()) -> MessageType:
    """The message type at a place of a file."""
    return message_type_of_files([one.SerializeToString() for one in (file, *others)], (index,))


def message_of(message_type: MessageType, **values: Any) -> bytes:
    """A message as the library writes it."""
    make = message_factory.GetMessageClass(message_type.descriptor)
    data: bytes = make(**values).SerializeToString()
    return data
