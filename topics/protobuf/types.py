"""Where the message types of schema ids come from, for messages that name their schema."""

from collections import OrderedDict
from typing import Final, Protocol

from topics.protobuf.message_type import MessageType, message_type_of_files
from topics.wire import ProtobufRegistry

_SCHEMAS_MAX: Final = 64  # whose files are remembered, for the few types of each that are asked for


class MessageTypes(Protocol):
    """Gives the message type that a message's header names."""

    def message_type(self, schema_id: int, indexes: tuple[int, ...]) -> MessageType:
        """Return the type at the indexes of a schema.

        Raises UnknownSchemaError for an id that no schema has, OtherFormatError for a schema of another
        format, NoSuchMessageError for indexes out of its range, CodecError for a schema that cannot be used,
        and RegistryUnavailableError where the same question may be asked again.
        """
        ...

    def ids(self, subject: str) -> frozenset[int]:
        """Return the ids of all schemas of a subject."""
        ...


class RegistryTypes:
    """The message types of a registry's Protobuf schemas."""

    def __init__(self, registry: ProtobufRegistry) -> None:
        self._registry = registry
        self._files: OrderedDict[int, list[bytes]] = OrderedDict()

    def message_type(self, schema_id: int, indexes: tuple[int, ...]) -> MessageType:
        """Return the type at the indexes of a schema; raises what `MessageTypes` says."""
        if schema_id not in self._files:
            self._files[schema_id] = self._registry.protobuf_files(schema_id)
            if len(self._files) > _SCHEMAS_MAX:
                self._files.popitem(last=False)
        return message_type_of_files(self._files[schema_id], indexes)

    def ids(self, subject: str) -> frozenset[int]:
        """Return the ids of all schemas of a subject."""
        return self._registry.ids(subject)
