"""Schemas in a registry that speaks Confluent's protocol (Confluent, Karapace, Apicurio, Redpanda)."""

import warnings
from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any, Final

from topics.registry.descriptors import FORMAT, decoded_file
from topics.registry.references import with_references
from topics.schema_header import schema_words
from topics.wire import (
    CodecError,
    OtherFormatError,
    RegistryRefusedError,
    RegistryUnavailableError,
    SchemaName,
    UnknownSchemaError,
)

_NO_SUCH_SCHEMA: Final = 404
_NOT_ALLOWED: Final = frozenset({401, 403})
# The registry understood and refused: not compatible, no valid schema.
_REFUSED: Final = frozenset({409, 422})
_AVRO: Final = "AVRO"
_PROTOBUF: Final = "PROTOBUF"
_FORMATS: Final = {_AVRO: "an Avro schema", _PROTOBUF: "a Protobuf schema", "JSON": "a JSON schema"}
_READ: Final = {_AVRO: "Avro", _PROTOBUF: "Protobuf"}
# The client's own retries; whoever waits for a registry asks again anyway, so keep one call short.
_RETRIES: Final = {"max.retries": 2, "retries.wait.ms": 50, "retries.max.wait.ms": 500, "timeout": 10}


class ConfluentRegistry:
    """A `SchemaRegistry`, `ProtobufRegistry` and `GuidRegistry` behind a URL.

    `settings` are the client's own (`basic.auth.user.info`, `ssl.*`).
    """

    def __init__(self, url: str, settings: Mapping[str, Any] | None = None) -> None:
        # Imported here: it loads an HTTP client, which a folder does not need, and which warns about itself.
        with warnings.catch_warnings(record=True):
            from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

        self._url = url
        self._schema: Any = Schema
        self._error: Any = SchemaRegistryError
        retries = {} if url.startswith("mock://") else _RETRIES
        options = {"url": url, **retries, **(settings or {})}
        self._client: Any = SchemaRegistryClient.new_client(options)
        # A client remembers a schema in the form that it was first asked for; a mock keeps all in itself.
        again = partial(SchemaRegistryClient.new_client, options)
        self._new_client: Any = (lambda: self._client) if url.startswith("mock://") else again

    def register(self, subject: str, schema: str) -> int:
        """Return the id of `schema` under `subject`; raises CodecError where the registry refuses it."""
        return int(self._ask(self._client.register_schema, subject, self._schema(schema, _AVRO)))

    def schema(self, schema_id: int) -> str:
        """Return a schema's text, with what it refers to; raises OtherFormatError where it is not Avro."""
        return self._text(schema_id, self._by_name(self._client, schema_id))

    def schema_of_guid(self, guid: str) -> str:
        """Return a schema's text as `schema` does; raises CodecError where the client knows no GUIDs."""
        return self._text(guid, self._by_name(self._client, guid))

    def latest(self, subject: str) -> tuple[int, str] | None:
        """Return the newest id and schema of `subject`, from a new request each time."""
        newest = self._newest(subject)
        return None if newest is None else (int(newest.schema_id), self._text(*_numbered(newest)))

    def protobuf_files(self, schema_id: int) -> list[bytes]:
        """Return a Protobuf schema's own FileDescriptorProto, serialized, and those of what it refers to.

        Raises UnknownSchemaError, OtherFormatError where the schema is not Protobuf, CodecError where the
        registry does not give descriptors or lacks what the schema refers to.
        """
        return self._files(schema_id)

    def protobuf_files_of_guid(self, guid: str) -> list[bytes]:
        """Return files as `protobuf_files` does; raises CodecError where the client knows no GUIDs."""
        return self._files(guid)

    def _files(self, name: SchemaName) -> list[bytes]:
        client = self._descriptor_client
        schema = self._by_name(client, name, fmt=FORMAT)
        _require_format(name, schema, _PROTOBUF)
        files = {"": decoded_file(str(schema.schema_str))}
        pending = list(schema.references or ())
        while pending:
            reference = pending.pop(0)
            if reference.name in files:
                continue
            place = (reference.subject, reference.version)
            try:
                part = self._ask(client.get_version, *place, deleted=True, fmt=FORMAT).schema
            except _NotFound as missing:
                raise self._lacking(missing) from None
            files[reference.name] = decoded_file(str(part.schema_str), reference.name)
            pending += part.references or ()
        return list(files.values())

    def latest_protobuf(self, subject: str) -> int | None:
        """Return the newest id of `subject`, from a new request each time; raises OtherFormatError."""
        newest = self._newest(subject)
        if newest is None:
            return None
        _require_format(*_numbered(newest), _PROTOBUF)
        return int(newest.schema_id)

    def ids(self, subject: str) -> frozenset[int]:
        """Return the ids of all versions of `subject`: a request for each that was not asked for before."""
        return frozenset(int(version.schema_id) for version in self._versions(subject))

    def guids(self, subject: str) -> frozenset[str]:
        """Return the GUIDs of all versions of `subject`, by the same requests; older registries give none."""
        guids = (getattr(version, "guid", None) for version in self._versions(subject))
        return frozenset(str(guid) for guid in guids if guid is not None)

    def _versions(self, subject: str) -> list[Any]:
        try:
            versions = self._ask(self._client.get_versions, subject)
            return [self._ask(self._client.get_version, subject, version) for version in versions]
        except _NotFound:
            return []

    @cached_property
    def _descriptor_client(self) -> Any:
        return self._new_client()

    def _text(self, name: SchemaName, schema: Any) -> str:
        """A schema as one text.  A reference that is not there is no unknown id: the schema is broken."""
        _require_format(name, schema, _AVRO)
        if not schema.references:
            return str(schema.schema_str)
        definitions: dict[tuple[str, int], str] = {}
        try:
            self._collect(schema, definitions)
        except _NotFound as missing:
            raise self._lacking(missing) from None
        return with_references(str(schema.schema_str), list(definitions.values()))

    def _collect(self, schema: Any, definitions: dict[tuple[str, int], str]) -> None:
        """Ask for what a schema refers to, and for what that refers to."""
        for reference in schema.references or ():
            place = (reference.subject, reference.version)
            if place not in definitions:
                part = self._ask(self._client.get_version, *place).schema
                definitions[place] = str(part.schema_str)
                self._collect(part, definitions)

    def _by_name(self, client: Any, name: SchemaName, **options: Any) -> Any:
        by_guid = isinstance(name, str)
        if by_guid and not hasattr(client, "get_schema_by_guid"):
            raise CodecError("this confluent-kafka looks up no GUIDs: install a newer one (2.12 does)")
        question = client.get_schema_by_guid if by_guid else client.get_schema
        try:
            return self._ask(question, name, **options)
        except _NotFound as missing:
            kind = "GUID" if by_guid else "id"
            raise UnknownSchemaError(
                f"the registry {self._url} has no schema of this {kind}: {missing}"
            ) from None

    def _newest(self, subject: str) -> Any:
        """Return the newest version of a subject, or None for a subject without a schema."""
        self._client.clear_latest_caches()
        try:
            return self._ask(self._client.get_latest_version, subject)
        except _NotFound:
            return None

    def _lacking(self, missing: "_NotFound") -> CodecError:
        return CodecError(f"it refers to a schema that {self._url} does not have: {missing}")

    def _ask(self, question: Any, *args: Any, **options: Any) -> Any:
        try:
            return question(*args, **options)
        except self._error as answer:
            if answer.http_status_code == _NO_SUCH_SCHEMA:
                raise _NotFound(str(answer)) from None
            if answer.http_status_code in _NOT_ALLOWED:
                raise RegistryRefusedError(
                    f"the registry {self._url} refuses us with status {answer.http_status_code}: correct the "
                    "user name and the password (schema_registry_*), or have the right granted"
                ) from None
            if answer.http_status_code in _REFUSED:
                raise CodecError(f"the registry {self._url} refuses the schema: {answer}") from None
            raise self._unavailable(answer) from answer
        except Exception as failed:  # the client lets its HTTP library's errors through, whichever that is
            raise self._unavailable(failed) from failed

    def _unavailable(self, failed: Exception) -> RegistryUnavailableError:
        return RegistryUnavailableError(
            f"the schema registry {self._url} does not answer: {type(failed).__name__}: {failed}; "
            "check the URL and the credentials, or wait: nothing is lost"
        )


def _numbered(version: Any) -> tuple[int, Any]:
    return int(version.schema_id), version.schema


def _require_format(name: SchemaName, schema: Any, wanted: str) -> None:
    """Raise OtherFormatError where a schema is not of the wanted format."""
    form = schema.schema_type or _AVRO
    if form != wanted:
        raise OtherFormatError(
            f"{schema_words(name)} is {_FORMATS.get(form, f'a schema of type {form}')}, "
            f"not {_READ[wanted]}, which is what is read here"
        )


class _NotFound(Exception):
    """The registry answered that there is no such thing."""
