"""Schemas in a folder: the registry of one machine, safe when several processes register at once.

`ids/<id>.avsc` holds a schema, `subjects/<subject>/<version>` the id of one of its versions.  Every file is
written aside and then linked to its name, which succeeds for exactly one process.  An id is drawn from the
schema's text, so two processes, and two folders, give a schema the same id without talking.  A schema here is
whole: a folder has no references.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar
from urllib.parse import quote

from topics.wire import CodecError, OtherFormatError, RegistryUnavailableError, UnknownSchemaError

_IDS_MAX: Final = 2**31 - 1
_P = ParamSpec("_P")
_R = TypeVar("_R")


def _waits_for_the_folder(
    act: Callable[Concatenate["FileRegistry", _P], _R],
) -> Callable[Concatenate["FileRegistry", _P], _R]:
    """Turn a folder that cannot be read or written now into RegistryUnavailableError."""

    @wraps(act)
    def acting(self: "FileRegistry", /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return act(self, *args, **kwargs)
        except OSError as failed:
            raise RegistryUnavailableError(
                f"schema folder {self.folder}: {failed}; make it readable and writable, nothing is lost"
            ) from failed

    return acting


class FileRegistry:
    """A `SchemaRegistry` in a folder, which is made when the first schema is registered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[int, str] = {}
        self._registered: dict[tuple[str, str], int] = {}

    @_waits_for_the_folder
    def register(self, subject: str, schema: str) -> int:
        """Return the id of `schema` under `subject`; raises CodecError for text that is no JSON."""
        known = self._registered.get((subject, schema))
        if known is not None:
            return known
        schema_id = self._place(_canonical(schema))
        versions = self._subject(subject)
        versions.mkdir(parents=True, exist_ok=True)
        while schema_id not in (ids := self._versions(subject)).values():
            # Taken by another process: look again, it may have registered this very schema.
            _create(versions / str(max(ids, default=0) + 1), str(schema_id))
        self._registered[subject, schema] = schema_id
        return schema_id

    @_waits_for_the_folder
    def schema(self, schema_id: int) -> str:
        """Return the canonical text of a schema."""
        if schema_id not in self._known:
            try:
                self._known[schema_id] = self._file(schema_id).read_text(encoding="utf-8")
            except FileNotFoundError:
                if not self.folder.is_dir():
                    raise
                raise UnknownSchemaError(f"no schema in {self.folder} has this id") from None
        return self._known[schema_id]

    @_waits_for_the_folder
    def latest(self, subject: str) -> tuple[int, str] | None:
        """Return the id and the schema that were registered last under `subject`."""
        versions = self._versions(subject)
        if not versions:
            return None
        schema_id = versions[max(versions)]
        return schema_id, self.schema(schema_id)

    @_waits_for_the_folder
    def ids(self, subject: str) -> frozenset[int]:
        """Return the ids of all versions of `subject`."""
        return frozenset(self._versions(subject).values())

    def protobuf_files(self, schema_id: int) -> list[bytes]:
        """Raise OtherFormatError: a folder holds no Protobuf schemas."""
        raise self._avro_only()

    def latest_protobuf(self, subject: str) -> int | None:
        """Raise OtherFormatError: a folder holds no Protobuf schemas."""
        raise self._avro_only()

    def schema_of_guid(self, guid: str) -> str:
        """Raise CodecError: a folder has no GUIDs."""
        raise self._ids_only()

    def protobuf_files_of_guid(self, guid: str) -> list[bytes]:
        """Raise CodecError: a folder has no GUIDs."""
        raise self._ids_only()

    def guids(self, subject: str) -> frozenset[str]:
        """Nothing: a folder has no GUIDs."""
        return frozenset()

    def _ids_only(self) -> CodecError:
        return CodecError(
            f"schema folder {self.folder}: a folder gives schemas ids, not GUIDs: name the registry that the "
            "producers use (bus.schema_registry)"
        )

    def _avro_only(self) -> OtherFormatError:
        return OtherFormatError(
            f"schema folder {self.folder}: a folder serves Avro schemas only: name a descriptor file in "
            "streams.NAME.schema_file, or a registry that holds the Protobuf schemas"
        )

    def _place(self, text: str) -> int:
        """Store a schema under the first id of its own that is free or already its; return the id."""
        self._file(0).parent.mkdir(parents=True, exist_ok=True)
        digest = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        for step in range(_IDS_MAX):
            schema_id = (digest + step) % _IDS_MAX + 1
            if _create(self._file(schema_id), text) or self.schema(schema_id) == text:
                return schema_id
        raise CodecError(f"schema folder {self.folder} has no free id left")

    def _file(self, schema_id: int) -> Path:
        return self.folder / "ids" / f"{schema_id}.avsc"

    def _subject(self, subject: str) -> Path:
        return self.folder / "subjects" / quote(subject, safe="").replace(".", "%2E")

    def _versions(self, subject: str) -> dict[int, int]:
        """Return the id of each version of a subject."""
        folder = self._subject(subject)
        if not folder.is_dir():
            return {}
        return {
            int(version.name): int(version.read_text(encoding="ascii"))
            for version in folder.iterdir()
            if version.name.isdecimal()
        }


def _canonical(schema: str) -> str:
    """The same text for schemas that differ in spacing and order of properties only."""
    try:
        return json.dumps(json.loads(schema), sort_keys=True, separators=(",", ":"))
    except json.JSONDecodeError as broken:
        raise CodecError(f"not an Avro schema: {broken}") from None


def _create(path: Path, text: str) -> bool:
    """Create a file whole or not at all; return False where it exists already."""
    descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=".aside-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(aside).chmod(0o644)
        os.link(aside, path)
    except FileExistsError:
        return False
    finally:
        Path(aside).unlink()
    return True
