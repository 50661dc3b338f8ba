"""The shapes between bytes and columns: what a decoder hands out, what an encoder hands back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from schemas.batch import Batch, Int64s

SchemaName = int | str  # what a message calls its schema by: the id, or the GUID as text


class CodecError(Exception):
    """A schema cannot be compiled or a value cannot be encoded; the message names the field and why."""


class UnknownSchemaError(CodecError):
    """The registry has no such schema: the message that names it is dead, not the registry."""


class OtherFormatError(CodecError):
    """The registry's schema is not of the format that is read; the message says which id and format it is."""


class IncompatibleSchemaError(CodecError):
    """A schema of a stream's own subject cannot be read as the stream: no message of that id can."""


class RegistryUnavailableError(Exception):
    """The registry does not answer: wait and ask again, lose nothing."""


class RegistryRefusedError(RegistryUnavailableError):
    """The registry does not take our credentials: whoever starts something must correct them."""


class SchemaRegistry(Protocol):
    """Gives ids to Avro schemas (JSON text) and schemas to ids, as the Confluent registry does."""

    def register(self, subject: str, schema: str) -> int:
        """Return the id of `schema` under `subject`, the same id for the same schema."""
        ...

    def schema(self, schema_id: int) -> str:
        """Return a schema, whole; raises UnknownSchemaError, OtherFormatError or RegistryUnavailableError."""
        ...

    def latest(self, subject: str) -> tuple[int, str] | None:
        """Return the newest id and schema of `subject`, or None for a subject without a schema."""
        ...

    def ids(self, subject: str) -> frozenset[int]:
        """Return the ids of all schemas of `subject`, none for a subject without a schema."""
        ...


@runtime_checkable
class ProtobufRegistry(Protocol):
    """Gives the Protobuf schemas of ids, as the Confluent registry does."""

    def protobuf_files(self, schema_id: int) -> list[bytes]:
        """Return a schema as serialized FileDescriptorProtos, its own first and then what it refers to.

        The files of google/protobuf may be missing.  Raises UnknownSchemaError, OtherFormatError for a schema
        of another format, CodecError for one that is broken, or RegistryUnavailableError.
        """
        ...

    def latest_protobuf(self, subject: str) -> int | None:
        """Return the newest id of `subject`, or None for a subject without a schema; raises likewise."""
        ...

    def ids(self, subject: str) -> frozenset[int]:
        """Return the ids of all schemas of `subject`, none for a subject without a schema."""
        ...


@runtime_checkable
class GuidRegistry(Protocol):
    """Gives the schemas of GUIDs, which serializers write into a header, as the Confluent registry does."""

    def schema_of_guid(self, guid: str) -> str:
        """Return an Avro schema, whole; raises what `SchemaRegistry.schema` raises."""
        ...

    def protobuf_files_of_guid(self, guid: str) -> list[bytes]:
        """Return the files of a Protobuf schema; raises what `ProtobufRegistry.protobuf_files` raises."""
        ...

    def guids(self, subject: str) -> frozenset[str]:
        """Return the GUIDs of all schemas of `subject`, none for a subject without a schema."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """No further row of `stream` below `upper_ns` will be written to this partition by `run`.

    `final` marks the last record of a published period, whose end `upper_ns` then is.
    """

    stream: str
    upper_ns: int
    final: bool
    run: str


@dataclass(frozen=True, slots=True)
class DeadRow:
    """What could not be read: a whole message (`index` is -1) or one row of it, and why.

    `message` indexes the block it came in.  `rule` names the rule which a row broke that could be read.
    """

    message: int
    index: int
    reason: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One partition's share of a block: its rows, its progress records with their offsets, its dead rows."""

    batch: Batch | None
    progress: Sequence[tuple[int, Progress]]
    dead: Sequence[DeadRow]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Values end to end, in the Confluent wire format: value `i` is `data[starts[i]:starts[i + 1]]`."""

    data: npt.NDArray[np.uint8]
    starts: Int64s

    @property
    def messages(self) -> int:
        """The number of values."""
        return int(self.starts.size) - 1
