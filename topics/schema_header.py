"""The schema that a message's header names: found for many messages at once, each distinct value read once.

Confluent's serializers write `__value_schema_id`: the byte 1 and the 16 bytes of a GUID, or the byte 0 and an
id of 4 bytes, big endian, and for Protobuf the indexes of the message type behind either.  Apicurio's write
an id of 8 bytes, big endian, as `apicurio.value.contentId` or `apicurio.value.globalId`.  Of a header that a
message has twice the last one counts, as for Confluent's Java deserializers.
"""

import ctypes
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.batch import Int64s
from topics.block import NO_HEADER, MessageBlock, Originals
from topics.column_kernel import number_keys
from topics.wire import CodecError, GuidRegistry, ProtobufRegistry, SchemaName, SchemaRegistry

CONFLUENT: Final = "__value_schema_id"
APICURIO: Final = ("apicurio.value.contentId", "apicurio.value.globalId")
MISSING: Final = f"no header names its schema: neither {CONFLUENT} nor {' or '.join(APICURIO)}"

_ID_SIZE: Final = 4
_GUID_SIZE: Final = 16
_APICURIO_SIZE: Final = 8
_ID_BYTE: Final = 0
_GUID_BYTE: Final = 1
_SIZE_MAX: Final = 1_024  # bytes that are looked at, more than any that is good has
_SHOWN_MAX: Final = 20  # bytes of a bad one that its reason shows


@dataclass(frozen=True, slots=True)
class SchemaHeader:
    """What a header says: the schema, and what is behind it; `rest` is None where nothing ever is."""

    name: SchemaName
    rest: bytes | None


@dataclass(frozen=True, slots=True)
class SchemaHeaders:
    """The headers of some messages.

    `code`      int64, one for each message: the number of what its header says, -1 where it has none.
    `read`      what the headers say, by number.
    `bad`       why those that say nothing cannot be read, by number.
    """

    code: Int64s
    read: Mapping[int, SchemaHeader]
    bad: Mapping[int, str]


def read_schema_headers(block: MessageBlock, messages: Int64s) -> SchemaHeaders:
    """Read the schema's header of the messages with these indexes into the block."""
    code = np.full(messages.size, -1, dtype=np.int64)
    read: dict[int, SchemaHeader] = {}
    bad: dict[int, str] = {}
    left = np.arange(messages.size)
    for header in (CONFLUENT, *APICURIO):
        numbers, values = _distinct_values(block.originals, messages[left], header)
        first = len(read) + len(bad)
        code[left] = np.where(numbers >= 0, numbers + first, -1)
        for number, value in enumerate(values, first):
            try:
                read[number] = _confluent(value) if header == CONFLUENT else _apicurio(value)
            except ValueError as wrong:
                bad[number] = f"its header {header} names no schema: {wrong}"
        left = left[numbers < 0]
        if left.size == 0:
            break
    return SchemaHeaders(code, read, bad)


def with_schema_header(block: MessageBlock, messages: Int64s) -> Int64s:
    """Return those of these messages that have a header for their schema."""
    without = messages
    for header in (CONFLUENT, *APICURIO):
        without = without[block.originals.header_values(without, header).size == NO_HEADER]
    return messages[~np.isin(messages, without)]


def framing_hints(block: MessageBlock, messages: Int64s) -> Mapping[int, str]:
    """Return what to add to the reason of each of these messages, which name no schema as they should.

    A message without a schema's header has none.
    """
    hints: dict[int, str] = {}
    for header in (CONFLUENT, *APICURIO):
        held = messages[block.originals.header_values(messages, header).size != NO_HEADER]
        hint = f'; its header {header} names a schema: say framing = "header"'
        hints |= dict.fromkeys(held.tolist(), hint)
    return hints


def schema_words(name: SchemaName) -> str:
    """Name a schema in a reason."""
    return f"schema GUID {name}" if isinstance(name, str) else f"schema id {name}"


def avro_schema_of(registry: SchemaRegistry, name: SchemaName) -> str:
    """Return a schema's text; raises what the registry raises, CodecError where it has no GUIDs."""
    return guid_registry(registry).schema_of_guid(name) if isinstance(name, str) else registry.schema(name)


def is_registered(registry: SchemaRegistry | ProtobufRegistry, subject: str, name: SchemaName) -> bool:
    """Return whether a schema is one of those of a subject; raises RegistryUnavailableError."""
    if isinstance(name, int):
        return name in registry.ids(subject)
    return isinstance(registry, GuidRegistry) and name in registry.guids(subject)


def guid_registry(registry: object) -> GuidRegistry:
    """Return a registry as one that knows GUIDs; raises CodecError where it is none."""
    if not isinstance(registry, GuidRegistry):
        raise CodecError("the schema registry of this process has no GUIDs")
    return registry


def _distinct_values(
    originals: Originals, messages: Int64s, header: str
) -> tuple[Int64s, list[bytes | None]]:
    """Return which value of the header each message has, -1 for a message without it, and the values."""
    held = originals.header_values(messages, header)
    table = np.full(1 << int(2 * messages.size).bit_length(), -1, dtype=np.int32)
    first, number = np.empty(messages.size, dtype=np.int64), np.empty(messages.size, dtype=np.int32)
    count = number_keys(held.address, held.size, held.size != NO_HEADER, table, first, number)
    places = [(int(held.address[at]), int(held.size[at])) for at in first[:count]]
    values = [
        None if size < 0 else ctypes.string_at(address, min(size, _SIZE_MAX)) if size else b""
        for address, size in places
    ]
    return number.astype(np.int64), values


def _confluent(value: bytes | None) -> SchemaHeader:
    """Read Confluent's header; raises ValueError saying what is wrong."""
    if not value:
        raise ValueError("it is null" if value is None else "it is empty")
    size = {_ID_BYTE: _ID_SIZE, _GUID_BYTE: _GUID_SIZE}.get(value[0])
    if size is None:
        raise ValueError(
            f"it begins with {_shown(value)}, not with the byte {_ID_BYTE} (an id) or {_GUID_BYTE} (a GUID)"
        )
    if len(value) <= size:
        raise ValueError(f"{_shown(value)} is shorter than the {1 + size} bytes that its first byte promises")
    raw = value[1 : 1 + size]
    named = int.from_bytes(raw, "big") if size == _ID_SIZE else str(uuid.UUID(bytes=raw))
    return SchemaHeader(named, value[1 + size :])


def _apicurio(value: bytes | None) -> SchemaHeader:
    """Read one of Apicurio's headers; raises ValueError saying what is wrong."""
    if value is None:
        raise ValueError("it is null")
    if len(value) != _APICURIO_SIZE:
        raise ValueError(f"{_shown(value)} is not {_APICURIO_SIZE} bytes")
    number = int.from_bytes(value, "big", signed=True)
    if not 0 <= number < 1 << 8 * _ID_SIZE:
        raise ValueError(f"the id {number} does not fit {_ID_SIZE} bytes")
    return SchemaHeader(number, None)


def _shown(value: bytes) -> str:
    return value[:_SHOWN_MAX].hex(" ") + (" ..." if len(value) > _SHOWN_MAX else "")
