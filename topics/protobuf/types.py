"""Where the message types of schema ids come from, for messages that name their schema."""

from collections import OrderedDict
from typing import Final, Protocol

from topics.protobuf.message_type import MessageType, message_type_of_files
from topics.schema_header import guid_registry, is_registered
from topics.wire import ProtobufRegistry, SchemaName

_SCHEMAS_MAX: Final = 64  # whose files are remembered, for the few types of each that are asked for


class MessageTypes(Protocol):
    """Gives the message type that a message names."""

    def message_type(self, name: SchemaName, indexes: tuple[int, ...] | None) -> MessageType:
        """Return the type at the indexes of a schema, without any its only type.

        Raises UnknownSchemaError for a name that no schema has, OtherFormatError for a schema of another
        format, NoSuchMessageError for indexes out of its range, CodecError for a schema that cannot be used,
        and RegistryUnavailableError where the same question may be asked again.
        """
        ...

    def is_registered(self, subject: str, name: SchemaName) -> bool:
        """Return whether a schema is one of those of a subject."""
        ...


class RegistryTypes:
    """The message types of a registry's Protobuf schemas."""

    def __init__(self, registry: ProtobufRegistry) -> None:
        self._registry = registry
        self._files: OrderedDict[SchemaName, list[bytes]] = OrderedDict()

    def message_type(self, name: SchemaName, indexes: tuple[int, ...] | None) -> MessageType:
        """Return the type at the indexes of a schema; raises what `MessageTypes` says."""
        if name not in self._files:
            self._files[name] = self._ask(name)
            if len(self._files) > _SCHEMAS_MAX:
                self._files.popitem(last=False)
        return message_type_of_files(self._files[name], indexes)

    def is_registered(self, subject: str, name: SchemaName) -> bool:
        """Return whether a schema is one of those of a subject."""
        return is_registered(self._registry, subject, name)

    def _ask(self, name: SchemaName) -> list[bytes]:
        if isinstance(name, str):
            return guid_registry(self._registry).protobuf_files_of_guid(name)
        return self._registry.protobuf_files(name)
